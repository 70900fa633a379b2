# What the measurements share; sourced, never run. Figures are for a machine with 2 cores and 24 GiB unless they say
# otherwise. Needs bash and python3; a PostgreSQL server under /usr/lib/postgresql, as Debian installs it.
#
# IDI_MATCH_BINARY=PATH measures another build than this checkout's release build.
# IDI_MATCH_MEASURE_DIR=DIR puts databases and files elsewhere than the system's temporary directory.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
work=$(mktemp -d "${IDI_MATCH_MEASURE_DIR:-${TMPDIR:-/tmp}}/idi-match-measure-XXXXXX")
binary=${IDI_MATCH_BINARY:-}
server_pid=
postgres_bin=
mounted=()
export IDI_MATCH_LOG_FILTER=warn

cleanup() {
    stop_server
    if [ -n "$postgres_bin" ] && [ -f "$work/postgres/data/postmaster.pid" ]; then
        as_postgres "$postgres_bin/pg_ctl" stop --silent --mode=immediate --pgdata "$work/postgres/data" || true
    fi
    for place in "${mounted[@]}"; do umount --lazy "$place" || true; done
    rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

say() { printf '%s\n' "$*"; }

# needs TOOL…: programs that a measurement is made with, each of the Debian package of its name. Root gets what is missing
# from there; others are told.
needs() {
    local missing=() tool
    for tool in "$@"; do command -v "$tool" >/dev/null || missing+=("$tool"); done
    [ ${#missing[@]} -gt 0 ] || return 0
    if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
        say "$(basename "$0") needs what is not installed: ${missing[*]}; on Debian: sudo apt-get install ${missing[*]}" >&2
        exit 1
    fi
    apt-get update --quiet=2
    DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends --quiet=2 "${missing[@]}"
}

# The binary to measure, and what it is measured on.
prepare() {
    if [ -z "$binary" ]; then
        (cd "$root" && cargo build --release --locked --quiet)
        binary="${CARGO_TARGET_DIR:-$root/target}/release/idi-match"
    fi
    say "$("$binary" --version), $(nproc) cores, $(awk '/MemTotal/ {printf "%.0f GiB", $2 / 1048576}' /proc/meminfo)"
}

# PostgreSQL refuses to run as root.
as_postgres() {
    if [ "$(id -u)" -eq 0 ]; then (cd / && runuser -u postgres -- "$@"); else "$@"; fi
}

# A server of its own in the working directory, with durability as it comes.
start_postgres() {
    [ -z "$postgres_bin" ] || return 0
    postgres_bin=$(find /usr/lib/postgresql -maxdepth 2 -name bin | sort -V | tail -n 1)
    mkdir "$work/postgres"
    chmod 711 "$work"
    postgres_password=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
    (umask 077 && printf '%s' "$postgres_password" >"$work/postgres/password")
    if [ "$(id -u)" -eq 0 ]; then chown -R postgres "$work/postgres"; fi
    as_postgres "$postgres_bin/initdb" --username=postgres --auth=scram-sha-256 --encoding=UTF8 --locale=C \
        --pwfile="$work/postgres/password" --pgdata "$work/postgres/data" >/dev/null
    postgres_port=$(free_port)
    postgres_options="-c listen_addresses=127.0.0.1 -c port=$postgres_port -c unix_socket_directories=$work/postgres -c shared_buffers=1GB"
    as_postgres "$postgres_bin/pg_ctl" start --wait --silent --pgdata "$work/postgres/data" --log "$work/postgres/log" \
        --options "$postgres_options"
}

# Ids of the server's processes, the postmaster first.
postgres_processes() {
    local postmaster
    postmaster=$(head -n 1 "$work/postgres/data/postmaster.pid")
    echo "$postmaster"
    cat "/proc/$postmaster/task/$postmaster/children" | tr ' ' '\n' | sed '/^$/d'
}

free_port() {
    python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# The URL of a new database: new_database sqlite|postgres NAME
new_database() {
    case $1 in
        sqlite) echo "sqlite:$work/$2.sqlite" ;;
        postgres)
            run_sql "CREATE DATABASE $2 TEMPLATE template0"
            database_url "$2"
            ;;
    esac
}

# A statement for the PostgreSQL server itself.
run_sql() { "$postgres_bin/psql" --quiet --dbname "$(database_url postgres)" --command "$1"; }

# The URL of a database of the PostgreSQL server.
database_url() { echo "postgres://postgres:$postgres_password@127.0.0.1:$postgres_port/$1"; }

# The one number that a statement selects: select_number URL SQL
select_number() {
    case $1 in
        sqlite:*) python3 -c 'import sqlite3, sys; print(sqlite3.connect(sys.argv[1]).execute(sys.argv[2]).fetchone()[0])' "${1#sqlite:}" "$2" ;;
        *) "$postgres_bin/psql" --quiet --no-align --tuples-only --dbname "$1" --command "$2" ;;
    esac
}

# Durable figures mean nothing without it: the same disk's fdatasync/s of this minute.
fdatasync_rate() { python3 "$here/fdatasync.py" "$work"; }

# start_server URL [FLAGS]: serves everybody on a free port; sets $address when it answers.
start_server() { start_gated_server "$@" --open; }

# start_gated_server URL [FLAGS]: the same, and serves whom it knows.
start_gated_server() {
    local url=$1
    shift
    : >"$work/server.log" # else the address of the server before could be read
    "$binary" serve --listen 127.0.0.1:0 --database-url "$url" --log-filter info --log-format json "$@" \
        2>"$work/server.log" &
    server_pid=$!
    until address=$(sed -n 's/.*"message":"ready","address":"\([^"]*\)".*/\1/p' "$work/server.log") && [ -n "$address" ]; do
        kill -0 "$server_pid" 2>/dev/null || { cat "$work/server.log" >&2; exit 1; }
        sleep 0.1
    done
}

stop_server() {
    [ -n "$server_pid" ] || return 0
    kill "$server_pid" 2>/dev/null || true
    wait "$server_pid" 2>/dev/null || true
    server_pid=
}

# The open-loop generator, ready to run: sets $generator.
build_generator() {
    generator=$(cd "$root" && cargo bench --locked --package idi-match --bench open_loop --no-run --message-format json 2>/dev/null |
        python3 -c 'import json, sys; print([m["executable"] for m in map(json.loads, sys.stdin) if m.get("executable") and m["target"]["name"] == "open_loop"][-1])')
}

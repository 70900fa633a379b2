# Programs of other languages that tests and measurements use, as published, installed under the build's directory;
# sourced, never run. Needs $root. An environment is made anew when its pins change, and never stays half made.
environments=${CARGO_TARGET_DIR:-$root/target}/clients
mkdir -p "$environments"

# python_environment NAME REQUIREMENTS [PYTHON]: a virtual environment with exactly these; its programs are in NAME/bin.
python_environment() {
    python=${3:-python3}
    once "$environments/$1" "$("$python" --version) $(sha256sum <"$2")" make_python_environment "$2"
}

# find_python MINOR: a Python 3 of at least this minor version, of those that are installed.
find_python() {
    local candidate
    for candidate in python3 python3.{20..12} "$HOME"/.pyenv/versions/3.*/bin/python3; do
        if "$candidate" -c "import sys; sys.exit(sys.version_info < (3, $1))" 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
    echo "a Python of at least 3.$1 is needed" >&2
    return 1
}

make_python_environment() {
    "$python" -m venv "$1"
    "$1/bin/pip" install --quiet --disable-pip-version-check --no-deps --only-binary :all: --require-hashes \
        --requirement "$2"
}

# node_environment NAME FOLDER: the packages of the folder's lock file and, because Node.js looks for packages beside
# the module that names them, the folder's modules.
node_environment() {
    local pins
    pins="$(node --version) $(cat "$2/package.json" "$2/package-lock.json" | sha256sum)"
    once "$environments/$1" "$pins" make_node_environment "$2"
    rm -f "$environments/$1"/*.mjs
    cp "$2"/*.mjs "$environments/$1"
}

make_node_environment() {
    mkdir "$1"
    cp "$2/package.json" "$2/package-lock.json" "$2/.npmrc" "$1"
    (cd "$1" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error)
}

# once PLACE PINS MAKE ARGUMENT: `MAKE PLACE ARGUMENT`, unless the place was made from these pins; one process at a
# time.
once() {
    (
        flock 9
        if [ "$(cat "$1.pins" 2>/dev/null)" = "$2" ]; then exit 0; fi
        rm -rf "$1" "$1.pins"
        "$3" "$1" "$4"
        printf '%s\n' "$2" >"$1.pins"
    ) 9>"$environments/lock"
}

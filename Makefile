# What a developer and CI run. `make` lists the targets.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help test check check-deploy deny doc test-clients unit measure figures bench measure-load measure-http measure-rest measure-slow \
	measure-kill measure-fsync measure-disk-full measure-postgres-stop measure-locked measure-hostile measure-fuzz \
	measure-backup measure-accuracy measure-http-accuracy measure-gate measure-probing measure-baselines measure-cms measure-scale measure-instances \
	measure-model measure-spark measure-schemathesis measure-overload measure-drain measure-rolling measure-soak fmt \
	install-tools demo clean

export PATH := $(or $(CARGO_HOME),$(HOME)/.cargo)/bin:$(PATH)

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 20

test: install-tools check deny doc test-clients unit ## everything CI runs; installs what is missing

check: ## format and lints
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings

deny: ## licences, banned crates and sources of the dependency tree
	cargo deny --locked --log-level error check licenses bans sources

doc: ## links of the crate documentation, and its examples
	RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --locked --package idi-match
	cargo test --doc --locked --package idi-match

test-clients: ## published FHIR clients against the real server, on both databases
	scripts/test-clients

check-deploy: ## files of deploy/ with systemd, promtool, Helm and the schemas of Kubernetes
	scripts/check-deploy

# Last, so that the number of tests closes the output.
unit: ## the tests, on both databases
	cargo nextest run --workspace --locked

MEASURES := figures bench measure-load measure-http measure-rest measure-slow measure-kill measure-fsync measure-disk-full \
	measure-postgres-stop measure-locked measure-hostile measure-fuzz measure-backup measure-accuracy measure-http-accuracy \
	measure-gate measure-probing measure-baselines measure-cms measure-scale measure-instances measure-model measure-spark measure-schemathesis measure-overload measure-drain measure-rolling measure-soak
measure: $(MEASURES) ## what takes long or depends on time; CI never judges it

figures: ## lengths of functions and files
	cargo test --locked --test tidy -- --exact figures --nocapture

bench: ## the benches, in release
	cargo bench --locked --package idi-match --bench request

measure-load: ## people loaded per second, on both databases
	scripts/measure/load

measure-gate: ## tokens and authorised matches per second, on both databases
	scripts/measure/gate

measure-probing: ## what answers, times and budgets tell an attacker, and what they cost an honest client
	scripts/measure/probing

measure-http: ## requests per second and latency, on both databases
	scripts/measure/http

measure-rest: ## read, search, create and update per second, on both databases
	scripts/measure/rest

measure-slow: ## latency of others beside slow heads, bodies and readers
	scripts/measure/slow

measure-kill: ## kill -9 in the middle of writing, 100 times on both databases
	scripts/measure/kill

measure-fsync: ## the sync of the log precedes every answer, by strace
	scripts/measure/fsync

measure-disk-full: ## a full disk under load, on both databases
	scripts/measure/disk-full

measure-postgres-stop: ## PostgreSQL stopped immediately, 20 times under load
	scripts/measure/postgres-stop

measure-locked: ## a million mixed operations on SQLite
	scripts/measure/locked

measure-hostile: ## time and memory of every hostile request, in release
	cargo test --release --locked --package idi-match --test api -- hostile::whatever --nocapture

SECONDS_A_TARGET ?= 600
measure-fuzz: ## eleven fuzz targets, SECONDS_A_TARGET each
	scripts/measure/fuzz $(SECONDS_A_TARGET)

measure-model: ## the laws of identities under a million random operations
	scripts/measure/model

measure-backup: ## backup, restore and migration of many people, and kill -9 in the middle of them
	scripts/measure/backup

measure-accuracy: ## precision and recall on a made-up population
	scripts/measure/accuracy

measure-http-accuracy: ## the same through the HTTP interface: grades, and certain answers that are wrong
	scripts/measure/http_accuracy

measure-baselines: ## the same queries through Splink and through PostgreSQL, beside this server
	scripts/measure/baselines

measure-cms: ## the CMS combinations beside the public implementation, case by case
	scripts/measure/cms

measure-scale: ## cost against population: the engine, HTTP, load, start, memory
	scripts/measure/scale

measure-instances: ## how soon a write is found through another instance
	scripts/measure/instances

measure-spark: ## the model on Splink's Spark backend, beside DuckDB; needs Java
	scripts/measure/spark

measure-schemathesis: ## 20,000 requests made up from the OpenAPI document
	scripts/measure/schemathesis

measure-overload: ## three times the peak, open loop: goodput, refusals, memory, recovery
	scripts/measure/overload

measure-drain: ## SIGTERM at 500 requests/s, 50 times: nobody is reset
	scripts/measure/drain

measure-rolling: ## 100,000 requests behind a proxy while two instances are restarted in turn
	scripts/measure/rolling

measure-soak: ## 30 minutes at half load: memory, descriptors, WAL
	scripts/measure/soak

fmt: ## format the code
	cargo fmt --all

install-tools: ## what `make test` needs and this machine lacks
	scripts/install-tools

demo: ## a server with 1,000 synthetic people
	cargo run --release --locked -- demo

clean: ## remove what was built
	cargo clean

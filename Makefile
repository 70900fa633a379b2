# What a developer and CI run. `make` lists the targets.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help test check deny doc unit measure figures bench measure-load measure-http measure-kill measure-backup measure-accuracy fmt \
	install-tools demo clean

export PATH := $(or $(CARGO_HOME),$(HOME)/.cargo)/bin:$(PATH)

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 20

test: install-tools check deny doc unit ## everything CI runs; installs what is missing

check: ## format and lints
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings

deny: ## licences, banned crates and sources of the dependency tree
	cargo deny --locked --log-level error check licenses bans sources

doc: ## links of the crate documentation, and its examples
	RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --locked --package idi-match
	cargo test --doc --locked --package idi-match

# Last, so that the number of tests closes the output.
unit: ## the tests, on both databases
	cargo nextest run --workspace --locked

measure: figures bench measure-load measure-http measure-kill measure-backup measure-accuracy ## what takes long or depends on time; CI never judges it

figures: ## lengths of functions and files
	cargo test --locked --test tidy -- --exact figures --nocapture

bench: ## the benches, in release
	cargo bench --locked --package idi-match --bench request

measure-load: ## people loaded per second, on both databases
	scripts/measure/load

measure-http: ## requests per second and latency, on both databases
	scripts/measure/http

measure-kill: ## kill -9 in the middle of writing, on both databases
	scripts/measure/kill

measure-backup: ## backup, restore and migration of many people, and kill -9 in the middle of them
	scripts/measure/backup

measure-accuracy: ## precision and recall on a made-up population
	scripts/measure/accuracy

fmt: ## format the code
	cargo fmt --all

install-tools: ## what `make test` needs and this machine lacks
	scripts/install-tools

demo: ## a server with 1,000 synthetic people
	cargo run --release --locked -- demo

clean: ## remove what was built
	cargo clean

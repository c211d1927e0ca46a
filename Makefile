# The project's commands; `make help` says what each does. They need Linux (Debian-like is easiest), bash and Rust.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
# One after another: each uses all cores itself.
.NOTPARALLEL:
.PHONY: help setup demo test faults tpch bench fmt lint clean

export PATH := $(PATH):$(HOME)/.cargo/bin
# Link the system's OpenSSL where its development files are (building our own copy takes minutes). Asked by each recipe,
# since scripts/setup may just have installed them. Who calls cargo directly exports OPENSSL_NO_VENDOR=1, or cargo builds
# everything above OpenSSL again.
BUILD := export OPENSSL_NO_VENDOR=$$(pkg-config --exists openssl 2>/dev/null && echo 1 || echo 0);

# dev is built quickest; release is the one to measure: make demo PROFILE=release
PROFILE ?= dev
# More arguments: make demo ARGS='--orders 1000', make test ARGS=name_of_a_test
ARGS ?=
# How much TPC-H: 1 has 1,500,000 orders with 6,001,215 lines.
SCALE ?= 1

help: ## print what each command does
	@sed -nE 's/^([a-z]+):.*## (.*)/make \1|\2/p' $(MAKEFILE_LIST) | column -t -s '|'

demo: ## build, and run the demonstration: no broker, registry or database needed
	@scripts/setup demo
	$(BUILD) cargo run --profile $(PROFILE) -- demo $(ARGS)

setup: ## find or install what the tests need, and fetch Kafka and the registry
	@scripts/setup test
	@scripts/kafka-fetch
	@scripts/registry-fetch
	@scripts/python-fetch

test: setup fmt lint ## format, lints and all tests, beside real Kafka, registry and PostgreSQL
	$(BUILD) cargo test --no-run
	$(BUILD) scripts/with-services cargo test --no-fail-fast $(ARGS)

faults: setup ## the long runs that kill, freeze and stop things
	$(BUILD) cargo test --no-run --test system
	$(BUILD) scripts/with-services cargo test --test system faults:: $(ARGS) -- --ignored

tpch: setup ## TPC-H through the whole line, with members that join, leave and are killed: make tpch SCALE=0.1
	$(BUILD) cargo build --release
	$(BUILD) cargo test --no-run --test system
	$(BUILD) ORDERMILL_TEST_BINARY=$(CURDIR)/target/release/ordermill SCALE=$(SCALE) \
		scripts/with-services cargo test --quiet --test system tpch::whole:: -- --ignored --nocapture

# The services keep off the last core, where there is another: the measured client has it for itself.
SERVICES_CORES := 0-$(shell n=$$(nproc); echo $$((n > 1 ? n - 2 : 0)))

bench: setup ## measure the decoder, filters and the engine against others; BENCH_QUICK=1 for a short run
	$(BUILD) cargo bench --no-run --bench "*"
	$(BUILD) cargo bench --bench decode --bench filter
	$(BUILD) taskset -c $(SERVICES_CORES) scripts/with-services cargo bench --bench consume
	$(BUILD) scripts/with-services cargo bench --bench lanes

fmt: ## check the format
	cargo fmt --check

# On a cold tree this takes a minute beyond the build (2 cores): it checks every dependency once more.
lint: ## check the lints
	$(BUILD) cargo clippy --all-targets -- -D warnings

clean: ## remove what was built, fetched and logged, and stop what a killed run left running
	scripts/sweep --remove
	rm -rf .cache .run
	cargo clean

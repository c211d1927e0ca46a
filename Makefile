# The project's commands; `make help` says what each does. They need Linux (Debian-like is easiest), bash and Rust.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
# One after another: each uses all cores itself.
.NOTPARALLEL:
.PHONY: help setup demo test chart kube faults system tpch bench scale memory image picture docs fmt lint clean

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
# Most tests of the system wait: for a session to end, for Kafka's tools. They do so beside one another.
TEST_THREADS ?= $(shell echo $$(($$(nproc) * 3)))

help: ## print what each command does
	@sed -nE 's/^([a-z]+):.*## (.*)/make \1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{ printf "%-14s%s\n", $$1, $$2 }'

demo: ## build, and run the demonstration: no broker, registry or database needed
	@scripts/setup demo
	$(BUILD) cargo run --profile $(PROFILE) -- demo $(ARGS)

setup: ## find or install what the tests need, and fetch Kafka and the registry
	@scripts/setup test
	@scripts/kafka-fetch
	@scripts/registry-fetch
	@scripts/python-fetch
	@scripts/helm-fetch

test: setup fmt lint ## format, lints and all tests, beside real Kafka, registry and PostgreSQL
	$(BUILD) cargo test --no-run
	$(BUILD) RUST_TEST_THREADS=$(TEST_THREADS) scripts/with-services cargo test --no-fail-fast $(ARGS)

chart: ## the chart's part of `make test`: rendered by Helm 3 and 4, checked against Kubernetes' schemas
	@scripts/setup test
	@scripts/python-fetch
	@scripts/helm-fetch
	$(BUILD) scripts/with-tools cargo test --test chart $(ARGS)

kube: ## the chart on a real control plane with fake nodes: installed, upgraded, rolled back (the first build takes long)
	@scripts/setup test
	@scripts/python-fetch
	@scripts/helm-fetch
	@scripts/kube-fetch
	$(BUILD) cargo test --no-run --test chart
	$(BUILD) scripts/with-kube cargo test --test chart cluster:: $(ARGS) -- --ignored

faults: setup ## the long runs that kill, freeze and stop things
	$(BUILD) cargo test --no-run --test system
	$(BUILD) scripts/with-services cargo test --test system faults:: $(ARGS) -- --ignored

system: setup ## the reference pipelines, 20,000 orders, 3 members, 5 kills: stock, archive, mails and outputs counted
	$(BUILD) cargo test --no-run --test system
	$(BUILD) scripts/with-services cargo test --quiet --test system shop::whole:: $(ARGS) -- --ignored --nocapture

tpch: setup ## TPC-H through the whole line, with members that join, leave and are killed: make tpch SCALE=0.1
	$(BUILD) cargo build --release
	$(BUILD) cargo test --no-run --test system
	$(BUILD) ORDERMILL_TEST_BINARY=$(CURDIR)/target/release/ordermill SCALE=$(SCALE) \
		scripts/with-services cargo test --quiet --test system tpch:: -- --ignored --nocapture --test-threads=1

# The services keep off the last core, where there is another: the measured client has it for itself.
SERVICES_CORES := 0-$(shell n=$$(nproc); echo $$((n > 1 ? n - 2 : 0)))

bench: setup ## measure the decoder, filters, the engine and its sinks against others; BENCH_QUICK=1 for a short run
	$(BUILD) cargo bench --no-run --bench "*"
	$(BUILD) cargo bench --bench decode --bench filter
	$(BUILD) taskset -c $(SERVICES_CORES) scripts/with-services cargo bench --bench consume
	$(BUILD) scripts/with-services cargo bench --bench lanes
	$(BUILD) scripts/with-services cargo bench --bench sql

scale: setup ## measure how 1, 2 and 4 processes share the work, and what a rebalance costs; BENCH_QUICK=1 for a short run
	$(BUILD) cargo bench --no-run --bench scale
	$(BUILD) scripts/with-services cargo bench --bench scale

memory: setup ## measure resident memory with a backlog of 5,000,000 records and an effect that stands still
	$(BUILD) cargo bench --no-run --bench memory
	$(BUILD) scripts/with-services cargo bench --bench memory

image: setup ## build the image's last stage by buildah and run it beside real services; needs root
	@scripts/setup image
	$(BUILD) cargo test --no-run --test deploy
	$(BUILD) scripts/with-services cargo test --test deploy image:: $(ARGS) -- --ignored

picture: setup ## draw docs/images/dashboard.png with Grafana's panel components from three minutes of real load
	@scripts/setup picture
	$(BUILD) cargo test --no-run --test system
	$(BUILD) scripts/picture/draw docs/images/dashboard.png

docs: ## write the pages that are made from the code
	@scripts/setup test
	$(BUILD) ORDERMILL_WRITE_DOCS=1 cargo test --quiet --lib the_page_is
	$(BUILD) ORDERMILL_WRITE_DOCS=1 cargo test --quiet --test chart documents::

fmt: ## check the format
	cargo fmt --check

# On a cold tree this takes a minute beyond the build (2 cores): it checks every dependency once more.
lint: ## check the lints
	$(BUILD) cargo clippy --all-targets -- -D warnings

clean: ## remove what was built, fetched and logged, and stop what a killed run left running
	scripts/sweep --remove
	rm -rf .cache .run
	cargo clean

# Tandem: every command a developer or CI needs.
#   make run    sets everything up and shows the main job working
#   make hand   product and simulator, and every side is played by you in other terminals
#   make test   sets everything up and runs every test
#   make test-nats-previous  what runs on NATS, on the minor version of nats-server before the current one
#   make lint   formatting, clippy, dependency rules, with warnings denied
#   make reference  writes docs/reference from the comments in proto/ and the configuration's structs
#   make docs   builds the API documentation, with warnings denied
#   make bench  benchmarks, in release; BENCH="w1 latency" chooses, BENCH_SCALE=20 shortens
#   make soak   long versions: SEEDS=10000 simulation seeds, KILLS=30 kills, FAIL_OVERS=100, STRIKES=60 at INBOUND_PER_S=200, a demo of DEMO_SECONDS=3600, fuzzing

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

export PATH := $(CURDIR)/.tools/bin:$(PATH)
CARGO ?= cargo
SEEDS ?= 2000
KILLS ?= 30
CUTS ?= 100
FAIL_OVERS ?= 100
STRIKES ?= 60
INBOUND_PER_S ?= 200
DEMO_SECONDS ?= 3600
FUZZ_SECONDS ?= 120
SECONDS_RUN ?=
NATS_PREVIOUS ?= v2.14.10
NATS_PREVIOUS_DIR := $(CURDIR)/.tools/nats-previous

.PHONY: help run hand test test-nats-previous lint reference docs bench soak setup nats postgres s3-server python-client deny fuzz-build

help:
	@grep -E '^#   make' Makefile | sed 's/^#   //'

setup:
	@./scripts/setup.sh

nats:
	@./scripts/install-nats-server.sh

postgres:
	@./scripts/install-postgres.sh

s3-server:
	@./scripts/setup-s3-server.sh

run: setup
	@echo "building (the first time takes 10 to 25 minutes on two cores)"
	@$(CARGO) build --locked --quiet -p tandem -p loadtest
	@./target/debug/tandem demo $(if $(SECONDS_RUN),--seconds $(SECONDS_RUN))

hand: setup
	@$(CARGO) build --locked --quiet -p tandem -p loadtest
	@./target/debug/tandem demo --by-hand

python-client:
	@./scripts/setup-python-client.sh

test: setup nats postgres s3-server python-client
	@echo "building the product and the simulator (tests start them as real processes)"
	$(CARGO) build --locked --workspace --all-features --bins
	$(CARGO) test --locked --workspace --all-features --lib --bins --tests

# Both minor versions of nats-server are supported; `test` runs on the current one.
test-nats-previous: setup postgres s3-server
	@./scripts/install-nats-server.sh $(NATS_PREVIOUS) $(NATS_PREVIOUS_DIR)
	$(CARGO) build --locked --workspace --all-features --bins
	TANDEM_NATS_SERVER=$(NATS_PREVIOUS_DIR)/nats-server $(CARGO) test --locked --workspace --all-features \
		--test jetstream --test jetstream_states --test jetstream_roles --test jetstream_cluster
	TANDEM_NATS_SERVER=$(NATS_PREVIOUS_DIR)/nats-server $(CARGO) test --locked --workspace --all-features --test it -- cluster::

lint: setup
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets --all-features -- -D warnings
	@./scripts/deny.sh

docs: setup
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --workspace --no-deps --all-features

reference: setup
	$(CARGO) run --locked --quiet -p testkit --bin reference

bench: setup nats postgres
	$(CARGO) bench --locked -p tandem --bench tandem -- $(BENCH)

# The same features as in `test`: nothing that was built for it is built anew.
soak: setup nats postgres s3-server python-client fuzz-build
	$(CARGO) build --locked --workspace --all-features --bins
	TANDEM_SEEDS=$(SEEDS) $(CARGO) test --locked --workspace --all-features --test simulation -- --nocapture
	TANDEM_KILLS=$(KILLS) TANDEM_CUTS=$(CUTS) TANDEM_DEMO_SECONDS=$(DEMO_SECONDS) \
		TANDEM_CLUSTER_KILLS=$(FAIL_OVERS) TANDEM_CLUSTER_STRIKES=$(STRIKES) \
		TANDEM_CLUSTER_INBOUND_PER_S=$(INBOUND_PER_S) \
		$(CARGO) test --locked --workspace --all-features --test it -- --nocapture
	$(CARGO) +nightly fuzz run --fuzz-dir fuzz webhook_parse -- -max_total_time=$(FUZZ_SECONDS)

fuzz-build: setup
	@./scripts/install-cargo-fuzz.sh
	$(CARGO) +nightly fuzz build --fuzz-dir fuzz

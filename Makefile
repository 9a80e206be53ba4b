# What one types. The work is done by scripts under deploy/.

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' Makefile

demo: ## servers, Millrace, 100 000 events into three stores, verified; everything is left running
	@deploy/demo/run

down: ## stop what `make demo` and `make up` started; the data is kept
	@deploy/demo/run down

up: ## the servers alone: Kafka, etcd, MongoDB, Cassandra, Elasticsearch
	@deploy/local/servers up

test: ## all tests, on servers of their own that are removed afterwards
	@deploy/local/test

differential: ## all of the comparison with Kafka Connect, on servers of its own
	@deploy/local/test differential

bench: ## Kafka Connect, Millrace and the limit in turn, into tests/bench/RESULTS.md
	@tests/bench/run

pipeline: ## MongoDB → Kafka → MongoDB, a million changes (PIPELINE_CHANGES) with workers killed on the way; final states compared
	@deploy/local/servers up kafka etcd mongodb
	eval "$$(deploy/local/servers env)" && cargo test --locked --workspace --test e2e -- --ignored a_million_changes --nocapture

failover: ## a replica set of three under load, its primary killed or deposed FAILOVERS times (20); nothing may be lost
	@deploy/local/servers up kafka
	@deploy/local/servers install mongodb
	eval "$$(deploy/local/servers env)" && FAILOVERS=$${FAILOVERS:-20} cargo test --locked --workspace --test e2e -- failover:: --nocapture

lint: ## format and clippy, warnings are errors
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings

fuzz: ## libFuzzer on converters, transforms and expressions; FUZZ_SECONDS for each target, FUZZ_TARGET for one alone
	@fuzz/run

.PHONY: help demo down up test differential bench pipeline failover lint fuzz

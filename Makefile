# `make` alone says what there is. Set on the command line: N, SEEDS, MINUTES, QUICK, PORT, CLUSTER=local|docker, ZOOKEEPER=host:port, ARGS, PYTHON.

PYTHON ?= python3
CLUSTER_PY := .venv/bin/python -m deploy.cluster
LOCK := .venv/bin/uv pip compile -q --upgrade --generate-hashes --no-header --python-version 3.12 --python-platform linux
CODE := leader_async tests deploy
RUN := .venv/installed-to-run
OLD := leader_async needs Python 3.11 or newer, and $(PYTHON) is none: make PYTHON=python3.12

.PHONY: help up down ps logs poll restart-leader rolling-restart kill-leader test simulate exhaustive mutants chaos chaos-jobs bench lint types format lock audit deps clean

help:
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

up: $(RUN)  ## start ZooKeeper, N=5 replicas and a load balancer on PORT=5001; in Docker if there is one
	@$(CLUSTER_PY) up $(N)

down: $(RUN)  ## stop what `make up` started
	@$(CLUSTER_PY) down

ps: $(RUN)  ## what runs, and who leads
	@$(CLUSTER_PY) ps

logs: $(RUN)  ## the ends of the logs; ARGS=-f goes on, ARGS=replica-1 shows one
	@$(CLUSTER_PY) logs $(ARGS)

poll: $(RUN)  ## ask the load balancer N=10 times who leads
	@$(CLUSTER_PY) poll $(N)

restart-leader: $(RUN)  ## restart the leader gracefully, and time the handover
	@$(CLUSTER_PY) restart-leader

rolling-restart: $(RUN)  ## restart all replicas, one after the other; ARGS="replica-2 replica-1" gives the order
	@$(CLUSTER_PY) rolling-restart $(ARGS)

kill-leader: $(RUN)  ## kill the leader, and time the failover
	@$(CLUSTER_PY) kill-leader

test: deps  ## run the tests; ARGS="-k queue -x" chooses
	.venv/bin/pytest $(ARGS)

simulate: deps  ## SEEDS=1000 simulated runs with faults; what was seen goes to build/simulate.json
	.venv/bin/python -m tests.simulation --seeds $(or $(SEEDS),1000)

exhaustive: deps  ## walk through every interleaving, within bounds; states and transitions go to build/exhaustive.json
	.venv/bin/python -m tests.exhaustive $(ARGS)

mutants: deps  ## break each rule on purpose, and print who noticed
	.venv/bin/python -m tests.mutants

chaos: deps  ## MINUTES=2 of faults on a real ensemble (root); SYSTEMS=leader_async,kazoo,curator compares
	.venv/bin/python -m tests.campaigns --minutes $(or $(MINUTES),2) --systems $(or $(SYSTEMS),leader_async) $(ARGS)

chaos-jobs: deps  ## MINUTES=2 of the same on replicas that run jobs (root, PostgreSQL)
	.venv/bin/python -m tests.campaigns.jobs --minutes $(or $(MINUTES),2) $(ARGS)

bench: deps  ## measure against kazoo, aiozk, Curator and bare sockets; QUICK=1 takes three minutes and keeps to build/
	.venv/bin/python -m tests.bench $(if $(QUICK),--quick,--report deploy/evidence/benchmark.md --page deploy/docs/benchmark.md) $(ARGS)

lint: deps  ## check style, formatting and who may import what
	.venv/bin/ruff check $(CODE) && .venv/bin/ruff format --check $(CODE) && .venv/bin/lint-imports --no-cache

types: deps  ## check the types
	.venv/bin/mypy $(CODE)

format: deps  ## format the code
	.venv/bin/ruff check --fix $(CODE) && .venv/bin/ruff format $(CODE)

lock: deps  ## renew the image's hashed lock, deploy/requirements.txt, from setup.cfg
	$(LOCK) setup.cfg -o deploy/requirements.txt && echo 'setuptools>=68' | $(LOCK) - -o deploy/requirements-build.txt

audit: deps  ## look the lock up among known vulnerabilities; asks PyPI
	.venv/bin/uv tool run pip-audit --strict --require-hashes --disable-pip -r deploy/requirements.txt

deps: .venv/installed-to-test  ## make the virtual environment .venv with all that the tests need, with PYTHON=python3

clean:  ## stop the cluster; delete its data, .venv and whatever else was made
	@$(PYTHON) -m deploy.cluster down --forget && rm -rf .venv build dist *.egg-info .coverage .hypothesis .*_cache; find $(CODE) -name __pycache__ -prune -exec rm -rf {} +

# What runs here needs a fifth of what its tests need.
$(RUN): setup.cfg
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo '$(OLD)' >&2; exit 1; }
	@echo 'making the virtual environment .venv …' && $(PYTHON) -m venv .venv
	@.venv/bin/pip install --quiet --disable-pip-version-check --editable . && touch $@

.venv/installed-to-test: $(RUN)
	@.venv/bin/pip install --quiet --disable-pip-version-check --editable '.[test]' && touch $@

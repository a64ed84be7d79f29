# `make help` lists the targets. Everything is installed into .venv and infrastructure/cdk-cli/node_modules; nothing else is touched.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3
VENV := .venv
INSTALLED := $(VENV)/.installed
CDK_CLI := infrastructure/cdk-cli
CDK_INSTALLED := $(CDK_CLI)/node_modules/.package-lock.json

export PATH := $(CURDIR)/$(VENV)/bin:$(CURDIR)/$(CDK_CLI)/node_modules/.bin:$(PATH)

SOURCES := app.py lambda infrastructure localcloud demo tests bench
# they need no server and no stack; coverage of the function is measured by these alone
QUICK := $(wildcard tests/unit tests/flows tests/scenarios)
REST := $(filter-out $(QUICK),$(patsubst %/,%,$(wildcard tests/*/)))

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z][a-z-]*:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

$(INSTALLED): requirements.txt lambda/requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; $(PYTHON) is $$($(PYTHON) --version 2>&1). Name another: make PYTHON=python3.13 ..." >&2; exit 1; }
	@.ci/quietly "Installing Python packages into $(VENV) (once)" $(MAKE) --no-print-directory packages
	@touch $@

.PHONY: packages
packages:
	@$(PYTHON) -m venv $(VENV)
	@$(VENV)/bin/python -m pip install -qq --disable-pip-version-check --no-warn-script-location -r requirements.txt
	@$(VENV)/bin/python -m pip install -qq --disable-pip-version-check --no-build-isolation --no-deps -e .

$(CDK_INSTALLED): $(CDK_CLI)/package-lock.json $(INSTALLED)
	@.ci/quietly "Installing the AWS CDK command line into $(CDK_CLI) (once)" npm --prefix $(CDK_CLI) ci --silent --no-audit --no-fund --no-update-notifier
	@touch $@

.PHONY: install
install: $(INSTALLED) $(CDK_INSTALLED) ## install all that the project needs into its own folders

.PHONY: demo
demo: $(INSTALLED) ## a bad deployment is rolled back on this machine: no AWS account, no Docker
	@python -m demo

.PHONY: cloud
cloud: install ## start the local cloud and leave it up, to try aws and cdk by hand
	@python -m demo.cloud

# compiled once, whatever the shell says: compiling the tests takes five seconds of every run
quick test: export PYTHONDONTWRITEBYTECODE :=

.PHONY: quick
quick: $(INSTALLED) ## lint, and the tests that need no server: seconds
	@ruff format --check --quiet $(SOURCES) || { echo "Not formatted: run make format" >&2; exit 1; }
	@ruff check --quiet $(SOURCES)
	@if [ -d .mypy_cache ]; then said=$$(mypy $(SOURCES)) || { echo "$$said" >&2; exit 1; }; fi # in seconds, but in a minute where it has kept nothing
	@EXAMPLES=$${EXAMPLES:-25} coverage run -m pytest -n 0 $(QUICK)
	@coverage report --skip-covered

.PHONY: mutants
mutants: $(INSTALLED) ## change 200 places of the decision, one at a time: which of them does no test notice? minutes
	@python -m bench.mutants

.PHONY: test
test: install lint ## lint, then every test
	@coverage run -m pytest -n 0 $(QUICK)
	@coverage report --format=total | sed 's/.*/Coverage of the function by these: &%/'
	@python -m pytest $(REST)

.PHONY: soak
soak: install ## thousands of seeded fault cases: CASES=20000 SEED=1 make soak
	@python -m tests.faults.soak --cases $${CASES:-5000} --seed $${SEED:-1000}

.PHONY: round-trips
round-trips: $(INSTALLED) ## calls and round trips of one rollback, as docs/measurements.md has them
	@python -m bench.round_trips

.PHONY: storm
storm: $(INSTALLED) ## 1,000 services whose alarms fire at once, against AWS's rates
	@python -m bench.storm
	@python -m bench.storm --inactive

.PHONY: cold-process
cold-process: install ## a whole rollback by a new process, over one call of the AWS command line
	@python -m bench.cold_process

.PHONY: lint
lint: $(INSTALLED) ## format, lint, types, walls, dead code, shell
	@ruff format --check --quiet $(SOURCES) || { echo "Not formatted: run make format" >&2; exit 1; }
	@ruff check --quiet $(SOURCES)
	@said=$$(mypy $(SOURCES)) || { echo "$$said" >&2; exit 1; }
	@said=$$(lint-imports --no-cache) || { echo "$$said" >&2; exit 1; }
	@vulture || { echo "Nothing uses these: remove them, or say in tests/vulture_whitelist.py who does" >&2; exit 1; }
	@shellcheck rollback.sh .ci/run .ci/quietly
	@echo "Lint, types and walls: nothing to object"

.PHONY: format
format: $(INSTALLED) ## rewrite the sources as the linter wants them
	@ruff check --quiet --fix $(SOURCES) || true
	@ruff format --quiet $(SOURCES)

.PHONY: synth
synth: install ## write the CloudFormation template to cdk.out (no credentials needed)
	@cdk synth --quiet && echo "Written to cdk.out/"

.PHONY: deploy
deploy: install ## deploy into the account of the current AWS credentials
	@cdk deploy

.PHONY: clean
clean: ## remove everything that make made
	@rm -rf $(VENV) $(CDK_CLI)/node_modules cdk.out .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache .localcloud .coverage
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Countersign: `make up` runs it, `make test` tests it. Nothing outside this folder is changed,
# except that `make test`, as root on Debian or Ubuntu, installs chromium, bubblewrap and
# rabbitmq-server with apt.

UV_VERSION := 0.13.9
BIN := .venv/bin
# The certificates this machine trusts, where it keeps any: a company's proxy may need its own.
CERTIFICATES := $(wildcard /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt /etc/ssl/cert.pem)
UV := VIRTUAL_ENV=$(CURDIR)/.venv $(if $(CERTIFICATES),UV_SYSTEM_CERTS=1) $(BIN)/uv
# The first Python that is new enough; name another with `make up PYTHON=/path/to/python3`.
PYTHON := $(shell for each in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$each -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$each; break; }; done)
# A development environment holds all that `make up` needs; it is never cut down to that.
ENVIRONMENT := $(if $(wildcard .venv/.dev),.venv/.dev,.venv/.runtime)
COMPILE := pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-header --no-annotate

.DEFAULT_GOAL := help
.PHONY: help venv up test check bench chaos chaos-smoke lock machine

help: ## Say what can be made.
	@sed -n 's/^\([a-z-]*\):.*## /make \1\t/p' $(MAKEFILE_LIST)

venv: $(ENVIRONMENT) ## Make the environment in .venv, nothing else.

up: venv ## Start Countersign; Ctrl-C stops it.
	@exec $(BIN)/python manage.py up $(ARGS)

test: .venv/.dev ## Run all tests; ARGS goes to pytest.
	@$(BIN)/python -m tests.machine
	@exec $(BIN)/python -m pytest $(ARGS)

check: .venv/.dev ## Check format, lint, types, import contracts, migrations and house rules.
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/djlint --quiet --check templates
	@$(BIN)/djlint --quiet --lint templates
	@$(BIN)/mypy platform/countersign platform/notices platform/projects agents approvals memory
	@$(BIN)/lint-imports
	@$(BIN)/python -W error -m tests.house_rules

bench: .venv/.dev ## Run every benchmark.
	@for each in tests/bench/[a-z]*.py; do \
		$(BIN)/python -m tests.bench.$$(basename $$each .py) || exit 1; done

chaos: .venv/.dev ## Break it at every named point and at random moments; writes docs/crash-matrix.md.
	@exec $(BIN)/python -m tests.chaos --write $(ARGS)

chaos-smoke: .venv/.dev ## The same in two minutes; make test does it too.
	@exec $(BIN)/python -m tests.chaos --smoke $(ARGS)

lock: $(BIN)/uv ## Compile both lock files afresh from pyproject.toml.
	@$(UV) $(COMPILE) pyproject.toml --output-file requirements.lock
	@$(UV) $(COMPILE) pyproject.toml --group dev --output-file requirements-dev.lock

machine:
	@test -n "$(PYTHON)" || { echo "Countersign needs Python 3.11 or newer: install it, or name one with make $(MAKECMDGOALS) PYTHON=/path/to/python3." >&2; exit 1; }
	@git version 2>/dev/null | awk '{ split($$3, v, "."); exit !(v[1] > 2 || v[1] == 2 && v[2] >= 38) } END { if (NR == 0) exit 1 }' || { echo "Countersign needs git 2.38 or newer: install it and run make $(MAKECMDGOALS) again." >&2; exit 1; }

$(BIN)/uv: | machine
	@$(PYTHON) -m venv .venv || { echo "Python's venv module does not work here: on Debian and Ubuntu, apt install python3-venv." >&2; exit 1; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)

.venv/.runtime: requirements.lock pyproject.toml | $(BIN)/uv
	@echo "Making the environment in .venv (once, a minute or two)."
	@$(UV) pip sync --quiet --require-hashes requirements.lock
	@$(UV) pip install --quiet --no-deps --editable .
	@touch $@

.venv/.dev: requirements-dev.lock pyproject.toml | $(BIN)/uv
	@echo "Making the development environment in .venv (once, a minute or two)."
	@$(UV) pip sync --quiet --require-hashes requirements-dev.lock
	@$(UV) pip install --quiet --no-deps --editable .
	@touch $@

# `make` alone lists the targets. Each sets up what it needs first (infra/install.py); a second run finds it done.
PYTHON ?= python3
BIN := .venv/bin
SETUP = @command -v $(PYTHON) >/dev/null || { echo "drumline: Python 3.11 or newer is needed, and $(PYTHON) is not there." >&2; exit 1; }; \
	$(PYTHON) -I infra/install.py --chromium "$(DRUMLINE_CHROMIUM)"

# Half of what collecting the tests takes is compiling them: what is compiled is kept, here too where the shell says no.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup setup-dev demo up test faults security check bench clean lock
.NOTPARALLEL:

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):[^#]*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 11

demo: setup ## the whole way of a campaign, in under a minute (make demo ARGS="--contacts FILE")
	@$(BIN)/drumline demo $(ARGS)

up: setup ## run drumline, and say what to do first (ARGS="…" as for drumline up)
	@$(BIN)/drumline up $(ARGS)

test: setup-dev ## all tests, on four workers: they wait more than they work (ARGS="…" as for pytest)
	@$(BIN)/pytest -n 4 $(ARGS)

faults: setup-dev ## the long fault tests: whatever dies, nobody twice and nobody lost (ARGS="…" as for pytest)
	@$(BIN)/pytest -n 2 -m long $(ARGS)

security: setup-dev ## the long attacks: nobody stops anybody else (ARGS="…" as for pytest)
	@$(BIN)/pytest -n 2 -m security $(ARGS)

check: setup-dev ## format, lint, types, import rule, page code, requirements: all that a reviewer would
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@PATH="$(CURDIR)/$(BIN):$$PATH" npm run --silent check
	@$(BIN)/python -m pip --disable-pip-version-check check

bench: setup ## the pipeline's figures, as JSON on the last line (ARGS="…" as for drumline bench)
	@$(BIN)/drumline bench pipeline --json $(ARGS)

setup: ## only install what running needs
	$(SETUP)

setup-dev: ## only install what tests and checks need as well
	$(SETUP) --dev

lock: setup ## resolve the requirements anew, with hashes
	@$(PYTHON) -I -m venv .setup/uv && .setup/uv/bin/python -m pip install --quiet uv
	@set -e; compile() { out=$$1; shift; echo hatchling | .setup/uv/bin/uv pip compile --quiet --universal --python-version 3.11 \
		--generate-hashes --no-annotate --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" \
		"$$@" --output-file $$out pyproject.toml -; }; \
	compile requirements.lock $(ARGS); \
	compile requirements-dev.lock --extra dev --constraint requirements.lock
	@PATH="$(CURDIR)/$(BIN):$$PATH" npm install --package-lock-only --ignore-scripts

clean: ## delete all that make made, except data (that is .drumline)
	rm -rf .venv .setup node_modules adapters/whatsapp_web/vendor build dist
	rm -rf .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -prune -exec rm -rf {} +

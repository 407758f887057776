# Needs Python 3.11 to 3.14 with venv, and make. Everything else is fetched into .venv and .cache.
# `make test PYTHON=python3.13` takes another Python, `make run PORT=8001` another port.
PYTHON ?= python3
PY = .venv/bin/python
PYTEST = $(PY) -m pytest
POSTGRES = $(PY) -m tests.services.postgres
QUICK = not flow and not browser and not faults and not fuzz and not attacks
FAULTS = $(PYTEST) -p no:cacheprovider tests/faults -m
ATTACKS = $(PYTEST) -p no:cacheprovider tests/attacks -m
MISTAKES = $(PYTEST) -p no:cacheprovider tests/model -m faults -rP
# These touch no row, so that another database makes no difference to them.
NO_ROWS = $(patsubst %,--ignore=tests/%,platform engine files processors patterns ingest/sandbox)
TOGETHER = -k $(if $(filter output-sync,$(.FEATURES)),--output-sync)

.PHONY: run test test-quick test-pythons limits image-test bench screenshots fuzz setup house lock wheel clean has-python setup-run setup-dev \
	check-style check-types check-layers check-migrations check-container check-pages \
	test-sqlite test-postgres flow-sqlite browser platform flow-postgres faults-fast faults soak mistakes \
	attacks-fast attacks-sqlite attacks-postgres attacks audit
MAKEFLAGS += --no-print-directory
# Compiled modules are kept, whatever the environment says: to compile them anew costs each process two seconds.
export PYTHONDONTWRITEBYTECODE =
# Here modules come from the current folder, and Python's own from beside it.
export PYTHONSAFEPATH =
unexport PYTHONHOME

run: setup-run
	@exec $(PY) manage.py up

# Side by side what is safe side by side, the longest first; then attacks and faults, each alone. All of it
# runs, also after a failure; the status tells.
test: setup-dev
	@failed=0; \
	$(MAKE) -k -j3 $(TOGETHER) check-types check-style check-layers check-migrations check-container check-pages \
		browser test-sqlite test-postgres flow-sqlite platform flow-postgres || failed=1; \
	$(MAKE) -k attacks-fast faults-fast || failed=1; \
	echo "make test: the image and the compose stack were not started; make image-test does that."; \
	if [ $$failed = 0 ]; then echo "make test: everything passed"; else echo "make test: something failed, see above"; fi; \
	exit $$failed

test-quick: setup-dev
	@$(PY) -m ruff check .
	@$(PYTEST) -m "$(QUICK) and not slow"

# The quick tests on other Pythons: on bare boxes of Debian where they can be made, else on those of PATH.
test-pythons:
	@"$(PYTHON)" bin/boxes.py $(or $(BOXES),trixie unstable) -- make test-quick

# Full disks, little memory and the like, in reality: as root. What needs no root, `make test` tries.
limits: setup-run
	@$(PY) bin/limits.py

# Builds the image, runs the compose stack and pulls plugs, on Docker or on an engine in a box of Debian; ends with 2,
# and a sentence, where neither can be had. `make image-test BEFORE=v1.0` upgrades from that version.
image-test: setup-dev
	@BEFORE=$(BEFORE) $(PY) -m tests.image

# All tables, for half an hour; `make bench TABLES="waiting nothing"` measures some.
bench: setup-dev
	@$(PY) -m benchmarks $(TABLES)

# Every state of the pages, wide and narrow, light and dark, into screenshots/; `STATES="ready 404"` for some.
screenshots: setup-dev
	@$(PY) -m tests.screenshots $(STATES)

# Broken files for the readers; `make fuzz SECONDS=600 SEED=7` reads longer, and the same ones again.
fuzz: setup-dev
	@FUZZ_SECONDS=$(or $(SECONDS),60) FUZZ_SEED=$(SEED) $(PYTEST) -p no:cacheprovider tests/files -m fuzz -s

setup: setup-dev

# dist/batchweb-….whl, for pip, pipx and uv.
wheel: setup-dev
	@$(PY) -m hatchling build -t wheel

# Sizes, names and comments of the source, beside their goals; `make house ARGS=-v` lists what misses them.
house: setup-dev
	@$(PY) bin/house.py $(ARGS)

# Pins what the .in files ask for. `make lock ARGS=--upgrade` takes the newest.
lock: setup-dev
	@$(PY) bin/setup.py lock $(ARGS)

# Compares the pinned versions with known vulnerabilities, where the network reaches a list of them; `ARGS="-s osv"` asks osv.dev.
audit: setup-dev
	@PATH="$(CURDIR)/.venv/bin:$$PATH" uvx --from pip-audit==2.10.1 pip-audit --strict --disable-pip --require-hashes \
		-r requirements.txt $(ARGS)

# The data in var/ stay.
clean:
	rm -rf .venv .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist staticfiles node_modules
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

has-python:
	@"$(PYTHON)" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))' >/dev/null 2>&1 || { \
		echo "batchweb needs Python 3.11, 3.12, 3.13 or 3.14, and '$(PYTHON)' is none of them." \
			"Install one, or name one: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 1; }

setup-run setup-dev: setup-%: has-python
	@"$(PYTHON)" bin/setup.py $*

check-style:
	@$(PY) -m ruff check .

check-types:
	@$(PY) -m mypy batchweb jobs tests $(wildcard benchmarks) bin/setup.py

check-layers:
	@$(PY) -c "from importlinter.cli import lint_imports_command; lint_imports_command()"

check-migrations:
	@DATA_DIR=.cache/migrations $(PY) manage.py makemigrations --check --dry-run

check-container:
	@.venv/bin/hadolint Dockerfile
	@$(PY) -m check_jsonschema --builtin-schema vendor.compose-spec docker-compose.yml

check-pages:
	@[ ! -d tests/js ] || .venv/bin/node --test "tests/js/**/*.{js,mjs}"

test-sqlite:
	@$(PYTEST) -p no:cacheprovider -m "$(QUICK)"

test-postgres:
	@$(POSTGRES) $(PYTEST) $(NO_ROWS) -p no:cacheprovider -m "$(QUICK)"

flow-sqlite:
	@$(PYTEST) -p no:cacheprovider tests/flow -m flow

browser:
	@$(PYTEST) -p no:cacheprovider tests/browser -m browser

platform:
	@$(PYTEST) -p no:cacheprovider tests/platform -m flow

# Plugs are pulled on SQLite here, and most of them on PostgreSQL by the faults.
flow-postgres:
	@$(POSTGRES) $(PYTEST) -p no:cacheprovider tests/flow -m flow -k "road or backup or upgrade"

# Pulls plugs at random moments; SEED=7 pulls them at the same ones again. The seed is printed.
faults-fast:
	@FAULT_SEED=$(SEED) $(FAULTS) "faults and fast"

# All faults, the long ones too: under 25 minutes.
faults: setup-dev
	@FAULT_SEED=$(SEED) $(FAULTS) "faults and not soak"

# `make soak MINUTES=20`: faults at random over a long job, and nothing that grows.
soak: setup-dev
	@FAULT_SEED=$(SEED) SOAK_MINUTES=$(or $(MINUTES),20) $(FAULTS) soak -s

# What one person can do to others, on a whole system in production mode: the attacks of a few seconds.
attacks-fast:
	@$(ATTACKS) "attacks and fast"

attacks-sqlite:
	@$(ATTACKS) attacks

attacks-postgres:
	@$(POSTGRES) $(ATTACKS) attacks

# All attacks on both databases, one after the other; each line says what was sent and what others noticed.
attacks: setup-dev
	@failed=0; $(MAKE) attacks-sqlite || failed=1; $(MAKE) attacks-postgres || failed=1; exit $$failed

# Makes the usual mistakes in the real code, one at a time: the model of recovery must notice each, on both databases.
mistakes: setup-dev
	@$(MISTAKES)
	@$(POSTGRES) $(MISTAKES)

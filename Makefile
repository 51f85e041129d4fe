# Everything a person does with this checkout. Needs only make, git and Python 3.11 or later;
# uv is used when it is there. Stamp files inside .venv make a second run instant.

SHELL := /bin/sh
VENV := .venv
PY := $(VENV)/bin/python
UV := $(shell command -v uv 2>/dev/null)
SOURCES := $(shell find src -name '*.py')
ARGS ?=
# Test files run beside each other: most of their time they wait for programs and disks. JOBS=0: one by one.
# What judges times and memory (marked "alone") comes after them; 5 says that a filter left nothing.
JOBS ?= 2

# Byte code is what makes the start quick; where this variable is exported nothing would be cached.
unexport PYTHONDONTWRITEBYTECODE
# Configuration of pip that belongs to another virtual environment.
unexport PIP_USER PIP_TARGET PIP_PREFIX

.PHONY: help chat test check format bench screens demo redis soak lock models install clean
.DEFAULT_GOAL := help

help:
	@echo "make chat      install and open the chat (ARGS='--plain' passes options)"
	@echo "make test      install the development tools and run the whole suite (ARGS='-k name')"
	@echo "make check     format, lint and types"
	@echo "make format    format and mend what can be mended"
	@echo "make bench     time to first paint and echo, cost of frames and of tokens"
	@echo "make soak      the whole suite with twenty times as many random rounds"
	@echo "make screens   accept the screens as they look now"
	@echo "make demo      show the sessions in sessions.example/ (ARGS=--svg: the README's picture)"
	@echo "make redis     a throw-away Redis on loopback, until Ctrl+C (PORT=6390)"
	@echo "make lock      renew requirements/*.txt (needs uv)"
	@echo "make models    make the snapshot of windows and prices from the list that is pinned here"
	@echo "make install   install only; .venv/bin/chat is the program"
	@echo "make clean     remove .venv and everything that was made"

chat: install
	@exec $(VENV)/bin/chat $(ARGS)

install: $(VENV)/.runtime $(VENV)/.compiled

test: $(VENV)/.dev $(VENV)/.compiled
	$(PY) -m pytest -n $(JOBS) --dist loadfile -m "not alone" $(ARGS) || [ $$? -eq 5 ]
	$(PY) -m pytest -m alone $(ARGS) || [ $$? -eq 5 ]

check: $(VENV)/.dev
	$(PY) -m ruff format --check .
	$(PY) -m ruff check .
	$(PY) -m mypy

format: $(VENV)/.dev
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .

bench: $(VENV)/.dev $(VENV)/.compiled
	$(PY) tests/bench/run.py $(ARGS)

soak: $(VENV)/.dev $(VENV)/.compiled
	$(PY) -m pytest -n $(JOBS) --dist loadfile -m "not alone" --soak 20 $(ARGS) || [ $$? -eq 5 ]
	$(PY) -m pytest -m alone --soak 20 $(ARGS) || [ $$? -eq 5 ]

screens: $(VENV)/.dev $(VENV)/.compiled
	$(PY) -m pytest tests/screens --accept-screens $(ARGS)

demo: $(VENV)/.dev $(VENV)/.compiled
	@$(PY) tests/support/demo.py $(ARGS)

PORT ?= 6390
redis:
	@command -v redis-server >/dev/null || { \
	  echo "redis-server is not installed; install it with the system's package manager (Debian: apt-get install redis-server) and run make redis again." >&2; exit 1; }
	@dir=$$(mktemp -d) && trap 'rm -rf "$$dir"' EXIT && trap 'exit 0' INT TERM && \
	  echo "Redis until Ctrl+C; in another terminal: $(VENV)/bin/chat --store redis://127.0.0.1:$(PORT)/0" && \
	  redis-server --bind 127.0.0.1 --port $(PORT) --save '' --appendonly no --dir "$$dir" --loglevel warning

lock:
	@command -v "$(UV)" >/dev/null || { echo "make lock needs uv: pipx install uv, then run it again." >&2; exit 1; }
	cd requirements && for name in runtime build dev; do \
	  $(UV) pip compile --universal --generate-hashes --no-header --python-version 3.11 --upgrade --quiet \
	    $$name.in --output-file $$name.txt || exit 1; done

# Windows, prices and abilities of models: a release of this package holds the list. For a newer one
# change these three lines; the digest is of the list itself, the date the day it was the newest.
FACTS_VERSION := 1.110.2
FACTS_AS_OF := 2026-11-26
FACTS_SHA256 := 8943af58bf9f979c6a4bef815687117ffa341e462a41faed9be17b5c33d3dcc2
models: $(VENV)/.dev
	@dir=$$(mktemp -d) && trap 'rm -rf "$$dir"' EXIT && \
	  $(if $(UV),$(UV) pip install --quiet --python $(PY),$(PY) -m pip install -qq --disable-pip-version-check --no-compile) \
	    --no-deps --target "$$dir" litellm==$(FACTS_VERSION) && \
	  $(PY) tests/support/make_models.py "$$dir/litellm/model_prices_and_context_window_backup.json" \
	    --version $(FACTS_VERSION) --as-of $(FACTS_AS_OF) --sha256 $(FACTS_SHA256)

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +

# --- how the environment comes to be ------------------------------------------------------------

# The first of these that runs and is new enough (a name may be there and still not run: shims).
define FIND_PYTHON
for name in python3.13 python3.12 python3.11 python3 python; do \
  if "$$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then found=$$name; break; fi; \
done; \
if [ -z "$${found:-}" ]; then \
  echo "chinwag needs Python 3.11 or later, and none of python3.13, python3.12, python3.11 and python3 here is; install one and run make again." >&2; exit 1; fi
endef

# A .venv whose Python has gone (a moved folder, an upgraded system) is made anew.
$(VENV)/.made:
	@if ! $(PY) -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then \
	  $(FIND_PYTHON); rm -rf $(VENV); \
	  if [ -n "$(UV)" ]; then $(UV) venv --quiet --no-python-downloads --python "$$(command -v $$found)" $(VENV); \
	  else "$$found" -m venv $(VENV) || { rm -rf $(VENV); \
	    echo "$$found cannot make virtual environments; install its venv module (Debian: apt-get install python3-venv) or uv, and run make again." >&2; exit 1; }; fi; fi
	@touch $@

# One hash-checked list, then the package itself, from a backend that was hash-checked too (and
# that looks for its own program on PATH). An old pip's script imports re before a frame is painted,
# to cut ".exe" from a name that has none here: those two lines go.
ifneq ($(UV),)
define INSTALL
$(UV) pip install --quiet --python $(PY) --require-hashes --compile-bytecode $(1)
$(UV) pip install --quiet --python $(PY) --no-deps --no-build-isolation --editable .
endef
else
define INSTALL
$(PY) -m pip install -qq --disable-pip-version-check --require-hashes $(1)
PATH="$(CURDIR)/$(VENV)/bin:$$PATH" $(PY) -m pip install -qq --disable-pip-version-check --no-deps --no-build-isolation --editable .
sed -e '/^import re$$/d' -e '/re\.sub/d' $(VENV)/bin/chat >$(VENV)/chat.lean && cat $(VENV)/chat.lean >$(VENV)/bin/chat && rm $(VENV)/chat.lean
endef
endif

$(VENV)/.runtime: $(VENV)/.made requirements/runtime.txt requirements/build.txt pyproject.toml
	@echo "installing chinwag into $(VENV)" >&2
	@$(call INSTALL,-r requirements/runtime.txt -r requirements/build.txt)
	@touch $@

$(VENV)/.dev: $(VENV)/.made requirements/dev.txt pyproject.toml
	@echo "installing chinwag and its development tools into $(VENV)" >&2
	@$(call INSTALL,-r requirements/dev.txt)
	@touch $(VENV)/.runtime $@

$(VENV)/.compiled: $(VENV)/.runtime $(SOURCES)
	@$(PY) -m compileall -q -j 0 $(VENV)/lib src >/dev/null || true
	@touch $@

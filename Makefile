# make demo    see pymy work against a real MariaDB
# make test    every test, on real MariaDB and MySQL servers
# make lint    ruff;  make types: mypy and pyright;  make clean: back to what git has
#
# PYTHON=python3.12 chooses the interpreter, ARGS="-k tls" goes to pytest, JOBS=4 sets its workers.

PYTHON ?= python3
VENV ?= .venv
JOBS ?= auto
ARGS ?=

bin := $(VENV)/bin
pip := $(bin)/python -m pip install --quiet --disable-pip-version-check
# Named after the interpreter: another PYTHON makes the environment anew.
made := $(VENV)/.made-$(subst /,_,$(PYTHON))
settings := setup.cfg pyproject.toml

.DEFAULT_GOAL := help
.PHONY: help demo test lint types clean

help:
	@sed -n 's/^# //p' Makefile

demo: $(VENV)/.with-pymy
	@$(bin)/python examples/quickstart.py

test: $(VENV)/.with-test
	$(bin)/python -m pytest -n $(JOBS) $(ARGS)

lint: $(VENV)/.with-dev
	$(bin)/ruff check .
	$(bin)/ruff format --check --quiet .

types: $(VENV)/.with-dev
	$(bin)/mypy
	$(bin)/pyright --pythonpath $(bin)/python

clean:
	rm -rf $(VENV) .tox .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage* build dist *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(made): tools/make_venv.py
	@echo "Making the environment $(VENV)"
	@$(PYTHON) tools/make_venv.py $(VENV)
	@touch $@

$(VENV)/.with-pymy: $(made) $(settings)
	@echo "Installing pymy into $(VENV)"
	@$(pip) --editable .
	@touch $@

$(VENV)/.with-test: $(made) $(settings)
	@echo "Installing pymy and what its tests need into $(VENV)"
	@$(pip) --editable '.[test]'
	@touch $@ $(VENV)/.with-pymy

$(VENV)/.with-dev: $(made) $(settings)
	@echo "Installing pymy, ruff, mypy and tox into $(VENV)"
	@$(pip) --editable '.[dev]'
	@touch $@ $(VENV)/.with-pymy $(VENV)/.with-test

BIN := .venv/bin

# Without bytecode each of the many processes of the tests compiles all modules that it imports.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help demo test docs mutants env lint lint-code lint-format lint-types lint-imports clean clean-env

help:
	@echo "make demo   train a small task, compile it, run it, check it; the report is out/demo/report.html"
	@echo "make test   the whole test suite"
	@echo "make docs   the documentation site; it is out/site/index.html"

demo: env
	$(BIN)/qif2hw demo --out out/demo

test: env
	$(BIN)/python -m pytest

# At most three hours on two idle cores; what is known already is not tried again.
mutants: env
	$(BIN)/python tests/mutation/run.py

# Works without a network. The variable silences an advertisement of the theme's authors, which is no warning of ours.
docs: env
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

# What follows is for those who work on qif2hw itself.

env:
	@sh scripts/make-env.sh

lint: lint-code lint-format lint-types lint-imports

lint-code: env
	$(BIN)/ruff check

lint-format: env
	$(BIN)/ruff format --check

lint-types: env
	$(BIN)/mypy

lint-imports: env
	$(BIN)/lint-imports --no-logo

clean:
	rm -rf out build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name .git -prune -o -name '.venv*' -prune -o -type d -name __pycache__ -exec rm -rf {} +

clean-env:
	rm -rf .venv .venv-lava

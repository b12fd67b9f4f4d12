# The README's two commands are `make run` and `make test`; the rest is for those who work on qceval itself.
PYTHON ?= python3
BIN := .venv/bin

# The languages of the Qwen2.5-Coder report's tables, and what BigCodeBench and ExecRepoBench need: CI builds and tests it.
MAIN := python cpp java javascript typescript csharp php bash python-bigcodebench python-execrepobench

.PHONY: run test test-full test-whole test-engines images languages perf perf-generation lint format clean

run: .venv/core
	@$(BIN)/qceval run --bench humaneval || { \
		status=$$?; [ $$status = 2 ] || exit $$status; \
		echo "HumanEval+ cannot be had here (see above): running starter, which comes with qceval"; \
		$(BIN)/qceval run --bench starter; \
	}

test: .venv/dev
	$(BIN)/pytest -n auto -m "not slow and not languages"

# What `make test` leaves out because it takes long: compilers under attack, whole published files, and then, one by
# one, load and kills.
test-full: .venv/dev
	$(BIN)/pytest -n auto -m "slow and not whole" --ignore tests/cli
	$(BIN)/pytest -m "slow and not whole" tests/cli

# The largest published sets, and once more what smaller ones show in CI: several minutes each.
test-whole: .venv/dev
	$(BIN)/pytest -m whole

# The sandbox images of the main languages; CI builds them before the tests, which else build what they need.
images: .venv/core
	$(BIN)/qceval sandbox build $(MAIN)

# The real engines on a CPU: vLLM, transformers, and vLLM's server, with a model that is trained on the spot.
test-engines: build/vllm/ready
	build/vllm/bin/pytest -m engine tests/engines

build/vllm/ready: .ci/vllm pyproject.toml
	bash .ci/vllm

# Every language: build its image, run its three programs and the tests of sandboxes. Takes about an hour and 20 GB from
# nothing.
languages: .venv/dev
	$(BIN)/qceval sandbox build
	$(BIN)/qceval sandbox test --sandbox docker
	$(BIN)/pytest -n auto -m languages tests/sandboxes

# Side-by-side measurements: a table on standard output, JSON in build/perf. Takes about an hour.
perf: .venv/dev build/perf/evalplus/bin/evalplus.evaluate
	$(BIN)/python tests/perf/overhead.py build/perf/overhead.json
	$(BIN)/python tests/perf/scoring.py --evalplus build/perf/evalplus/bin/evalplus.evaluate --out build/perf/scoring.json
	$(BIN)/python tests/perf/many_samples.py --out build/perf/many_samples.json
	$(BIN)/python tests/perf/languages.py --every 3 --out build/perf/languages.json
	$(BIN)/python tests/perf/overlap.py --out build/perf/overlap.json
	$(BIN)/python tests/perf/memory.py --out build/perf/memory.json
	$(BIN)/python tests/perf/report.py build/perf/report.json
	$(BIN)/python tests/perf/compare.py --out build/perf/compare.json
	$(BIN)/python tests/perf/answers.py --out build/perf/answers.json
	$(BIN)/python tests/perf/suites.py --out build/perf/suites.json
	$(BIN)/python tests/perf/contest.py --out build/perf/contest.json
	$(BIN)/python tests/perf/queries.py --out build/perf/queries.json
	$(BIN)/python tests/perf/decontamination.py --out build/perf/decontamination

# `qceval run` beside vLLM's own call. MODEL is a folder; the engine tests leave a small one in build/tiny-*/base.
perf-generation: build/vllm/ready
	build/vllm/bin/python tests/perf/generation.py --model $(MODEL) --out build/perf/generation.json

build/perf/evalplus/bin/evalplus.evaluate:
	$(PYTHON) -m venv build/perf/evalplus
	build/perf/evalplus/bin/pip install --quiet --disable-pip-version-check torch==2.13.0 evalplus==0.3.1

lint: .venv/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: .venv/dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/core: pyproject.toml | .venv/bin/python
	$(BIN)/pip install --quiet --disable-pip-version-check -e .
	@touch $@

.venv/dev: pyproject.toml | .venv/core
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@

# make book runs the book, make test passes the tests; both set up their own environment the first time.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

# The words of a batch. They are given on as they were typed, through the environment: neither make nor a shell reads them.
PROFILE ?= smoke
WORDS = PROFILE DATA EPOCHS SEEDS MODELS INIT STUDY SNAKEMAKE
$(foreach word,$(WORDS),$(eval override $(word) := $$(value $(word))))
export $(WORDS)

# A process a core, each with one thread; a file's tests stay together. The slowest files start first.
SLOW = $(addprefix tests/,book/test_batch.py train/test_training.py analysis/test_verdicts.py book/test_clusters.py nets/test_full_size.py)
TESTS = $(SLOW) $(filter-out $(SLOW),$(wildcard tests/test_*.py tests/*/test_*.py))
PYTEST = OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile

.PHONY: help book trainings test test-browser bench table figures lab clean

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo
	@echo "  variables: PROFILE=smoke|laptop|colab|paper  DATA=folder with manifest.csv, or ala  EPOCHS=n  SEEDS=0,1,2"
	@echo "             MODELS=seran_d,resnet101  INIT=plain|zero|torch  PYTHON=python3.12  VENV=.venv"
	@echo "             STUDY=tables,wiring  (the runs of those studies of seran_lib/analysis/studies.py)"
	@echo "             SNAKEMAKE='snakemake --profile clusters/slurm'  (instead of this machine)"

$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, this is " + sys.version.split()[0] + ": make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable ".[book,batch,cluster,bench,test]"
	@touch $@

book: $(READY)  ## train the profile's models and run every chapter headlessly; what is done already is not repeated
	@$(BIN)/python -m seran_lib batch book

trainings: $(READY)  ## only the training runs of the profile
	@$(BIN)/python -m seran_lib batch trainings

test: $(READY)  ## lint, unit tests, and every chapter executed by nbval
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-logo --no-cache
	$(PYTEST) --no-loadscope-reorder $(TESTS)
	runs=$$(mktemp -d) && trap 'rm -rf "$$runs"' EXIT && SERAN_RUNS="$$runs" $(PYTEST) -p tests.apart \
		--nbval-lax --nbval-current-env --nbval-cell-timeout 300 --nbval-sanitize-with tests/sanitize.cfg notebooks

test-browser: $(READY)  ## the review board in JupyterLab, driven in a real browser
	@command -v "$${CHROMIUM:-chromium}" >/dev/null || { \
		command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ] \
			|| { echo "No chromium: install it (apt-get install chromium, as root), or name a browser: make test-browser CHROMIUM=/path/to/it" >&2; exit 1; }; \
		apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core >/dev/null; }
	SERAN_BROWSER=1 $(BIN)/python -m pytest tests/browser

bench: $(READY)  ## speed as ratios, with a figure; run nothing else meanwhile (some 20 minutes); on a GPU: benchmarks/gpu.py
	for script in train_step precision compiled rivals inference data_path memory growth fetch figure; do \
		$(BIN)/python benchmarks/$$script.py || exit 1; done
	$(BIN)/python -m seran_lib table

table: $(READY)  ## rebuild from the ledger: the README's tables, results/README.md
	$(BIN)/python -m seran_lib table $(if $(filter-out smoke,$(PROFILE)),--profile $(PROFILE))

figures: $(READY)  ## execute the chapters as committed, redraw figures/, then rebuild the tables
	$(BIN)/python -m seran_lib pair
	$(BIN)/python -m seran_lib table --figures

lab: $(READY)  ## open the book in JupyterLab
	$(BIN)/jupyter lab notebooks

clean:  ## delete runs and caches; results, figures and the environment stay
	rm -rf runs data/cache .snakemake

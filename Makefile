# Two commands do everything on a fresh machine: `make demo` and `make test`. Set-up is included.
PYTHON ?= python3
SPECTM_SHARED ?= ../shared
DATA ?= $(SPECTM_SHARED)/data/lake_erie
OUT ?= runs/reproduce
BIN = .venv/bin
TOURS ?= $(wildcard docs/tours/*.md docs/own-sensor.md)
export SPECTM_SHARED
export PYTHONDONTWRITEBYTECODE = # else every test run would compile all tests anew

PATCHES = $(DATA)/pace_station_patches.nc
# reflectance of other waters, to see what is flagged; left out where it is not there
FOREIGN = $(addprefix --foreign ,$(wildcard $(DATA)/../shelf/*.csv $(DATA)/../gulf_coast/*.xlsx))
EVALUATE = $(BIN)/spectm evaluate --patches $(PATCHES) --unlabelled $(DATA)/pace_pixels.nc --labels $(DATA)/glerl

.PHONY: help setup demo demo-simulated demo-real test test-all check bench reproduce reproduce-studies reproduce-own reproduce-quick release page docs dist clean

help:
	@echo "make demo                 everything on a simulated lake, about 5 minutes; writes runs/demo/report.html"
	@echo "make demo DATA=DIR        pretrain, fine-tune and evaluate on real data, under 5 minutes"
	@echo "make test                 fast tests;  make test-all adds the slow ones"
	@echo "make check                lint, format, types, import rules, fast tests"
	@echo "make bench [ONLY=name]    benchmarks, to benchmarks/results.json"
	@echo "make reproduce DATA=DIR OUT=DIR         the whole protocol, under 60 minutes, resumable; rewrites docs/results.md"
	@echo "make reproduce-studies DATA=DIR OUT=DIR what masking, tasks, simulated spectra and labels are worth, hours, resumable"
	@echo "make reproduce-own DATA=DIR OUT=DIR     two other cases: leaves, and chlorophyll-a of coastal water, about 20 minutes"
	@echo "make reproduce-quick DATA=DIR OUT=DIR   leave-date-out, one seed, under 6 minutes"
	@echo "make release DATA=DIR     train the released model anew, with all data of DIR"
	@echo "make page                 copy the map script of the page anew from its npm package"
	@echo "make docs                 build the documentation site, to docs/_build; a warning is an error"
	@echo "make dist                 build wheel and sdist; try the wheel with the newest and the lowest versions allowed"

setup: .venv/.done

.venv/.done: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev,docs,explain,fetch,geo,serve]"
	@touch $@

data-present:
	@test -f "$(PATCHES)" || { \
	  echo "No data in $(DATA): wanted pace_station_patches.nc, pace_pixels.nc and glerl/*.csv there."; \
	  echo "Give the folder that holds them: make demo DATA=path/to/lake_erie"; \
	  echo "docs/data.md says what the files are and how to make your own."; exit 2; }
.PHONY: data-present

# Without DATA=DIR, given here or in the environment, the demo makes its own data.
demo: $(if $(filter command environment,$(firstword $(origin DATA))),demo-real,demo-simulated)

demo-simulated: setup
	$(BIN)/spectm demo --out runs/demo

demo-real: data-present setup
	$(BIN)/spectm pretrain --patches $(PATCHES) --patches $(DATA)/pace_pixels.nc --out runs/demo-real/pretrained
	$(BIN)/spectm finetune --pretrained runs/demo-real/pretrained --patches $(PATCHES) --labels $(DATA)/glerl --out runs/demo-real/model
	$(BIN)/spectm predict --model runs/demo-real/model --patches $(PATCHES) --out runs/demo-real/estimates.csv
	$(EVALUATE) --out runs/demo-real/evaluation --quick --models mean,climatology,persistence,ridge,pls,blend-plain,spectm,spectm-blend
	@echo
	@echo "Read runs/demo-real/evaluation/report.html. Also written: runs/demo-real/pretrained and runs/demo-real/model (models),"
	@echo "runs/demo-real/estimates.csv (an estimate for every patch; those of labelled dates were learned from)."

test: setup
	$(BIN)/python -m pytest -n 2 --dist worksteal

test-all: setup
	$(BIN)/python -m pytest -n 2 --dist worksteal -m "not network and not gpu and not long"

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -n 2 --dist worksteal

bench: setup
	$(BIN)/python -m benchmarks.run $(if $(ONLY),--only $(ONLY))

reproduce: data-present setup
	$(EVALUATE) $(FOREIGN) --out $(OUT) --results docs/results.md

# Two cases that are not microcystin from PACE; each replaces its own section of docs/results.md.
OWN = $(OUT)-own
EVALUATE_OWN = $(BIN)/spectm evaluate --set pretraining.loop.steps=60 --results docs/results.md
reproduce-own: data-present setup
	mkdir -p $(OWN)
	$(BIN)/spectm spectra docs/own-sensor/gulf.toml --folder $(DATA)/../gulf_coast --out $(OWN)/gulf-coast.nc
	$(EVALUATE_OWN) --patches $(OWN)/gulf-coast.nc --config docs/own-sensor/gulf-settings.toml --out $(OWN)/gulf-coast
	$(BIN)/spectm leaves --out $(OWN)/leaf-files
	$(BIN)/spectm spectra $(OWN)/leaf-files/leaves.toml --out $(OWN)/leaves.nc
	$(EVALUATE_OWN) --patches $(OWN)/leaves.nc --config $(OWN)/leaf-files/settings.toml --out $(OWN)/leaves

# Ten seeds each; every command goes on where it was stopped, and replaces its own section of docs/results.md.
STUDY = --patches $(PATCHES) --unlabelled $(DATA)/pace_pixels.nc --labels $(DATA)/glerl --results docs/results.md
reproduce-studies: data-present setup
	$(BIN)/spectm ablate $(STUDY) --out $(OUT)-ablation
	test -d $(OUT)-lake || $(BIN)/spectm demo --out $(OUT)-lake
	$(BIN)/spectm ablate $(STUDY) --simulated $(OUT)-lake/patches.nc --out $(OUT)-sources
	$(BIN)/spectm ablate --patches $(OUT)-lake/stations.nc --unlabelled $(OUT)-lake/patches.nc --labels $(OUT)-lake/lake/laboratory --results docs/results.md --out $(OUT)-simulated
	$(BIN)/spectm label-efficiency $(STUDY) --out $(OUT)-labels

reproduce-quick: data-present setup
	$(EVALUATE) --out $(OUT) --quick

release: data-present setup
	PATH="$(abspath $(BIN)):$$PATH" bash tools/release.sh $(DATA) src/spectm/released/erie-2024

page:
	npm ci --prefix tools/page --ignore-scripts --no-audit --no-fund
	node tools/page/vendor.mjs

docs: setup
	$(BIN)/sphinx-build -W -q -c docs -d docs/_build/.doctrees . docs/_build/html
	@echo "Open docs/_build/html/index.html"

dist: setup
	rm -rf dist
	$(BIN)/python -m build --outdir dist
	PYTHON=$(PYTHON) bash tools/try-wheel.sh newest $(TOURS)
	PYTHON=$(PYTHON) bash tools/try-wheel.sh lowest docs/tours/agency.md

clean:
	rm -rf .venv dist build runs docs/_build

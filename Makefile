# Two commands: `make demo` and `make test`. Each makes its own environment in .venv.
PYTHON ?= python3
VENV := .venv
READY := $(VENV)/.ready
STAMP := $(VENV)/.installed
# mlcroissant, which reads our descriptions of samples in a test, brings type stubs that contradict pandas' own.
FOREIGN := .venv-croissant

.PHONY: demo test fuzz docs check dist smoke clean

demo: $(READY)
	$(VENV)/bin/wardgan demo -o demo --force

# Tests often wait, for servers and for processes that they kill: so there is a worker more than processors.
test: $(STAMP) $(FOREIGN)/.installed
	OMP_NUM_THREADS=1 $(VENV)/bin/python -m pytest -n $$(( $$(getconf _NPROCESSORS_ONLN) + 1 )) --dist loadfile --no-loadscope-reorder --durations 25

fuzz: $(STAMP)
	WARDGAN_EXAMPLES=fuzz OMP_NUM_THREADS=1 $(VENV)/bin/python -m pytest -n auto --dist loadfile tests/property tests/unit

docs: $(STAMP)
	$(VENV)/bin/python scripts/make_site.py

check: $(STAMP)
	scripts/check

# What is published: source distribution, wheel, list of libraries, checksums.
dist: $(STAMP)
	$(VENV)/bin/python scripts/make_dist.py --twice

# Each extra in a clean environment; some minutes, for a release.
smoke: dist
	$(VENV)/bin/python scripts/smoke_extras.py dist

# What people need who use the package; its developers need more.
$(READY): pyproject.toml constraints.txt
	@echo "Making the environment $(VENV); the first time this takes some minutes."
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[all]'
	touch $(READY)

$(STAMP): $(READY)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $(STAMP)

$(FOREIGN)/.installed:
	$(PYTHON) -m venv $(FOREIGN)
	$(FOREIGN)/bin/python -m pip install --quiet --disable-pip-version-check 'mlcroissant>=1.0,<2' pyarrow
	touch $(FOREIGN)/.installed

clean:
	rm -rf $(VENV) $(FOREIGN) demo build dist .cache

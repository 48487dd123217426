# Two commands: `make demo` and `make test`. Each makes its own environment in .venv.
PYTHON ?= python3
VENV := .venv
STAMP := $(VENV)/.installed

.PHONY: demo test fuzz check clean

demo: $(STAMP)
	$(VENV)/bin/wardgan demo -o demo --force

test: $(STAMP)
	OMP_NUM_THREADS=1 $(VENV)/bin/python -m pytest -n auto --dist loadfile

fuzz: $(STAMP)
	WARDGAN_EXAMPLES=fuzz OMP_NUM_THREADS=1 $(VENV)/bin/python -m pytest -n auto --dist loadfile tests/property tests/unit

check: $(STAMP)
	scripts/check

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $(STAMP)

clean:
	rm -rf $(VENV) demo build dist

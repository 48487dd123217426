"""Makes a small .hgan file, for the check that the core package can use it without any extra."""

import sys

import numpy as np
import pandas as pd

import wardgan as wg

schema = wg.Schema.from_dict({
    "name": "smoke",
    "population": 400,
    "table": {
        "arm": {"kind": "category", "levels": ["a", "b"], "label": True},
        "age": {"kind": "integer", "low": 18, "high": 99},
    },
})  # fmt: skip
numbers = np.random.default_rng(0)
patients = pd.DataFrame({"arm": numbers.choice(["a", "b"], 400), "age": numbers.integers(18, 99, 400)})
trained = wg.fit(wg.read(patients, schema), wg.Budget(epsilon=3), family="copula")
wg.release(trained, sys.argv[1], override="The smoke test: no dossier of invented patients")

"""Trains one peer; runs in the peer's own environment, so it imports nothing of ours.

    peer_worker.py METHOD EPSILON SEED FOLDER OUTPUT

FOLDER holds train.parquet and schema.json. Where peers differ from us in what they may know, they get the easier
task: bins from exact quantiles and values drawn from the true ones inside a bin ("aim, our bins"), ranges and levels
read off the training part (TabularARGN, CTGAN, TVAE).
"""

import json
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd

DELTA = 1e-5
BINS = 20
OUR_BINS = 16


def main():
    method, epsilon, seed, folder, output = sys.argv[1:]
    train = pd.read_parquet(Path(folder) / "train.parquet")
    schema = json.loads((Path(folder) / "schema.json").read_text(encoding="utf-8"))
    np.random.seed(int(seed))
    begin, wall = time.process_time(), time.perf_counter()
    sample = FIT[method](train, schema["table"], None if epsilon == "none" else float(epsilon), method, int(seed))
    facts = {
        "CPU s": time.process_time() - begin,
        "seconds": time.perf_counter() - wall,
        "peak MB": peak_mb(),
    }
    begin = time.perf_counter()
    made = sample(len(train))
    facts["rows/s"] = len(made) / (time.perf_counter() - begin)
    made.to_parquet(output)
    print(json.dumps(facts))


def peak_mb():
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def numeric(column):
    return column["kind"] in ("number", "integer", "date")


class Coder:
    """Whole numbers for a column: bins or levels, and the last code for missing cells."""

    def __init__(self, values, column, quantiles):
        self.column, self.values = column, values
        known = values.dropna()
        if numeric(column):
            if quantiles:
                inner = np.unique(np.quantile(known.astype(float), np.arange(1, OUR_BINS) / OUR_BINS))
            else:
                inner = np.linspace(column["low"], column["high"], BINS + 1)[1:-1]
            self.inner, self.size = inner, len(inner) + 1
            self.inside = None
            if quantiles:
                place = np.searchsorted(inner, known.astype(float), side="right")
                self.inside = [known.astype(float).to_numpy()[place == at] for at in range(self.size)]
        else:
            self.levels = sorted(known.unique(), key=str)
            self.size = len(self.levels)
        self.hole = bool(values.isna().any())

    def encode(self):
        hole = self.values.isna().to_numpy()
        if numeric(self.column):
            code = np.searchsorted(self.inner, self.values.astype(float).fillna(0.0), side="right")
        else:
            number = {level: at for at, level in enumerate(self.levels)}
            code = self.values.map(number).fillna(0).astype(int).to_numpy()
        return np.where(hole, self.size, code)

    def decode(self, code, numbers):
        code = np.asarray(code).astype(int)
        hole = code >= self.size
        code = np.minimum(code, self.size - 1)
        if not numeric(self.column):
            return pd.Series(np.array(self.levels, dtype=object)[code]).where(~hole, None)
        if self.inside is not None:
            found = np.zeros(len(code))
            for at in range(self.size):
                rows = np.flatnonzero(code == at)
                if len(self.inside[at]):
                    found[rows] = numbers.choice(self.inside[at], len(rows))
        else:
            edges = np.concatenate([[self.column["low"]], self.inner, [self.column["high"]]])
            found = edges[code] + numbers.random(len(code)) * (edges[code + 1] - edges[code])
        decimals = 0 if self.column["kind"] == "integer" else self.column.get("decimals", 1)
        return pd.Series(np.round(found, decimals)).where(~hole)


def smartnoise(train, columns, epsilon, method, seed):
    from snsynth import Synthesizer
    from snsynth.transform import LabelTransformer, TableTransformer

    coders = {name: Coder(train[name], columns[name], method == "aim, our bins") for name in train}
    coded = pd.DataFrame({name: coder.encode() for name, coder in coders.items()})
    transformer = TableTransformer([LabelTransformer(nullable=False) for _ in coded])
    kind = "mst" if method == "mst" else "aim"
    made = Synthesizer.create(kind, epsilon=epsilon, delta=DELTA)
    made.fit(coded, transformer=transformer, preprocessor_eps=0.0)
    numbers = np.random.default_rng(seed)

    def sample(rows):
        drawn = pd.DataFrame(made.sample(rows), columns=list(coded))
        return pd.DataFrame({name: coder.decode(drawn[name], numbers) for name, coder in coders.items()})

    return sample


def tabularargn(train, columns, epsilon, method, seed):
    from mostlyai.engine import TabularARGN
    from mostlyai.engine.domain import DifferentialPrivacyConfig

    private = None if epsilon is None else DifferentialPrivacyConfig(max_epsilon=epsilon, delta=DELTA)
    kinds = {name: "TABULAR_NUMERIC_AUTO" if numeric(columns[name]) else "TABULAR_CATEGORICAL" for name in train}
    made = TabularARGN(
        value_protection=False, differential_privacy=private, tgt_encoding_types=kinds, random_state=seed, verbose=0
    )
    frame = train.copy()
    for name in frame:
        if not numeric(columns[name]):
            frame[name] = frame[name].astype(object).where(frame[name].isna(), frame[name].astype(str))
    made.fit(X=frame)

    def sample(rows):
        drawn = made.sample(n_samples=rows)
        return pd.DataFrame(
            {
                name: pd.to_numeric(drawn[name], errors="coerce").astype(float)
                if numeric(columns[name])
                else drawn[name].astype(object).where(drawn[name].notna(), None)
                for name in train
            }
        )

    return sample


def sdv(train, columns, epsilon, method, seed):
    import torch
    from ctgan import CTGAN, TVAE

    torch.manual_seed(seed)
    frame, discrete, holes = pd.DataFrame(), [], {}
    for name in train:
        if numeric(columns[name]):
            # These models take no missing cells: the median, and a column that says so.
            values = train[name].astype(float)
            frame[name] = values.fillna(values.median())
            if values.isna().any():
                holes[name] = f"{name} is missing"
                frame[holes[name]] = values.isna().astype(str)
                discrete.append(holes[name])
        else:
            frame[name] = train[name].astype(object).where(train[name].notna(), "missing").astype(str)
            discrete.append(name)
    made = (CTGAN if method == "ctgan" else TVAE)()
    made.fit(frame, discrete)

    def sample(rows):
        drawn = made.sample(rows)
        found = {}
        for name in train:
            if name in holes:
                found[name] = drawn[name].where(drawn[holes[name]] != "True")
            elif numeric(columns[name]):
                found[name] = drawn[name]
            else:
                found[name] = drawn[name].astype(object).where(drawn[name] != "missing", None)
            if columns[name]["kind"] == "integer":
                found[name] = found[name].round()
        return pd.DataFrame(found)

    return sample


FIT = {
    "aim": smartnoise, "aim, our bins": smartnoise, "mst": smartnoise, "tabularargn": tabularargn, "ctgan": sdv,
    "tvae": sdv,
}  # fmt: skip

if __name__ == "__main__":
    main()

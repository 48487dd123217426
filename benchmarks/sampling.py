"""How fast synthetic patients are drawn, and how much memory that takes: in memory and to Parquet.

A generator like SPRINT's (36 columns: three numbers at twelve visits) draws patients in a fresh process for each
case, in streams, so the memory must not depend on how many patients are drawn:

    python benchmarks/sampling.py            # 1 and 10 million patients
    python benchmarks/sampling.py --quick    # 200,000 patients

Targets: 500,000 patients per second in memory, 200,000 rows per second to Parquet, on two cores.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from common import markdown, save

CASES = ("arrays", "long table", "wide table", "long Parquet", "wide Parquet")
SEED = 7


def model(folder: Path) -> None:
    """Fits the generator once and leaves it in a folder."""
    from wardgan.models.fit import fit
    from wardgan.rng import Seed
    from wardgan.schema.read import read
    from wardgan.schema.schema import Schema
    from wardgan.simulate.sprint import SPRINT_SCHEMA, sprint_like

    visits = {**SPRINT_SCHEMA["visits"], "complete": True}  # type: ignore[dict-item]
    cohort = read(sprint_like(6500, seed=Seed(SEED)), Schema.from_dict({**SPRINT_SCHEMA, "visits": visits}))
    fit(cohort, family="copula", privacy="none", seed=SEED, run=folder)


def measured(case: str, patients: int, folder: Path) -> dict[str, object]:
    """Runs one case in a fresh process."""
    asked = [sys.executable, __file__, "--case", case, "--patients", str(patients), "--model", str(folder)]
    done = subprocess.run(asked, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout)


def run(case: str, patients: int, folder: Path) -> dict[str, object]:
    """Draws the patients of one case and gives rates, peak memory and size."""
    from wardgan.models.base import Trained
    from wardgan.sample.write import write

    generator = Trained.load(folder).generator
    generator.draw(1, seed=SEED)  # what is made once, such as the session of the network, is not timed
    before = _peak()
    start, cpu = time.perf_counter(), time.process_time()
    size = 0
    cohorts = generator.draws(patients, seed=SEED)
    if case == "arrays":
        rows = sum(len(cohort) for cohort in cohorts)
    else:
        frames = (cohort.wide() if case.startswith("wide") else cohort.frame() for cohort in cohorts)
        if case.endswith("Parquet"):
            path = folder / "sample.parquet"
            rows = write(frames, path, kind="parquet", note={"synthetic": "true"}, force=True)
            size = path.stat().st_size
            path.unlink()
        else:
            rows = _counted(frames)
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    return {
        "case": case,
        "patients": patients,
        "rows": rows,
        "seconds": round(seconds, 2),
        "patients/s": round(patients / seconds),
        "rows/s": round(rows / seconds),
        "patients/s of one core": round(patients / cpu),
        "peak MB": round(_peak() / 1024),
        "MB before": round(before / 1024),
        "file MB": round(size / 1e6, 1),
    }


def _counted(frames: Iterator[pd.DataFrame]) -> int:
    return sum(len(frame) for frame in frames)


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def main() -> None:
    """Measures all cases, or one of them in a process of its own."""
    ask = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    ask.add_argument("--quick", action="store_true", help="200,000 patients instead of 1 and 10 million")
    ask.add_argument("--out", type=Path, help="where the JSON goes (default: benchmarks/out/sampling.json)")
    ask.add_argument("--case", choices=CASES, help=argparse.SUPPRESS)
    ask.add_argument("--patients", type=int, help=argparse.SUPPRESS)
    ask.add_argument("--model", type=Path, help=argparse.SUPPRESS)
    given = ask.parse_args()
    if given.case:
        print(json.dumps(run(given.case, given.patients, given.model)))
        return
    rows: list[dict[str, object]] = []
    with tempfile.TemporaryDirectory() as folder:
        model(Path(folder))
        for patients in (200_000,) if given.quick else (1_000_000, 10_000_000):
            rows += [measured(case, patients, Path(folder)) for case in CASES]
    print(markdown(rows))
    print(save("sampling", rows, given.out, seed=SEED, columns=36))


if __name__ == "__main__":
    main()

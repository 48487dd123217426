"""SPRINT_gan (Beaulieu-Jones et al. 2019) again, with one command.

    python -m benchmarks.sprint --data simulated --seeds 5
    python -m benchmarks.sprint --data DIR --seeds 5            # with the trial's own baseline.csv and bp.csv
    python -m benchmarks.sprint --epochs 500 500 500            # as long as in 2017: some days of one processor

For each seed there are 6,000 patients to learn from and 502 to judge by; without the trial's files they are simulated,
with its published aggregates. What is compared: the program of 2017 as it was coded (without privacy, as in its
notebooks, and with the noise that was stated), and families of this package, one model each, without choosing an
epoch. Beside it the second task of the paper, vital signs, on PhysioNet 2012, where that is there. Each run is kept
as it is done (`--keep`), so a stopped command goes on where it was; the table is made of all that is there.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from benchmarks.sprint import vitals
from benchmarks.sprint.bill import EPOCHS, epsilon, then
from benchmarks.sprint.figures import draw
from benchmarks.sprint.methods import METHODS, NEW, OLD, REAL, run
from benchmarks.sprint.table import rows, vital_rows
from common import OUT, markdown, save

# On one processor an epoch of 2017 takes half a minute without privacy, and three with single patients.
_SHORT = (16, 2, 1)


def main() -> None:
    """Runs what is not there yet, and prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="simulated", metavar="DIR|simulated")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument(
        "--epochs", type=int, nargs=3, default=_SHORT, metavar="N",
        help="Of the programs of 2017: without privacy, as in the notebooks, with the stated noise.",
    )  # fmt: skip
    parser.add_argument("--keep", type=Path, default=OUT / "sprint")
    parser.add_argument(
        "--only", nargs="+", metavar="METHOD", help="Run these alone; the table shows all that is kept."
    )
    parser.add_argument("--out", type=Path)
    parser.add_argument("--figures", type=Path, metavar="DIR", help="Draws the paper's figures there, too.")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    epochs = dict(zip(OLD, asked.epochs, strict=True))
    for name, seed, call in _units(asked.data, asked.seeds, epochs):
        if asked.only is None or any(name.startswith(one) for one in asked.only):
            _once(asked.keep, name, seed, call)
    found = {name: _kept(asked.keep, name, asked.seeds) for name in (*METHODS, *vitals.METHODS)}
    table = rows({name: found[name] for name in METHODS if found[name]})
    vital = vital_rows({name: found[name] for name in vitals.METHODS if found[name]})
    print(markdown(table), markdown(vital), sep="\n\n")
    print(
        save(
            "sprint", table, asked.out, data="simulated" if asked.data == "simulated" else "SPRINT", seeds=asked.seeds,
            epochs=epochs, claimed=[epsilon(1.0), then(1.0)],
            real=[epsilon(0.5), then(0.5)], of=EPOCHS, vitals=vital,
            stays=vitals.facts() if vitals.available() else None, runs=found,
        )
    )  # fmt: skip
    if asked.figures is not None:
        print(*draw(found, asked.figures), sep="\n")


def _units(place: str, seeds: int, epochs: Mapping[str, int]) -> Iterator[tuple[str, int, Any]]:
    """Gives what there is to do, what is quick first, so that a table is there soon."""
    quick = (REAL, *NEW)
    for names in (quick, vitals.METHODS if vitals.available() else (), tuple(OLD)):
        for seed in range(seeds):
            for name in names:
                if name in METHODS:
                    yield name, seed, lambda name=name, seed=seed: run(name, place, seed, epochs)
                else:
                    yield name, seed, lambda name=name, seed=seed: vitals.run(name, seed)


def _once(folder: Path, name: str, seed: int, call: Any) -> None:  # noqa: ANN401 - what runs
    path = _path(folder, name, seed)
    if path.is_file():
        return
    folder.mkdir(parents=True, exist_ok=True)
    print(f"seed {seed}: {name}", flush=True)
    beside = path.with_suffix(".part")
    beside.write_text(json.dumps(call()), encoding="utf-8")
    os.replace(beside, path)


def _kept(folder: Path, name: str, seeds: int) -> list[dict[str, Any]]:
    paths = [_path(folder, name, seed) for seed in range(seeds)]
    return [json.loads(path.read_text(encoding="utf-8")) for path in paths if path.is_file()]


def _path(folder: Path, name: str, seed: int) -> Path:
    return folder / f"{seed} {name.replace(',', '').replace(':', '')}.json"


if __name__ == "__main__":
    main()

"""What attacks say of image generators that leak on purpose, of safe ones, and of fitted ones.

    python benchmarks/image_attacks.py --cuts 20

Images of two public data sets (see `datasets.py`) are cut at random into training, hold-out and fresh ones, each a
patient. A safe generator hands out the fresh ones; a leaking one copies 30 % from the training, half blurred. Fitted
ones are `imagegan`'s, as it is by default with a budget, and its low frequencies without privacy.
"""

from __future__ import annotations

import argparse
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np

import wardgan as wg
from common import markdown, save
from image_data import cohorts
from wardgan.attack import Battery, image_battery
from wardgan.dossier.images.measure import ImagePatients, Seen, leaking_images, points_of, seen, sides_of
from wardgan.rng import Seed
from wardgan.schema.image_cohort import ImageCohort

SIZES = {"pneumonia": 1_500, "six modalities": 1_500}
FITTED = 3


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cuts", type=int, default=20)
    parser.add_argument("--data", nargs="+", default=list(SIZES), choices=list(SIZES))
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    counts: dict[tuple[str, str, str], Counter[str]] = defaultdict(Counter)
    seconds: dict[str, list[float]] = defaultdict(list)
    for data in asked.data:
        for cut in range(asked.cuts):
            begun = process_time()
            for kind, found in _attacked(data, cut):
                for result in found.results:
                    if result.limit is not None:
                        counts[data, kind, result.name][str(result.verdict)] += 1
                counts[data, kind, "leak seen"]["leak" if found.leaks else "none"] += 1
            seconds[data].append(process_time() - begun)
            print(data, cut, round(seconds[data][-1]), flush=True)
    rows = list(_rows(counts))
    print(markdown(rows))
    print(save("image_attacks", rows, asked.out, cuts=asked.cuts, cpu_seconds=dict(seconds)))


def _rows(counts: Mapping[tuple[str, str, str], Counter[str]]) -> Iterator[dict[str, object]]:
    """Yields a line for each generator: of each attack how often it cleared and how often it accused."""
    for data, kind in dict.fromkeys((data, kind) for data, kind, _ in counts):
        mine = {name: one for (where, who, name), one in counts.items() if (where, who) == (data, kind)}
        seen_in = mine.pop("leak seen")
        cells = {name: f"{one['clear']} / {one['leak']}" for name, one in mine.items()}
        yield {"data": data, "generator": kind, **cells, "leak seen": f"{seen_in['leak']} of {seen_in.total()}"}


def _attacked(data: str, cut: int) -> list[tuple[str, Battery]]:
    first, rest = cohorts(data, cut)
    size = SIZES[data]
    order = np.random.default_rng(cut).permutation(len(first))
    fitted_to, aside = (first.take(np.sort(order[at * size : (at + 1) * size])) for at in range(2))
    train, holdout, fresh = (
        seen(one, "kind") for one in (fitted_to, aside, rest.take(np.arange(min(size, len(rest)))))
    )
    made = {"safe": fresh, "leak": leaking_images(train, fresh, seed=Seed(cut))}
    if cut < FITTED:
        made |= _fitted(fitted_to, cut)
    spaces = points_of(train, holdout, list(made.values()))
    sides = sides_of(spaces, train, holdout, list(made.values()))
    found = [image_battery(*three, first.schema, seed=Seed(cut)) for three in sides]
    return list(zip(made, found, strict=True))


def _fitted(train: ImageCohort, cut: int) -> dict[str, Seen]:
    plan: dict[str, dict[str, Any]] = {
        "imagegan, epsilon 3": {"budget": wg.Budget(3.0), "seed": cut},
        "imagegan, epsilon 10": {"budget": wg.Budget(10.0), "seed": cut},
        "waves, no privacy": {"privacy": "none", "family": wg.ImageganConfig(open_steps=0), "seed": cut},
    }
    found: dict[str, Seen] = {}
    for name, how in plan.items():
        batch = wg.fit(train, **how).generator.images(len(train), seed=cut)
        found[name] = ImagePatients.of(train, None, batch, "kind").synthetic
    return found


if __name__ == "__main__":
    main()

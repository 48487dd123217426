"""What generators of images are good for, beside a DCGAN and noisy mean features, and whether they help a rare class.

    python benchmarks/images.py --parts generators --data pneumonia --seeds 3
    python benchmarks/images.py --parts rare --seeds 5
    python benchmarks/images.py --parts speed --seeds 1
    python benchmarks/images.py --show

`generators`: images are cut into training and hold-out anew for each seed, by patient, and every method makes as many
images as taught it (`image_data.py`, `image_methods.py`). TSTR is the area under the ROC curve on the hold-out of a
small network that learned from synthetic images, TRTR of one that learned from as many real ones
(`wardgan.evaluate.images`); with masks, Dice is that of a small U-Net. Sizes are those of `image_sizes.py`. `rare`: one
class of pneumonia is cut to 5 %; a small network learns from real images in several ways, always for as many steps,
and is tested on the hold-out. `speed`: images in a second (`image_speed.py`). What is done is kept in
`benchmarks/out/images.jsonl`, and not done again; grids of images are beside it.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import mean, stdev

import numpy as np

import datasets
import image_speed
import wardgan as wg
from common import OUT, markdown, save
from image_data import DATA, available, cohorts, of
from image_methods import METHODS, run_on
from image_sizes import ratios
from rare_images import taught
from wardgan.evaluate.images import ImageReport, ImageSet, evaluate_images
from wardgan.models.imagegan.strip import write_strip
from wardgan.rng import Seed
from wardgan.schema.image_cohort import ImageCohort

DONE = OUT / "images.jsonl"
PARTS = ("generators", "rare", "speed")
Row = dict[str, object]
Task = tuple[str, str, str]


def main() -> None:
    """Runs what is asked for, or shows what is done."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", default=["generators"], choices=PARTS)
    parser.add_argument("--data", nargs="+", default=list(DATA), choices=list(DATA))
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=list(METHODS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--show", action="store_true", help="print the tables of what is done")
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    if not asked.show:
        _run(asked)
    tables = [list(rows()) for rows in (_generators, _rare, _speed)]
    print("\n\n".join(markdown(rows) for rows in tables if rows))
    print(save("images", [row for rows in tables for row in rows], asked.out, runs=_known()))


def _run(asked: argparse.Namespace) -> None:
    done = {(one["part"], one["data"], one["method"], one["seed"]) for one in _known()}
    wanted = list(_wanted(asked))
    for seed in range(asked.seeds):
        for task in wanted:
            if (*task, seed) not in done:
                _keep(_done(task, seed))


def _wanted(asked: argparse.Namespace) -> Iterator[Task]:
    """Yields part, data and method of all that is asked for and can be done."""
    for part in asked.parts:
        if part == "speed":
            yield from (("speed", *speed[:2]) for speed in image_speed.SPEEDS)
            continue
        for data in asked.data if part == "generators" else ["pneumonia"]:
            if not available(data):
                print(f"{data}: {DATA[data].file} is not in {datasets.folder()}", flush=True)
                continue
            methods = [one for one in run_on(data) if one in asked.methods] if part == "generators" else ARMS
            yield from ((part, data, method) for method in methods)


def _done(task: Task, seed: int) -> Row:
    part, data, method = task
    if part == "speed":
        return image_speed.speeds(data, method, seed)
    return _generator(data, method, seed) if part == "generators" else _arm(method, seed)


def _keep(row: Row) -> None:
    print(" ".join(f"{key}={value}" for key, value in row.items()), flush=True)
    DONE.parent.mkdir(parents=True, exist_ok=True)
    with DONE.open("a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")


def _known() -> list[Row]:
    return [json.loads(line) for line in DONE.read_text(encoding="utf-8").splitlines()] if DONE.is_file() else []


# --- generators -------------------------------------------------------------------------------------------------------


def _generator(data: str, method: str, seed: int) -> Row:
    train, held = cohorts(data, seed)
    made = METHODS[method](data, train, seed)
    found = evaluate_images(of(train), of(held), made.images, seed=Seed(seed), mask=DATA[data].mask, repeats=2)
    _grid(f"{data}, real, {seed}", of(train))
    _grid(f"{data}, {method}, {seed}", made.images)
    return {"part": "generators", "data": data, "method": method, "seed": seed, **_numbers(found)} | {
        "model bytes": made.bytes, "training s": round(made.seconds, 1), "images/s": round(made.speed),
        **{name: float(f"{value:.4g}") for name, value in ratios(data, made.bytes).items()},
    }  # fmt: skip


def _numbers(found: ImageReport) -> Row:
    random, radiomics = found.distances.values()
    assert found.taught is not None
    row: Row = {
        "tstr": found.taught.tstr.value, "trtr": found.taught.trtr.value, "accuracy": found.taught.accuracy.value,
        "ratio random": random.ratio.value, "ratio radiomics": radiomics.ratio.value,
        "coverage": random.manifold.coverage.synthetic.value, "spectrum": found.spectrum.synthetic.value,
        "accused": len(found.memory.accused),
    }  # fmt: skip
    drawn = {} if found.drawn is None else {"dice": found.drawn.tstr.value, "dice real": found.drawn.trtr.value}
    return row | drawn


def _grid(name: str, images: ImageSet) -> None:
    folder = OUT / "images" / name
    folder.mkdir(parents=True, exist_ok=True)
    chosen = np.concatenate([np.flatnonzero(images.labels == label)[:12] for label in np.unique(images.labels)])
    write_strip(folder, images.pixels[chosen], columns=12)


def _generators() -> Iterator[Row]:
    known = [one for one in _known() if one["part"] == "generators"]
    for data in DATA:
        for method in METHODS:
            rows = [one for one in known if (one["data"], one["method"]) == (data, method)]
            if rows:
                yield _generator_row(data, method, rows)


def _generator_row(data: str, method: str, rows: Sequence[Row]) -> Row:
    size = mean(_values(rows, "model bytes"))
    row: Row = {
        "part": "generators", "data": data, "method": method, "seeds": len(rows),
        "TSTR / TRTR": _told([_part(one, "tstr", "trtr") for one in rows]), "TSTR": _told(_values(rows, "tstr")),
        "TRTR": _told(_values(rows, "trtr")),
        "accuracy": _told(_values(rows, "accuracy")), "ratio, random features": _told(_values(rows, "ratio random")),
        "ratio, radiomics": _told(_values(rows, "ratio radiomics")), "coverage": _told(_values(rows, "coverage")),
        "spectrum": _told(_values(rows, "spectrum")),
        "accuse": f"{sum(bool(one['accused']) for one in rows)} of {len(rows)}",
    }  # fmt: skip
    if DATA[data].mask:
        row["Dice"], row["Dice after real pairs"] = (_told(_values(rows, name)) for name in ("dice", "dice real"))
    return row | {
        "model kB": round(size / 1e3), **{name: _short(value) for name, value in ratios(data, size).items()},
        "training s": round(mean(_values(rows, "training s"))),
        "images/s": round(mean(_values(rows, "images/s"))) or "",
    }  # fmt: skip


def _values(rows: Sequence[Row], name: str) -> list[float]:
    return [float(str(one[name])) for one in rows]


def _part(row: Row, one: str, other: str) -> float:
    return float(str(row[one])) / float(str(row[other]))


def _told(values: Sequence[float]) -> str:
    spread = f" ± {stdev(values):.3f}" if len(values) > 1 else ""
    return f"{mean(values):.3f}{spread}"


# --- speed ------------------------------------------------------------------------------------------------------------


def _speed() -> Iterator[Row]:
    known = [one for one in _known() if one["part"] == "speed"]
    for data, method, _ in image_speed.SPEEDS:
        rows = [one for one in known if (one["data"], one["method"]) == (data, method)]
        if rows:
            row: Row = {"part": "speed", "data": data, "method": method, "seeds": len(rows)}
            row["images/s"] = _short(mean(_values(rows, "images/s")))
            if "beside" in rows[0]:
                row[f"images/s, {rows[0]['beside']}"] = _short(mean(_values(rows, "beside images/s")))
            yield row


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


# --- a rare class -----------------------------------------------------------------------------------------------------

RARE = 0
FEW = 0.05


def _rare_cohorts(seed: int) -> tuple[ImageCohort, ImageCohort]:
    """Gives training images of which one in twenty is of the rare class, and the hold-out."""
    train, held = cohorts("pneumonia", seed)
    common = np.flatnonzero(train.classes != RARE)
    rare = np.flatnonzero(train.classes == RARE)[: round(FEW / (1 - FEW) * len(common))]
    return train.take(np.sort(np.concatenate([common, rare]))), held


ARMS = {
    "real": (0.0, False, False), "real, classes weighed": (0.0, True, False),
    "real, weighed, augmented": (0.0, True, True), "and synthetic, 25 % of parity": (0.25, True, True),
    "and synthetic, 50 % of parity": (0.5, True, True), "and synthetic, parity": (1.0, True, True),
    "synthetic only, balanced": (0.0, False, False),
}  # fmt: skip
_BESIDE = {"augmented": "real, weighed, augmented", "weighed": "real, classes weighed"}


def _arm(method: str, seed: int) -> Row:
    share, weighed, augment = ARMS[method]
    train, held = _rare_cohorts(seed)
    images = of(train)
    if method.startswith("synthetic only"):
        made = wg.fit(train, privacy="none", family=wg.ImageganConfig(open_steps=0), seed=seed)
        drawn = made.generator.images(len(train), balance="kind", seed=seed)
        levels = [str(level) for level in train.schema.table[0].levels]
        images = ImageSet.of(drawn.pixels, np.array([levels.index(each) for each in drawn.labels["kind"]]))
    if share:
        lacking = round(share * (len(train) - 2 * int((train.classes == RARE).sum())))
        schema = train.schema
        made = wg.fit(train, privacy="none", family=wg.ImageganConfig(open_steps=0), seed=seed)
        level = str(schema.table[0].levels[RARE])
        more = made.generator.images(lacking, where={"kind": level}, seed=seed)
        pixels = np.concatenate([images.pixels, more.pixels])
        images = ImageSet.of(pixels, np.concatenate([images.labels, np.full(lacking, RARE)]))
    found = taught(images, of(held), RARE, seed=seed, weighed=weighed, augment=augment)
    return {"part": "rare", "data": "pneumonia", "method": method, "seed": seed, **found}


def _rare() -> Iterator[Row]:
    known = [one for one in _known() if one["part"] == "rare"]
    bases = {name: {one["seed"]: one for one in known if one["method"] == method} for name, method in _BESIDE.items()}
    for method in ARMS:
        rows = [one for one in known if one["method"] == method]
        if rows:
            yield {
                "part": "rare", "data": "pneumonia", "method": method, "seeds": len(rows),
                "area": _told(_values(rows, "area")), "balanced accuracy": _told(_values(rows, "balanced accuracy")),
                "recall of the rare class": _told(_values(rows, "recall")),
                **{f"{number} beyond {name}": _interval(_gained(rows, base, number))
                   for number in ("area", "balanced accuracy") for name, base in bases.items()},
            }  # fmt: skip


def _gained(rows: Sequence[Row], base: dict[object, Row], number: str) -> list[float]:
    """Gives how much more each row has than the row of the same seed."""
    both = [(one, base[one["seed"]]) for one in rows if one["seed"] in base]
    return [float(str(one[number])) - float(str(other[number])) for one, other in both]


def _interval(values: Sequence[float]) -> str:
    """Gives the mean of paired differences with its 95 % interval (Student's t)."""
    from scipy.stats import t

    if len(values) < 2 or not any(values):
        return ""
    half = float(t.ppf(0.975, len(values) - 1)) * stdev(values) / len(values) ** 0.5
    return f"{mean(values):+.3f} [{mean(values) - half:+.3f}, {mean(values) + half:+.3f}]"


if __name__ == "__main__":
    main()

"""What generators of images are good for, beside a DCGAN and noisy mean features, and whether they help a rare class.

    python benchmarks/images.py --parts generators --data pneumonia --seeds 3
    python benchmarks/images.py --parts rare --seeds 5
    python benchmarks/images.py --show

`generators`: images are cut into training and hold-out anew for each seed, and every method makes as many images as
taught it. TSTR is the area under the ROC curve on the hold-out of a small network that learned from synthetic images,
TRTR of one that learned from as many real ones (`wardgan.evaluate.images`). `rare`: one class of pneumonia is cut to
5 %; a small network learns from real images in several ways, always for as many steps, and is tested on the hold-out.
What is done is kept in `benchmarks/out/images.jsonl`, and not done again; grids of images are beside it.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import mean, stdev

import numpy as np

import datasets
import image_peers
import wardgan as wg
from common import OUT, markdown, save
from rare_images import taught
from wardgan.evaluate.images import ImageReport, ImageSet, evaluate_images
from wardgan.models.imagegan.strip import write_strip
from wardgan.rng import Seed
from wardgan.schema.image_cohort import ImageCohort

DONE = OUT / "images.jsonl"
DELTA = 1e-5
# File, images to train on, size, population that is declared.
DATA = {
    "pneumonia": ("pneumoniamnist28.npz", 4_000, 28),
    "six modalities": ("mednist64_9000.npz", 6_000, 64),
}
_OPEN = {"pneumonia": 1500, "six modalities": 600}
Row = dict[str, object]


def main() -> None:
    """Runs what is asked for, or shows what is done."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", default=["generators"], choices=["generators", "rare"])
    parser.add_argument("--data", nargs="+", default=list(DATA), choices=list(DATA))
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=list(METHODS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--show", action="store_true", help="print the tables of what is done")
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    if not asked.show:
        _run(asked)
    rows = [*_generators(), *_rare()]
    print(markdown(rows))
    print(save("images", rows, asked.out))


def _run(asked: argparse.Namespace) -> None:
    done = {(one["part"], one["data"], one["method"], one["seed"]) for one in _known()}
    wanted = [("generators", data, method) for data in asked.data for method in asked.methods]
    wanted = [one for one in wanted if one[0] in asked.parts]
    wanted += [("rare", "pneumonia", method) for method in ARMS if "rare" in asked.parts]
    for seed in range(asked.seeds):
        for part, data, method in wanted:
            if (part, data, method, seed) not in done:
                _keep(_generator(data, method, seed) if part == "generators" else _arm(method, seed))


def _keep(row: Row) -> None:
    print(" ".join(f"{key}={value}" for key, value in row.items()), flush=True)
    DONE.parent.mkdir(parents=True, exist_ok=True)
    with DONE.open("a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")


def _known() -> list[Row]:
    return [json.loads(line) for line in DONE.read_text(encoding="utf-8").splitlines()] if DONE.is_file() else []


# --- generators -------------------------------------------------------------------------------------------------------


def cohorts(data: str, seed: int) -> tuple[ImageCohort, ImageCohort]:
    """Gives training and hold-out images, in another random order for each seed; each image is a patient."""
    name, size, side = DATA[data]
    with np.load(datasets.folder() / name) as file:
        keys = [key for key in file.files if key.endswith("images")]
        images = np.concatenate([file[key] for key in keys])
        labels = np.concatenate([file[key.replace("images", "labels")].ravel() for key in keys]).astype(np.int64)
    _, first = np.unique(images.reshape(len(images), -1), axis=0, return_index=True)
    order = np.random.default_rng(seed).permutation(first)
    levels = [f"class {at}" for at in range(labels.max() + 1)]
    table = {"kind": {"kind": "category", "levels": levels}}
    schema = wg.Schema.from_dict(
        {"name": data, "population": size, "images": {"size": [side, side]}, "table": table}
    )  # fmt: skip
    pixels = images[order][:, None].astype(np.float32) / 127.5 - 1
    number = np.arange(len(order))
    whole = ImageCohort(
        schema, pixels, {"kind": labels[order]}, number, number.astype(str).astype(object), False, images.nbytes
    )  # fmt: skip
    return whole.take(np.arange(size)), whole.take(np.arange(size, len(order)))


def of(cohort: ImageCohort) -> ImageSet:
    """Gives the images of a cohort for the evaluation."""
    return ImageSet(cohort.pixels, cohort.classes, cohort.owners)


class _Drawn:
    """What a method made: images, bytes of the model, seconds of training, images per second."""

    def __init__(self, images: ImageSet, size: int, seconds: float, speed: float) -> None:
        self.images, self.bytes, self.seconds, self.speed = images, size, seconds, speed


def _ours(train: ImageCohort, seed: int, epsilon: float | None, config: wg.ImageganConfig) -> _Drawn:
    begun = time.process_time()
    made = wg.fit(
        train, None if epsilon is None else wg.Budget(epsilon, DELTA), privacy="none" if epsilon is None else "private",
        family=config, seed=seed,
    )  # fmt: skip
    seconds = time.process_time() - begun
    begun = time.perf_counter()
    batch = made.generator.images(len(train), seed=seed)
    speed = len(train) / (time.perf_counter() - begun)
    levels = [str(level) for level in train.schema.table[0].levels]
    labels = np.array([levels.index(level) for level in batch.labels["kind"]], dtype=np.int64)
    return _Drawn(ImageSet.of(batch.pixels, labels), len(made.generator.network), seconds, speed)


def _peer(made: image_peers.Made) -> _Drawn:
    return _Drawn(made.images, 4 * made.parameters, made.seconds, 0.0)


METHODS: dict[str, Callable[[ImageCohort, int], _Drawn]] = {
    "waves, epsilon 1": lambda train, seed: _ours(train, seed, 1.0, wg.ImageganConfig(discriminator=0.0)),
    "waves, epsilon 3": lambda train, seed: _ours(train, seed, 3.0, wg.ImageganConfig(discriminator=0.0)),
    "waves, epsilon 10": lambda train, seed: _ours(train, seed, 10.0, wg.ImageganConfig(discriminator=0.0)),
    "waves, no privacy": lambda train, seed: _ours(train, seed, None, wg.ImageganConfig(open_steps=0)),
    "noisy mean features, epsilon 1": lambda train, seed: _peer(
        image_peers.mean_features(of(train), len(train), epsilon=1.0, delta=DELTA, seed=seed)
    ),
    "noisy mean features, epsilon 3": lambda train, seed: _peer(
        image_peers.mean_features(of(train), len(train), epsilon=3.0, delta=DELTA, seed=seed)
    ),
    "noisy mean features, epsilon 10": lambda train, seed: _peer(
        image_peers.mean_features(of(train), len(train), epsilon=10.0, delta=DELTA, seed=seed)
    ),
    "imagegan, no privacy": lambda train, seed: _ours(
        train, seed, None, wg.ImageganConfig(open_steps=_OPEN[train.schema.name])
    ),
    "DCGAN, no privacy": lambda train, seed: _peer(
        image_peers.dcgan(of(train), len(train), seed=seed, steps=_OPEN[train.schema.name])
    ),
    "waves and discriminator, epsilon 10": lambda train, seed: _ours(
        train, seed, 10.0, wg.ImageganConfig(discriminator=0.3, steps=300)
    ),
}


def _generator(data: str, method: str, seed: int) -> Row:
    train, held = cohorts(data, seed)
    made = METHODS[method](train, seed)
    found = evaluate_images(of(train), of(held), made.images, seed=Seed(seed), repeats=2)
    _grid(f"{data}, {method}, {seed}", made.images)
    return {"part": "generators", "data": data, "method": method, "seed": seed, **_numbers(found)} | {
        "model bytes": made.bytes, "training s": round(made.seconds, 1), "images/s": round(made.speed),
        "files : model": round(_file_bytes(data, train) / made.bytes, 2),
        "numbers : model": round(train.pixels.nbytes / made.bytes, 2),
    }  # fmt: skip


def _numbers(found: ImageReport) -> Row:
    random, radiomics = found.distances.values()
    assert found.taught is not None
    return {
        "tstr": found.taught.tstr.value, "trtr": found.taught.trtr.value, "accuracy": found.taught.accuracy.value,
        "ratio random": random.ratio.value, "ratio radiomics": radiomics.ratio.value,
        "coverage": random.manifold.coverage.synthetic.value, "spectrum": found.spectrum.synthetic.value,
        "accused": len(found.memory.accused),
    }  # fmt: skip


def _file_bytes(data: str, train: ImageCohort) -> float:
    """Gives the bytes of the training images in their file, one byte a pixel."""
    return len(train.pixels) * DATA[data][2] ** 2


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
                yield {
                    "part": "generators", "data": data, "method": method, "seeds": len(rows),
                    "TSTR / TRTR": _told([_part(one, "tstr", "trtr") for one in rows]),
                    "TSTR": _told(_values(rows, "tstr")), "accuracy": _told(_values(rows, "accuracy")),
                    "ratio, random features": _told(_values(rows, "ratio random")),
                    "ratio, radiomics": _told(_values(rows, "ratio radiomics")),
                    "coverage": _told(_values(rows, "coverage")), "spectrum": _told(_values(rows, "spectrum")),
                    "accuse": f"{sum(bool(one['accused']) for one in rows)} of {len(rows)}",
                    "model kB": round(mean(_values(rows, "model bytes")) / 1e3),
                    "pixels : model": f"{mean(_values(rows, 'files : model')):.2g}",
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
}  # fmt: skip


def _arm(method: str, seed: int) -> Row:
    share, weighed, augment = ARMS[method]
    train, held = _rare_cohorts(seed)
    images = of(train)
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
    base = {one["seed"]: one for one in known if one["method"] == "real, weighed, augmented"}
    for method in ARMS:
        rows = [one for one in known if one["method"] == method]
        if rows:
            both = [(one, base[one["seed"]]) for one in rows if one["seed"] in base]
            yield {
                "part": "rare", "data": "pneumonia", "method": method, "seeds": len(rows),
                "area": _told(_values(rows, "area")), "balanced accuracy": _told(_values(rows, "balanced accuracy")),
                "recall of the rare class": _told(_values(rows, "recall")),
                "area beyond augmented": _interval([float(str(a["area"])) - float(str(b["area"])) for a, b in both]),
                "balanced accuracy beyond": _interval(
                    [float(str(a["balanced accuracy"])) - float(str(b["balanced accuracy"])) for a, b in both]
                ),
            }  # fmt: skip


def _interval(values: Sequence[float]) -> str:
    """Gives the mean of paired differences with its 95 % interval (Student's t)."""
    from scipy.stats import t

    if len(values) < 2 or not any(values):
        return ""
    half = float(t.ppf(0.975, len(values) - 1)) * stdev(values) / len(values) ** 0.5
    return f"{mean(values):+.3f} [{mean(values) - half:+.3f}, {mean(values) + half:+.3f}]"


if __name__ == "__main__":
    main()

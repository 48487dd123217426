"""What the measures of `wardgan.evaluate.images` say of images of known worth, and how long they take.

    python benchmarks/image_measures.py

1,000 training, 600 hold-out and 1,000 "synthetic" images, each of a patient of its own, of `pneumoniamnist28.npz` (28
pixels, 2 classes) and of `mednist64_9000.npz` (64 pixels, 6 classes); see `datasets.py` for where they lie. "Fresh
images" are other real ones, the best that a generator can be. What was measured before is read from the JSON and not
measured again, so that the script can be stopped.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from time import process_time

import numpy as np

import datasets
from common import OUT, markdown, save
from wardgan.estimate import Estimate
from wardgan.evaluate.images import ImageReport, ImageSet, evaluate_images, memory
from wardgan.evaluate.images.waves import blurred
from wardgan.evaluate.record import Beside
from wardgan.rng import Seed

SEED = Seed(1)
SIZES = (1000, 600, 1000)
DATA = {"pneumonia, 28 px": "pneumoniamnist28.npz", "six modalities, 64 px": "mednist64_9000.npz"}
NULLS = 100

Row = dict[str, object]


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=OUT / "image_measures.json")
    parser.add_argument("--most", type=int, default=1000, help="stop after so many lines")
    asked = parser.parse_args()
    rows: list[Row] = json.loads(asked.out.read_text(encoding="utf-8"))["rows"] if asked.out.is_file() else []
    done = {(row["data"], row["synthetic images are"]) for row in rows}
    cases = [(data, name) for data in DATA for name in WORTH if (data, name) not in done]
    for data, name in cases[: asked.most]:
        train, holdout, fresh = parts(data, 0)
        start = process_time()
        found = evaluate_images(train, holdout, WORTH[name](train, fresh), seed=SEED, repeats=1)
        rows.append({"data": data, "synthetic images are": name, **told(found), "CPU s": round(process_time() - start)})
        save("image_measures", rows, asked.out, seed=1, nulls=nulls(asked.out))
    save("image_measures", rows, asked.out, seed=1, nulls=nulls(asked.out, more=not cases))
    print(markdown(rows))


def parts(data: str, seed: int) -> list[ImageSet]:
    """Gives training, hold-out and fresh images, in another random order for each seed."""
    with np.load(datasets.folder() / DATA[data]) as file:
        images, labels = (
            file[f"train_{name}"] if f"train_{name}" in file else file[name] for name in ("images", "labels")
        )
    order = np.random.default_rng(seed).permutation(len(images))
    pixels = images[order][:, None].astype(np.float32) / 127.5 - 1
    cuts = np.cumsum((0, *SIZES))
    whole = ImageSet.of(pixels, labels[order].astype(np.int64))
    return [whole.take(np.arange(*cuts[at : at + 2])) for at in range(3)]


def _soft(_: ImageSet, fresh: ImageSet) -> ImageSet:
    pixels = blurred(blurred(fresh.pixels[:, 0].astype(np.float64)))
    return ImageSet(pixels[:, None].astype(np.float32), fresh.labels, fresh.patients)


def _few(_: ImageSet, fresh: ImageSet) -> ImageSet:
    source = np.concatenate(
        [
            np.resize(np.flatnonzero(fresh.labels == label)[:5], (fresh.labels == label).sum())
            for label in np.unique(fresh.labels)
        ]
    )
    labels = np.sort(fresh.labels)
    return ImageSet(fresh.pixels[source], labels, fresh.patients)


def _copies(train: ImageSet, fresh: ImageSet) -> ImageSet:
    """Replaces 30 % by training images of the same class, moved by one pixel and half blurred."""
    pixels, stream = fresh.pixels.copy(), np.random.default_rng(0)
    for at in range(round(0.3 * len(fresh))):
        source = stream.choice(np.flatnonzero(train.labels == fresh.labels[at]))
        moved = np.roll(train.pixels[source], 1, axis=2)
        pixels[at] = (moved + blurred(moved.astype(np.float64))) / 2
    return ImageSet(pixels, fresh.labels, fresh.patients)


WORTH: dict[str, Callable[[ImageSet, ImageSet], ImageSet]] = {
    "fresh images": lambda _, fresh: fresh,
    "blurred twice": _soft,
    "five of each class": _few,
    "of the wrong class": lambda _, fresh: ImageSet(
        fresh.pixels, (fresh.labels + 1) % (fresh.labels.max() + 1), fresh.patients
    ),
    "30 % copies": _copies,
}


def told(found: ImageReport) -> Row:
    """Gives the columns of a line."""
    random, radiomics = found.distances.values()
    near = found.memory.spaces["pixels"]
    within = [one.manifolds["random features"].precision for one in found.classes if one.manifolds]
    assert found.taught is not None  # both data sets have several classes
    assert found.diversity is not None
    return {
        "ratio, random features": _told(random.ratio),
        "ratio, radiomics": _told(radiomics.ratio),
        "kernel, random features": _beside(random.kernel),
        "precision": _beside(random.manifold.precision),
        "lowest precision in a class": f"{min(one.synthetic.value for one in within):.2f}",
        "coverage": _beside(random.manifold.coverage),
        "similarity of pairs": _beside(found.diversity.similarity),
        "spectrum": _beside(found.spectrum),
        "TSTR / TRTR": _told(found.taught.share),
        "nearer to training": _told(near.nearer),
        "membership": _told(near.membership),
        "most exposed": _told(near.exposed),
        "copies": _beside(near.copies),
        "accuse": f"{len(found.memory.accused)} of 9",
    }


def nulls(path: Path, *, more: bool = False) -> dict[str, int]:
    """Gives how many of the seeds accused fresh images of pneumonia, with ten more seeds if asked for."""
    before = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    found: dict[str, int] = before.get("nulls", {"seeds": 0, "accused": 0})
    for _ in range(10 if more and found["seeds"] < NULLS else 0):
        sides = parts("pneumonia, 28 px", 1000 + found["seeds"])
        accused = memory(*sides, seed=Seed(found["seeds"])).accused
        found = {"seeds": found["seeds"] + 1, "accused": found["accused"] + bool(accused)}
    return found


def _told(found: Estimate) -> str:
    return f"{found.value:.2f} ({found.low:.2f} to {found.high:.2f})"


def _beside(found: Beside) -> str:
    best = "" if found.holdout is None else f", {found.holdout.value:.2f}"
    return _told(found.synthetic) + best


if __name__ == "__main__":
    main()

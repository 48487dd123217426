"""A folder of synthetic images that appears when it is whole."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from wardgan import files
from wardgan.imaging.marks import Item

LABELS: Final = "labels.csv"
_OURS: Final = re.compile(r"\d{8,}(-mask)?\.(png|dcm|json)")


@contextmanager
def new_folder(path: str | Path, *, force: bool = False) -> Iterator[Path]:
    """Gives a folder of images that appears under its name only when everything has been written.

    Args:
        path: Where the folder is wanted.
        force: Whether a folder with synthetic images of an earlier run may be replaced. A folder that holds anything
            else is never replaced.

    Raises:
        OutputError: As of `wardgan.files.new_folder`.
    """
    with files.new_folder(path, _ours, "synthetic images", force=force) as folder:
        yield folder


def write_labels(folder: Path, items: Iterable[Item], suffix: str) -> int:
    """Writes the table of the labels of images while they are written, and gives their number.

    Args:
        folder: Where it is put.
        items: The images, each of which has been written when the next one is asked for.
        suffix: Ending of the files of images.
    """
    count = 0
    with (folder / LABELS).open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        for count, item in enumerate(items, start=1):
            mask = [] if item.mask is None else [f"{item.name}-mask{suffix}"]
            if count == 1:
                writer.writerow(["file", *item.labels, *["mask"] * len(mask)])
            writer.writerow([f"{item.name}{suffix}", *item.labels.values(), *mask])
    return count


def _ours(name: str) -> bool:
    return name == LABELS or _OURS.fullmatch(name) is not None

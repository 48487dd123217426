"""Synthetic images to NPZ and PNG files, in streams of constant memory, marked as synthetic."""

from __future__ import annotations

import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import IO, BinaryIO, Final, cast

import numpy as np
from numpy.typing import NDArray

from wardgan.errors import UsageError
from wardgan.files import new_file
from wardgan.imaging.extras import needs_images
from wardgan.imaging.marks import Batch, Bits, Item, Origin, items, note, stored
from wardgan.imaging.output import new_folder, write_labels
from wardgan.schema.images import ImageFormat

_KEPT: Final = ("images", "masks", "patients", "note")
_BLOCK: Final = 1 << 20
# The oldest date that a zip can tell: the same images give the same bytes.
_DATE: Final = (1980, 1, 1, 0, 0, 0)


def write_npz(
    batches: Iterable[Batch], path: str | Path, declared: ImageFormat, origin: Origin, *, bits: Bits = 8,
    force: bool = False,
) -> int:  # fmt: skip
    """Writes synthetic images into one NPZ file, which `numpy.load` reads, and gives their number.

    Its arrays are `images` (images, height, width), `masks` of the same shape with 0 and 255, one array of levels for
    each label, and `note`, a JSON text that says what the images are and came from.

    Args:
        batches: Synthetic images.
        path: Where the file is wanted.
        declared: How images look.
        origin: What they came from.
        bits: 8 or 16 bits for each pixel.
        force: Whether an existing file may be replaced.

    Raises:
        OutputError: The file exists or cannot be written; nothing is left behind.
        UsageError: Images or labels that break the declaration, or a label with the name of one of the arrays.
    """
    with new_file(path, force=force) as file, ExitStack() as stack:
        spools = [
            stack.enter_context(tempfile.TemporaryFile(dir=Path(path).resolve().parent))
            for _ in range(1 + declared.mask)
        ]
        levels: dict[str, list[str]] = {}
        count = 0
        for item in items(batches, declared, origin):
            _check_names(item)
            spools[0].write(stored(item.image, bits).astype(f"<u{bits // 8}").tobytes())
            if item.mask is not None:
                spools[1].write(_mask(item.mask).tobytes())
            for name, level in item.labels.items():
                levels.setdefault(name, []).append(level)
            count += 1
        shape = (count, declared.height, declared.width)
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            _member(archive, "images", f"<u{bits // 8}", shape, _blocks(spools[0]))
            if declared.mask:
                _member(archive, "masks", "|u1", shape, _blocks(spools[1]))
            for name, texts in levels.items():
                array = np.array(texts, dtype=f"<U{max(1, *map(len, texts))}")
                _member(archive, name, array.dtype.str, array.shape, [array.tobytes()])
            text = np.array(note(origin))
            _member(archive, "note", text.dtype.str, (), [text.tobytes()])
    return count


def write_png(
    batches: Iterable[Batch], path: str | Path, declared: ImageFormat, origin: Origin, *, bits: Bits = 8,
    force: bool = False,
) -> int:  # fmt: skip
    """Writes synthetic images into a folder of PNG files, and gives their number.

    Beside each image `00000000.png` are its mask `00000000-mask.png` and `00000000.json`, which says what it is and
    came from; the image says the same in a text chunk. `labels.csv` has a row for each image, so that `load_images`
    reads the folder.

    Args: as for `write_npz`.

    Raises:
        OutputError: The folder exists or cannot be written; nothing is left behind.
        UsageError: Images or labels that break the declaration, or the libraries for image files are not installed.
    """
    with needs_images():
        import PIL.Image  # noqa: F401

    def written(folder: Path) -> Iterator[Item]:
        for item in items(batches, declared, origin):
            text = note(origin, item.index, item.labels)
            _png(folder / f"{item.name}.png", stored(item.image, bits), text)
            if item.mask is not None:
                _png(folder / f"{item.name}-mask.png", _mask(item.mask), text)
            (folder / f"{item.name}.json").write_text(text + "\n", encoding="ascii")
            yield item

    with new_folder(path, force=force) as folder:
        return write_labels(folder, written(folder), ".png")


def _png(path: Path, numbers: NDArray[np.unsignedinteger], text: str) -> None:
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    info.add_text("Comment", text)
    Image.fromarray(numbers).save(path, "PNG", pnginfo=info)


def _mask(mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
    return np.where(mask, 255, 0).astype(np.uint8)


def _check_names(item: Item) -> None:
    taken = [name for name in item.labels if name in _KEPT or "/" in name]
    if taken:
        raise UsageError(f"batches: a label cannot be called {taken[0]!r} in an NPZ file; rename it.")


def _blocks(spool: IO[bytes]) -> Iterator[bytes]:
    spool.seek(0)
    return iter(lambda: spool.read(_BLOCK), b"")


def _member(archive: zipfile.ZipFile, name: str, descr: str, shape: tuple[int, ...], blocks: Iterable[bytes]) -> None:
    info = zipfile.ZipInfo(f"{name}.npy", _DATE)
    info.compress_type = zipfile.ZIP_DEFLATED
    with archive.open(info, "w", force_zip64=True) as member:
        header = {"descr": descr, "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(cast("BinaryIO", member), header)
        for block in blocks:
            member.write(block)

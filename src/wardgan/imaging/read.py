"""Patients' images from a folder or an NPZ file, all of one size, with labels and without names."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal, cast, get_args

import numpy as np
from numpy.typing import NDArray

from wardgan import check
from wardgan.errors import DataError, SchemaError, counted
from wardgan.files import check_new
from wardgan.imaging.decoder import Decoder
from wardgan.imaging.folder import Candidate, candidates_of, pixels_of
from wardgan.imaging.found import listed
from wardgan.imaging.images import Images
from wardgan.imaging.links import ImageNames, Labels, check_columns, link
from wardgan.imaging.marks import is_note
from wardgan.imaging.npz import Archive, coded_labels, opened, owners
from wardgan.imaging.prepare import prepare
from wardgan.imaging.report import Reason, Tally, save_left_out
from wardgan.imaging.tones import Codes, brightness, float_brightness, plain_tones
from wardgan.schema.columns import Column
from wardgan.schema.images import ImageFormat
from wardgan.schema.keys import plain_key
from wardgan.schema.source import Source

Invalid = Literal["refuse", "drop"]
Progress = Callable[[int, int], None]
Owner = str | None
MAX_RESULT: Final = 16 << 30
_INVALID: Final = get_args(Invalid)
_ALONE: Final = (
    "nothing says whose an image is, so each image counts as one patient: if a patient can have several images, name "
    "the column that says so, or a patient with many images is not protected."
)


@dataclass(frozen=True)
class _Wish:
    """What was asked for."""

    declared: ImageFormat
    columns: tuple[Column, ...]
    names: ImageNames
    refuse: bool
    skipped: Path | None
    progress: Progress


def load_images(
    source: str | Path, declared: ImageFormat, *, labels: Source | None = None, columns: Sequence[Column] = (),
    names: ImageNames | None = None, invalid: Invalid = "refuse", skipped: str | Path | None = None,
    progress: Progress | None = None,
) -> Images:  # fmt: skip
    """Gives the images of a folder or an NPZ file as one array, with their labels and the numbers of their patients.

    Each image is read by itself: no image changes what becomes of another one. Nothing that a header says of a patient
    gets into the result or into a message. Names of files are in the report alone.

    Args:
        source: A folder with DICOM, PNG, JPEG or TIFF files, also in folders within it; or an NPZ file with the array
            `images`, of shape (images, height, width), and arrays for labels, `masks` and `patients`.
        declared: How images look.
        labels: CSV or Parquet file, or dataframe, that tells the labels of the images of a folder. Images without a row
            and rows without an image are counted in the report.
        columns: Declared labels: categories or flags of a schema.
        names: Which columns of the labels say what.
        invalid: `refuse` where an image or a row cannot be used; `drop` leaves it out and counts it.
        skipped: CSV file that gets the name and the reason of all that is not read, before anything is refused; it
            stays in the hospital. With it, all images are decoded before any is refused.
        progress: Called after each image with the number of images done and of all.

    Raises:
        DataError: The source cannot be read, holds no image that can be used, or, with `refuse`, one that cannot.
        SchemaError: The declaration is none.
        UsageError: The libraries for image files are not installed.
        OutputError: The list cannot be written.
    """
    check.path(source=source)
    if skipped is not None:
        check_new(skipped)
    if not isinstance(declared, ImageFormat):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise SchemaError(f"declared: {type(declared).__name__} is no ImageFormat.")
    if invalid not in _INVALID:
        raise DataError(f"invalid={invalid!r} is not one of {', '.join(_INVALID)}.")
    check_columns(columns)
    listing = None if skipped is None else Path(skipped)
    wish = _Wish(declared, tuple(columns), names or ImageNames(), invalid == "refuse", listing, progress or _nobody)
    path = Path(source)
    if not path.exists():
        raise DataError(f"source={str(path)!r} is neither a folder nor an .npz file: it is not there.")
    if path.is_file() and path.suffix.lower() == ".npz":
        if labels is not None or replace(wish.names, anyone=False) != ImageNames():
            raise DataError("labels: an NPZ file brings its labels itself, as arrays; leave labels and names out.")
        return _from_npz(path, wish)
    return _from_folder(path, labels, wish)


def _from_folder(folder: Path, labels: Source | None, wish: _Wish) -> Images:
    _check_names(labels, wish)
    tally = Tally()
    links = None if labels is None else link(labels, wish.columns, wish.names)
    candidates, links = candidates_of(listed(folder), links, wish.declared, tally, anyone=wish.names.anyone)
    tally.findings = () if links is None else links.findings
    if links is not None and wish.names.key is None:
        tally.guessed = f" (the column {links.key!r} was taken for their link; name another one with --key)"
    if wish.refuse and wish.skipped is None:
        # Before anything is decoded, which may take hours.
        tally.refuse()
    tally.notices += [f"labels: {finding}" for finding in tally.findings]
    store = _Store(wish, len(candidates), tally)
    with Decoder() as decoder:
        for done, candidate in enumerate(candidates, start=1):
            _keep(store, candidate, pixels_of(candidate, wish.declared, decoder), tally)
            wish.progress(done, len(candidates))
    rows = np.array([candidates[at].row for at in store.kept] if links is not None else [], dtype=np.int64)
    codes: Labels = {} if links is None else {name: codes[rows] for name, codes in links.codes.items()}
    unused = 0 if links is None else len(links.bad) - len(tally.met)
    return store.images(codes, [candidates[at].patient for at in store.kept], unused)


def _keep(store: _Store, candidate: Candidate, planes: NDArray[np.float32] | Reason, tally: Tally) -> None:
    if isinstance(planes, Reason):
        tally.skip(planes, candidate.file.name, candidate.row)
    else:
        tally.bytes += candidate.file.size
    store.add(planes)


def _check_names(labels: Source | None, wish: _Wish) -> None:
    if labels is None and (wish.columns or replace(wish.names, anyone=False) != ImageNames()):
        raise DataError("labels: columns are declared or named, but no labels are given; pass the table of the labels.")
    if wish.declared.mask != (wish.names.mask is not None):
        say = "no column names the masks" if wish.declared.mask else "a column of masks is named, but no mask declared"
        raise DataError(f"names: {say}; set both `mask: true` of the images and names.mask (--mask), or none of them.")


def _from_npz(path: Path, wish: _Wish) -> Images:
    tally = Tally(bytes=path.stat().st_size)
    with opened(path) as archive:
        shape, images = archive.planes("images")
        masks = _masks(archive, shape) if wish.declared.mask else (None for _ in range(shape[0]))
        codes, bad, findings = coded_labels(archive, wish.columns, shape[0])
        patients: list[Owner] = [None] * shape[0]
        if "patients" in archive:
            patients, more = owners(archive, shape[0])
            findings, bad = [*findings, *more], bad | np.array([name is None for name in patients], dtype=bool)
        else:
            tally.notices.append(_ALONE)
        tally.findings = findings
        if wish.refuse and wish.skipped is None:
            tally.refuse()
        _tell_synthetic(archive, shape[0], tally)
        tally.notices += [f"labels: {finding}" for finding in findings]
        store = _Store(wish, shape[0], tally)
        for at, (values, mask) in enumerate(zip(images, masks, strict=True)):
            planes = Reason.LABELS if bad[at] else _planes(values, mask, wish.declared)
            if isinstance(planes, Reason):
                tally.skip(planes, f"image {at + 1}", at)
            store.add(planes)
            wish.progress(at + 1, shape[0])
    kept = np.array(store.kept, dtype=np.int64)
    return store.images({name: found[kept] for name, found in codes.items()}, [patients[at] for at in store.kept], 0)


def _tell_synthetic(archive: Archive, count: int, tally: Tally) -> None:
    if "note" in archive and is_note(archive.text("note")):
        tally.notices.append(f"{counted(count, 'image')} marked as synthetic: no patient is in them.")


def _masks(archive: Archive, shape: tuple[int, int, int]) -> Iterator[NDArray[np.generic]]:
    size, masks = archive.planes("masks")
    if size != shape:
        raise DataError(f"source: the array 'masks' has shape {size} and 'images' has {shape}; they must be the same.")
    return masks


def _planes(
    values: NDArray[np.generic], mask: NDArray[np.generic] | None, declared: ImageFormat
) -> NDArray[np.float32] | Reason:
    if values.dtype.kind == "f":
        bright = float_brightness(values.astype(np.float64), declared.window)
    else:
        bits = 1 if values.dtype.kind == "b" else 8 * values.dtype.itemsize
        codes = cast("Codes", values.astype(np.uint8) if bits == 1 else values)
        bright = brightness(codes, plain_tones(bits), declared.window)
    if isinstance(bright, Reason):
        return bright
    if bright.min() == bright.max():
        return Reason.BLANK
    return prepare(bright, None if mask is None else mask != 0, declared)


class _Store:
    """The array that images are put into, one by one."""

    def __init__(self, wish: _Wish, size: int, tally: Tally) -> None:
        shape = (size, *wish.declared.shape)
        if 4 * np.prod(shape, dtype=object) > MAX_RESULT:
            raise DataError(
                f"source: the images need more than {MAX_RESULT >> 30} GiB in the declared size; declare a smaller "
                "height and width, or read a part of them."
            )
        self._wish, self._tally = wish, tally
        self._pixels = np.empty(shape, dtype=np.float32)
        self._seen = 0
        self.kept: list[int] = []

    def add(self, planes: NDArray[np.float32] | Reason) -> None:
        """Takes the next image, if it can be used."""
        if not isinstance(planes, Reason):
            self._pixels[len(self.kept)] = planes
            self.kept.append(self._seen)
        self._seen += 1

    def images(self, labels: Labels, owners: Sequence[Owner], unused: int) -> Images:
        """Gives what was kept.

        Args:
            labels: Their codes.
            owners: The name of each image's patient; `None` where nothing says it, so that the image is a patient.
            unused: Rows of the labels without an image.

        Raises:
            DataError: Nothing was kept, or, if so wished, not everything.
        """
        wish, tally = self._wish, self._tally
        if wish.skipped is not None:
            save_left_out(tally.left_out, wish.skipped)
        if wish.refuse:
            tally.refuse()
        if not self.kept:
            raise DataError(f"source: no image can be used: {tally.nothing()}.")
        pixels = self._pixels[: len(self.kept)]
        # What tells patients apart: a name, or where there is none the place of the image.
        known = [at if owner is None else plain_key(owner) for at, owner in enumerate(owners)]
        numbers: dict[str | int, int] = {}
        patients = np.array([numbers.setdefault(each, len(numbers)) for each in known], dtype=np.int64)
        told = (pixels[each].tobytes() if isinstance(each, int) else _encoded(each) for each in numbers)
        names = tuple(hashlib.sha256(data).hexdigest() for data in told)
        report = tally.report(len(self.kept), len(numbers), unused)
        return Images(wish.declared, wish.columns, pixels, labels, patients, names, None not in owners, report)


def _encoded(name: str) -> bytes:
    return name.encode("utf-8", "surrogatepass")


def _nobody(done: int, total: int) -> None:
    pass

"""The images of a folder: which of them can be used, whose they are, and their pixels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from wardgan.errors import DataError, counted
from wardgan.imaging.decoder import Decoder
from wardgan.imaging.dicom import Header, read_dicom, read_dicom_mask, read_header
from wardgan.imaging.found import Found
from wardgan.imaging.links import Links, plain_path
from wardgan.imaging.pictures import picture_facts, read_mask, read_picture
from wardgan.imaging.prepare import prepare
from wardgan.imaging.report import Reason, Tally
from wardgan.imaging.resample import fits
from wardgan.schema.images import ImageFormat

_AT_ONCE: Final[dict[str, Reason]] = {"damaged": Reason.UNREADABLE, "link": Reason.LINK}
_BY_FILE: Final = (
    "nothing says whose a PNG, JPEG or TIFF file is, so each of them counts as one patient: if a patient can have "
    "several images, name the column that says so, or a patient with many images is not protected."
)
_BY_ID: Final = "PatientID of the DICOM files says whose an image is."


@dataclass(frozen=True, repr=False)
class Candidate:
    """An image whose header shows no reason against it. It stays in the hospital.

    Attributes:
        file: Where it is.
        row: Its row of the labels; `None` without labels.
        patient: The name of its patient; `None` where nothing says it.
        mask: Where its mask is; `None` without masks.
    """

    file: Found
    row: int | None
    patient: str | None
    mask: Found | None


def candidates_of(
    files: Sequence[Found], links: Links | None, declared: ImageFormat, tally: Tally, *, anyone: bool = False
) -> tuple[list[Candidate], Links | None]:
    """Gives the images whose headers show no reason against them; nothing is decoded.

    Args:
        files: The files of the folder.
        links: The labels; `None` without labels.
        declared: How images look.
        tally: Counts the others.
        anyone: Whether it does not matter whose the images are.

    Raises:
        DataError: A column that was guessed makes several patients of one.

    Returns:
        The images in the order of the files, and the labels with rows marked that several files answer to.
    """
    by_name = {plain_path(file.name): file for file in files}
    masks = {plain_path(text) for text in (links.masks if links is not None else None) or ()}
    files = [file for file in files if plain_path(file.name) not in masks]
    tally.others(file.name for file in files if file.kind == "other")
    files = [file for file in files if file.kind != "other"]
    if links is not None:
        links = links.one_file_each(file.name for file in files)
    sieve = _Sieve(by_name, links, declared, tally, anyone=anyone)
    found = [candidate for candidate in map(sieve.candidate, files) if candidate is not None]
    tally.notices += sieve.notices()
    return found, links


def pixels_of(candidate: Candidate, declared: ImageFormat, decoder: Decoder) -> NDArray[np.float32] | Reason:
    """Gives the planes of an image in the declared size, or why it cannot be used.

    Args:
        candidate: The image.
        declared: How images look.
        decoder: Decodes DICOM files that are compressed.

    Returns:
        Shape (channels, height, width), from -1 to 1.
    """
    file, mask = candidate.file, None
    if file.kind == "dicom":
        bright = read_dicom(file.path, declared, decoder)
    else:
        bright = read_picture(file.path, declared.window)
    if isinstance(bright, Reason):
        return bright
    if bright.min() == bright.max():
        return Reason.BLANK
    if candidate.mask is not None:
        is_dicom = candidate.mask.kind == "dicom"
        mask = read_dicom_mask(candidate.mask.path, decoder) if is_dicom else read_mask(candidate.mask.path)
        if isinstance(mask, Reason):
            return Reason.BAD_MASK
    return prepare(bright, mask, declared)


@dataclass
class _Sieve:
    """Takes file after file, and knows which images occurred before."""

    by_name: Mapping[str, Found]
    links: Links | None
    declared: ImageFormat
    tally: Tally
    uids: set[str] = field(default_factory=set[str])
    anyone: bool = False
    synthetic: int = 0
    named: dict[str, set[str]] = field(default_factory=dict[str, set[str]])
    kinds: set[str] = field(default_factory=set[str])

    def candidate(self, file: Found) -> Candidate | None:
        """Gives the image of a file, or counts it with the reason against it."""
        header = self._header(file)
        row = None
        if self.links is not None:
            row = self.links.row_of(file.name, header if isinstance(header, Header) else None)
            if row is None and (self.links.kind == "file" or not isinstance(header, Reason)):
                self.tally.without_row(file.name)
                return None
            if row is not None:
                self.tally.met.add(row)
        reason = header if isinstance(header, Reason) else self._fault(header, row)
        patient = Reason.UNREADABLE if isinstance(header, Reason) else self._patient(file, header, row)
        if reason is None and isinstance(patient, Reason):
            reason = patient
        if reason is not None:
            self.tally.skip(reason, file.name, row)
            return None
        self.kinds.add(file.kind)
        mask = None if row is None or self.links is None else self._mask(row)
        return Candidate(file, row, patient, mask)

    def notices(self) -> list[str]:
        """Gives what a person should know about whose the images are, and about synthetic ones."""
        found = list(self.links.notices) if self.links is not None else []
        if self.links is None or self.links.patients is None:
            found += [_BY_ID] * ("dicom" in self.kinds) + [_BY_FILE] * ("picture" in self.kinds)
        several = sum(len(names) > 1 for names in self.named.values())
        if several and not self.anyone:
            have = "has" if several == 1 else "have"
            text = (
                f"{counted(several, 'PatientID')} of the DICOM files {have} images of several patients by the labels: "
                "if the files are right, one patient counts as several and is not protected as one"
            )
            if self.links is not None and self.links.guessed is not None:
                raise DataError(
                    f"labels: {text}. The column {self.links.guessed!r} was taken for the one that names the patient; "
                    "say in the schema (patient:) which one does."
                )
            found.append(f"{text}.")
        if self.synthetic:
            found.append(f"{counted(self.synthetic, 'image')} marked as synthetic: no patient is in them.")
        return found

    def _header(self, file: Found) -> Header | tuple[int, int] | Reason:
        if file.kind in _AT_ONCE:
            return _AT_ONCE[file.kind]
        if file.kind == "dicom":
            return read_header(file.path, self.declared)
        facts = picture_facts(file.path)
        if isinstance(facts, Reason):
            return facts
        self.synthetic += facts.synthetic
        return facts.height, facts.width

    def _fault(self, header: Header | tuple[int, int], row: int | None) -> Reason | None:
        if self.links is not None and row is not None and self.links.bad[row]:
            return Reason.LABELS
        height, width = (header.rows, header.columns) if isinstance(header, Header) else header
        if not fits(height, width, self.declared.height, self.declared.width):
            return Reason.SMALL
        if row is not None and self.declared.mask and self._mask(row) is None:
            return Reason.NO_MASK
        if isinstance(header, Header):
            if header.uid and header.uid in self.uids:
                return Reason.TWICE
            self.uids.add(header.uid)
            self.synthetic += header.synthetic
        return None

    def _mask(self, row: int) -> Found | None:
        if self.links is None or self.links.masks is None:
            return None
        found = self.by_name.get(plain_path(self.links.masks[row]))
        return found if found is not None and found.kind in ("dicom", "picture") else None

    def _patient(self, file: Found, header: Header | tuple[int, int], row: int | None) -> str | Reason | None:
        """Gives whose an image is. In doubt patients are counted together: an issuer of identifiers is not asked."""
        if self.links is not None and self.links.patients is not None and row is not None:
            name = self.links.patients[row]
            if isinstance(header, Header) and header.patient_id:
                self.named.setdefault(header.patient_id, set()).add(name)
            return name
        if isinstance(header, Header):
            return header.patient_id or (None if self.anyone else Reason.NO_PATIENT)
        return None

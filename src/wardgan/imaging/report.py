"""What was read of a hospital's images, and what was not and why. It stays in the hospital."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final

from wardgan.errors import DataError, counted
from wardgan.files import write_bytes

_EXAMPLES: Final = 5
_LINES: Final = 12


class Reason(StrEnum):
    """Why an image cannot be used."""

    UNREADABLE = "cut off, damaged or in an encoding that is not known"
    LARGE = "more than 64 megapixels, or a file of more than 512 MiB"
    SMALL = "smaller than the declared size, after the crop if there is one"
    FRAMES = "more than one frame"
    COLOUR = "in colour"
    NO_PIXELS = "a DICOM file without an image"
    DEEP = "more than 16 bits a pixel, or floating-point pixels without a declared window"
    BURNED_IN = "marked as having text burned into it (BurnedInAnnotation)"
    INTENT = "PresentationIntentType is not the declared intent"
    WINDOW = "no window can be used: it has no width, or all values are the same"
    BLANK = "all its pixels are the same"
    NOT_NUMBERS = "pixels that are no numbers, or infinite"
    TWICE = "the SOPInstanceUID occurred before"
    NO_PATIENT = "nothing says whose it is"
    LINK = "a symbolic link"
    LABELS = "the row of the labels breaks a rule"
    NO_MASK = "the mask is not there"
    BAD_MASK = "the mask cannot be read, is in colour or in JPEG"
    MASK_SIZE = "the mask has another size"


WAYS_OUT: Final[Mapping[Reason, str]] = {
    Reason.UNREADABLE: "Export them again; the documentation lists the encodings.",
    Reason.LARGE: "Cut them into parts that are images by themselves.",
    Reason.SMALL: "Declare a smaller height and width.",
    Reason.FRAMES: "Export single frames.",
    Reason.COLOUR: "Convert them to grey.",
    Reason.NO_PIXELS: "Take them out of the folder.",
    Reason.DEEP: "Declare window: percentile or two numbers for floating-point pixels; else convert them to 16 bits.",
    Reason.BURNED_IN: "Remove the text and the mark, or leave them out.",
    Reason.INTENT: "Declare the other intent, or leave them out.",
    Reason.WINDOW: "Declare another window.",
    Reason.BLANK: "Take them out of the folder, or look at their window and rescaling.",
    Reason.NOT_NUMBERS: "Put a number into each pixel; black is the lowest one.",
    Reason.TWICE: "Keep one of the copies.",
    Reason.NO_PATIENT: "Fill PatientID, or name a column of the labels that says whose each image is.",
    Reason.LINK: "Put the files themselves into the folder.",
    Reason.LABELS: "Mend the rows.",
    Reason.NO_MASK: "Mend the paths, which are counted from the folder of the images.",
    Reason.BAD_MASK: "Save them as grey PNG or TIFF: 0 outside, anything else inside.",
    Reason.MASK_SIZE: "Export them in the size of their images.",
}


@dataclass(frozen=True, repr=False)
class ReadReport:
    """How many images were read, and why others were not. It stays in the hospital.

    It is about patients: counts are exact, and `left_out` holds names of files, which may name patients. Nothing of
    it may be put into a generator, a dossier's public edition or a message; its `repr` shows nothing.

    Attributes:
        read: Number of images that were read.
        patients: Number of their patients.
        skipped: Number of images that were not, by reason.
        left_out: Name (of a file, or of an image in an NPZ) and reason of all that was not read.
        labels_without_files: Rows of the labels to which no file belongs.
        files_without_labels: Images to which no row belongs; they are not read.
        other_files: Files that are no images.
        source_bytes: Size of the files that were read.
        notices: Sentences that a person should know, without a patient's value.
    """

    read: int
    patients: int
    skipped: Mapping[Reason, int]
    left_out: tuple[tuple[str, str], ...]
    labels_without_files: int
    files_without_labels: int
    other_files: int
    source_bytes: int
    notices: tuple[str, ...]

    def __repr__(self) -> str:
        return "ReadReport(it stays in the hospital)"

    def lines(self) -> list[str]:
        """Gives the report as sentences with exact counts and no name, for a terminal in the hospital."""
        found = [f"{counted(self.read, 'image')} of {counted(self.patients, 'patient')} read."]
        found += [f"{counted(count, 'image')} not read: {reason}." for reason, count in self.skipped.items()]
        for count, noun, rest in (
            (self.files_without_labels, "image", "without a row of the labels, not read."),
            (self.labels_without_files, "row", "of the labels without an image."),
            (self.other_files, "file", "not an image, not read."),
        ):
            found += [f"{counted(count, noun)} {rest}"] * bool(count)
        return [*found, *self.notices]

    def save(self, path: str | Path, *, force: bool = False) -> None:
        """Writes what was not read, and why, as a CSV file with the columns `file` and `reason`.

        Args:
            path: Of the file. It names files of patients, so it stays in the hospital.
            force: Whether a file of that name is replaced.

        Raises:
            OutputError: It cannot be written.
        """
        save_left_out(self.left_out, path, force=force)


def save_left_out(left_out: Sequence[tuple[str, str]], path: str | Path, *, force: bool = False) -> None:
    """Writes names and reasons as a CSV file, readable by its owner alone.

    Args:
        left_out: Names with reasons.
        path: Of the file.
        force: Whether a file of that name is replaced.
    """
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(("file", "reason"))
    rows.writerows(left_out)
    write_bytes(path, text.getvalue().encode("utf-8", "backslashreplace"), force=force, mode=0o600)


@dataclass
class Tally:
    """Counts during a reading; it turns into a report at the end."""

    skipped: dict[Reason, int] = field(default_factory=dict[Reason, int])
    left_out: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    rows: dict[Reason, list[int]] = field(default_factory=dict[Reason, list[int]])
    met: set[int] = field(default_factory=set[int])
    unlabelled: int = 0
    other: int = 0
    guessed: str = ""
    findings: Sequence[object] = ()
    bytes: int = 0
    notices: list[str] = field(default_factory=list[str])

    def skip(self, reason: Reason, name: str, row: int | None = None) -> None:
        """Counts an image that cannot be used.

        Args:
            reason: Why.
            name: Its file; kept for the report and the list alone.
            row: Its row of the labels, from 0, which a message may name.
        """
        self.skipped[reason] = self.skipped.get(reason, 0) + 1
        self.left_out.append((name, str(reason)))
        rows = self.rows.setdefault(reason, [])
        if row is not None and len(rows) < _EXAMPLES:
            rows.append(row + 1)

    def without_row(self, name: str) -> None:
        """Counts an image that no row of the labels belongs to.

        Args:
            name: Its file.
        """
        self.unlabelled += 1
        self.left_out.append((name, "no row of the labels belongs to it"))

    def others(self, names: Iterable[str]) -> None:
        """Counts files that are no images.

        Args:
            names: Of the files.
        """
        found = [(name, "not a DICOM, PNG, JPEG or TIFF file") for name in names]
        self.other += len(found)
        self.left_out += found

    def refuse(self) -> None:
        """Refuses the images if any of them, or a row of the labels, cannot be used.

        Raises:
            DataError: The reasons with their counts and rows of the labels; never a name of a file.
        """
        lines = [self._line(reason) for reason in self.skipped if reason != Reason.LABELS or not self.findings]
        lines += [f"labels: {finding}" for finding in self.findings]
        if not lines:
            return
        more = [f"and {len(lines) - _LINES} more"] if len(lines) > _LINES else []
        raise DataError(
            "images cannot be used as they are:\n"
            + "\n".join(f"- {line}" for line in [*lines[:_LINES], *more])
            + "\nMend them (wardgan check --skipped FILE lists them), or read with invalid='drop' (--invalid drop) "
            + "and leave them out."
        )

    def _line(self, reason: Reason) -> str:
        rows = self.rows[reason]
        dots = ", ..." if self.skipped[reason] > len(rows) else ""
        where = f" (row {', '.join(map(str, sorted(rows)))}{dots} of the labels)" if rows else ""
        return f"{counted(self.skipped[reason], 'image')}{where}: {reason}. {WAYS_OUT[reason]}"

    def nothing(self) -> str:
        """Gives why no image was read, as counts."""
        found = [f"{counted(count, 'image')}: {reason}" for reason, count in self.skipped.items()]
        if self.unlabelled:
            found.append(f"{counted(self.unlabelled, 'image')} without a row of the labels{self.guessed}")
        found += [f"{counted(self.other, 'file')} of another kind than DICOM, PNG, JPEG and TIFF"] * bool(self.other)
        return "; ".join(found or ["there is none"])

    def report(self, read: int, patients: int, labels_without_files: int) -> ReadReport:
        """Gives the report.

        Args:
            read: Number of images that were read.
            patients: Number of their patients.
            labels_without_files: Rows of the labels without an image.
        """
        return ReadReport(
            read, patients, dict(self.skipped), tuple(self.left_out), labels_without_files, self.unlabelled, self.other,
            self.bytes, tuple(self.notices),
        )  # fmt: skip

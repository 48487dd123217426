"""Patients of a verb: a table with visits, or images with labels."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast, get_args

from wardgan.cli.terminal import bar, say
from wardgan.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from wardgan.imaging.report import ReadReport
    from wardgan.schema import read as reading
    from wardgan.schema.image_cohort import AnyCohort, ImageCohort
    from wardgan.schema.schema import Schema


@dataclass(frozen=True)
class Files:
    """Where patients are, as a person says it.

    Attributes:
        data: A table; or a folder or NPZ file of images.
        visits: Second table, with the visits.
        delimiter: Between the cells of tables.
        labels: Labels of images.
        key: Column of the labels that links them to files.
        mask: Column of the labels with the paths of masks.
        anyone: Whether it does not matter whose images are.
    """

    data: Path
    visits: Path | None = None
    delimiter: str = ","
    labels: Path | None = None
    key: str | None = None
    mask: str | None = None
    anyone: bool = False

    def check(self, schema: Schema) -> None:
        """Refuses options that have no meaning for what the schema declares.

        Raises:
            UsageError: Says which.
        """
        images = schema.images is not None
        wrong = (
            {"--visits": self.visits} if images else {"--labels": self.labels, "--key": self.key, "--mask": self.mask}
        )
        for name, value in wrong.items():
            if value is not None:
                kind = "images" if images else "no images"
                raise UsageError(f"{name} has no meaning here: the schema {schema.name!r} declares {kind}.")

    def bytes(self) -> int:
        """Gives the size of the tables; the size of images is known once they are read."""
        return sum(file.stat().st_size for file in (self.data, self.visits) if file is not None)


def read_patients(files: Files, schema: Schema, invalid: str, console: Console) -> tuple[AnyCohort, int]:
    """Gives the patients and the size of the files that they were read from.

    Args:
        files: Where they are.
        schema: What they obey.
        invalid: What `--invalid` says.
        console: Where the report on images goes.
    """
    files.check(schema)
    if schema.images is not None:
        cohort, report = read_folder(files, schema, invalid)
        show_report(console, report)
        return cohort, cohort.source_bytes
    from wardgan.schema.read import read

    how = cast("reading.Invalid", invalid)
    return read(files.data, schema, visits=files.visits, invalid=how, delimiter=files.delimiter), files.bytes()


def only_tables(schema: Schema, verb: str) -> None:
    """Refuses images where a verb knows tables and visits only.

    Raises:
        UsageError: The schema declares images.
    """
    if schema.images is not None:
        raise UsageError(
            f"wardgan {verb} knows tables and visits only, and the schema {schema.name!r} declares images."
        )


def read_folder(
    files: Files, schema: Schema, invalid: str, skipped: Path | None = None
) -> tuple[ImageCohort, ReadReport]:
    """Gives the patients of a folder or an NPZ file of images, with a progress bar.

    Raises:
        UsageError: `--invalid` has no meaning for images.
    """
    from wardgan.imaging.cohort import read_images
    from wardgan.imaging.links import ImageNames
    from wardgan.imaging.read import Invalid

    if invalid not in get_args(Invalid):
        raise UsageError(f"invalid={invalid!r} has no meaning for images; it is refuse, or drop to leave images out.")
    names = ImageNames(key=files.key, mask=files.mask, anyone=files.anyone)
    with bar("reading images", 1) as advance:
        return read_images(
            files.data, schema, labels=files.labels, names=names, invalid=cast("Invalid", invalid), skipped=skipped,
            progress=lambda done, whole: advance(done, whole, f"{done:,} of {whole:,}"),
        )  # fmt: skip


def show_report(console: Console, report: ReadReport) -> None:
    """Prints what was read and what was not, without a name."""
    for line in report.lines():
        say(console, line)

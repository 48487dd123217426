"""Synthetic patients to FHIR and OMOP files, in streams of constant memory: whole or not at all."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Final, Literal, get_args

import pyarrow.csv as arrow_csv

from wardgan.errors import UsageError, counted
from wardgan.exchange import fhir, omop
from wardgan.exchange.clock import Clock
from wardgan.exchange.codes import Concept
from wardgan.exchange.concepts import Concepts
from wardgan.exchange.entry import Mapped
from wardgan.exchange.omop_tables import SCHEMAS, TABLES
from wardgan.files import check_new, check_new_folder, new_file, new_folder
from wardgan.imaging.marks import Origin
from wardgan.schema.cohort import Cohort

Form = Literal["fhir", "omop"]
Lines = BinaryIO | gzip.GzipFile
FORMS: Final = get_args(Form)
# Patients in memory at a time; their resources take some megabytes.
CHUNK: Final = 1_024
_BUNDLES: Final = (".ndjson", ".ndjson.gz")
_LEVEL: Final = 6
_WHAT: Final = {"fhir": "synthetic FHIR resources", "omop": "synthetic OMOP tables"}
_OURS: Final[Mapping[str, frozenset[str]]] = {
    "fhir": frozenset(f"{name}.ndjson" for name in fhir.TYPES), "omop": frozenset(f"{name}.csv" for name in TABLES),
}  # fmt: skip


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes:
        path: A file with a Bundle of each patient in a line, or a folder of files.
        patients: How many.
        counts: How many resources of each type, or rows of each table.
        unmapped: Columns that the mapping file does not mention, so they are not there.
        notices: What a person should know: what is not there, has no code, or stands for something that is not known.
    """

    path: Path
    patients: int
    counts: Mapping[str, int]
    unmapped: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Wish:
    """What is wanted of a draw.

    Attributes:
        form: `fhir` or `omop`.
        path: Of FHIR a name that ends in .ndjson or .ndjson.gz for Bundles, or a folder; of OMOP a folder.
        concepts: What the columns mean.
        origin: What the patients come from.
        days: Day of the release, and the day of writing, `YYYY-MM-DD`.
        force: Whether what is there may be replaced.
    """

    form: Form
    path: Path
    concepts: Concepts
    origin: Origin
    days: tuple[str, str] = field(default=("1970-01-01", "1970-01-01"))
    force: bool = False

    def check(self, patients: int) -> None:
        """Refuses what cannot be written, before anything is drawn.

        Args:
            patients: How many are wanted.

        Raises:
            OutputError: The output is there already, or cannot be there.
            UsageError: An unknown form, a name of another one, or what OMOP has no place for.
        """
        if self.form not in FORMS:
            raise UsageError(f"form={self.form!r} is not one of {', '.join(FORMS)}.")
        if self.form == "omop":
            omop.check_omop(self.concepts, patients)
        if self._bundles:
            check_new(self.path, force=self.force)
            return
        if self.path.suffix and not self.path.is_dir():
            kinds = (
                "name it .ndjson or .ndjson.gz for a Bundle in each line, or name" if self.form == "fhir" else "name"
            )
            raise UsageError(
                f"output={str(self.path)!r} is no name for {self.form}; {kinds} a folder without an ending."
            )
        check_new_folder(self.path, self._ours, _WHAT[self.form], force=self.force)

    def write(self, cohorts: Iterable[Cohort], patients: int) -> Exported:
        """Writes synthetic patients as they are drawn.

        Args:
            cohorts: The patients, in small cohorts.
            patients: How many there will be.

        Raises:
            OutputError: As of `check`, or a disk is full; nothing is left behind.
            UsageError: As of `check`, or a date lies outside of the calendar.
        """
        self.check(patients)
        late: Counter[str] = Counter()
        cohorts = _watched(cohorts, self.concepts, late)
        if self._bundles:
            with new_file(self.path, force=self.force) as file, _packed(file, self.path) as lines:
                return self._exported(late, *_bundles(cohorts, self.concepts, fhir.Marks(self.origin), lines))
        with new_folder(self.path, self._ours, _WHAT[self.form], force=self.force) as folder, ExitStack() as files:
            if self.form == "fhir":
                return self._exported(late, *_bulk(cohorts, self.concepts, fhir.Marks(self.origin), folder, files))
            return self._exported(late, *self._tables(cohorts, folder, files))

    @property
    def _bundles(self) -> bool:
        return self.form == "fhir" and names_bundles(self.path)

    def _ours(self, name: str) -> bool:
        return name in _OURS[self.form]

    def _tables(self, cohorts: Iterable[Cohort], folder: Path, files: ExitStack) -> tuple[int, Counter[str], omop.Told]:
        handles = {name: files.enter_context((folder / f"{name}.csv").open("wb")) for name in TABLES}
        writers = {name: files.enter_context(arrow_csv.CSVWriter(handles[name], SCHEMAS[name])) for name in TABLES}
        released, written = self.days
        source = omop.source_table(self.concepts, self.origin, released=released, written=written)
        writers["cdm_source"].write_table(source)
        counts, told, people = Counter(dict.fromkeys(TABLES, 0) | {"cdm_source": 1}), omop.Told(), 0
        for cohort in cohorts:
            found, more = omop.tables(cohort, self.concepts)
            for name, table in found.items():
                writers[name].write_table(table)
                counts[name] += len(table)
            people, told = people + len(cohort), told + more
        return people, counts, told

    def _exported(
        self, late: Counter[str], people: int, counts: Counter[str], told: omop.Told | None = None
    ) -> Exported:  # fmt: skip
        notices = [*_lost(self.concepts), *_uncoded(self.concepts), *_somehow(told, self.concepts), *_late(late)]
        return Exported(self.path, people, dict(counts), self.concepts.unmapped, tuple(notices))


def _watched(cohorts: Iterable[Cohort], concepts: Concepts, late: Counter[str]) -> Iterator[Cohort]:
    """Yields the same cohorts, and counts visits after a death, if both are known."""
    both = concepts.meetings is not None and concepts.first("deceased") is not None
    for cohort in cohorts:
        if both:
            after, seen = Clock(cohort, concepts).late()
            late.update(after=after, seen=seen)
        yield cohort


def _late(late: Counter[str]) -> list[str]:
    """Says how many visits are later than a death, which nothing forbids a generator."""
    if not late["after"]:
        return []
    return [
        f"After the day of death: {late['after']:,} of {counted(late['seen'], 'visit')} of patients who died, with all "
        "that was measured there. No rule binds a visit to a death, so they were drawn as any others; leave them out."
    ]


def names_bundles(path: Path) -> bool:
    """Whether the name of an output means a FHIR Bundle in each line."""
    return path.name.lower().endswith(_BUNDLES)


def _packed(file: BinaryIO, path: Path) -> AbstractContextManager[Lines]:
    """Gives what lines are written to: the file, or a compressed stream that holds no time of day."""
    if path.suffix.lower() != ".gz":
        return nullcontext(file)
    return gzip.GzipFile("", "wb", compresslevel=_LEVEL, fileobj=file, mtime=0)


def _bundles(
    cohorts: Iterable[Cohort], concepts: Concepts, marks: fhir.Marks, file: Lines
) -> tuple[int, Counter[str]]:  # fmt: skip
    """Writes a Bundle of each patient, one a line."""
    counts: Counter[str] = Counter()
    people = 0
    for cohort in cohorts:
        for number, found in zip(cohort.patients, fhir.patients(cohort, concepts, marks), strict=True):
            counts.update(str(one["resourceType"]) for one in found)
            file.write(_line(fhir.bundle(found, marks, int(number))))
        people += len(cohort)
    return people, counts


def _bulk(
    cohorts: Iterable[Cohort], concepts: Concepts, marks: fhir.Marks, folder: Path, files: ExitStack
) -> tuple[int, Counter[str]]:
    """Writes a file for each type of resource, one resource a line."""
    counts: Counter[str] = Counter()
    handles = {"Patient": files.enter_context((folder / "Patient.ndjson").open("wb"))}
    people = 0
    for cohort in cohorts:
        for one in (one for found in fhir.patients(cohort, concepts, marks) for one in found):
            kind = str(one["resourceType"])
            if kind not in handles:
                handles[kind] = files.enter_context((folder / f"{kind}.ndjson").open("wb"))
            counts[kind] += 1
            handles[kind].write(_line(one))
        people += len(cohort)
    return people, counts


def _line(found: fhir.Resource) -> bytes:
    return (json.dumps(found, ensure_ascii=False, allow_nan=False, separators=(",", ":")) + "\n").encode()


def _lost(concepts: Concepts) -> list[str]:
    """Says which columns are not there."""
    if not concepts.unmapped:
        return []
    names = ", ".join(concepts.unmapped)
    return [f"Not there, because the mapping file does not mention them: {names}. Write `NAME: ~` to leave one out."]


def _uncoded(concepts: Concepts) -> list[str]:
    """Says what has words only."""
    names = [mapped.name for mapped in concepts.columns if not _coded(mapped)]
    return [f"Without a code, in words only: {', '.join(names)}."] if names else []


def _coded(mapped: Mapped) -> bool:
    if mapped.kind in ("gender", "age", "birth", "deceased"):
        return True
    own = mapped.coded or mapped.concept.coding is not None
    return own and all(level.coding is not None for level in mapped.levels if isinstance(level, Concept))


def _somehow(told: omop.Told | None, concepts: Concepts) -> list[str]:
    """Says what OMOP was given because it demands something."""
    if told is None:
        return []
    found = [f"{name}: {counted(count, 'row')} with concept 0, no matching concept." for name, count in
             told.without_concept.items()]  # fmt: skip
    if told.born_somehow:
        found.append(f"{counted(told.born_somehow, 'person')} born in {concepts.year_of_birth}, for want of an age.")
    if told.died_somehow:
        found.append(f"{counted(told.died_somehow, 'death')} on the last day of observation, for want of a date.")
    return found

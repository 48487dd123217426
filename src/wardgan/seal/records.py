"""The JSON parts of a `.hgan` file as strict records: unknown fields, wrong types and odd values are refused."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Final, Literal, TypeVar, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from wardgan.errors import FormatError, VersionError
from wardgan.privacy.accounts.together import Part
from wardgan.privacy.events import NEIGHBOURS, UNIT, Budget, Event, Mechanism

FORMAT: Final = "wardgan"
VERSION: Final = "1.0"
LEDGER_VERSION: Final = 2
MAX_SITES: Final = 1_024
MANIFEST_TYPE: Final = "application/vnd.oci.image.manifest.v1+json"
INDEX_TYPE: Final = "application/vnd.oci.image.index.v1+json"

Digest = Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]
Text = Annotated[str, Field(max_length=2_000)]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Patients = Annotated[int, Field(ge=1, le=10_000_000)]
DataId = Annotated[str, Field(pattern=r"^[A-Za-z0-9:._-]{8,100}$")]


class Record(BaseModel):
    """A part of a foreign file: no unknown fields, no conversions, no changes afterwards."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


AnyRecord = TypeVar("AnyRecord", bound=Record)


class Descriptor(Record):
    """Names bytes by their kind, digest and size (OCI content descriptor)."""

    media_type: str = Field(alias="mediaType", max_length=200)
    digest: Digest
    size: int = Field(ge=0)
    artifact_type: str | None = Field(default=None, alias="artifactType", max_length=200)
    annotations: dict[str, Text] | None = None


class Manifest(Record):
    """Lists the parts of a model, or of a signature, by digest (OCI image manifest)."""

    schema_version: Literal[2] = Field(alias="schemaVersion")
    media_type: Literal["application/vnd.oci.image.manifest.v1+json"] = Field(alias="mediaType")
    artifact_type: str = Field(alias="artifactType", max_length=200)
    config: Descriptor
    layers: list[Descriptor] = Field(max_length=16)
    subject: Descriptor | None = None


class Index(Record):
    """Lists the manifests of a file (OCI image index)."""

    schema_version: Literal[2] = Field(alias="schemaVersion")
    media_type: Literal["application/vnd.oci.image.index.v1+json"] = Field(alias="mediaType")
    manifests: list[Descriptor] = Field(min_length=1, max_length=2)


class Claim(Record):
    """The privacy guarantee in five words; the ledger holds the proof.

    Attributes:
        mode: `private`, or `none` if nothing protects the patients.
        epsilon: The target that the ledger stays below.
        delta: The probability that goes with it.
        unit: Who is protected.
        neighbours: Which two data sets must look alike.
    """

    mode: Literal["private", "none"]
    epsilon: Positive | None = None
    delta: Annotated[float, Field(gt=0, lt=1)] | None = None
    unit: Literal["patient"] = UNIT
    neighbours: Literal["add-or-remove"] = NEIGHBOURS


class Card(Record):
    """What the file is, in one page of facts.

    Attributes:
        format: Always `wardgan`.
        version: Of the format, `major.minor`.
        package: Version of the package that wrote it.
        name: Name of the data set, from the schema.
        family: Model family.
        created: Date, `YYYY-MM-DD`.
        latent: Length of the latent vector.
        variables: Number of variables that the network gives.
        probabilities: Share of each class of patients.
        training_data_id: Opaque name of the patients behind it: the same for two models of the same patients. One that
            begins with `fit-` names the fit only, because nobody named the patients: then two models may share them.
        ancestor: Digest of the model that training began from.
        network: Digest of the network.
        schema_fingerprint: Digest of the schema's declarations.
        privacy: The guarantee.
        override: `person: reason` for a release without privacy, without a dossier, or against its gates.
        licence: Terms of use (SPDX), if declared.
    """

    format: Literal["wardgan"]
    version: Annotated[str, Field(pattern=r"^[0-9]{1,4}\.[0-9]{1,4}$")]
    package: Annotated[str, Field(max_length=50)]
    name: Annotated[str, Field(min_length=1, max_length=200)]
    family: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,49}$")]
    created: Annotated[str, Field(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$")]
    latent: int = Field(ge=1, le=1_000_000)
    variables: int = Field(ge=1, le=1_000_000)
    probabilities: list[Share] = Field(min_length=1, max_length=10_000)
    training_data_id: DataId
    ancestor: Digest | None
    network: Digest
    schema_fingerprint: Digest
    privacy: Claim
    override: Annotated[str, Field(max_length=1_000)] | None
    licence: Annotated[str, Field(max_length=200)] | None


class Spent(Record):
    """What was spent, by two accountants."""

    epsilon: float
    accountant: Text
    epsilon_rdp: float | None = None


class EventRecord(Record):
    """One mechanism of the ledger, in ranges that can be billed again in reasonable time."""

    name: Annotated[str, Field(min_length=1, max_length=200)]
    mechanism: Mechanism
    noise_multiplier: Annotated[float, Field(ge=1e-3, le=1e9)] | None = None
    sampling_rate: Annotated[float, Field(gt=0, le=1)] | None = None
    batch_cap: Patients | None = None
    population: Patients | None = None
    steps: int = Field(default=1, ge=1, le=10_000_000)
    epsilon: Annotated[float, Field(gt=0, le=100)] | None = None
    delta: Annotated[float, Field(ge=0, lt=1)] = 0.0


class Bill(Record):
    """What was spent on the patients of one hospital. Whether it may be released is the gate's business."""

    mode: Literal["private", "none"]
    unit: Literal["patient"]
    neighbours: Literal["add-or-remove"]
    replayable: bool
    unbilled: list[Text] = Field(max_length=10_000)
    events: list[EventRecord] = Field(max_length=1_000)
    epsilon: float | None = None
    delta: float | None = None
    population: Patients | None = None
    family: Text | None = None
    spent: Spent | None = None

    @cached_property
    def mechanisms(self) -> tuple[Event, ...]:
        """What was done with the patients; a tree asks for it once at each of its levels.

        Raises:
            FormatError: One of them is malformed.
        """
        return tuple(Event.from_dict(event.model_dump(exclude_none=True)) for event in self.events)

    @cached_property
    def part(self) -> Part:
        """What one generator has cost, to be composed with the bills of others."""
        if self.mode == "none" or self.epsilon is None or self.delta is None:
            return Part((), None, protected=False)
        return Part(self.mechanisms, Budget(self.epsilon, self.delta), protected=not self.replayable)


class OwnLedger(Bill):
    """The ledger of one hospital's fit, as it travels."""

    version: Literal[1]


class SiteLedger(Record):
    """What one hospital's patients have cost in a generator that was made of several hospitals.

    Attributes:
        patients: Opaque name of the patients (`training_data_id`).
        source: Digest of what was made from them: a release, noisy tables, or the hospital's part of a training.
        name: What the hospital is called.
        ledger: The bill of that.
    """

    patients: DataId
    source: Digest
    name: Annotated[str, Field(min_length=1, max_length=200)]
    ledger: OwnLedger


class Origin(Record):
    """How a generator came about that no hospital trained alone.

    Attributes:
        how: `distilled`: from samples of another generator; `pooled`: from the sum of hospitals' noisy tables;
            `federated`: trained in rounds at the hospitals.
        of: Digest of what it was made from; of rounds, that of the agreement which they followed.
        rounds: Rounds of training.
    """

    how: Literal["distilled", "pooled", "federated"]
    of: Digest
    rounds: Annotated[int, Field(ge=0, le=1_000_000)] | None = None


class LedgerRecord(Bill):
    """The ledger of a file: of one hospital (version 1), or of several (version 2), each with a ledger of its own.

    Attributes:
        origin: How a generator of several hospitals came about.
        overlap: In how many of them one patient may be at most, as somebody declared; `None`: in all of them.
        sites: Their ledgers.
    """

    version: Literal[1, 2]
    origin: Origin | None = None
    overlap: Annotated[int, Field(ge=1, le=MAX_SITES)] | None = None
    sites: Annotated[list[SiteLedger], Field(min_length=1, max_length=MAX_SITES)] | None = None


def read(kind: type[AnyRecord], found: object, what: str) -> AnyRecord:
    """Gives a record of a parsed JSON value.

    Raises:
        FormatError: Names the first field that is wrong.

    Example:
        >>> read(Spent, {"epsilon": 1.0}, "privacy.json")
        Traceback (most recent call last):
        wardgan.errors.FormatError: privacy.json: accountant: Field required.
    """
    try:
        return kind.model_validate(found)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(ascii(part)[1:-1] if isinstance(part, str) else str(part) for part in first["loc"])
        raise FormatError(f"{what}: {place[:100]}: {first['msg']}.") from error


def read_card(found: object, what: str) -> Card:
    """Gives the card of a parsed JSON value.

    A newer major version is refused. A newer minor version may only add fields at the top of the card that are
    safe to ignore, so these are left out; whatever must be understood needs a new major version.

    Raises:
        VersionError: The format is newer than this package.
        FormatError: Not a card.
    """
    if not isinstance(found, dict) or cast("Mapping[str, object]", found).get("format") != FORMAT:
        raise FormatError(f"{what}: format is not {FORMAT!r}.")
    given = cast("dict[str, object]", found)
    version = given.get("version")
    if not isinstance(version, str) or not re.fullmatch(r"[0-9]{1,4}\.[0-9]{1,4}", version):
        raise FormatError(f"{what}: version is not a text such as {VERSION!r}.")
    major, minor = (int(part) for part in version.split("."))
    ours_major, ours_minor = (int(part) for part in VERSION.split("."))
    if major > ours_major:
        raise VersionError(f"{what}: format version {version} is newer than {VERSION}; upgrade wardgan to read it.")
    if major < ours_major:
        raise FormatError(f"{what}: format version {version} was never published; the first one is 1.0.")
    if minor > ours_minor:
        given = {name: value for name, value in given.items() if name in Card.model_fields}
    return read(Card, given, what)


def read_ledger(found: object, what: str) -> LedgerRecord:
    """Gives the ledger of a parsed JSON value.

    Raises:
        VersionError: The ledger is newer than this package.
        FormatError: Not a ledger.
    """
    given = cast("dict[str, object]", found) if isinstance(found, dict) else {}
    version = given.get("version")
    if isinstance(version, int) and version > LEDGER_VERSION:
        raise VersionError(f"{what}: version {version} is newer than {LEDGER_VERSION}; upgrade wardgan to read it.")
    return read(LedgerRecord, given, what)

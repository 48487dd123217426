"""`mixture.json`: what a combined generator says of itself, as a strict record."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import Field

from wardgan.schema.texts import formula, unsafe
from wardgan.seal.records import Claim, Digest, Record

FORMAT: Final = "wardgan-mixture"
VERSION: Final = "1.0"
MAX_MEMBERS: Final = 1_000
MAX_LEAVES: Final = 1_024

Name = Annotated[str, Field(min_length=1, max_length=200)]
Number = Annotated[float, Field(allow_inf_nan=False)]
Weight = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


class SourceRecord(Record):
    """Where a column comes from; see `translate.Source`."""

    column: Name
    times: Number = 1.0
    plus: Number = 0.0
    levels: dict[Name, Name] = Field(default_factory=dict, max_length=10_000)


class MemberRecord(Record):
    """A generator, or a combined one, that is a part of this one.

    Attributes:
        name: What people call it; no two members have the same.
        digest: Of its manifest or index.
        kind: What it is.
        columns: For each column of the common schema where it comes from; left out are those that it lacks.
    """

    name: Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[^/]+$")]
    digest: Digest
    kind: Literal["model", "mixture"]
    columns: dict[Name, SourceRecord] = Field(max_length=10_000)


class LeafRecord(Record):
    """How likely patients of one generator are.

    Attributes:
        digest: Of the generator.
        joint: Probability of each of its own classes within the whole mixture.
    """

    digest: Digest
    joint: list[Weight] = Field(min_length=1, max_length=64)


class MixtureRecord(Record):
    """What a combined generator is.

    Attributes:
        format: Always `wardgan-mixture`.
        version: `major.minor`.
        package: Version of the package that wrote it.
        name: Of the combined data set; that of the schema.
        created: Date, `YYYY-MM-DD`.
        weights: How the shares of the members came about, for people.
        members: What it is made of.
        leaves: All generators below it, each once, in the order in which they are met first.
        overlap: In how many hospitals a patient may be, as somebody declared; `None` if nobody did.
        privacy: What follows from the ledgers of all generators and that declaration.
        schema_fingerprint: Of the common schema.
    """

    format: Literal["wardgan-mixture"]
    version: Annotated[str, Field(pattern=r"^[0-9]{1,4}\.[0-9]{1,4}$")]
    package: Annotated[str, Field(max_length=50)]
    name: Name
    created: Annotated[str, Field(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$")]
    weights: Annotated[str, Field(max_length=50)]
    members: list[MemberRecord] = Field(min_length=1, max_length=MAX_MEMBERS)
    leaves: list[LeafRecord] = Field(min_length=1, max_length=MAX_LEAVES)
    overlap: Annotated[int, Field(ge=1, le=10_000)] | None
    privacy: Claim
    schema_fingerprint: Digest


def name_problem(name: str) -> str | None:
    """Gives why a member cannot be called so, if so: its name becomes a level of the column of sites.

    Args:
        name: Its name, or those on the way to it with `/` between them.
    """
    if formula(name):
        return f"a spreadsheet program would run the member's name {name[:60]!a} as a formula"
    if unsafe(name, name=True):
        return f"the member's name {name[:60]!a} has characters that cannot be shown safely"
    return None

"""What the API's answers look like, for its OpenAPI document."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field

from wardgan.hub.told import Told
from wardgan.seal.reading import Signature

Choice = Annotated[str | None, Query(max_length=500, description="A value of this facet.")]


class Shape(BaseModel):
    """What an answer looks like, and nothing more."""

    model_config = ConfigDict(extra="forbid")


class Problem(Shape):
    """A refusal: what kind, and the message for people."""

    kind: str
    message: str


class Refusal(Shape):
    """What every answer but 200 holds."""

    error: Problem


class Summary(Told, Shape):
    """A release in a list."""

    model_config = ConfigDict(extra="forbid", strict=False)

    signature: Signature


class Release(Summary):
    """A release with its schema, as a schema file has it."""

    declared: Annotated[dict[str, Any], Field(alias="schema")]


class Releases(Shape):
    """A part of a list: how many there are in all, and for each facet its values with their numbers."""

    total: int
    releases: list[Summary]
    facets: dict[str, list[tuple[str, int]]]


class Drawing(Shape):
    """A figure of a column, as SVG."""

    name: str
    svg: str


class Picture(Shape):
    """A synthetic image: a PNG file in base64, and its labels."""

    png: str
    title: str


class Preview(Shape):
    """Synthetic patients to look at; cells are spelled as in a CSV file, and an empty one is missing."""

    seed: int
    columns: list[str]
    rows: list[list[str]]
    figures: list[Drawing]
    images: list[Picture]


class File(Shape):
    """A file that is made in the background: `done` of `n` patients are drawn; when ready it has its bytes."""

    id: str
    release: str
    digest: str
    format: Literal["csv", "parquet", "npz"]
    state: Literal["waiting", "running", "ready", "failed"]
    done: int
    bytes: int | None
    created: str
    ended: str | None
    problem: str | None
    n: int
    seed: int
    where: list[str]
    balance: str | None


class Files(Shape):
    """The files that somebody asked for."""

    files: list[File]


_WHY: Final = {
    401: "Sign in first: a token that is good is missing.",
    400: "An argument is wrong, or the conditions hold nobody.", 403: "It may not be opened, or not by you.",
    404: "There is no such release.", 422: "The release is not in order.",
    429: "Too often, or enough for today.",
    502: "The registry behind the hub does not answer.", 503: "Others are drawing; try again in a moment.",
}  # fmt: skip
REFUSALS: Final[dict[int | str, dict[str, Any]]] = {
    status: {"model": Refusal, "description": why} for status, why in _WHY.items()
}


def answers(shape: type[Shape], status: int = 200) -> dict[int | str, dict[str, Any]]:
    """Gives how an answer in JSON is described.

    Args:
        shape: Of the answer.
        status: Its HTTP status.
    """
    return {status: {"model": shape, "description": (shape.__doc__ or "").strip()}}


def bytes_of(kind: str, what: str) -> dict[int | str, dict[str, Any]]:
    """Gives how an answer of bytes is described.

    Args:
        kind: Media type.
        what: What it is.
    """
    content = {kind: {"schema": {"type": "string", "format": "binary"}}}
    return {200: {"content": content, "description": what}}

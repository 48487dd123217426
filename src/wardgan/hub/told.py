"""What a hub's pages tell of a release: written by one side, and read by the other, which believes nothing of it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Literal, cast

from pydantic import BaseModel, ConfigDict, ValidationError

from wardgan.errors import HubError, SchemaError
from wardgan.hub.entry import Entry
from wardgan.hub.revocation import Revocation
from wardgan.hub.target import is_digest, is_name, is_tag
from wardgan.schema.schema import Schema
from wardgan.seal import keys
from wardgan.seal.reading import Signature
from wardgan.seal.records import Claim


class Told(BaseModel):
    """What a hub says of a release, but for who signed it."""

    model_config = ConfigDict(extra="ignore", strict=True)

    name: str
    tag: str
    digest: str
    manifest: str
    kind: Literal["model", "mixture"]
    title: str
    created: str
    privacy: Claim
    family: str | None
    licence: str | None
    hospitals: int
    bytes: int
    revoked: Revocation | None
    leaves: tuple[str, ...]


def entry_of(told: object, place: str, trust: str | Path | None) -> Entry:
    """Reads what a hub says of a release.

    Args:
        told: As it came.
        place: The hub, for refusals.
        trust: Trust file; `None` for the default one.

    Raises:
        HubError: It is no such thing.
    """
    refused = HubError(f"{place}: sends a release that cannot be read.")
    try:
        # By way of text, since a strict reader of Python's values wants tuples where JSON has lists.
        found = Told.model_validate_json(json.dumps(told))
        schema = cast("dict[str, object]", told).get("schema")
        shape = None if schema is None else Schema.from_dict(schema)
    except (ValidationError, SchemaError, AttributeError, TypeError, ValueError) as error:
        raise refused from error
    if not (is_name(found.name) and is_tag(found.tag) and all(map(is_digest, _digests(found)))):
        raise refused
    values = {name: getattr(found, name) for name in type(found).model_fields}
    if found.revoked is not None:
        # A key that is known here counts, whether or not the hub knows it.
        known = keys.read_trust(trust).key(found.revoked.keyid)
        values["revoked"] = replace(found.revoked, by=found.revoked.by if known is None else known.name)
    return Entry(**values, signature=Signature("not checked"), schema=shape)


def _digests(found: Told) -> tuple[str, ...]:
    return found.digest, found.manifest, *found.leaves

"""A Croissant file beside a sample, so that other programs know what its columns are (MLCommons Croissant 1.0).

It describes synthetic patients, and says so; of the generator it names the digest, the guarantee and the terms.
"""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, Literal

from wardgan.errors import UsageError
from wardgan.schema.columns import Column
from wardgan.schema.duo import uses_of
from wardgan.schema.schema import Schema
from wardgan.seal.card import BANNER, statement
from wardgan.seal.records import Claim

Kind = Literal["csv", "parquet"]
SUFFIX: Final = ".croissant.json"
_MEDIA: Final[Mapping[str, str]] = {"csv": "text/csv", "parquet": "application/x-parquet"}
# The terms of a Croissant file: specification 1.0, appendix on its JSON-LD context.
_CONTEXT: Final[dict[str, object]] = {
    "@language": "en", "@vocab": "https://schema.org/", "citeAs": "cr:citeAs", "column": "cr:column",
    "conformsTo": "dct:conformsTo", "cr": "http://mlcommons.org/croissant/", "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"}, "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/", "examples": {"@id": "cr:examples", "@type": "@json"}, "extract": "cr:extract",
    "field": "cr:field", "fileProperty": "cr:fileProperty", "fileObject": "cr:fileObject", "fileSet": "cr:fileSet",
    "format": "cr:format", "includes": "cr:includes", "isLiveDataset": "cr:isLiveDataset", "jsonPath": "cr:jsonPath",
    "key": "cr:key", "md5": "cr:md5", "parentField": "cr:parentField", "path": "cr:path", "recordSet": "cr:recordSet",
    "references": "cr:references", "regex": "cr:regex", "repeated": "cr:repeated", "replace": "cr:replace",
    "sc": "https://schema.org/", "separator": "cr:separator", "source": "cr:source", "subField": "cr:subField",
    "transform": "cr:transform",
}  # fmt: skip
_TYPES: Final = {
    "number": "sc:Float", "integer": "sc:Integer", "category": "sc:Text", "flag": "sc:Boolean", "date": "sc:Date",
}  # fmt: skip
_CHUNK: Final = 1 << 20


def check_kind(kind: str) -> Kind:
    """Refuses what Croissant does not describe, and gives the format.

    Args:
        kind: Of the file.

    Raises:
        UsageError: It is neither `csv` nor `parquet`.
    """
    if kind not in _MEDIA:
        raise UsageError(f"croissant: it describes csv and parquet files, and format={kind!r} is neither.")
    return "csv" if kind == "csv" else "parquet"


def croissant(
    path: Path, kind: Kind, schema: Schema, *, privacy: Claim, digest: str, seed: int, created: str
) -> bytes:  # fmt: skip
    """Gives the description of a sample as it is written beside it.

    Args:
        path: The sample, which is there already.
        kind: Its format.
        schema: What the patients obey.
        privacy: Guarantee of the generator.
        digest: Of the release that they were drawn from.
        seed: That draws the same again.
        created: `YYYY-MM-DD`.
    """
    sha256, size = _digest(path)
    file = {
        "@type": "cr:FileObject", "@id": "sample", "name": path.name, "contentUrl": path.name,
        "contentSize": f"{size} B", "encodingFormat": _MEDIA[kind], "sha256": sha256,
    }  # fmt: skip
    found = _described(schema, privacy, digest, seed, created)
    return _written(
        found, [file], [_field(name, schema, {"fileObject": {"@id": "sample"}}) for name in _names(path, kind)]
    )


def croissant_of_shards(
    manifest: bytes, columns: Sequence[str], schema: Schema, *, privacy: Claim, digest: str, seed: int, created: str
) -> bytes:  # fmt: skip
    """Gives the description of a sample in shards, as it is written beside `manifest.json`.

    Args:
        manifest: The bytes of `manifest.json`, which names the digest of every shard.
        columns: Of the shards, in order.
        schema: What the patients obey.
        privacy: Guarantee of the generator.
        digest: Of the release that they were drawn from.
        seed: That draws the same again.
        created: `YYYY-MM-DD`.
    """
    files = [
        {
            "@type": "cr:FileObject", "@id": "manifest", "name": "manifest.json", "contentUrl": "manifest.json",
            "contentSize": f"{len(manifest)} B", "encodingFormat": "application/json",
            "sha256": hashlib.sha256(manifest).hexdigest(),
        },
        {
            "@type": "cr:FileSet", "@id": "shards", "name": "shards", "includes": "patients/*.parquet",
            "encodingFormat": _MEDIA["parquet"],
        },
    ]  # fmt: skip
    found = _described(schema, privacy, digest, seed, created)
    return _written(found, files, [_field(name, schema, {"fileSet": {"@id": "shards"}}) for name in columns])


def _described(schema: Schema, privacy: Claim, digest: str, seed: int, created: str) -> dict[str, object]:
    licence = schema.terms.get("licence")
    uses = [one.iri for one in uses_of(schema.terms)]
    return {
        "@context": _CONTEXT, "@type": "sc:Dataset", "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": f"{schema.name}-synthetic", "description": _told(schema, privacy, digest, seed),
        "datePublished": created, "version": "1.0.0", **({"license": str(licence)} if licence else {}),
        **({"usageInfo": uses} if uses else {}), "url": f"urn:wardgan:{digest}",
        "keywords": ["synthetic data", "health"],
    }  # fmt: skip


def _written(found: dict[str, object], files: list[dict[str, str]], fields: list[dict[str, object]]) -> bytes:
    rows = {"@type": "cr:RecordSet", "@id": "patients", "name": "patients", "field": fields}
    whole = {**found, "distribution": files, "recordSet": [rows]}
    return (json.dumps(whole, indent=2, ensure_ascii=False) + "\n").encode()


def _told(schema: Schema, privacy: Claim, digest: str, seed: int) -> str:
    guarantee = statement(privacy).replace("**", "").replace(BANNER, "NOT PRIVATE:")
    return (
        f"Synthetic patients of {schema.name}, drawn from the generator {digest} with seed {seed}. They are nobody, "
        f"and not for decisions about persons. Of the generator: {guarantee}"
    )


def _field(name: str, schema: Schema, source: dict[str, object]) -> dict[str, object]:
    base, _, visit = name.partition("@")
    column = next((one for one in schema.columns if one.name in (name, base)), None)
    told = [f"at visit {visit}"] if column is not None and visit and column.name == base else []
    told += [f"in {column.unit}"] if column is not None and column.unit else []
    told += [f"code {column.code}"] if column is not None and column.code else []
    return {
        "@type": "cr:Field", "@id": f"patients/{name}", "name": name, "description": ", ".join(told) or name,
        "dataType": _type(column, name, schema),
        "source": {**source, "extract": {"column": name}},
    }  # fmt: skip


def _type(column: Column | None, name: str, schema: Schema) -> str:
    if column is not None:
        whole = column.kind == "category" and all(isinstance(level, int) for level in column.levels)
        return "sc:Integer" if whole else _TYPES[column.kind]
    return "sc:Integer" if name == schema.patient else "sc:Text"


def _names(path: Path, kind: Kind) -> Sequence[str]:
    if kind == "csv":
        with path.open(encoding="utf-8", newline="") as file:
            return next(csv.reader(file))
    import pyarrow.parquet as pq

    return pq.read_schema(path).names


def _digest(path: Path) -> tuple[str, int]:
    found, size = hashlib.sha256(), 0
    with path.open("rb") as file:
        while part := file.read(_CHUNK):
            found.update(part)
            size += len(part)
    return found.hexdigest(), size

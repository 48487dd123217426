"""A release as HealthDCAT-AP, the profile in which catalogues of health data in Europe describe what there is.

After HealthDCAT-AP release 8 (healthdataeu.pages.code.europa.eu/healthdcat-ap), as JSON-LD. The data set is the
synthetic patients that a generator draws; the generator is how they are distributed. What only the hospital knows is
taken from the terms of its schema, and what it did not say is left out: nothing is claimed in its name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal, cast
from urllib.parse import quote

from wardgan.schema.columns import Column
from wardgan.schema.duo import uses_of
from wardgan.schema.schema import Schema
from wardgan.seal.card import BANNER, statement
from wardgan.seal.records import Claim

Access = Literal["PUBLIC", "RESTRICTED", "NON_PUBLIC"]
_EU: Final = "http://publications.europa.eu/resource/authority/"
_HEALTH: Final = "https://hdeu-dcat.data.health.europa.eu/resource/authority/"
_CONTEXT: Final = {
    "adms": "http://www.w3.org/ns/adms#", "csvw": "http://www.w3.org/ns/csvw#", "cv": "http://data.europa.eu/m8g/",
    "dcat": "http://www.w3.org/ns/dcat#", "dcatap": "http://data.europa.eu/r5r/", "dct": "http://purl.org/dc/terms/",
    "dpv": "https://w3id.org/dpv#", "foaf": "http://xmlns.com/foaf/0.1/", "geodcatap": "http://data.europa.eu/930/",
    "healthdcatap": "http://healthdataportal.eu/ns/health#", "prov": "http://www.w3.org/ns/prov#",
    "rdfs": "http://www.w3.org/2000/01/rdf-schema#", "spdx": "http://spdx.org/rdf/terms#",
    "vcard": "http://www.w3.org/2006/vcard/ns#", "xsd": "http://www.w3.org/2001/XMLSchema#",
}  # fmt: skip
# What the profile wants, where the hospital says it, and whether it is also wanted of what is public.
_WANTED: Final = {
    "dct:publisher": ("controller and contact", True),
    "dcat:contactPoint": ("contact", False),
    "healthdcatap:hdab": ("health_data_access_body", True),
    "healthdcatap:healthCategory": ("health_category", True),
    "dcatap:applicableLegislation": ("applicable_legislation", True),
}
_TYPES: Final = {
    "number": "number", "integer": "integer", "category": "string", "flag": "boolean", "date": "date",
}  # fmt: skip
_LEVELS: Final = 12
_LAW: Final = "dcatap:applicableLegislation"
# Without the characters that no address has (RFC 3987): they would end it where it is shown.
_ADDRESS: Final = re.compile(r"https?://[^\s<>\"{}|\\^`\[\]]+")


@dataclass(frozen=True)
class Described:
    """What is known of a release.

    Attributes:
        digest: Of the release.
        title: What the data set is called.
        created: `YYYY-MM-DD`.
        privacy: Its guarantee.
        schema: What its patients obey.
        family: Model family; `None` for a combined one.
        licence: Terms of use (SPDX), if declared.
        version: Its tag; `None` outside of a hub.
        bytes: Of its file; `None` if not known.
        page: Address of its page; `None` outside of a hub.
        file: Address of its file; `None` if it cannot be had.
        access: Who may have it; `None` for what the hospital says.
    """

    digest: str
    title: str
    created: str
    privacy: Claim
    schema: Schema
    family: str | None
    licence: str | None
    version: str | None = None
    bytes: int | None = None
    page: str | None = None
    file: str | None = None
    access: Access | None = None


def document(found: dict[str, object]) -> dict[str, object]:
    """Gives what `dataset` or `catalogue` gave as a document of its own.

    Args:
        found: The description.
    """
    return {"@context": _CONTEXT, **found}


def catalogue(
    title: str, page: str, datasets: list[dict[str, object]], publisher: str | None = None
) -> dict[str, object]:  # fmt: skip
    """Gives a catalogue of releases.

    Args:
        title: Of the catalogue.
        page: Its address.
        datasets: What `dataset` gave.
        publisher: Who keeps it; the profile wants one, and nobody but them knows.
    """
    found: dict[str, object] = {
        "@id": page, "@type": "dcat:Catalog", "dct:title": _said(title), "dcat:dataset": datasets,
        "dct:description": _said("Generators of synthetic patients."), "foaf:homepage": _document(page),
    }  # fmt: skip
    laws = {one["@id"]: one for each in datasets for one in cast("list[dict[str, str]]", each.get(_LAW, []))}
    if laws:
        found[_LAW] = list(laws.values())
    if publisher:
        found["dct:publisher"] = {"@type": "foaf:Agent", "foaf:name": _said(publisher)}
    return found


def dataset(release: Described) -> dict[str, object]:
    """Gives a release as a data set.

    Args:
        release: The release.
    """
    schema, terms = release.schema, release.schema.terms
    name = release.page or f"urn:wardgan:{release.digest}"
    found: dict[str, object] = {
        "@id": name,
        "@type": "dcat:Dataset",
        "dct:title": _said(f"{release.title}: synthetic patients"),
        "dct:description": _said(_told(release)),
        "dct:identifier": release.digest,
        "dct:issued": {"@value": release.created, "@type": "xsd:date"},
        "dct:type": {"@id": f"{_EU}dataset-type/SYNTHETIC_DATA"},
        "dcat:theme": {"@id": f"{_EU}data-theme/HEAL"},
        "dcat:keyword": [_said(word) for word in ("synthetic data", "generative model", *_texts(terms, "keywords"))],
        "dct:accessRights": {"@id": f"{_EU}access-right/{_access(release)}"},
        "dct:provenance": {"@type": "dct:ProvenanceStatement", "rdfs:label": _said(_origin(release))},
        "healthdcatap:hasStructuredData": schema.images is None,
        "dcat:distribution": _distribution(release, name),
    }
    if release.version is not None:
        found["dcat:version"] = release.version
    if release.page is not None:
        found["dcat:landingPage"] = _document(release.page)
    if schema.columns:
        found["healthdcatap:hasVariables"] = _variables(release, name)
    for key, (place, make) in _FROM_TERMS.items():
        said = _texts(terms, place)
        if said and (made := make(said, terms)):
            found[key] = made
    return found


def missing(found: Mapping[str, object]) -> list[str]:
    """Gives what HealthDCAT-AP asks for and only the hospital knows: where to say it in the terms of the schema.

    Args:
        found: What `dataset` gave.
    """
    rights = cast("Mapping[str, str]", found["dct:accessRights"])["@id"]
    public = rights.endswith("/PUBLIC")
    return [
        f"{place} ({key})"
        for key, (place, always) in _WANTED.items()
        if key not in found and (always or not public)
    ]  # fmt: skip


def _told(release: Described) -> str:
    words = statement(release.privacy).replace("**", "").replace(BANNER, "NOT PRIVATE:")
    kind = "images of patients" if release.schema.images is not None else "patients"
    how = "generators of several hospitals" if release.family is None else f"a generator (family {release.family})"
    return f"Synthetic {kind}, as many as are wanted, drawn from {how}; none of them is a person. {words}"


def _origin(release: Described) -> str:
    source = _text(release.schema.terms, "source")
    count = release.schema.population
    people = "real patients" if count is None else f"about {count:,} real patients, as declared"
    return f"Drawn from a generator that was made from {people}{f': {source}' if source else ''}."


def _access(release: Described) -> Access:
    said = _text(release.schema.terms, "access_rights").upper().replace("-", "_")
    if release.privacy.mode == "none":
        return "NON_PUBLIC"
    return release.access or (cast("Access", said) if said in ("PUBLIC", "RESTRICTED", "NON_PUBLIC") else "RESTRICTED")


def _distribution(release: Described, name: str) -> dict[str, object]:
    found: dict[str, object] = {
        "@id": f"{name}#generator",
        "@type": "dcat:Distribution",
        "dct:title": _said("The generator"),
        "dct:description": _said("A signed .hgan file, from which patients are drawn with wardgan."),
        "dcat:accessURL": {"@id": release.page or name},
        "dct:format": {"@id": f"{_EU}file-type/TAR"},
        "spdx:checksum": {
            "@type": "spdx:Checksum", "spdx:algorithm": {"@id": "spdx:checksumAlgorithm_sha256"},
            "spdx:checksumValue": {"@value": release.digest.removeprefix("sha256:"), "@type": "xsd:hexBinary"},
        },
    }  # fmt: skip
    if release.file is not None:
        found["dcat:downloadURL"] = {"@id": release.file}
    if release.bytes is not None:
        found["dcat:byteSize"] = {"@value": str(release.bytes), "@type": "xsd:nonNegativeInteger"}
    if release.licence:
        found["dct:license"] = _licence(release.licence)
    law = _addresses(_texts(release.schema.terms, "applicable_legislation"), release.schema.terms)
    if law:
        found[_LAW] = law
    uses = uses_of(release.schema.terms)
    if uses:
        # The profile takes one statement, in which all uses are named.
        found["dct:rights"] = {
            "@type": "dct:RightsStatement", "rdfs:label": _said("; ".join(one.label or one.code for one in uses)),
            "rdfs:seeAlso": [{"@id": one.iri} for one in uses],
        }  # fmt: skip
    return found


def _licence(text: str) -> dict[str, object]:
    if _is_address(text):
        return {"@id": text}
    if text.isascii() and " " not in text:
        return {"@id": f"https://spdx.org/licenses/{quote(text, safe='+')}"}
    return _said(text)


def _variables(release: Described, name: str) -> dict[str, object]:
    schema = release.schema
    tables = [("patients", "one value for each patient", schema.table)]
    if schema.visits is not None:
        tables.append(("visits", "one value at each visit", schema.visits.columns))
    return {
        "@id": f"{name}#variables", "@type": "csvw:TableGroup", "dct:title": _said(release.title),
        "csvw:table": [
            {"@id": f"{name}#{table}", "@type": "csvw:Table", "dct:title": _said(f"{table}: {what}"),
             "csvw:column": [_column(column, f"{name}#{table}") for column in columns]}
            for table, what, columns in tables if columns
        ],
    }  # fmt: skip


def _column(column: Column, table: str) -> dict[str, object]:
    found: dict[str, object] = {
        "@id": f"{table}-{quote(column.name, safe='')}", "@type": "csvw:Column", "csvw:name": column.name,
        # The vocabulary has the one name, and the profile's shapes the other.
        "csvw:title": _said(column.name), "csvw:titles": _said(column.name), "csvw:datatype": _TYPES[column.kind],
        "dct:description": _said(", ".join(_words(column))),
    }  # fmt: skip
    loinc = (column.code or "").partition(" ")
    if loinc[0].upper() == "LOINC" and loinc[2]:
        found["csvw:propertyUrl"] = {"@id": f"https://loinc.org/{quote(loinc[2].strip(), safe='')}"}
    return found


def _words(column: Column) -> list[str]:
    found = [column.kind]
    if column.levels and column.kind == "category":
        more = ", ..." if len(column.levels) > _LEVELS else ""
        found.append("one of " + ", ".join(map(str, column.levels[:_LEVELS])) + more)
    elif column.kind in ("number", "integer") and column.low is not None and column.high is not None:
        found.append(f"{column.low:g} to {column.high:g}")
    found += [f"in {column.unit}"] if column.unit else []
    found += [f"code {column.code}"] if column.code else []
    return [*found, "may be missing"] if column.nullable else found


def _agent(said: list[str], terms: Mapping[str, object]) -> dict[str, object]:
    found: dict[str, object] = {"@type": "foaf:Agent", "foaf:name": _said(said[0])}
    contact = _text(terms, "contact")
    if contact:
        found["cv:contactPoint"] = {"@type": "cv:ContactPoint", **_reached(contact, "cv:contactPage", "cv:email")}
    kind = _text(terms, "publisher_type")
    if kind:
        found["dct:type"] = {"@id": _of_list("publisher-type", kind)}
    return found


def _body(said: list[str], terms: Mapping[str, object]) -> dict[str, object]:
    contact = _text(terms, "health_data_access_body_contact")
    more = {"cv:contactPoint": {"@type": "cv:ContactPoint", **_reached(contact, "cv:contactPage", "cv:email")}}
    return {"@type": "foaf:Agent", "foaf:name": _said(said[0]), **(more if contact else {})}


def _contact(said: list[str], _terms: Mapping[str, object]) -> dict[str, object]:
    return {"@type": "vcard:Kind", **_reached(said[0], "vcard:hasURL", "vcard:hasEmail")}


def _reached(text: str, page: str, mail: str) -> dict[str, object]:
    if _is_address(text):
        return {page: {"@id": text}}
    return {mail: {"@id": f"mailto:{quote(text, safe='@+')}"} if mail.startswith("vcard") and " " not in text else text}


def _addresses(said: list[str], _terms: Mapping[str, object]) -> list[dict[str, str]]:
    # Whoever harvests it makes links of them.
    return [{"@id": one} for one in said if _is_address(one)]


def _listed(name: str) -> Callable[[list[str], Mapping[str, object]], list[dict[str, str]]]:
    return lambda said, _: [{"@id": _of_list(name, one)} for one in said]


def _typed(kind: str) -> Callable[[list[str], Mapping[str, object]], dict[str, object]]:
    return lambda said, _: {"@type": kind, "dct:description": _said(said[0])}


def _of_list(name: str, code: str) -> str:
    return code if _is_address(code) else f"{_HEALTH}{name}/{quote(code, safe='')}"


def _is_address(text: str) -> bool:
    return _ADDRESS.fullmatch(text) is not None


def _document(page: str) -> dict[str, object]:
    return {"@id": page, "@type": "foaf:Document"}


def _said(text: str) -> dict[str, object]:
    return {"@value": text, "@language": "en"}


def _text(terms: Mapping[str, object], name: str) -> str:
    return next(iter(_texts(terms, name)), "")


def _texts(terms: Mapping[str, object], name: str) -> list[str]:
    given = terms.get(name)
    found = cast("list[object]", given) if isinstance(given, list) else [given]
    return [" ".join(str(one).split()) for one in found if one not in (None, "")]


# Properties that are made from terms of the schema.
_FROM_TERMS: Final[Mapping[str, tuple[str, Callable[[list[str], Mapping[str, object]], object]]]] = {
    "dct:publisher": ("controller", _agent),
    "geodcatap:custodian": ("controller", _agent),
    "dcat:contactPoint": ("contact", _contact),
    "healthdcatap:hdab": ("health_data_access_body", _body),
    "healthdcatap:healthCategory": ("health_category", _listed("healthcategories")),
    "healthdcatap:healthTheme": ("health_theme", _listed("health-theme")),
    "dcatap:applicableLegislation": ("applicable_legislation", _addresses),
    "healthdcatap:populationCoverage": ("population_described", lambda said, _: _said(said[0])),
    "dpv:hasPurpose": ("purpose", _typed("dpv:Purpose")),
    "dpv:hasLegalBasis": ("legal_basis", _typed("dpv:LegalBasis")),
}

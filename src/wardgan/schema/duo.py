"""Codes of the Data Use Ontology (GA4GH, https://github.com/EBISPOT/DUO): what data may be used for, for machines."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, cast

from wardgan.errors import SchemaError

_IRI: Final = "http://purl.obolibrary.org/obo/DUO_"
_ID: Final = re.compile(r"DUO[:_](\d{7})")
# Short names, numbers and labels of the ontology.
_CODES: Final = {
    "NRES": ("0000004", "no restriction"),
    "HMB": ("0000006", "health or medical or biomedical research"),
    "DS": ("0000007", "disease specific research"),
    "POA": ("0000011", "population origins or ancestry research only"),
    "RS": ("0000012", "research specific restrictions"),
    "NMDS": ("0000015", "no general methods research"),
    "GSO": ("0000016", "genetic studies only"),
    "NPUNCU": ("0000018", "not for profit, non commercial use only"),
    "PUB": ("0000019", "publication required"),
    "COL": ("0000020", "collaboration required"),
    "IRB": ("0000021", "ethics approval required"),
    "GS": ("0000022", "geographical restriction"),
    "MOR": ("0000024", "publication moratorium"),
    "TS": ("0000025", "time limit on use"),
    "US": ("0000026", "user specific restriction"),
    "PS": ("0000027", "project specific restriction"),
    "IS": ("0000028", "institution specific restriction"),
    "RTN": ("0000029", "return to database or resource"),
    "GRU": ("0000042", "general research use"),
    "CC": ("0000043", "clinical care use"),
    "NPOA": ("0000044", "population origins or ancestry research prohibited"),
    "NPU": ("0000045", "not for profit organisation use only"),
    "NCU": ("0000046", "non-commercial use only"),
}
_NUMBERS: Final = {number: (short, label) for short, (number, label) in _CODES.items()}


@dataclass(frozen=True)
class Use:
    """One condition of use.

    Attributes:
        code: Short name such as `GRU`, or `DUO:` and its number if it has none here.
        iri: Its address in the ontology.
        label: What it means; empty if it is not known here.
    """

    code: str
    iri: str
    label: str


def uses_of(terms: Mapping[str, object]) -> tuple[Use, ...]:
    """Gives the conditions of use that terms declare by codes.

    Args:
        terms: Of a schema; `duo` is a code or a list of them.

    Raises:
        SchemaError: A code is unknown.

    Example:
        >>> uses_of({"duo": ["GRU", "DUO:0000018"]})[1]
        Use(code='NPUNCU', iri='http://purl.obolibrary.org/obo/DUO_0000018', label='not for profit, non commercial use only')
    """  # noqa: E501 - the answer is one line
    given = terms.get("duo")
    if given is None:
        return ()
    codes = cast("list[object]", given) if isinstance(given, list) else [given]
    return tuple(_use(code) for code in codes)


def _use(code: object) -> Use:
    text = code.strip() if isinstance(code, str) else ""
    found = _ID.fullmatch(text)
    if found:
        short, label = _NUMBERS.get(found[1], (f"DUO:{found[1]}", ""))
        return Use(short, _IRI + found[1], label)
    if text.upper() not in _CODES:
        raise SchemaError(
            f"terms: duo: {code!r} is no code of the Data Use Ontology; use one of {', '.join(_CODES)}, or a number "
            "such as DUO:0000042."
        )
    number, label = _CODES[text.upper()]
    return Use(text.upper(), _IRI + number, label)

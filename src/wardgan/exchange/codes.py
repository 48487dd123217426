"""Codes of terminologies and units, as people write them and as FHIR wants them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from wardgan.errors import UsageError
from wardgan.schema.texts import formula, unsafe

UCUM: Final = "http://unitsofmeasure.org"
# Addresses of code systems: https://terminology.hl7.org (external code systems), and of the German base profiles.
_SYSTEMS: Final = {
    "ATC": "http://www.whocc.no/atc", "CPT": "http://www.ama-assn.org/go/cpt", "CVX": "http://hl7.org/fhir/sid/cvx",
    "HPO": "http://human-phenotype-ontology.org", "ICD-10": "http://hl7.org/fhir/sid/icd-10",
    "ICD-10-CM": "http://hl7.org/fhir/sid/icd-10-cm", "ICD-10-GM": "http://fhir.de/CodeSystem/bfarm/icd-10-gm",
    "ICD-11": "http://id.who.int/icd/release/11/mms", "ICD-9-CM": "http://hl7.org/fhir/sid/icd-9-cm",
    "ICD-O-3": "http://terminology.hl7.org/CodeSystem/icd-o-3", "LOINC": "http://loinc.org",
    "NCIt": "http://ncicb.nci.nih.gov/xml/owl/EVS/Thesaurus.owl", "NDC": "http://hl7.org/fhir/sid/ndc",
    "ORPHA": "http://www.orpha.net", "RxNorm": "http://www.nlm.nih.gov/research/umls/rxnorm",
    "SNOMED": "http://snomed.info/sct",
}  # fmt: skip
_ALIKE: Final = {"snomedct": "SNOMED", "orphanet": "ORPHA", "nci": "NCIt"}
SYSTEMS: Final = tuple(_SYSTEMS)
# Other schemes, such as javascript:, are run where somebody clicks on them.
_ADDRESS: Final = re.compile(r"(?:https?://|urn:)\S+", re.IGNORECASE)
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._/-]*")
_CODE: Final = re.compile(r"\S+( \S+)*")
_UNIT: Final = re.compile(r"[!-~]{1,50}")
_MISSPELT: Final = {
    "mmhg": "mm[Hg]", "years": "a", "year": "a", "yr": "a", "y": "a", "months": "mo", "month": "mo", "weeks": "wk",
    "week": "wk", "days": "d", "day": "d", "hours": "h", "hour": "h", "minutes": "min", "minute": "min",
    "seconds": "s", "sec": "s", "bpm": "/min", "iu/l": "[IU]/L", "u/ml": "[U]/mL", "meq/l": "meq/L", "°c": "Cel",
    "percent": "%",
}  # fmt: skip
_DAYS: Final = {
    "a": 365.25, "mo": 30.4375, "wk": 7.0, "d": 1.0, "h": 1 / 24, "min": 1 / 1440, "s": 1 / 86_400,
}  # fmt: skip
_WITHIN_A_DAY: Final = ("h", "min", "s")


@dataclass(frozen=True)
class Coding:
    """A code of a code system.

    Attributes:
        system: Address of the code system.
        code: The code.
        name: System and code as people write them, such as `LOINC 8480-6`; with an address, `address|code`.
        display: What the code means, in the words of its system; `None` if nobody said.
    """

    system: str
    code: str
    name: str
    display: str | None = None

    def to_fhir(self) -> dict[str, str]:
        """Gives a FHIR Coding."""
        found = {"system": self.system, "code": self.code}
        return found if self.display is None else found | {"display": self.display}


@dataclass(frozen=True)
class Concept:
    """What a column or a level means.

    Attributes:
        text: In words; never empty.
        coding: Its code, if there is one.
        omop: Number of the standard concept in the OMOP vocabularies; 0 for none.
    """

    text: str
    coding: Coding | None = None
    omop: int = 0

    def to_fhir(self) -> dict[str, object]:
        """Gives a FHIR CodeableConcept."""
        coding = {} if self.coding is None else {"coding": [self.coding.to_fhir()]}
        return {**coding, "text": self.text}

    @property
    def source(self) -> str:
        """What an OMOP source value says: the code, or the words."""
        return self.text if self.coding is None else self.coding.name


def system_of(name: str) -> str | None:
    """Gives the address of a code system by its name or its address; `None` if it is neither.

    Example:
        >>> system_of("icd 10 cm"), system_of("urn:oid:1.2.3"), system_of("our own")
        ('http://hl7.org/fhir/sid/icd-10-cm', 'urn:oid:1.2.3', None)
    """
    known = _known(name)
    if known is not None:
        return _SYSTEMS[known]
    return name if _ADDRESS.fullmatch(name) and not unsafe(name, name=True) else None


def named(name: str, code: str) -> str:
    """Gives a code with its system as people write them, whatever a file calls the system.

    Args:
        name: Name or address of the system.
        code: The code.

    Example:
        >>> named("icd 10 cm", "I10"), named("urn:oid:1.2.3", "B")
        ('ICD-10-CM I10', 'urn:oid:1.2.3|B')
    """
    known = _known(name)
    return f"{name}|{code}" if known is None else f"{known} {code}"


def _known(name: str) -> str | None:
    """Gives the name of a code system as it is written here, if that is one."""
    if not _NAME.fullmatch(name):
        return None
    known = {_plain(one): one for one in _SYSTEMS} | _ALIKE
    return known.get(_plain(name))


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def coding_of(text: str, display: str | None = None) -> Coding:
    """Reads a code with its system.

    Args:
        text: `LOINC 8480-6`, `LOINC:8480-6`, or an address of a system, a bar and a code.
        display: What it means, in words.

    Raises:
        UsageError: It names no code system, or one that is not known.

    Example:
        >>> coding_of("SNOMED CT 38341003").system, coding_of("https://example.org/arms|B").code
        ('http://snomed.info/sct', 'B')
        >>> coding_of("8480-6")  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        wardgan.errors.UsageError: code='8480-6' names no code system; write it as in "LOINC 8480-6", or as ...
    """
    shown = text[:80]
    name, bar, code = text.partition("|")
    if not bar:
        name, _, code = text.strip().rpartition(" ")
        if not name:
            name, _, code = code.partition(":")
    system = system_of(name.strip())
    code = code.strip()
    if not name or not code:
        raise UsageError(f'code={shown!r} names no code system; write it as in "LOINC 8480-6", or as "address|code".')
    if system is None:
        raise UsageError(
            f"code={shown!r}: {name.strip()[:80]!r} is no code system that is known by name ({', '.join(SYSTEMS)}); "
            'write its address, as in "https://example.org/codes|17".'
        )
    return Coding(system, plain_code(code), named(name.strip(), code), display)


def plain_code(code: str) -> str:
    """Gives a code that FHIR allows.

    Args:
        code: One or several words with single spaces between them.

    Raises:
        UsageError: It is none.
    """
    if not _CODE.fullmatch(code) or unsafe(code, name=True):
        raise UsageError(f"code={code[:80]!a} is no code: it has spaces at an end, two in a row, or hidden characters.")
    if formula(code):
        raise UsageError(f"code={code[:80]!a} is no code: it would be run as a formula by a spreadsheet program.")
    return code


def unit_problem(unit: str) -> str | None:
    """Gives why a text is no UCUM unit, if that can be seen; units are not looked up in a table.

    Example:
        >>> unit_problem("mm[Hg]"), unit_problem("mmHg")
        (None, "unit='mmHg' is no UCUM unit; UCUM writes mm[Hg].")
    """
    right = _MISSPELT.get(unit.lower())
    if right is not None and right != unit:
        return f"unit={unit!r} is no UCUM unit; UCUM writes {right}."
    pairs = all(unit.count(one) == unit.count(other) for one, other in ("[]", "{}", "()"))
    if not _UNIT.fullmatch(unit) or not pairs or formula(unit):
        return f"unit={unit[:80]!a} is no UCUM unit: 1 to 50 letters and signs without spaces, such as mmol/L or kg/m2."
    return None


def time_unit(unit: str | None) -> str | None:
    """Gives the UCUM unit of time that a text means; `None` if it means none.

    Example:
        >>> time_unit("years"), time_unit("wk"), time_unit("kg")
        ('a', 'wk', None)
    """
    meant = None if unit is None else _MISSPELT.get(unit.lower(), unit)
    return meant if meant in _DAYS else None


def seconds_of(unit: str) -> float:
    """Gives how many seconds a unit of time has."""
    return _DAYS[unit] * 86_400


def within_a_day(unit: str) -> bool:
    """Whether a time in this unit says more than the day."""
    return unit in _WITHIN_A_DAY


def drafted_unit(unit: str | None) -> str:
    """Gives a UCUM unit for a draft: the one that is declared, what it probably means, or words in braces.

    Example:
        >>> drafted_unit("kg/m2"), drafted_unit("years"), drafted_unit("puffs a day"), drafted_unit(None)
        ('kg/m2', 'a', '{puffs_a_day}', '1')
    """
    if unit is None:
        return "1"
    if unit_problem(unit) is None:
        return unit
    right = _MISSPELT.get(unit.lower())
    return right or "{" + (re.sub(r"[^!-~]|[][{}()]", "_", unit)[:40] or "_") + "}"

"""All encounters of `diabetes130`: a patient is one unit, with one to six encounters in the order of their numbers.

Race and sex are the patient's own, as in the first encounter; all else belongs to an encounter, each column of the
file among it but the two identifiers. The data dictionary gives the levels; specialties, discharges and sources of the
admission are joined as in `datasets.DIABETES`, diagnoses are chapters of ICD-9 or, as a variant, all codes of its book.
"""

from __future__ import annotations

import pandas as pd

import datasets

MAX_VISITS = 6  # 99 % of patients have no more encounters
POPULATION = 70_000
PATIENT, KEY, LABEL = "patient_nbr", "encounter", "readmitted"
OWN = ("race", "gender")
DIAGNOSES = ("diag_1", "diag_2", "diag_3")
_WEIGHTS = [*(f"[{low}-{low + 25})" for low in range(0, 200, 25)), ">200"]
_RARE = (
    "chlorpropamide", "acetohexamide", "tolbutamide", "miglitol", "troglitazone", "tolazamide", "examide",
    "citoglipton", "glipizide-metformin", "glimepiride-pioglitazone", "metformin-rosiglitazone",
    "metformin-pioglitazone",
)  # fmt: skip


def encounters(*, codes: bool) -> pd.DataFrame:
    """Gives one row per encounter, the first `MAX_VISITS` of each patient.

    Args:
        codes: Whether diagnoses are codes, not chapters.
    """
    rows = pd.read_parquet(datasets.folder() / "diabetes130.parquet").sort_values("encounter_id")
    plain = [rows[name].map(code, na_action="ignore") for name in DIAGNOSES]
    rows = datasets.recoded(rows)
    if codes:
        rows = rows.assign(**dict(zip(DIAGNOSES, plain, strict=True)))
    first = rows.drop_duplicates(PATIENT).set_index(PATIENT)
    for name in OWN:
        rows[name] = rows[PATIENT].map(first[name])
    rows[KEY] = rows.groupby(PATIENT).cumcount() + 1
    kept = rows[rows[KEY] <= MAX_VISITS].drop(columns="encounter_id")
    return kept.sort_values([PATIENT, KEY]).reset_index(drop=True)


def declared(*, codes: bool) -> dict[str, object]:
    """Gives the schema's dictionary.

    Args:
        codes: Whether diagnoses are codes with the chapters as groups, not chapters.
    """
    table: dict[str, object] = dict(datasets.DIABETES["table"])  # type: ignore[call-overload]
    own = {name: table.pop(name) for name in OWN}
    table[LABEL] = {"kind": "category", "levels": ["NO", "<30", ">30"], "sensitive": True}
    table["weight"] = {"kind": "category", "levels": _WEIGHTS, "nullable": True}
    table |= dict.fromkeys(_RARE, table["insulin"])
    if codes:
        groups = chapters()
        table |= {name: {"kind": "category", "nullable": True, "groups": groups} for name in DIAGNOSES}
    return {
        "name": "diabetes130-codes" if codes else "diabetes130-visits",
        "patient": PATIENT,
        "population": POPULATION,
        "table": own,
        "visits": {"key": KEY, "max_visits": MAX_VISITS, "columns": table},
    }


def code(text: str) -> str:
    """Gives the first number of a code; diabetes (250) keeps its two digits more."""
    return text if text.startswith("250") else text.partition(".")[0]


def code_book() -> list[str]:
    """Gives all codes of ICD-9 that a file of three digits may hold; diabetes (250) has two digits more."""
    diabetes = [f"{250 + (10 * kind + control) / 100:g}" for kind in range(10) for control in range(4)]
    plain = [str(number) for number in range(1, 1000)]
    first = [code for code in plain if int(code) < 250]
    rest = [code for code in plain if int(code) > 250]
    return [*first, *diabetes, *rest, *(f"V{at:02d}" for at in range(1, 92)), *(f"E{at}" for at in range(800, 1000))]


def chapters() -> dict[str, list[str]]:
    """Gives the codes of each chapter of ICD-9."""
    found: dict[str, list[str]] = {}
    for one in code_book():
        found.setdefault(datasets.chapter(one), []).append(one)
    return found

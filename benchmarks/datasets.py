"""Public patient data for benchmarks and tests: where it lies, and schemas with public bounds.

The data are not part of the package. Put the files into a folder and name it in WARDGAN_DATA; the default is
`shared/data` beside the checkout. Bounds and levels are those of the data dictionaries, never read off the files.
Sources: UCI heart disease (Janosi, Steinbrunn, Pfisterer, Detrano 1988), SUPPORT2 (Knaus et al. 1995), the Mayo PBC
trial with repeated visits (R package JM), PhysioNet/CinC Challenge 2012 set A, diabetes in 130 US hospitals (Strack et
al. 2014).
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from wardgan.schema.schema import Schema

NAMES = (
    "uci_heart", "support2", "pbc2", "physionet2012", "diabetes130", "pbc2_first", "physionet2012_summary",
    "diabetes130_visits", "diabetes130_visit_codes",
)  # fmt: skip
TABLES = {
    "uci_heart": "disease",
    "support2": "hospdead",
    "diabetes130": "readmitted",
    "pbc2_first": "status2",
    "physionet2012_summary": "died",
}  # one row per patient, with the label


@dataclass(frozen=True)
class Dataset:
    """A public data set.

    Attributes:
        name: One of `NAMES`.
        table: One row per patient, or per visit.
        visits: A second table with the visits, if there is one.
        schema: Public declarations.
    """

    name: str
    table: pd.DataFrame
    visits: pd.DataFrame | None
    schema: Schema


def folder() -> Path:
    """Gives the folder of the data, which need not exist."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    return Path(os.environ.get("WARDGAN_DATA", beside))


def available(name: str) -> bool:
    """Tells whether the files of a data set are there."""
    return all((folder() / file).is_file() for file in _FILES[name])


def load(name: str) -> Dataset:
    """Gives a data set by name."""
    match name:
        case "uci_heart":
            table = pd.read_csv(folder() / _FILES[name][0])
            table.loc[table["chol"] == 0, "chol"] = None
            table.loc[table["trestbps"] == 0, "trestbps"] = None
            table["disease"] = table["num"] > 0
            return Dataset(name, table, None, Schema.from_dict(HEART))
        case "support2" | "pbc2":
            plain = Schema.from_dict(SUPPORT2 if name == "support2" else PBC2)
            return Dataset(name, pd.read_csv(folder() / _FILES[name][0]), None, plain)
        case "pbc2_first":
            return Dataset(name, _pbc2_first(), None, Schema.from_dict(PBC2_FIRST))
        case "physionet2012" | "physionet2012_summary":
            return _physionet() if name == "physionet2012" else _physionet_summary()
        case "diabetes130":
            return Dataset(name, _diabetes(), None, Schema.from_dict(DIABETES))
        case "diabetes130_visits" | "diabetes130_visit_codes":
            from diabetes_visits import declared, encounters

            codes = name.endswith("codes")
            return Dataset(name, encounters(codes=codes), None, Schema.from_dict(declared(codes=codes)))
        case _:
            raise ValueError(f"name={name!r} is not one of {', '.join(NAMES)}")


def _pbc2_first() -> pd.DataFrame:
    visits = pd.read_csv(folder() / _FILES["pbc2_first"][0])
    return visits.sort_values(["id", "year"]).drop_duplicates("id").reset_index(drop=True)


def _stays() -> pd.DataFrame:
    stays = pd.read_csv(folder() / _FILES["physionet2012"][0])
    return stays.assign(
        Gender=stays["Gender"].where(stays["Gender"] >= 0),
        died=stays["In-hospital_death"],
        ICUType=stays["ICUType"].astype(int),
    )


def _physionet() -> Dataset:
    events = pd.read_parquet(folder() / _FILES["physionet2012"][1])
    names = {"HR": "hr", "SysABP": "sbp", "NISysABP": "sbp", "Temp": "temp", "GCS": "gcs"}
    events = events[events["Parameter"].isin(list(names))]
    events = events.assign(column=events["Parameter"].astype(str).map(names), hour=events["minute"] / 60)
    low = {"hr": 20, "sbp": 40, "temp": 30, "gcs": 3}
    high = {"hr": 250, "sbp": 280, "temp": 43, "gcs": 15}
    inside = events["Value"].between(events["column"].map(low), events["column"].map(high)) & (events["hour"] < 48)
    long = events[inside].pivot_table(index=["RecordID", "hour"], columns="column", values="Value").round(1)
    long = long.round({"hr": 0, "sbp": 0, "gcs": 0}).reset_index()
    return Dataset("physionet2012", _stays(), long, Schema.from_dict(PHYSIONET))


def _physionet_summary() -> Dataset:
    """Mean of the first 48 hours of each variable, and the lowest of the coma score."""
    events = pd.read_parquet(folder() / _FILES["physionet2012"][1])
    events = events.assign(Parameter=events["Parameter"].astype(str))
    known = {name: (low, high, decimals) for name, low, high, decimals in SUMMARY}
    events = events[events["Parameter"].isin(list(known))]
    bounds = events["Parameter"].map(known)
    inside = (events["Value"] >= bounds.str[0]) & (events["Value"] <= bounds.str[1])
    means = events[inside].pivot_table(index="RecordID", columns="Parameter", values="Value", aggfunc="mean")
    means = means.round({name: decimals for name, (_, _, decimals) in known.items()})
    lowest = events[inside & (events["Parameter"] == "GCS")].groupby("RecordID")["Value"].min().rename("GCS_lowest")
    table = _stays().merge(means, on="RecordID", how="left").merge(lowest, on="RecordID", how="left")
    return Dataset("physionet2012_summary", table, None, Schema.from_dict(PHYSIONET_SUMMARY))


def _diabetes() -> pd.DataFrame:
    """The first encounter of each patient, with whether another one followed within 30 days."""
    table = pd.read_parquet(folder() / _FILES["diabetes130"][0])
    table = recoded(table.sort_values("encounter_id").drop_duplicates("patient_nbr").reset_index(drop=True))
    table["readmitted"] = table["readmitted"] == "<30"
    return table


def recoded(table: pd.DataFrame) -> pd.DataFrame:
    """Gives rows of the diabetes table with chapters for diagnoses and rare levels of three columns together."""
    table = table.copy()
    table["gender"] = table["gender"].where(table["gender"].isin(["Female", "Male"]))
    for column in ("diag_1", "diag_2", "diag_3"):
        table[column] = table[column].map(chapter, na_action="ignore")
    for column, levels in (
        ("medical_specialty", SPECIALTIES), ("discharge_disposition_id", DISCHARGES),
        ("admission_source_id", SOURCES),
    ):  # fmt: skip
        known = table[column].isin(levels) | table[column].isna()
        table[column] = table[column].where(known, levels[-1])
    return table


def chapter(code: str) -> str:
    """Gives the chapter of an ICD-9 code, by its first number."""
    if code[0] in "EV":
        return code[0]
    if code.startswith("250"):
        return "diabetes"
    number = float(code)
    return next(name for last, name in CHAPTERS if number < last + 1)


_FILES = {
    "uci_heart": ("uci_heart_4sites.csv.gz",),
    "support2": ("support2.csv.gz",),
    "pbc2": ("pbc2_visits.csv.gz",),
    "physionet2012": ("physionet2012_a_stays.csv.gz", "physionet2012_a_events.parquet"),
    **dict.fromkeys(("diabetes130", "diabetes130_visits", "diabetes130_visit_codes"), ("diabetes130.parquet",)),
    "pbc2_first": ("pbc2_visits.csv.gz",),
    "physionet2012_summary": ("physionet2012_a_stays.csv.gz", "physionet2012_a_events.parquet"),
}


def _number(low: float, high: float, decimals: int = 1, **more: object) -> dict[str, object]:
    return {"kind": "number", "low": low, "high": high, "decimals": decimals, **more}


def _integer(low: int, high: int, **more: object) -> dict[str, object]:
    return {"kind": "integer", "low": low, "high": high, **more}


_HOLE = {"nullable": True}
_YESNO = {"kind": "flag", "nullable": True}

HEART: dict[str, object] = {
    "name": "uci-heart",
    "population": 900,
    "table": {
        "disease": {"kind": "flag", "label": True, "sensitive": True},
        "site": {"kind": "category", "levels": ["cleveland", "hungarian", "switzerland", "va"]},
        "age": _integer(18, 100, unit="a"),
        "sex": {"kind": "flag"},
        "cp": {"kind": "category", "levels": [1, 2, 3, 4]},
        "trestbps": _integer(60, 240, unit="mm[Hg]", nullable=True),
        "chol": _integer(50, 700, unit="mg/dL", nullable=True),
        "fbs": _YESNO,
        "restecg": {"kind": "category", "levels": [0, 1, 2], "nullable": True},
        "thalach": _integer(50, 230, unit="/min", nullable=True),
        "exang": _YESNO,
        "oldpeak": _number(-5, 10, nullable=True),
        "slope": {"kind": "category", "levels": [1, 2, 3], "nullable": True},
        "ca": _integer(0, 4, nullable=True),
        "thal": {"kind": "category", "levels": [3, 6, 7], "nullable": True},
    },
}

SUPPORT2: dict[str, object] = {
    "name": "support2",
    "population": 9000,
    "table": {
        "hospdead": {"kind": "flag", "label": True, "sensitive": True},
        "age": _number(18, 110, unit="a"),
        "sex": {"kind": "category", "levels": ["female", "male"]},
        "dzgroup": {
            "kind": "category",
            "levels": [
                "ARF/MOSF w/Sepsis", "CHF", "COPD", "Cirrhosis", "Colon Cancer", "Coma", "Lung Cancer", "MOSF w/Malig",
            ],
        },
        "num.co": _integer(0, 10),
        "scoma": _integer(0, 100, nullable=True),
        "race": {"kind": "category", "levels": ["asian", "black", "hispanic", "other", "white"], "nullable": True},
        "diabetes": {"kind": "flag"},
        "dementia": {"kind": "flag"},
        "ca": {"kind": "category", "levels": ["metastatic", "no", "yes"]},
        "meanbp": _number(0, 250, unit="mm[Hg]", nullable=True),
        "wblc": _number(0, 250, nullable=True),
        "hrt": _number(0, 300, unit="/min", nullable=True),
        "resp": _integer(0, 100, unit="/min", nullable=True),
        "temp": _number(30, 44, unit="Cel", nullable=True),
        "pafi": _number(0, 1000, nullable=True),
        "alb": _number(0, 30, unit="g/dL", nullable=True),
        "bili": _number(0, 80, unit="mg/dL", nullable=True),
        "crea": _number(0, 30, unit="mg/dL", nullable=True),
        "sod": _integer(100, 200, unit="mmol/L", nullable=True),
        "ph": _number(6.5, 8, 2, nullable=True),
    },
}  # fmt: skip

PBC2: dict[str, object] = {
    "name": "pbc2",
    "patient": "id",
    "population": 310,
    "table": {
        "status2": {"kind": "flag", "label": True, "sensitive": True},
        "years": _number(0, 16, 2, unit="a"),
        "drug": {"kind": "category", "levels": ["D-penicil", "placebo"]},
        "age": _number(18, 90, unit="a"),
        "sex": {"kind": "category", "levels": ["female", "male"]},
    },
    "visits": {
        "key": "year",
        "max_visits": 16,
        "columns": {
            "year": _number(0, 16, 2, unit="a"),
            "serBilir": _number(0, 60, unit="mg/dL"),
            "albumin": _number(1, 9, 2, unit="g/dL"),
            "platelets": _integer(10, 1000, nullable=True),
            "ascites": _YESNO,
            "histologic": _integer(1, 4),
        },
    },
    "events": {"time": "years", "event": "status2"},
}

PHYSIONET: dict[str, object] = {
    "name": "physionet2012",
    "patient": "RecordID",
    "population": 4000,
    "table": {
        "died": {"kind": "flag", "label": True, "sensitive": True},
        "Age": _integer(15, 90, unit="a"),
        "Gender": _YESNO,
        "ICUType": {"kind": "category", "levels": [1, 2, 3, 4]},
    },
    "visits": {
        "key": "hour",
        "grid": {"start": 0, "stop": 48, "step": 6, "unit": "h"},
        "columns": {
            "hr": _integer(20, 250, unit="/min", nullable=True),
            "sbp": _integer(40, 280, unit="mm[Hg]", nullable=True),
            "temp": _number(30, 43, unit="Cel", nullable=True),
            "gcs": _integer(3, 15, nullable=True),
        },
    },
}

PBC2_FIRST: dict[str, object] = {
    "name": "pbc2-first",
    "population": 310,
    "table": {
        "status2": {"kind": "flag", "label": True, "sensitive": True},
        "drug": {"kind": "category", "levels": ["D-penicil", "placebo"]},
        "age": _number(18, 90, unit="a"),
        "sex": {"kind": "category", "levels": ["female", "male"]},
        "ascites": _YESNO,
        "hepatomegaly": _YESNO,
        "spiders": _YESNO,
        "edema": {
            "kind": "category", "levels": ["No edema", "edema no diuretics", "edema despite diuretics"],
        },
        "serBilir": _number(0, 60, unit="mg/dL"),
        "serChol": _integer(50, 2000, unit="mg/dL", nullable=True),
        "albumin": _number(1, 9, 2, unit="g/dL"),
        "alkaline": _integer(50, 15000, unit="U/L", nullable=True),
        "SGOT": _number(5, 1500, unit="U/mL", nullable=True),
        "platelets": _integer(10, 1000, nullable=True),
        "prothrombin": _number(7, 40, unit="s"),
        "histologic": _integer(1, 4),
    },
}  # fmt: skip

# Name, lowest and highest plausible value, decimals of the mean.
SUMMARY = (
    ("HR", 20, 250, 0), ("Temp", 30, 43, 1), ("GCS", 3, 15, 0), ("NISysABP", 40, 280, 0), ("NIDiasABP", 10, 200, 0),
    ("SysABP", 40, 280, 0), ("DiasABP", 10, 200, 0), ("Urine", 0, 2000, 0), ("BUN", 0, 250, 0),
    ("Creatinine", 0, 25, 1), ("Glucose", 10, 1200, 0), ("HCO3", 2, 60, 0), ("HCT", 5, 70, 0), ("K", 1, 12, 1),
    ("Na", 90, 190, 0), ("Mg", 0, 10, 1), ("WBC", 0, 200, 1), ("Platelets", 0, 1200, 0), ("PaO2", 10, 600, 0),
    ("PaCO2", 5, 150, 0), ("pH", 6.5, 8, 2), ("FiO2", 0.21, 1, 2), ("Lactate", 0, 35, 1), ("Bilirubin", 0, 60, 1),
    ("Albumin", 0.5, 6, 1),
)  # fmt: skip

PHYSIONET_SUMMARY: dict[str, object] = {
    "name": "physionet2012-summary",
    "population": 4000,
    "table": {
        "died": {"kind": "flag", "label": True, "sensitive": True},
        "Age": _integer(15, 90, unit="a"),
        "Gender": _YESNO,
        "ICUType": {"kind": "category", "levels": [1, 2, 3, 4]},
        "GCS_lowest": _integer(3, 15, nullable=True),
        **{
            name: _number(low, high, decimals, nullable=True) if decimals else _integer(low, high, nullable=True)
            for name, low, high, decimals in SUMMARY
        },
    },
}

# Last number of each chapter of ICD-9.
CHAPTERS = (
    (139, "infection"), (239, "neoplasm"), (279, "endocrine"), (289, "blood"), (319, "mental"), (389, "nervous"),
    (459, "circulatory"), (519, "respiratory"), (579, "digestive"), (629, "genitourinary"), (679, "pregnancy"),
    (709, "skin"), (739, "musculoskeletal"), (759, "congenital"), (779, "perinatal"), (799, "symptoms"),
    (999, "injury"),
)  # fmt: skip
SPECIALTIES = [
    "InternalMedicine", "Emergency/Trauma", "Family/GeneralPractice", "Cardiology", "Surgery-General", "Nephrology",
    "Orthopedics", "Radiologist", "Pulmonology", "Psychiatry", "ObstetricsandGynecology", "Urology", "Other",
]  # fmt: skip
DISCHARGES = [1, 2, 3, 4, 5, 6, 7, 11, 18, 22, 25, 28]
SOURCES = [1, 2, 4, 6, 7, 17, 20, 9]
_AGES = [f"[{low}-{low + 10})" for low in range(0, 100, 10)]
_CHANGED = {"kind": "category", "levels": ["No", "Steady", "Up", "Down"]}
_TAKEN = {"kind": "category", "levels": ["No", "Steady"]}
_CODES = {"kind": "category", "levels": [name for _, name in CHAPTERS] + ["diabetes", "E", "V"], "nullable": True}

DIABETES: dict[str, object] = {
    "name": "diabetes130",
    "population": 70_000,
    "table": {
        "readmitted": {"kind": "flag", "label": True, "sensitive": True},
        "race": {
            "kind": "category", "levels": ["AfricanAmerican", "Asian", "Caucasian", "Hispanic", "Other"],
            "nullable": True,
        },
        "gender": {"kind": "category", "levels": ["Female", "Male"], "nullable": True},
        "age": {"kind": "category", "levels": _AGES},
        "admission_type_id": {"kind": "category", "levels": [1, 2, 3, 4, 5, 6, 7, 8]},
        "discharge_disposition_id": {"kind": "category", "levels": DISCHARGES},
        "admission_source_id": {"kind": "category", "levels": SOURCES},
        "time_in_hospital": _integer(1, 14, unit="d"),
        "payer_code": {
            "kind": "category",
            "levels": ["BC", "CH", "CM", "CP", "DM", "FR", "HM", "MC", "MD", "MP", "OG", "OT", "PO", "SI", "SP", "UN",
                       "WC"],
            "nullable": True,
        },
        "medical_specialty": {"kind": "category", "levels": SPECIALTIES, "nullable": True},
        "num_lab_procedures": _integer(0, 150),
        "num_procedures": _integer(0, 6),
        "num_medications": _integer(0, 100),
        "number_outpatient": _integer(0, 50),
        "number_emergency": _integer(0, 80),
        "number_inpatient": _integer(0, 25),
        "diag_1": _CODES,
        "diag_2": _CODES,
        "diag_3": _CODES,
        "number_diagnoses": _integer(1, 16),
        "max_glu_serum": {"kind": "category", "levels": ["None", "Norm", ">200", ">300"]},
        "A1Cresult": {"kind": "category", "levels": ["None", "Norm", ">7", ">8"]},
        **dict.fromkeys(
            ["metformin", "repaglinide", "nateglinide", "glimepiride", "glipizide", "glyburide", "pioglitazone",
             "rosiglitazone", "acarbose", "insulin", "glyburide-metformin"],
            _CHANGED,
        ),
        **dict.fromkeys(["tolbutamide", "glipizide-metformin"], _TAKEN),
        "change": {"kind": "category", "levels": ["No", "Ch"]},
        "diabetesMed": {"kind": "category", "levels": ["No", "Yes"]},
    },
}  # fmt: skip

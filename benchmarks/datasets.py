"""Public patient data for benchmarks and tests: where it lies, and schemas with public bounds.

The data are not part of the package. Put the files into a folder and name it in WARDGAN_DATA; the default is
`shared/data` beside the checkout. Bounds and levels are those of the data dictionaries, never read off the files.
Sources: UCI heart disease (Janosi, Steinbrunn, Pfisterer, Detrano 1988), SUPPORT2 (Knaus et al. 1995), the Mayo PBC
trial with repeated visits (R package JM), PhysioNet/CinC Challenge 2012 set A.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from wardgan.schema.schema import Schema

NAMES = ("uci_heart", "support2", "pbc2", "physionet2012")


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
        case "support2":
            return Dataset(name, pd.read_csv(folder() / _FILES[name][0]), None, Schema.from_dict(SUPPORT2))
        case "pbc2":
            return Dataset(name, pd.read_csv(folder() / _FILES[name][0]), None, Schema.from_dict(PBC2))
        case "physionet2012":
            return _physionet()
        case _:
            raise ValueError(f"name={name!r} is not one of {', '.join(NAMES)}")


def _physionet() -> Dataset:
    stays = pd.read_csv(folder() / _FILES["physionet2012"][0])
    stays = stays.assign(
        Gender=stays["Gender"].where(stays["Gender"] >= 0),
        died=stays["In-hospital_death"],
        ICUType=stays["ICUType"].astype(int),
    )
    events = pd.read_parquet(folder() / _FILES["physionet2012"][1])
    names = {"HR": "hr", "SysABP": "sbp", "NISysABP": "sbp", "Temp": "temp", "GCS": "gcs"}
    events = events[events["Parameter"].isin(list(names))]
    events = events.assign(column=events["Parameter"].astype(str).map(names), hour=events["minute"] / 60)
    low = {"hr": 20, "sbp": 40, "temp": 30, "gcs": 3}
    high = {"hr": 250, "sbp": 280, "temp": 43, "gcs": 15}
    inside = events["Value"].between(events["column"].map(low), events["column"].map(high)) & (events["hour"] < 48)
    long = events[inside].pivot_table(index=["RecordID", "hour"], columns="column", values="Value").round(1)
    long = long.round({"hr": 0, "sbp": 0, "gcs": 0}).reset_index()
    return Dataset("physionet2012", stays, long, Schema.from_dict(PHYSIONET))


_FILES = {
    "uci_heart": ("uci_heart_4sites.csv.gz",),
    "support2": ("support2.csv.gz",),
    "pbc2": ("pbc2_visits.csv.gz",),
    "physionet2012": ("physionet2012_a_stays.csv.gz", "physionet2012_a_events.parquet"),
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

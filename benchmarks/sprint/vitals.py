"""The paper's second task, on open data: five readings of vital signs, and death in hospital.

The paper took heart failure in MIMIC-III. Here they are the stays of PhysioNet 2012 (set A): the first five readings of
heart rate, systolic and diastolic pressure (in an artery, or by cuff), breaths, oxygen saturation and temperature
within 48 hours. Breaths and saturation were noted in a part of the stays only; their cells are missing elsewhere. A
stay counts as a patient. Classifiers see medians of the training part where a cell is missing.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

import wardgan as wg
from benchmarks.sprint.judge import rank
from datasets import folder

_EVENTS: Final = "physionet2012_a_events.parquet"
_STAYS: Final = "physionet2012_a_stays.csv.gz"
_READINGS: Final = 5
_TRAIN: Final = 3_000
_DRAWN: Final = 10_000
_SIGNS: Final[Mapping[str, tuple[str, ...]]] = {
    "hr": ("HR",), "sbp": ("SysABP", "NISysABP"), "dbp": ("DiasABP", "NIDiasABP"), "rr": ("RespRate",),
    "spo2": ("SaO2",), "temp": ("Temp",),
}  # fmt: skip
_BOUNDS: Final = {"hr": (0, 300), "sbp": (0, 300), "dbp": (0, 200), "rr": (0, 100), "spo2": (0, 100)}
_SCHEMA: Final = {
    "name": "vitals",
    "patient": "stay",
    "population": _TRAIN,
    "table": {"died": {"kind": "flag", "label": True}},
    "visits": {
        "key": "reading",
        "grid": [f"R{number + 1}" for number in range(_READINGS)],
        "columns": {
            **{
                name: {"kind": "integer", "low": low, "high": high, "nullable": True}
                for name, (low, high) in _BOUNDS.items()
            },
            "temp": {"kind": "number", "low": 20, "high": 45, "step": 0.1, "nullable": True},
        },
    },
}
_TASKS: Final[Mapping[str, Any]] = {
    "RF": lambda: RandomForestClassifier(n_estimators=100, random_state=0),
    "LR": lambda: LogisticRegression(max_iter=1_000),
    "SVM": lambda: LinearSVC(C=1.0, random_state=1),
    "kNN": KNeighborsClassifier,
}
_MADE: Final = {
    "vitals: real patients": (None, None),
    **{
        f"vitals: {family}, " + ("no privacy" if epsilon is None else f"epsilon {epsilon:g}"): (family, epsilon)
        for family in ("acgan", "tabgan", "copula")
        for epsilon in (None, 3.5, 1.0)
    },
}
METHODS: Final = tuple(_MADE)


def available() -> bool:
    """Tells whether PhysioNet 2012 is there."""
    return all((folder() / name).is_file() for name in (_EVENTS, _STAYS))


def run(method: str, seed: int) -> dict[str, object]:
    """Gives what a method's patients teach.

    Args:
        method: One of `METHODS`.
        seed: Of the split, and of the training.
    """
    frame = stays()
    numbers = np.random.default_rng(seed).permutation(frame["stay"].unique())
    train = frame[frame["stay"].isin(numbers[:_TRAIN])]
    schema = wg.Schema.from_dict(_SCHEMA)
    cohort = wg.read(train, schema, invalid="clip")
    test = _wide(wg.read(frame[~frame["stay"].isin(numbers[:_TRAIN])], schema, invalid="clip"))
    real = _wide(cohort)
    family, epsilon = _MADE[method]
    begin = time.process_time()
    if family is None:
        return {"numbers": _numbers(real, real, test)}
    if epsilon is None:
        trained = wg.fit(cohort, family=family, privacy="none", seed=seed)
    else:
        trained = wg.fit(cohort, wg.Budget(epsilon=epsilon), family=family)
    found = _wide(trained.generator.draw(_DRAWN, seed=seed))
    return {"numbers": _numbers(found, real, test), "seconds": time.process_time() - begin}


def stays() -> pd.DataFrame:
    """Gives one row for each reading of each stay that has five of heart rate and of both pressures."""
    events = pd.read_parquet(folder() / _EVENTS)
    names = {old: new for new, olds in _SIGNS.items() for old in olds}
    found = events[events["Parameter"].isin(list(names)) & (events["Value"] > 0)]
    found = found.assign(sign=found["Parameter"].astype(str).map(names)).sort_values(
        ["RecordID", "minute"], kind="stable"
    )
    found["reading"] = found.groupby(["RecordID", "sign"]).cumcount()
    wide = found[found["reading"] < _READINGS].pivot_table(
        index=["RecordID", "reading"], columns="sign", values="Value", aggfunc="first"
    )
    wide = wide.unstack("reading")
    whole = wide[["hr", "sbp", "dbp"]].notna().all(axis=1)
    long = wide[whole].stack("reading", future_stack=True).reset_index()
    died = pd.read_csv(folder() / _STAYS).set_index("RecordID")["In-hospital_death"]
    long["died"] = long["RecordID"].map(died).astype(bool)
    long["reading"] = [f"R{number + 1}" for number in long["reading"]]
    whole_numbers = list(_BOUNDS)
    long = long.reindex(columns=["RecordID", "reading", *_SIGNS, "died"])
    long[whole_numbers] = long[whole_numbers].round()
    return long.rename(columns={"RecordID": "stay"})


def facts() -> dict[str, float]:
    """Gives how many stays there are, and shares of those without a breath rate and with all readings of saturation."""
    frame = stays()
    known = frame.groupby("stay")[["rr", "spo2"]].count()
    return {
        "stays": len(known), "no breath rate": float((known["rr"] == 0).mean()),
        "all saturations": float((known["spo2"] == _READINGS).mean()),
    }  # fmt: skip


def _wide(cohort: wg.Cohort) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    wide = cohort.wide()
    signs = [name for name in wide.columns if "@" in name]
    return wide[signs].to_numpy(dtype=np.float64, na_value=np.nan), wide["died"].to_numpy(dtype=bool)


def _numbers(train: Any, real: Any, test: Any) -> dict[str, float]:  # noqa: ANN401 - numbers and deaths
    models = {name: _fitted(make(), train) for name, make in _TASKS.items()}
    row = {name: float(roc_auc_score(test[1], _said(model, test[0]))) for name, model in models.items()}
    row["RF importances"] = rank(
        models["RF"][-1].feature_importances_, _fitted(_TASKS["RF"](), real)[-1].feature_importances_
    )
    row["LR weights"] = rank(np.ravel(models["LR"][-1].coef_), np.ravel(_fitted(_TASKS["LR"](), real)[-1].coef_))
    lower = np.tril_indices(real[0].shape[1], -1)
    cells = [pd.DataFrame(one[0]).corr(min_periods=30).to_numpy()[lower] for one in (train, real)]
    return row | {"correlations": rank(*cells), "deaths": float(train[1].mean())}


def _fitted(model: Any, train: Any) -> Any:  # noqa: ANN401 - a classifier of scikit-learn
    return make_pipeline(SimpleImputer(strategy="median", keep_empty_features=True), StandardScaler(), model).fit(
        *train
    )


def _said(model: Any, values: NDArray[np.float64]) -> NDArray[np.float64]:  # noqa: ANN401 - as above
    return (
        model.decision_function(values)
        if hasattr(model[-1], "decision_function")
        else model.predict_proba(values)[:, 1]
    )

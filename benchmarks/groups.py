"""What is declared about the tables of `tables.py` besides their schemas: rules, and groups of patients.

The rules are those of the data dictionaries and of medicine, for columns whose names can stand in one; `pbc2_first` has
no column that says anything certain about another one. All rows of the five tables obey them.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from wardgan.evaluate.groups import Grouped
from wardgan.schema.read import broken_rules, examine
from wardgan.schema.schema import Schema

_OURS = ("Colon Cancer", "Lung Cancer", "MOSF w/Malig")
_TABLETS = ("metformin", "repaglinide", "glipizide", "glyburide", "pioglitazone", "rosiglitazone", "insulin")
RULES = {
    # Both are read from one exercise test.
    "uci_heart": ("if missing(exang) then missing(thalach)", "if missing(thalach) then missing(exang)"),
    # Whom the study took into its groups of cancer.
    "support2": (f"if dzgroup in {_OURS} then ca != 'no'".replace("'", '"'),),
    "physionet2012_summary": ("NIDiasABP < NISysABP", "DiasABP < SysABP", "GCS_lowest <= GCS"),
    # What "diabetesMed" and "change" mean by the data dictionary, for the drugs whose names can stand in a rule.
    "diabetes130": (
        'if diabetesMed == "No" then ' + " and ".join(f'{name} == "No"' for name in _TABLETS),
        'if change == "Ch" then diabetesMed == "Yes"',
        "if " + " or ".join(f'{name} in ("Up", "Down")' for name in _TABLETS) + ' then change == "Ch"',
        'if gender == "Male" then diag_1 != "pregnancy" and diag_2 != "pregnancy" and diag_3 != "pregnancy"',
    ),
}

_SEXES = {"yes": "male", "no": "female"}


GROUPS = {
    "uci_heart": {"sex": Grouped(names=_SEXES), "age": Grouped((50, 60)), "site": Grouped()},
    "support2": {"sex": Grouped(), "age": Grouped((50, 65, 80)), "race": Grouped()},
    "diabetes130": {"gender": Grouped(), "age": Grouped((40, 60, 80)), "race": Grouped()},
    "pbc2_first": {"sex": Grouped(), "age": Grouped((45, 55))},
    "physionet2012_summary": {
        "Gender": Grouped(names=_SEXES), "Age": Grouped((50, 65, 80)),
        "ICUType": Grouped(names={"1": "coronary", "2": "cardiac surgery", "3": "medical", "4": "surgical"}),
    },
}  # fmt: skip


def with_rules(name: str, schema: Schema) -> Schema:
    """Gives a schema of a table with the rules that its rows have to obey."""
    return Schema.from_dict(schema.to_dict() | {"rules": list(RULES.get(name, ()))})


def broken_share(frame: pd.DataFrame, schema: Schema) -> float | None:
    """Gives the share of rows that break a rule; `None` without rules.

    Args:
        frame: Rows of any origin: what their cells are is not asked, only how they go together.
        schema: Its rules count.
    """
    names = {name for rule in schema.rules for name in rule.names}
    if not names:
        return None
    columns = {name: column for name, column in schema.to_dict()["table"].items() if name in names}
    for column in columns.values():
        column |= {"nullable": True, "label": False}
    judged = Schema.from_dict({"name": "rules", "table": columns, "rules": [rule.text for rule in schema.rules]})
    masks = broken_rules(examine(frame[list(columns)], judged).cohort)
    return float(np.logical_or.reduce(masks).mean())

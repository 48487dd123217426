"""The benchmark of the attacks: parts that share nobody, and rows that count what was found."""

import numpy as np
import pytest

import attacks


def test_the_parts_of_the_trial_share_nobody(monkeypatch):
    monkeypatch.setitem(attacks._PATIENTS, "sprint_like", 40)
    parts = attacks.parts("sprint_like", 1)
    names = [set(part.patients.tolist()) for part in parts]
    assert [len(part) for part in parts] == [40, 40, 40]
    assert len(set.union(*names)) == 120
    again = attacks.parts("sprint_like", 1)
    assert all(np.array_equal(one.patients, two.patients) for one, two in zip(parts, again, strict=True))
    assert set(attacks.parts("sprint_like", 2)[0].patients.tolist()) != names[0]


def run(seed, value, verdict, generator="safe"):
    def result(name, mine, judged):
        estimate = {"value": mine, "low": 0.4, "high": None}
        return {"name": name, "estimate": estimate, "joint": estimate, "verdict": judged, "limit": 0.55, "power": {
            "smallest": 0.6}}  # fmt: skip

    return {
        "table": "uci_heart", "generator": generator, "epsilon": "-", "seed": seed, "patients": 300,
        "processor seconds": 1.0,
        "results": [result("membership.nearest.auc", value, verdict), result("copies.certain", None, "unclear"),
                    result("inference.disease", 0.1, "clear")],
    }  # fmt: skip


def test_a_row_counts_what_was_found():
    (key, runs), *rest = attacks._grouped([run(0, 0.6, "leak"), run(1, 0.5, "clear"), run(0, 0.5, "clear", "leak")])
    assert key == ("uci_heart", "safe", "-")
    assert [other for other, _ in rest] == [("uci_heart", "leak", "-")]
    row = attacks._row(key, runs)
    assert (row["leak seen"], row["unclear"]) == ("1 of 2", "1.0")
    assert row["nearest: AUC"] == "0.550, 1 leak"
    assert row["inference"] == "0.100"
    assert row["copies"] == "n/a"


def test_each_attack_has_its_verdicts_and_means():
    area, copies, _ = attacks._attack_rows(("uci_heart", "safe", "-"), [run(0, 0.6, "leak"), run(1, 0.5, "clear")])
    assert (area["attack"], area["value"], area["high"]) == ("membership.nearest.auc", 0.55, None)
    assert (area["leak"], area["clear"], area["unclear"]) == (1, 1, 0)
    assert (copies["unclear"], copies["value"], copies["smallest leak seen"]) == (2, None, 0.6)


@pytest.mark.parametrize("name", attacks._SHOWN)
def test_what_is_shown_is_asked(name):
    from wardgan.attack import questions
    from wardgan.schema.schema import Schema

    schema = Schema.from_dict({"name": "demo", "table": {"ill": {"kind": "flag"}}})
    assert any(attacks._is(question.name, name) for question in questions(schema))

"""The SPRINT benchmark reads the trial's files, knows who is complete, keeps what is done, and says means with errors."""

import json
import sys

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("torch")
pytest.importorskip("matplotlib")

from benchmarks.sprint import __main__ as command
from benchmarks.sprint import figures, judge, methods, table, vitals
from benchmarks.sprint.epochs import WAYS
from benchmarks.sprint.trial import TEST, Part, trial

from wardgan.simulate.sprint import VISITS

PATIENTS = 1_030
FIGURES = ["accuracy", "correlations", "delta", "epochs", "medians", "weights"]


@pytest.fixture
def files(tmp_path):
    """Invented files with the names and columns of the trial's."""
    stream = np.random.default_rng(0)
    names = np.array([f"S{number:05d}" for number in range(PATIENTS)])
    order = stream.permutation(PATIENTS)  # the files need not be sorted
    pd.DataFrame({"MASKID": names[order], "INTENSIVE": order % 2, "SBP": 1}).to_csv(
        tmp_path / "baseline.csv", index=False
    )
    visits = ["RZ", *VISITS[1:], "30M"]
    rows = pd.DataFrame({
        "MASKID": np.repeat(names[order], len(visits)), "VISITCODE": np.tile(visits, PATIENTS),
        "SBP": np.repeat(100 + order % 50, len(visits)), "DBP": 70, "N_BPCLASSES": 2,
    }).astype({"DBP": float})  # fmt: skip
    rows.loc[(rows["MASKID"] == "S00007") & (rows["VISITCODE"] == "3M"), "DBP"] = 0  # not measured
    rows.loc[(rows["MASKID"] == "S00008") & (rows["VISITCODE"] == "27M"), "SBP"] = np.nan
    rows.loc[(rows["MASKID"] == "S00009") & (rows["VISITCODE"] == "30M"), "DBP"] = np.nan  # of no matter
    rows = rows.drop(rows.index[(rows["MASKID"] == "S00010") & (rows["VISITCODE"] == "RZ")])
    rows = pd.concat([rows, rows[(rows["MASKID"] == "S00011") & (rows["VISITCODE"] == "6M")]])
    rows.to_csv(tmp_path / "bp.csv", index=False)
    return tmp_path


def test_the_trials_own_files_are_read(files):
    train, test = trial(str(files), seed=3)
    whole = [number for number in range(PATIENTS) if number not in (7, 8, 10, 11)]
    assert (len(train.arms), len(test.arms)) == (len(whole) - TEST, TEST)
    arms = np.concatenate([train.arms, test.arms])
    pressures = np.concatenate([train.values, test.values])[:, 0]
    assert arms.tolist() == [number % 2 for number in whole]
    assert np.array_equal(pressures, np.repeat(100 + np.array(whole)[:, None] % 50, 12, axis=1))


def test_files_that_are_not_the_trials_are_told(files, tmp_path):
    with pytest.raises(SystemExit, match=r"baseline\.csv is not there: name the folder"):
        trial(str(tmp_path / "nowhere"), 0)
    blood = pd.read_csv(files / "bp.csv")
    blood.iloc[:5_000].to_csv(files / "bp.csv", index=False)
    with pytest.raises(SystemExit, match=r"has 3\d\d patients with both pressures .* at least 1,004 are needed"):
        trial(str(files), 0)
    blood.drop(columns="N_BPCLASSES").to_csv(files / "bp.csv", index=False)
    with pytest.raises(SystemExit, match=r"bp\.csv has no column N_BPCLASSES"):
        trial(str(files), 0)


def test_simulated_patients_are_others_for_each_seed_and_the_same_for_one():
    one, other, again = (trial("simulated", seed)[0] for seed in (0, 1, 0))
    assert np.array_equal(one.values, again.values)
    assert not np.array_equal(one.values, other.values)
    assert len(one.arms) == 6_000


def part(count=80, seed=0):
    stream = np.random.default_rng(seed)
    arms = stream.integers(0, 2, count)
    values = stream.integers(60, 140, (count, 3, 12))
    values[:, 0] -= 30 * arms[:, None]
    return Part(values, arms)


def test_what_patients_teach():
    found = judge.judged(part(), part(seed=1))
    numbers = judge.numbers(found, found)
    assert numbers["correlations"] == numbers["importance RF"] == numbers["importance LR"] == 1
    assert numbers["correlations RMSE"] == numbers["SBP median, largest gap"] == 0
    assert numbers["accuracy LR"] > 0.8
    assert found.cells.shape == (630,)
    assert found.medians[1, 0].mean() < found.medians[0, 0].mean() - 20


def test_one_arm_alone_teaches_its_own_share():
    """A generator that forgot an arm must not stop the table."""
    alone = part()
    alone = Part(alone.values, np.zeros_like(alone.arms))
    test = part(seed=1)
    found = judge.judged(alone, test)
    assert set(found.accuracy.values()) == {float((test.arms == 0).mean())}
    assert judge.numbers(found, judge.judged(test, test))["importance RF"] == 0


def test_means_come_with_standard_errors():
    assert table.told([1.0, 2.0, 3.0]) == "2.000 ± 0.577"
    assert table.told([120.0, 130.0]) == "125.00 ± 5.00"
    assert table.told([0.5]) == "0.500"


@pytest.fixture
def quick(monkeypatch):
    """Each unit in a moment, and a note of those that ran."""
    ran = []
    real = judge.judged(part(), part(seed=1))

    def run(method, place, seed, epochs):
        ran.append((method, seed))
        told = methods._told(real, real, seed)
        ways = dict.fromkeys(WAYS, told) if method in methods.OLD else {"": told}
        curves = {"forest": [0.5, 0.6], "logistic": [0.5, 0.6], "losses": [[1, 2], [1, 2]]}
        return {"ways": ways, "seconds": 1.0} | ({"epochs": curves} if method in methods.OLD else {})

    monkeypatch.setattr(command, "run", run)
    monkeypatch.setattr(vitals, "available", lambda: False)
    return ran


def test_a_stopped_command_goes_on_where_it_was(quick, tmp_path, monkeypatch, capsys):
    words = ["sprint", "--seeds", "2", "--keep", str(tmp_path / "kept"), "--out", str(tmp_path / "sprint.json")]
    monkeypatch.setattr(sys, "argv", words)
    command.main()
    assert len(quick) == len(set(quick)) == 2 * len(methods.METHODS)
    left = json.loads((tmp_path / "sprint.json").read_text())
    assert {row["trained on"] for row in left["rows"]} >= {
        "real patients",
        "2017, no privacy: ten epochs",
        "tabgan, epsilon 1",
    }
    assert left["claimed"] == pytest.approx([1.6, 1.89], abs=0.01)
    assert left["real"] == pytest.approx([12.63, 13.59], abs=0.01)
    (tmp_path / "kept" / "1 tabgan epsilon 1.json").unlink()
    quick.clear()
    monkeypatch.setattr(sys, "argv", words)
    command.main()
    assert quick == [("tabgan, epsilon 1", 1)]
    assert "| tabgan, epsilon 1 | 2 |" in capsys.readouterr().out


def test_some_methods_alone(quick, tmp_path, monkeypatch):
    monkeypatch.setattr(
        sys,
        "argv",
        [
            "sprint",
            "--seeds",
            "1",
            "--only",
            "copula",
            "real",
            "--keep",
            str(tmp_path / "kept"),
            "--out",
            str(tmp_path / "o.json"),
        ],
    )
    command.main()
    assert {name for name, _ in quick} == {
        "real patients",
        "copula, no privacy",
        "copula, epsilon 3.5",
        "copula, epsilon 1",
    }
    drawn = figures.draw(json.loads((tmp_path / "o.json").read_text())["runs"], tmp_path)
    assert sorted(path.stem for path in drawn) == [f"sprint-{name}" for name in FIGURES]
    assert all(path.read_text().startswith("<?xml") for path in drawn)


def test_stays_have_five_readings_in_the_order_of_time(tmp_path, monkeypatch):
    def events(stay, minutes, sign, first):
        return pd.DataFrame(
            {"RecordID": stay, "minute": minutes, "Parameter": sign, "Value": first + np.arange(len(minutes))}
        )

    late = [600, 500, 400, 300, 200, 100]
    frames = [events(1, late, sign, 80) for sign in ("HR", "NISysABP", "NIDiasABP")]
    frames += [events(2, late[:4], sign, 80) for sign in ("HR", "SysABP", "DiasABP")]  # too few
    frames += [events(1, [50, 60], "SaO2", 95), events(1, [700], "HR", -1)]
    pd.concat(frames).to_parquet(tmp_path / "physionet2012_a_events.parquet")
    pd.DataFrame({"RecordID": [1, 2], "In-hospital_death": [1, 0]}).to_csv(
        tmp_path / "physionet2012_a_stays.csv.gz", index=False
    )
    monkeypatch.setattr(vitals, "folder", lambda: tmp_path)
    assert vitals.available()
    found = vitals.stays()
    assert found["stay"].tolist() == [1] * 5
    assert found["reading"].tolist() == ["R1", "R2", "R3", "R4", "R5"]
    assert found["hr"].tolist() == [85, 84, 83, 82, 81]
    assert found["spo2"].dropna().tolist() == [95, 96]
    assert found["died"].all()

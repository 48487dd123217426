"""The institution's ledger on the command line, with two processes at once, and with kill -9 (Rule P14)."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import nullcontext
from pathlib import Path

import pytest

from wardgan.privacy.accounts.book import Accounts

OVERRIDE = ("--override", "A. Tester: no dossier in a test")
ROOT = Path(__file__).resolve().parents[1]
RESERVE = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[3])
from accounts_kit import claim, opened, patients, plan
from wardgan.errors import BudgetError
taken = refused = 0
(Path(sys.argv[1]) / sys.argv[2]).touch()
while not (Path(sys.argv[1]) / "go").exists():
    time.sleep(0.001)
for at in range(40):
    with opened(Path(sys.argv[1])) as accounts:
        token = f"{sys.argv[2]} {at}"
        try:
            accounts.reserve(patients(), claim(token, 0.5))
        except BudgetError:
            refused += 1
            continue
        if at % 2:
            accounts.settle(token, plan(0.5).events[: at % 3], "refused")
        taken += 1
print(taken, refused)
"""
FOREVER = RESERVE.replace("range(40)", "range(10**6)")


@pytest.fixture
def home(clinic, monkeypatch):
    """The clinic, with the ledger where the command line puts it."""
    monkeypatch.delenv("WARDGAN_LEDGER")
    monkeypatch.chdir(clinic.folder)
    return clinic


def fit(clinic, name="run", epsilon=2, *more):
    return ("fit", clinic.data, clinic.schema, "--epsilon", epsilon, "-o", clinic.folder / name, *more)


def refused(clinic, *words, phrase, code=2):
    before = clinic.files()
    done = clinic.run(*words)
    text = " ".join((done.stdout + done.stderr).split())
    assert done.exit_code == code, text
    assert phrase in text
    assert "Traceback" not in text
    assert clinic.files() - before <= {"ledger.db.key"}


def test_p14_a_steward_keeps_the_books(home):
    words = home.ok(*fit(home, "first"))
    assert (words["ledger"], words["dataset"]) == (str(home.folder / "ledger.db"), "clinic")
    assert "ledger.db" in home.files()
    home.ok("ledger", "cap", "--epsilon", 2.5)
    refused(home, *fit(home, "second"), phrase="At most epsilon", code=4)
    left = home.ok("ledger", "show")["datasets"][0]["left"]
    said = home.run(*fit(home, "second", left))
    assert said.exit_code == 0, said.output
    assert "data set 'clinic', the same patients as before (1 fit so far)" in said.stdout
    home.ok("release", home.folder / "first", "-o", home.folder / "x.hgan", *OVERRIDE)

    found = home.ok("ledger", "show", "clinic")
    (page,) = found["datasets"]
    assert page["total"]["epsilon"] <= 2.5
    assert page["total"]["how"] == "exact"
    assert [Path(line["run"]).name for line in page["entries"]] == ["first", "second"]
    assert page["entries"][0]["releases"][0]["file"] == "x.hgan"
    text = home.run("ledger", "show").stdout
    for word in ("first", "second", "copula", "done", "x.hgan", "Together: epsilon 2.", "Cap: epsilon 2.5", "Left: "):
        assert word in " ".join(text.split())


def test_p14_the_same_patients_are_known_again(home):
    home.ok(*fit(home, "first"))
    frame = home.frame()
    again = frame.iloc[::-1].assign(bmi="20", patient_id=frame["patient_id"].str.upper())
    again.to_csv(home.data, index=False)
    assert "the same patients as before" in home.run(*fit(home, "second")).stdout
    frame.head(300).to_csv(home.data, index=False)
    said = " ".join(home.run(*fit(home, "third")).stdout.split())
    assert "counted together. If nobody is in both, stop now and fit with --dataset NAME" in said
    assert "data set 'east', as you say (0 fits so far)" not in said
    frame.tail(350).to_csv(home.data, index=False)
    assert home.ok(*fit(home, "fourth", 2, "--dataset", "east"))["dataset"] == "east"
    refused(home, *fit(home, "fifth", 2, "--dataset", "clinic"), phrase="are counted as 'east' already")
    shown = home.ok("ledger", "show")
    assert [(page["name"], len(page["entries"])) for page in shown["datasets"]] == [("clinic", 3), ("east", 1)]
    assert shown["everything"]["epsilon"] > max(page["total"]["epsilon"] for page in shown["datasets"])
    assert "A patient who is in all data sets" in home.run("ledger", "show").stdout
    assert home.ok("ledger", "link", "clinic", "east")["datasets"] == ["clinic", "east"]
    assert home.ok("ledger", "show", "east")["datasets"][0]["name"] == "clinic + east"


def test_p14_no_patient_is_in_the_ledger_or_its_exports(home):
    home.ok(*fit(home))
    home.ok("ledger", "export", "-o", home.folder / "all.json")
    home.ok("ledger", "export", "-o", home.folder / "all.csv")
    refused(home, "ledger", "export", "-o", home.folder / "all.csv", phrase="exists")
    refused(home, "ledger", "export", "-o", home.folder / "all.txt", phrase="end the name in .json or .csv")
    home.ok("ledger", "export", "-o", home.folder / "all.csv", "--force")
    found = json.loads((home.folder / "all.json").read_text(encoding="utf-8"))
    (line,) = found["datasets"][0]["entries"]
    assert [event["name"] for event in line["events"]] == ["grid", "label tables", "class means", "covariance"]
    with (home.folder / "all.csv").open(encoding="utf-8", newline="") as file:
        (row,) = csv.DictReader(file)
    assert (row["dataset"], row["state"], float(row["spent_epsilon"])) == ("clinic", "done", 2.0)
    for name in ("ledger.db", "all.json", "all.csv", "run/account.json"):
        data = (home.folder / name).read_bytes()
        assert b"Quixote" not in data
        assert b"quixote" not in data
    assert (home.folder / "ledger.db").stat().st_mode & 0o777 == 0o600
    key = (home.folder / "ledger.db.key").read_bytes()
    assert key not in (home.folder / "ledger.db").read_bytes()


def test_p14_without_privacy_it_is_red_and_a_cap_refuses_it(home):
    home.ok("ledger", "cap", "--epsilon", 5)
    words = ("fit", home.data, home.schema, "--privacy", "none", "-o", home.folder / "run")
    refused(home, *words, phrase="a fit with privacy='none' has no finite epsilon", code=4)
    refused(home, *fit(home, "run", 2, "--seed", 3), phrase="noise that can be replayed", code=4)
    home.ok("ledger", "cap", "--lift")
    home.ok(*words)
    page = home.ok("ledger", "show")["datasets"][0]
    assert (page["total"]["epsilon"], page["total"]["how"]) == (None, "no privacy")
    text = " ".join(home.run("ledger", "show").stdout.split())
    assert "Together: infinite epsilon (a fit without privacy" in text
    home.ok("ledger", "cap", "clinic", "--epsilon", 5)
    refused(home, *fit(home, "other"), phrase="nothing is left", code=4)
    assert "Left: nothing" in " ".join(home.run("ledger", "show").stdout.split())


def test_p14_where_the_ledger_is(home, monkeypatch):
    institution = home.folder / "institution"
    institution.mkdir()
    monkeypatch.setenv("WARDGAN_LEDGER", str(institution / "all.db"))
    assert home.ok(*fit(home, "one"))["ledger"] == str(institution / "all.db")
    assert home.ok("ledger", "show")["ledger"] == str(institution / "all.db")
    assert home.ok(*fit(home, "two", 2, "--ledger", home.folder / "mine.db"))["ledger"] == str(home.folder / "mine.db")
    monkeypatch.delenv("WARDGAN_LEDGER")
    away = home.folder / "away"
    away.mkdir()
    (away / "link.csv").symlink_to(home.data)
    words = ("fit", away / "link.csv", home.schema, "--epsilon", 2, "-o", home.folder / "three")
    assert home.ok(*words)["ledger"] == str(home.folder / "ledger.db")
    assert [path.name for path in away.iterdir()] == ["link.csv"]


def test_p14_a_resumed_run_goes_on_in_its_ledger(home, monkeypatch):
    from wardgan.cli import run as run_module

    def stop(*_args):
        raise KeyboardInterrupt

    real = run_module.bar
    monkeypatch.setattr(run_module, "bar", lambda *_: nullcontext(stop))
    stopped = home.run(*fit(home, "run", 2, "--ledger", home.folder / "mine.db"))
    assert stopped.exit_code == 130
    monkeypatch.setattr(run_module, "bar", real)
    assert (
        home.ok("ledger", "show", "--ledger", home.folder / "mine.db")["datasets"][0]["entries"][0]["state"]
        == "stopped"
    )
    other = ("fit", home.data, home.schema, "--resume", "-o", home.folder / "run")
    refused(home, *other, "--ledger", home.folder / "ledger.db", phrase="the run was entered in")
    assert home.ok(*stopped.stderr.split("\n  ")[1].split()[1:])["ledger"] == str(home.folder / "mine.db")
    (line,) = home.ok("ledger", "show", "--ledger", home.folder / "mine.db")["datasets"][0]["entries"]
    assert line["state"] == "done"


def test_a_file_that_leaves_is_written_though_the_ledger_is_gone(home):
    home.ok(*fit(home))
    (home.folder / "ledger.db").rename(home.folder / "away.db")
    done = home.run("release", home.folder / "run", "-o", home.folder / "x.hgan", *OVERRIDE)
    assert done.exit_code == 0
    assert "The ledger does not know of this file" in done.stdout
    assert not (home.folder / "ledger.db").exists()
    assert home.ok("release", home.folder / "run", "-o", home.folder / "y.hgan", *OVERRIDE)["ledger"] is None


def test_what_is_wrong_with_the_words_or_the_file(home):
    refused(home, "ledger", "show", phrase="does not exist; wardgan fit makes one")
    refused(home, "ledger", "link", "a", "b", phrase="does not exist")
    refused(home, "ledger", "cap", phrase="--lift")
    refused(home, "ledger", "cap", "--epsilon", 3, "--lift", phrase="--lift")
    refused(home, "ledger", "cap", "--epsilon", 0, phrase="epsilon=0")
    refused(home, *fit(home, "run", 2, "--ledger", home.folder), phrase="is a folder")
    nowhere = home.folder / "nowhere" / "ledger.db"
    refused(home, *fit(home, "run", 2, "--ledger", nowhere), phrase="name another place with --ledger FILE")
    refused(home, *fit(home, "run", 2, "--dataset", " "), phrase="1 to 100 letters")
    for text in ("", "no database at all"):
        (home.folder / "ledger.db").write_text(text, encoding="utf-8")
        refused(home, *fit(home), phrase="it is never overwritten")
        for verb in (("show",), ("cap", "--epsilon", 3), ("link", "a", "b"), ("export", "-o", home.folder / "x.csv")):
            refused(home, "ledger", *verb, phrase="it is never overwritten")
        (home.folder / "ledger.db").unlink()
    home.ok(*fit(home))
    refused(home, "ledger", "show", "nobody", phrase="dataset='nobody' is not in the ledger; it knows clinic")
    refused(home, "ledger", "cap", "nobody", "--epsilon", 3, phrase="is not in the ledger")


def shown(folder):
    with Accounts.open(folder / "ledger.db") as accounts:
        (found,) = accounts.show()
    return found


def test_p14_two_processes_cannot_overspend_together(tmp_path):
    with Accounts.open(tmp_path / "ledger.db", create=True) as accounts:
        from wardgan.privacy.events import Budget

        accounts.cap(Budget(2.0))
    command = [sys.executable, "-c", RESERVE, str(tmp_path)]
    children = [
        subprocess.Popen([*command, name, str(ROOT)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for name in ("one", "two")
    ]
    for _ in range(3000):
        if (tmp_path / "one").exists() and (tmp_path / "two").exists():
            break
        time.sleep(0.02)
    (tmp_path / "go").touch()
    told = [child.communicate(timeout=300) for child in children]
    assert [child.returncode for child in children] == [0, 0], told
    counts = [tuple(map(int, out.split())) for out, _ in told]
    found = shown(tmp_path)
    assert found.total().epsilon <= 2.0
    # Some were refused, and every fit that was allowed is in the ledger.
    assert sum(no for _, no in counts)
    assert sum(taken for taken, _ in counts) == len(found.entries)
    assert not 2.0 - found.total().epsilon > 0.5


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no kill -9")
def test_p14_kill_9_in_the_middle_loses_no_entry(tmp_path):
    (tmp_path / "go").touch()
    told = 0
    for round_ in range(4):
        child = subprocess.Popen(
            [sys.executable, "-c", FOREVER.replace("taken += 1", "print(token, flush=True)"), str(tmp_path),
             f"round {round_}", str(ROOT)], stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        try:
            for _ in range(3 + 5 * round_):
                told += bool(child.stdout.readline())
            time.sleep(0.01 * round_)
            os.kill(child.pid, signal.SIGKILL)
            told += len(child.stdout.read().splitlines())
        finally:
            child.kill()
            child.wait()
            child.stdout.close()
        found = shown(tmp_path)
        # What a process was told is entered is entered; at most one more entry for each kill is open.
        assert told <= len(found.entries) <= told + round_ + 1
        assert {entry.state for entry in found.entries} <= {"open", "refused"}


FIT = """
import sys
import numpy as np, pandas as pd, wardgan as wg

OVERRIDE = ("--override", "A. Tester: no dossier in a test")
numbers = np.random.default_rng(0)
frame = pd.DataFrame({"id": range(800), "age": numbers.integers(20, 90, 800), "arm": np.tile(["a", "b"], 400)})
schema = wg.Schema.from_dict({"name": "demo", "patient": "id", "population": 800, "table": {
    "age": {"kind": "integer", "low": 0, "high": 99},
    "arm": {"kind": "category", "levels": ["a", "b"], "label": True},
}})
config = wg.TabganConfig(steps=200, width=8, noise_inputs=2)
resume = sys.argv[2] == "resume"
accounts = None if resume else sys.argv[3]
wg.fit(wg.read(frame, schema), wg.Budget(epsilon=1.0), family=config, run=sys.argv[1], resume=resume, accounts=accounts)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no kill -9")
def test_p14_a_fit_that_is_killed_counts_what_it_billed_and_resumes_as_one(tmp_path):
    from wardgan.privacy.ledger import Ledger

    run, ledger = tmp_path / "run", tmp_path / "ledger.db"
    command = [sys.executable, "-c", FIT, str(run)]
    child = subprocess.Popen([*command, "begin", str(ledger)], env={**os.environ, "OMP_NUM_THREADS": "1"})
    try:
        for _ in range(6000):
            assert child.poll() is None, "the fit ended before it could be killed"
            begun = (run / "ledger.jsonl").exists() and b"\n" in (run / "ledger.jsonl").read_bytes()
            if begun and Ledger.resume(run / "ledger.jsonl").steps("discriminator") >= 50:
                break
            time.sleep(0.02)
        if ledger.exists():
            assert shown(tmp_path).entries[0].state == "open"
        os.kill(child.pid, signal.SIGKILL)
    finally:
        child.kill()
        child.wait()
    (entry,) = shown(tmp_path).entries
    assert (entry.state, entry.events) == ("crashed", Ledger.resume(run / "ledger.jsonl").events)
    assert shown(tmp_path).total().epsilon < 1.0
    subprocess.run([*command, "resume"], check=True, timeout=240)
    (entry,) = shown(tmp_path).entries
    assert (entry.state, entry.events[-1].steps) == ("done", 200)
    assert shown(tmp_path).total().epsilon <= 1.0


def card_of(home, run, *more):
    home.ok("release", home.folder / run, "-o", home.folder / f"{run}.hgan", *OVERRIDE, "--force", *more)
    return home.ok("inspect", home.folder / f"{run}.hgan")["card"]["training_data_id"]


def test_p14_models_of_the_same_patients_say_so_without_being_told(home):
    for name in ("one", "two"):
        home.ok(*fit(home, name, 1))
    first = card_of(home, "one")
    assert first.startswith("data-")
    assert card_of(home, "two") == first
    # What they cost one patient together is found by whoever combines them.
    both = home.ok("combine", home.folder / "one.hgan", home.folder / "two.hgan", "-o", home.folder / "both.hgan")
    assert both["bounds"]["disjoint"]["epsilon"] > 1.3
    assert card_of(home, "two", "--data-id", "data-of-others") == "data-of-others"
    frame = home.frame()
    frame["patient_id"] = "Sancho" + frame["patient_id"]
    frame.to_csv(home.data, index=False)
    home.ok(*fit(home, "three", 1, "--dataset", "others"))
    assert card_of(home, "three") not in (first, "data-of-others")


def test_a_ledger_that_is_gone_names_one_fit_and_says_so(home):
    home.run(*fit(home, "one", 1))
    ledger = next(home.folder.rglob("ledger.db"))
    ledger.with_name("ledger.db.key").unlink()
    assert card_of(home, "one").startswith("fit-")
    done = home.run("release", home.folder / "one", "-o", home.folder / "x.hgan", *OVERRIDE)
    assert "cannot say that other models are of the same patients" in " ".join((done.stdout + done.stderr).split())

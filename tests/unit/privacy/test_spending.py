"""A fit under the institution's ledger: reserved, settled, resumed, copied, lost, and paid figures."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest

import wardgan as wg
from accounts_kit import plan
from wardgan.errors import BudgetError, FormatError, OutputError, PlanError, UsageError
from wardgan.files import locked
from wardgan.models.fit import fit
from wardgan.models.planning import COUNT
from wardgan.privacy.accounts.book import Accounts
from wardgan.privacy.accounts.slip import SLIP, slip_of
from wardgan.privacy.accounts.spending import Account, note_release, paid_figure, preview
from wardgan.privacy.events import Budget
from wardgan.privacy.ledger import Ledger

BUDGET = wg.Budget(epsilon=1.0)
TABLE = {
    "age": {"kind": "integer", "low": 0, "high": 99},
    "arm": {"kind": "category", "levels": ["a", "b"], "label": True},
}
TABGAN = wg.TabganConfig(steps=120, width=8, noise_inputs=2)


def cohort(first=0, **schema):
    numbers = np.random.default_rng(0)
    names = [f"P{first + at}" for at in range(800)]
    frame = pd.DataFrame({"id": names, "age": numbers.integers(20, 90, 800), "arm": np.tile(["a", "b"], 400)})
    found = {"name": "demo", "patient": "id", "population": 800, "table": TABLE, **schema}
    return wg.read(frame, wg.Schema.from_dict({key: value for key, value in found.items() if value is not None}))


HELD = cohort(5000)


class Killed(BaseException):
    """Ends a fit in the middle."""


def kill(kind=Killed):
    def watch(progress):
        if "discriminator" in progress.doing and progress.done >= 50:
            raise kind

    return watch


@pytest.fixture
def ledger(tmp_path):
    return tmp_path / "ledger.db"


def shown(ledger):
    with Accounts.open(ledger, writable=False) as accounts:
        return accounts.show()


def entries(ledger):
    return [entry for each in shown(ledger) for entry in each.entries]


def capped(ledger, epsilon):
    with Accounts.open(ledger, create=True) as accounts:
        accounts.cap(Budget(epsilon))


def test_p14_a_fit_is_entered_only_where_it_is_told(tmp_path, ledger):
    fit(cohort(), BUDGET, family="copula", run=tmp_path / "run")
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
    assert slip_of(tmp_path / "run") is None
    made = fit(cohort(), BUDGET, family="copula", run=tmp_path / "other", accounts=ledger)
    (entry,) = entries(ledger)
    assert (entry.state, entry.family, entry.run) == ("done", "copula", str(tmp_path / "other"))
    assert entry.events == made.ledger.events
    assert slip_of(tmp_path / "other").entry == entry.token


def test_p14_a_fit_without_a_run_folder_counts_too(ledger):
    fit(cohort(), BUDGET, family="copula", accounts=str(ledger))
    fit(cohort(), BUDGET, family="copula", accounts=Account(ledger))
    fit(cohort(), BUDGET, family="copula", accounts=Account(ledger, "demo"))
    (found,) = shown(ledger)
    assert [entry.run for entry in found.entries] == [None] * 3
    assert 1.5 < found.total().epsilon < 2.0


def test_p14_a_refused_fit_leaves_nothing_and_reads_nobody(tmp_path, ledger):
    capped(ledger, 0.5)
    (tmp_path / "mine").mkdir()
    for name in ("run", "mine"):
        with pytest.raises(BudgetError, match=r"At most epsilon 0\.5 is left"):
            fit(cohort(), BUDGET, family="copula", run=tmp_path / name, accounts=ledger)
    assert entries(ledger) == []
    assert not (tmp_path / "run").exists()
    assert list((tmp_path / "mine").iterdir()) == []
    fit(cohort(), Budget(0.5), family="copula", run=tmp_path / "mine", accounts=ledger)


def test_p14_a_killed_fit_counts_what_was_billed_and_goes_on_as_itself(tmp_path, ledger):
    run = tmp_path / "run"
    with pytest.raises(Killed):
        fit(cohort(), BUDGET, family=TABGAN, run=run, accounts=ledger, watch=kill())
    (entry,) = entries(ledger)
    assert entry.state == "failed"
    assert entry.events == Ledger.resume(run / "ledger.jsonl").events
    assert 0.5 < shown(ledger)[0].total().epsilon < 1.0
    made = fit(cohort(), BUDGET, family=TABGAN, run=run, resume=True)
    (entry,) = entries(ledger)
    assert (entry.state, entry.events) == ("done", made.ledger.events)


def test_p14_a_stopped_run_may_find_its_place_taken(tmp_path, ledger):
    run = tmp_path / "run"
    capped(ledger, 1.0)
    with pytest.raises(KeyboardInterrupt):
        fit(cohort(), BUDGET, family=TABGAN, run=run, accounts=ledger, watch=kill(KeyboardInterrupt))
    assert entries(ledger)[0].state == "stopped"
    (found,) = shown(ledger)
    fit(cohort(), Budget(found.left()), family="copula", accounts=ledger)
    with pytest.raises(BudgetError, match="cap of data set 'demo'"):
        fit(cohort(), BUDGET, family=TABGAN, run=run, resume=True)
    assert (run / "ledger.jsonl").exists()
    assert shown(ledger)[0].total().epsilon <= 1.0
    capped(ledger, 1.5)
    fit(cohort(), BUDGET, family=TABGAN, run=run, resume=True)


def left_open(tmp_path, ledger, monkeypatch):
    """A run whose process ended without a word: nothing was settled."""
    with monkeypatch.context() as patched:
        patched.setattr("wardgan.privacy.accounts.spending.Spending.settle", lambda *_: None)
        with pytest.raises(Killed):
            fit(cohort(), BUDGET, family=TABGAN, run=tmp_path / "run", accounts=ledger, watch=kill())
    return tmp_path / "run"


def whole(ledger):
    """Whether the first entry counts for all that was planned."""
    entry = entries(ledger)[0]
    return entry.part.events == entry.plan.events


def test_p14_a_crash_is_found_out_from_the_runs_own_ledger(tmp_path, ledger, monkeypatch):
    run = left_open(tmp_path, ledger, monkeypatch)
    billed = Ledger.resume(run / "ledger.jsonl").events
    assert (entries(ledger)[0].state, entries(ledger)[0].events) == ("crashed", billed)
    with locked(run / "ledger.jsonl"):
        assert entries(ledger)[0].state == "open"
        assert whole(ledger)
    fit(cohort(), BUDGET, family="copula", accounts=ledger)
    shutil.rmtree(run)
    assert entries(ledger)[0].events == billed


@pytest.mark.parametrize("lost", ["folder", "ledger", "slip", "another run"])
def test_p14_a_crash_that_cannot_be_found_out_counts_whole(tmp_path, ledger, monkeypatch, lost):
    run = left_open(tmp_path, ledger, monkeypatch)
    if lost == "ledger":
        (run / "ledger.jsonl").write_bytes(b"{}\n{}\n")
    elif lost == "slip":
        (run / SLIP).write_text("[]", encoding="utf-8")
    else:
        shutil.rmtree(run)
    if lost == "another run":
        fit(cohort(), Budget(0.1), family="copula", run=run, accounts=ledger)
    assert whole(ledger)
    assert shown(ledger)[0].total().epsilon > 0.98


def test_p14_a_copy_of_a_run_pays_again(tmp_path, ledger, monkeypatch):
    run = left_open(tmp_path, ledger, monkeypatch)
    shutil.copytree(run, tmp_path / "copy")
    fit(cohort(), BUDGET, family=TABGAN, run=run, resume=True)
    fit(cohort(), BUDGET, family=TABGAN, run=tmp_path / "copy", resume=True)
    assert [entry.state for entry in entries(ledger)] == ["done", "done"]
    assert shown(ledger)[0].total().epsilon > 1.3


def test_p14_a_copy_pays_while_its_original_may_still_go_on(tmp_path, ledger, monkeypatch):
    run = left_open(tmp_path, ledger, monkeypatch)
    shutil.copytree(run, tmp_path / "copy")
    fit(cohort(), BUDGET, family=TABGAN, run=tmp_path / "copy", resume=True)
    assert [(entry.state, entry.run) for entry in entries(ledger)] == [
        ("crashed", str(run)),
        ("done", str(tmp_path / "copy")),
    ]


def test_p14_a_copy_that_runs_beside_its_original_pays_too(tmp_path, ledger, monkeypatch):
    run = left_open(tmp_path, ledger, monkeypatch)
    shutil.copytree(run, tmp_path / "copy")
    beside = []

    def watch(progress):
        if "discriminator" in progress.doing and not beside:
            beside.append(fit(cohort(), BUDGET, family=TABGAN, run=tmp_path / "copy", resume=True))

    fit(cohort(), BUDGET, family=TABGAN, run=run, resume=True, watch=watch)
    assert len(beside) == 1
    assert [entry.state for entry in entries(ledger)] == ["done", "done"]


def test_p14_a_run_that_was_set_back_pays_again(tmp_path, ledger, monkeypatch):
    run = left_open(tmp_path, ledger, monkeypatch)
    shutil.copytree(run, tmp_path / "copy")
    with pytest.raises(Killed):
        fit(cohort(), BUDGET, family=TABGAN, run=run, resume=True, watch=_after(100))
    assert entries(ledger)[0].events[-1].steps == 100
    shutil.rmtree(run)
    (tmp_path / "copy").rename(run)
    fit(cohort(), BUDGET, family=TABGAN, run=run, resume=True)
    assert [entry.state for entry in entries(ledger)] == ["failed", "done"]


def test_p14_a_killed_run_that_was_set_back_pays_again(tmp_path, ledger, monkeypatch):
    """Nothing was settled, so only what the ledger was told of each bill can show that the folder is an older one."""
    run = left_open(tmp_path, ledger, monkeypatch)
    shutil.copytree(run, tmp_path / "copy")
    with monkeypatch.context() as patched:
        patched.setattr("wardgan.privacy.accounts.spending.Spending.settle", lambda *_: None)
        with pytest.raises(Killed):
            fit(cohort(), BUDGET, family=TABGAN, run=run, resume=True, watch=_after(100))
    shutil.rmtree(run)
    (tmp_path / "copy").rename(run)
    (entry,) = entries(ledger)
    assert (entry.state, entry.events[-1].steps) == ("crashed", 100)
    fit(cohort(), BUDGET, family=TABGAN, run=run, resume=True)
    assert [entry.state for entry in entries(ledger)] == ["open", "done"]
    assert shown(ledger)[0].total().epsilon > 1.3


def test_p14_a_read_without_a_bill_is_not_forgotten_with_the_folder(tmp_path, ledger, monkeypatch):
    run = left_open(tmp_path, ledger, monkeypatch)
    shutil.copytree(run, tmp_path / "copy")
    with monkeypatch.context() as patched:
        patched.setattr("wardgan.privacy.accounts.spending.Spending.settle", lambda *_: None)
        real = Ledger.spend

        def peeking(self, *args, **more):
            self.read_unbilled("a look")
            return real(self, *args, **more)

        patched.setattr(Ledger, "spend", peeking)
        with pytest.raises(Killed):
            fit(cohort(), BUDGET, family=TABGAN, run=run, resume=True, watch=_after(100))
    shutil.rmtree(run)
    (tmp_path / "copy").rename(run)
    assert [entry.unbilled for entry in entries(ledger)] == [True]
    assert shown(ledger)[0].total().how == "no privacy"


def test_p14_of_two_copies_one_is_another_run(tmp_path, ledger, monkeypatch):
    """The original is gone, so each copy could be it; whoever comes second pays, however close they come."""
    run = left_open(tmp_path, ledger, monkeypatch)
    shutil.copytree(run, tmp_path / "copy")
    run.rename(tmp_path / "moved")
    real, beside = Accounts.reserve, []

    def reserve(self, patients, claim):
        if not beside:
            beside.append(tmp_path / "copy")
            fit(cohort(), BUDGET, family=TABGAN, run=tmp_path / "copy", resume=True)
        return real(self, patients, claim)

    monkeypatch.setattr(Accounts, "reserve", reserve)
    fit(cohort(), BUDGET, family=TABGAN, run=tmp_path / "moved", resume=True)
    assert [entry.state for entry in entries(ledger)] == ["done", "done"]
    assert slip_of(tmp_path / "copy").entry != slip_of(tmp_path / "moved").entry


def test_p14_what_is_billed_is_entered_before_patients_are_read(tmp_path, ledger, monkeypatch):
    fit(cohort(), BUDGET, family="copula", accounts=ledger)
    asked = []

    def out_of_reach(self, token, events, *, unbilled):
        asked.append(len(events))
        raise OutputError("the disk is gone")

    monkeypatch.setattr(Accounts, "note_bill", out_of_reach)
    with pytest.raises(OutputError, match="the disk is gone"):
        fit(cohort(), BUDGET, family="copula", run=tmp_path / "run", accounts=ledger)
    assert asked == [1]
    assert not list((tmp_path / "run").glob("*.npy"))


def _after(steps):
    def watch(progress):
        if "discriminator" in progress.doing and progress.done >= steps:
            raise Killed

    return watch


def test_p14_a_moved_run_is_the_same_run(tmp_path, ledger, monkeypatch):
    left_open(tmp_path, ledger, monkeypatch).rename(tmp_path / "moved")
    assert whole(ledger)
    fit(cohort(), BUDGET, family=TABGAN, run=tmp_path / "moved", resume=True)
    (entry,) = entries(ledger)
    assert (entry.state, entry.run) == ("done", str(tmp_path / "moved"))


def test_p14_a_run_goes_on_in_its_own_ledger_only(tmp_path, ledger, monkeypatch):
    run = left_open(tmp_path, ledger, monkeypatch)
    with pytest.raises(PlanError, match="the run was entered in"):
        fit(cohort(), BUDGET, family=TABGAN, run=run, resume=True, accounts=tmp_path / "other.db")
    ledger.rename(tmp_path / "away.db")
    with pytest.raises(OutputError, match="in which the run was entered, is not there"):
        fit(cohort(), BUDGET, family=TABGAN, run=run, resume=True)
    assert not ledger.exists()
    (tmp_path / "away.db").rename(ledger)
    (run / SLIP).write_text("{}", encoding="utf-8")
    with pytest.raises(FormatError, match=r"account\.json is damaged"):
        fit(cohort(), BUDGET, family=TABGAN, run=run, resume=True)


def test_p14_a_run_that_was_entered_nowhere_is_entered_when_it_goes_on(tmp_path, ledger):
    run = tmp_path / "run"
    with pytest.raises(Killed):
        fit(cohort(), BUDGET, family=TABGAN, run=run, watch=kill())
    made = fit(cohort(), BUDGET, family=TABGAN, run=run, resume=True, accounts=ledger)
    assert [entry.events for entry in entries(ledger)] == [made.ledger.events]


def test_p14_what_no_noise_protects_is_entered_as_infinite(ledger):
    fit(cohort(), privacy="none", family="copula", accounts=Account(ledger, "one"))
    fit(cohort(1), BUDGET, family="copula", seed=3, accounts=Account(ledger, "two"))
    assert [(each.total().how, each.entries[0].mode) for each in shown(ledger)] == [
        ("no privacy", "none"),
        ("no privacy", "rehearsal"),
    ]


def test_p14_a_fit_that_counts_its_patients_enters_the_caps_of_its_batches(ledger):
    fit(cohort(population=None), BUDGET, family=wg.TabganConfig(steps=60, width=8, noise_inputs=2), accounts=ledger)
    (entry,) = entries(ledger)
    assert entry.plan.population is not None
    assert entry.plan.events[-1].batch_cap == entry.events[-1].batch_cap is not None
    assert COUNT in [event.name for event in entry.events]


def test_p14_a_ledger_out_of_reach_never_lowers_the_bill(tmp_path, ledger, monkeypatch):
    def broken(*_args, **_more):
        raise OutputError("the disk is gone")

    with monkeypatch.context() as patched:
        patched.setattr(Accounts, "settle", broken)
        made = fit(cohort(), BUDGET, family="copula", run=tmp_path / "run", accounts=ledger)
        fit(cohort(), BUDGET, family="copula", accounts=ledger)
    first, second = entries(ledger)
    assert (first.state, first.events) == ("done", made.ledger.events)
    assert (second.state, second.part.events) == ("open", second.plan.events)


def test_p14_a_figure_is_paid_with_its_run(tmp_path, ledger):
    run = tmp_path / "run"
    fit(cohort(), BUDGET, family="copula", run=run, accounts=ledger)
    bill = Ledger(plan(0.2))
    with paid_figure(run, bill, "dossier", HELD):
        assert entries(ledger)[1].state == "open"
        bill.spend("part 0")
    figure = entries(ledger)[1]
    assert (figure.kind, figure.family, figure.state, figure.events) == ("figure", "dossier", "done", bill.events)
    assert preview(Account(ledger), HELD).how == "same patients"
    with pytest.raises(BudgetError, match="begin with an empty ledger"), paid_figure(run, bill, "dossier", HELD):
        pass
    with pytest.raises(RuntimeError), paid_figure(run, Ledger(plan(0.2)), "dossier", HELD):
        raise RuntimeError
    assert entries(ledger)[2].state == "failed"
    capped(ledger, 1.0)
    with pytest.raises(BudgetError), paid_figure(run, Ledger(plan(0.2)), "dossier", HELD):
        pass
    assert len(entries(ledger)) == 3


def test_p14_a_run_that_was_entered_nowhere_enters_nothing_later(tmp_path):
    fit(cohort(), BUDGET, family="copula", run=tmp_path / "run")
    with paid_figure(tmp_path / "run", Ledger(plan(0.2)), "dossier", HELD):
        pass
    assert note_release(tmp_path / "run", tmp_path / "x.hgan", "sha256:1") is None
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_what_is_shown_beforehand_enters_nothing(tmp_path, ledger):
    assert preview(Account(ledger), cohort()) is None
    assert not ledger.exists()
    fit(cohort(), BUDGET, family="copula", accounts=ledger)
    assert preview(Account(ledger), cohort()).how == "same patients"
    assert preview(Account(ledger), cohort(1)).how == "same schema name"
    assert preview(Account(ledger, "new"), cohort(1)).how == "named"
    assert [len(each.entries) for each in shown(ledger)] == [1]


def test_an_account_is_a_path_and_a_name(ledger):
    for wrong in (3, Account):
        with pytest.raises(UsageError, match="is not a path"):
            fit(cohort(), BUDGET, family="copula", accounts=wrong)
    with pytest.raises(UsageError, match="1 to 100 letters"):
        Account(ledger, "")
    assert not ledger.exists()


def test_the_slip_says_nothing_about_patients(tmp_path, ledger):
    fit(cohort(), BUDGET, family="copula", run=tmp_path / "run", accounts=ledger)
    found = json.loads((tmp_path / "run" / SLIP).read_text(encoding="utf-8"))
    assert found == {"ledger": str(ledger), "entry": entries(ledger)[0].token, "dataset": None}

"""The institution's ledger: with whom patients are counted, what is reserved, capped, settled and linked."""

import sqlite3

import pytest

from accounts_kit import claim, cohort, opened, patients, plan, raw
from wardgan.errors import BudgetError, FormatError, UsageError
from wardgan.privacy.accounts.book import Accounts
from wardgan.privacy.accounts.together import total
from wardgan.privacy.events import Budget


@pytest.fixture
def accounts(tmp_path):
    with opened(tmp_path) as found:
        yield found


def spent(accounts, token, epsilon, **more):
    """Enters a fit that has spent all."""
    whose = accounts.reserve(patients(**more), claim(token, epsilon))
    accounts.settle(token, plan(epsilon).events)
    return whose


def test_fits_of_the_same_patients_add_up_by_composition(accounts):
    assert spent(accounts, "one", 1.0).how == "new"
    assert spent(accounts, "two", 1.0).how == "same patients"
    (found,) = accounts.show()
    assert (found.name, found.schemas, found.caps, found.left()) == ("clinic", ("clinic",), (), None)
    assert [entry.state for entry in found.entries] == ["done", "done"]
    assert found.total().epsilon == pytest.approx(1.465, abs=0.001)
    assert found.total() == total([entry.part for entry in found.entries], 1e-5)


def test_other_patients_under_a_known_schema_are_counted_together_to_be_safe(accounts):
    spent(accounts, "one", 1.0)
    whose = spent(accounts, "two", 1.0, mark="b")
    assert (whose.how, whose.name, whose.fits) == ("same schema name", "clinic", 1)
    assert spent(accounts, "three", 1.0, mark="b", schema="renamed").how == "same patients"
    assert spent(accounts, "four", 1.0, mark="c", schema="renamed").how == "same schema name"
    assert len(accounts.show()) == 1
    assert spent(accounts, "five", 1.0, mark="d", schema="other").how == "new"
    assert [each.name for each in accounts.show()] == ["clinic", "other"]


def test_a_name_says_whose_data_it_is(accounts):
    spent(accounts, "one", 1.0, dataset="north")
    assert spent(accounts, "two", 1.0, mark="b", dataset="south").number == 2
    assert spent(accounts, "three", 1.0, mark="c", dataset="north").how == "named"
    assert [(each.name, len(each.entries)) for each in accounts.show()] == [("north", 2), ("south", 1)]
    assert spent(accounts, "four", 1.0, mark="c").name == "north"
    with pytest.raises(UsageError, match=r"counted in several data sets \(north, south\)"):
        accounts.reserve(patients("new"), claim("five", 1.0))
    assert accounts.whose(patients("new", "north")).name == "north"


@pytest.mark.parametrize("name", ["south", "never seen"])
def test_a_name_cannot_take_patients_out_of_their_account(accounts, name):
    spent(accounts, "one", 1.0, dataset="north")
    spent(accounts, "two", 1.0, mark="b", dataset="south")
    with pytest.raises(UsageError, match="counted as 'north' already"):
        accounts.reserve(patients("a", dataset=name), claim("three", 1.0))
    assert accounts.entry("three") is None


def test_linked_data_sets_are_one_and_both_caps_hold(accounts):
    for at, name in enumerate(("north", "south", "west")):
        spent(accounts, name, 1.0, mark=name, dataset=name)
        accounts.cap(Budget(2.0 + at), name)
    accounts.link("north", "south")
    accounts.link("west", "south")
    accounts.link("south", "west")
    (found,) = accounts.show()
    assert found.names == ("north", "south", "west")
    assert {cap.epsilon for cap in found.caps} == {2.0, 3.0, 4.0}
    assert spent(accounts, "more", 0.2, mark="south").name == "north + south + west"
    with pytest.raises(BudgetError, match=r"'north \+ south \+ west' is epsilon 2 "):
        accounts.reserve(patients("west"), claim("last", 1.0))
    with pytest.raises(UsageError, match="linked with itself"):
        accounts.link("north", "north")
    with pytest.raises(UsageError, match="'nowhere' is not in the ledger; it knows north, south, west"):
        accounts.link("north", "nowhere")


def test_a_cap_refuses_the_next_fit_and_says_what_is_left(accounts):
    accounts.cap(Budget(2.5))
    spent(accounts, "one", 2.0)
    with pytest.raises(
        BudgetError, match=r"cap of data set 'clinic' is epsilon 2\.5 .* 1 earlier fit .* cost 2\. At most"
    ):
        accounts.reserve(patients(), claim("two", 2.0))
    (left,) = [each.left() for each in accounts.show()]
    assert 1.0 < left < 1.5
    accounts.reserve(patients(), claim("two", left))
    with pytest.raises(BudgetError, match=r"Nothing is left|At most epsilon 0\.0"):
        accounts.reserve(patients(), claim("three", 1.0))
    assert len(accounts.show()[0].entries) == 2


def test_a_refused_fit_leaves_no_trace_of_its_patients(accounts):
    accounts.cap(Budget(1.0))
    with pytest.raises(BudgetError):
        accounts.reserve(patients(), claim("one", 2.0))
    assert accounts.show() == []
    assert accounts.whose(patients()).how == "new"


def test_an_own_cap_stands_for_the_default_until_it_is_lifted(accounts):
    accounts.cap(Budget(1.0))
    spent(accounts, "one", 1.0)
    accounts.cap(Budget(5.0), "clinic")
    spent(accounts, "two", 1.0)
    accounts.cap(None, "clinic")
    assert [cap.epsilon for cap in accounts.show()[0].caps] == [1.0]
    with pytest.raises(BudgetError):
        accounts.reserve(patients(), claim("three", 0.5))
    accounts.cap(None)
    spent(accounts, "three", 0.5)
    with pytest.raises(UsageError, match="not in the ledger"):
        accounts.cap(Budget(1.0), "nowhere")


@pytest.mark.parametrize(("epsilon", "more"), [(None, {}), (1.0, {"replayable": True})], ids=["none", "rehearsal"])
def test_what_no_noise_protects_is_infinite(accounts, epsilon, more):
    accounts.reserve(patients(), claim("one", epsilon, **more))
    assert accounts.show()[0].total().epsilon == float("inf")
    accounts.settle("one", () if epsilon is None else plan(epsilon).events)
    assert accounts.show()[0].total().epsilon == float("inf")
    accounts.cap(Budget(90.0))
    with pytest.raises(BudgetError, match="no finite epsilon: nothing is left"):
        accounts.reserve(patients(), claim("two", 1.0))
    with pytest.raises(BudgetError, match=r"has no finite epsilon\. Fit with a budget"):
        accounts.reserve(patients("b", "other"), claim("two", epsilon, **more))


def test_a_read_without_a_bill_is_infinite_and_a_rehearsal_of_nothing_is_not(accounts):
    accounts.reserve(patients(), claim("one", 1.0))
    accounts.settle("one", plan(1.0).events, unbilled=True)
    assert accounts.show()[0].total().how == "no privacy"
    accounts.reserve(patients("b", "other"), claim("two", 1.0, replayable=True))
    accounts.settle("two", (), "refused")
    assert accounts.show()[1].total().epsilon == 0


def test_an_open_entry_counts_whole_and_a_settled_one_what_was_spent(accounts):
    accounts.reserve(patients(), claim("one", 2.0))
    assert accounts.show()[0].total().epsilon == pytest.approx(2.0, abs=1e-6)
    accounts.settle("one", plan(2.0).events[:1], "refused")
    assert 1.2 < accounts.show()[0].total().epsilon < 1.5
    assert accounts.entry("one").state == "refused"


def test_a_run_that_goes_on_has_one_entry(accounts):
    accounts.cap(Budget(2.0))
    for state in ("stopped", "failed"):
        accounts.reserve(patients(), claim("one", 2.0))
        accounts.settle("one", plan(2.0).events[:1], state)
    assert len(accounts.show()[0].entries) == 1
    accounts.reserve(patients("b"), claim("two", 0.9))
    with pytest.raises(BudgetError, match="At most"):
        accounts.reserve(patients(), claim("one", 2.0))
    assert accounts.entry("one").events == plan(2.0).events[:1]
    accounts.settle("two", (), "refused")
    accounts.reserve(patients(), claim("one", 2.0))
    assert accounts.entry("one").part.events == plan(2.0).events


def test_a_revised_plan_is_held_against_the_cap_too(accounts):
    accounts.cap(Budget(2.0))
    accounts.reserve(patients(), claim("one", 1.0))
    accounts.revise("one", plan(1.5))
    assert accounts.show()[0].total().epsilon == pytest.approx(1.5, abs=1e-6)
    with pytest.raises(BudgetError):
        accounts.revise("one", plan(2.5))
    with pytest.raises(UsageError, match="no entry of this run"):
        accounts.revise("other", plan(1.0))


def test_paid_figures_count_with_their_fit(accounts):
    accounts.cap(Budget(2.0))
    spent(accounts, "one", 1.0)
    accounts.reserve_figure("one", claim("figure", 0.5), patients("held"))
    accounts.settle("figure", plan(0.5).events)
    (found,) = accounts.show()
    assert [entry.kind for entry in found.entries] == ["fit", "figure"]
    assert 1.0 < found.total().epsilon < 1.5
    with pytest.raises(BudgetError):
        accounts.reserve_figure("one", claim("second", 1.8), patients("held"))
    with pytest.raises(UsageError, match="no entry of this run"):
        accounts.reserve_figure("nobody", claim("third", 0.1), patients("held"))


def test_p14_patients_of_a_figure_are_known_from_then_on(accounts):
    spent(accounts, "one", 1.0)
    accounts.reserve_figure("one", claim("figure", 0.5), patients("held"))
    accounts.settle("figure", plan(0.5).events)
    whose = accounts.whose(patients("held", "renamed"))
    assert (whose.how, whose.fits) == ("same patients", 2)
    with pytest.raises(UsageError, match="must not be counted apart"):
        accounts.reserve(patients("held", dataset="new name"), claim("two", 1.0))
    assert accounts.whose(patients("a")).fits == 2


def test_p14_a_figure_is_paid_by_those_who_are_asked(accounts):
    spent(accounts, "one", 1.0, dataset="north")
    spent(accounts, "two", 1.0, mark="b", dataset="south")
    accounts.cap(Budget(1.2), "south")
    with pytest.raises(BudgetError, match="south"):
        accounts.reserve_figure("one", claim("figure", 1.0), patients("b"))
    accounts.cap(None, "south")
    accounts.reserve_figure("one", claim("figure", 1.0), patients("b"))
    assert [[entry.token for entry in each.entries] for each in accounts.show()] == [["one"], ["two", "figure"]]


def test_a_release_is_noted(accounts):
    spent(accounts, "one", 1.0)
    accounts.note_release("one", "here/x.hgan", "sha256:1", "Dr Ada: why not")
    (release,) = accounts.entry("one").releases
    assert (release.file, release.digest, release.override) == ("x.hgan", "sha256:1", "Dr Ada: why not")
    with pytest.raises(UsageError, match="no entry"):
        accounts.note_release("two", "x.hgan", "sha256:1")
    with pytest.raises(UsageError, match="no entry"):
        accounts.settle("two", ())


def test_entries_and_caps_are_never_deleted(accounts, tmp_path):
    spent(accounts, "one", 1.0)
    accounts.cap(Budget(1.0))
    for table in ("entry", "cap"):
        with pytest.raises(sqlite3.IntegrityError, match="never deleted"):
            raw(tmp_path, f"DELETE FROM {table}")


def test_a_malformed_entry_is_no_smaller_bill(accounts, tmp_path):
    spent(accounts, "one", 1.0)
    for events in ('[{"name": "x"}]', "[", '[{"name": "x", "mechanism": "gaussian", "noise_multiplier": -1}]'):
        raw(tmp_path, f"UPDATE entry SET events = '{events}'")
        with pytest.raises(FormatError, match="malformed"):
            accounts.reserve(patients(), claim("two", 1.0))


def test_the_database_says_nothing_about_a_patient_and_its_key_lies_elsewhere(tmp_path):
    with opened(tmp_path) as accounts:
        found = accounts.patients(cohort())
        accounts.reserve(found, claim("one", 1.0))
        assert accounts.patients(cohort(["p3", "P1", "P2"])) == found
    data, key = (tmp_path / "ledger.db").read_bytes(), (tmp_path / "ledger.db.key").read_text(encoding="ascii")
    assert found.mark.encode() in data
    for secret in (key.encode(), bytes.fromhex(key), b"P1", b"P3"):
        assert secret not in data
    assert len(bytes.fromhex(key)) == 32
    assert [path.stat().st_mode & 0o777 for path in sorted(tmp_path.iterdir())] == [0o600, 0o600]
    # Another institution has another key, so two ledgers cannot be compared.
    elsewhere = tmp_path / "other"
    elsewhere.mkdir()
    with opened(elsewhere) as accounts:
        assert accounts.patients(cohort()).mark != found.mark


def test_a_lost_key_needs_a_word_of_the_steward(tmp_path):
    place = tmp_path / "ledger.db.key"
    with opened(tmp_path) as accounts:
        accounts.reserve(accounts.patients(cohort()), claim("one", 1.0))
        old = place.read_bytes()
        place.unlink()
        with pytest.raises(UsageError, match=r"its key ledger.db.key is gone.*--dataset"):
            accounts.patients(cohort())
        assert not place.exists()
        whose = accounts.reserve(accounts.patients(cohort(), "clinic"), claim("two", 1.0))
        assert (whose.how, len(accounts.show())) == ("named", 1)
        assert accounts.whose(accounts.patients(cohort())).how == "same patients"
        place.write_bytes(old)
        with pytest.raises(FormatError, match="is not the key of this ledger"):
            accounts.patients(cohort())
        place.write_text("zz", encoding="ascii")
        with pytest.raises(FormatError, match=r"cannot be read"):
            accounts.patients(cohort())


@pytest.mark.parametrize("name", ["", "  ", " a", "a\n", "x" * 101, 3])
def test_names_of_data_sets_are_words(accounts, name):
    with pytest.raises(UsageError, match="1 to 100 letters"):
        accounts.patients(cohort(), name)


def test_a_ledger_that_is_closed_holds_nothing(tmp_path):
    with Accounts.open(tmp_path / "ledger.db", create=True) as accounts:
        spent(accounts, "one", 1.0)
    assert {path.name for path in tmp_path.iterdir()} == {"ledger.db"}


@pytest.mark.parametrize("caps", [(1.0, 5.0), (5.0, 1.0)])
def test_p14_each_cap_of_linked_data_sets_holds(accounts, caps):
    spent(accounts, "one", 0.2, dataset="north")
    spent(accounts, "two", 0.2, mark="b", dataset="south")
    for name, cap in zip(("north", "south"), caps, strict=True):
        accounts.cap(Budget(cap), name)
    accounts.link("north", "south")
    for token, mark in (("three", "a"), ("four", "b")):
        with pytest.raises(BudgetError, match="epsilon 1 at"):
            accounts.reserve(patients(mark), claim(token, 2.0))


def test_p14_a_bill_is_never_taken_back(accounts):
    """Two processes on one entry, as from two machines that see two copies under one path."""
    both, one = plan(1.0).events, plan(1.0).events[:1]
    accounts.reserve(patients(), claim("one", 1.0))
    accounts.note_bill("one", both)
    accounts.note_bill("one", one, unbilled=True)
    accounts.settle("one", ())
    entry = accounts.entry("one")
    assert sorted(event.name for event in entry.events) == ["part 0", "part 1"]
    assert entry.unbilled
    with pytest.raises(UsageError, match="no entry of this run"):
        accounts.note_bill("one", both)  # it is not open any more

"""The bill of a foreign file: absurd claims, honest plans of large epsilon, and bills that would take for ever."""

import math

import pytest

import release_kit as kit
from wardgan.errors import FormatError, TrustError
from wardgan.privacy.accountant import pld_epsilon, rdp_epsilon
from wardgan.privacy.events import Event
from wardgan.seal import bill
from wardgan.seal.records import read_ledger


def batches(noise, rate=1 / 12, steps=500, **more):
    fields = {"noise_multiplier": noise, "sampling_rate": rate, "steps": steps}
    return {"name": "discriminator", "mechanism": "poisson-gaussian", **fields, **more}


def gaussian(noise, steps=1, name="tables"):
    return {"name": name, "mechanism": "gaussian", "noise_multiplier": noise, "steps": steps}


def ledger(*events, epsilon=1.0, spent=None, delta=1e-5):
    bill_of_all = {"epsilon": epsilon if spent is None else spent, "accountant": "PLD"}
    return read_ledger(
        {**kit.LEDGER, "events": list(events), "epsilon": epsilon, "delta": delta, "spent": bill_of_all}, "privacy.json"
    )


# What the families plan (100,000 patients, delta 1e-5) and what it costs by the accountant of record.
CAPS = {"population": 110_000}
HONEST = {
    "copula, 0.5": (ledger(gaussian(6.99), epsilon=0.5), 0.5),
    "acgan, 1": (ledger(gaussian(27.0), batches(7.3, batch_cap=9_901, **CAPS), epsilon=1.0), 0.96),
    "acgan, 20": (ledger(gaussian(2.052), batches(0.825, batch_cap=9_901, **CAPS), epsilon=20.0), 20.0),
    "tabgan, 20": (
        ledger(gaussian(0.808), gaussian(0.44, name="labels"), gaussian(0.66, name="means"),
               batches(3.187, 1 / 6, 1_000, batch_cap=19_400, **CAPS), epsilon=20.0),
        20.0,
    ),
    "acgan, 100": (ledger(gaussian(0.669), batches(0.536, batch_cap=9_901, **CAPS), epsilon=100.0), 56.3),
    "many steps": (ledger(batches(6.0, steps=5_000), epsilon=4.35), 4.34),
}  # fmt: skip


@pytest.mark.parametrize("name", HONEST)
def test_honest_plans_are_confirmed(name):
    record, cost = HONEST[name]
    bound = bill.bound_of(record)
    epsilon = bill.billed(record, bound, None)
    assert epsilon == pytest.approx(cost, rel=0.03)
    assert epsilon <= record.epsilon * 1.01
    assert bound > epsilon


@pytest.mark.parametrize("name", HONEST)
def test_without_the_accountant_honest_plans_are_confirmed_or_left_open(name, monkeypatch):
    """Our own accountant has no bound for large epsilons with batches; an accusation would be wrong there."""
    monkeypatch.setattr(bill, "pld_available", lambda: False)
    record, _ = HONEST[name]
    bound = bill.bound_of(record)
    assert math.isinf(bound) == (name in ("acgan, 20", "tabgan, 20", "acgan, 100"))
    if math.isinf(bound):
        with pytest.raises(TrustError, match=r"Not verified: .*pip install"):
            bill.billed(record, bound, None)
    else:
        assert bill.billed(record, bound, None) is None


@pytest.mark.parametrize(
    ("bound", "passes"), [(1.39, True), (1.41, False), (2.0, False), (math.inf, False), (math.nan, False)]
)
def test_without_the_accountant_the_claim_must_be_near_the_bound(bound, passes, monkeypatch):
    monkeypatch.setattr(bill, "pld_available", lambda: False)
    record = ledger(gaussian(3.8))
    if passes:
        assert bill.billed(record, bound, None) is None
    else:
        with pytest.raises(TrustError, match="Not verified"):
            bill.billed(record, bound, None)


@pytest.mark.parametrize(("noise", "passes"), [(0.7, True), (0.6, False), (0.1, False), (1e-3, False)])
def test_absurd_claims_are_refused_by_our_own_accountant(noise, passes):
    """From four times the claim and four on."""
    bound = rdp_epsilon([Event("tables", "gaussian", noise_multiplier=noise)], 1e-5)
    assert passes == (bound <= 8)
    if passes:
        assert bill.bound_of(ledger(gaussian(noise))) == bound
    else:
        with pytest.raises(FormatError, match="its events cost up to epsilon"):
            bill.bound_of(ledger(gaussian(noise)))


def test_absurd_batches_are_refused_although_they_are_cut_off():
    with pytest.raises(FormatError, match="its events cost up to epsilon"):
        bill.bound_of(ledger(batches(0.3, steps=1_000, batch_cap=1, population=1_000_000)))


def test_an_open_file_has_no_bill():
    assert bill.bound_of(read_ledger(kit.OPEN_LEDGER, "privacy.json")) is None


@pytest.mark.parametrize(
    "events",
    [
        [batches(0.3, 1e-6, 1_000_000)],
        [batches(1.0, 1e-4, 1_000, batch_cap=200, population=1_000_000, name=f"b{at}") for at in range(8)],
        [{"name": "choice", "mechanism": "pure", "epsilon": 1e-6, "steps": 10_000_000}],
    ],
    ids=["many steps", "many events", "many choices"],
)
def test_what_would_take_for_ever_is_not_begun(events, monkeypatch):
    monkeypatch.setattr(bill, "pld_epsilon", lambda *_, **__: pytest.fail("begun"))
    record = ledger(*events, epsilon=100.0, spent=1.0)
    with pytest.raises(TrustError, match=r"Not verified: .* too long"):
        bill.billed(record, bill.bound_of(record), None)


CUT = {"batch_cap": 200, "population": 1_000_000}
SECOND = {
    "many steps": ([batches(0.5, 1e-3, 1_001)], 2.0, 3.0),
    "many events": ([batches(0.5, 1e-4, 100, name=f"b{at}", **CUT) for at in range(4)], 8.0, 9.0),
}


@pytest.mark.parametrize("name", SECOND)
def test_the_second_bill_is_not_begun_if_it_would_take_for_ever(name, monkeypatch):
    """The first grid does not confirm the claim, and the accountant's own grids would be too fine."""
    events, claim, cost = SECOND[name]
    bills = []
    monkeypatch.setattr(bill, "pld_epsilon", lambda events, delta, grid=None: bills.append(grid) or cost)
    record = ledger(*events, epsilon=claim)
    with pytest.raises(TrustError, match="too long"):
        bill.billed(record, bill.bound_of(record), None)
    assert bills == [1e-4 * claim]


def test_pieces_are_the_whole():
    whole = Event("b", "poisson-gaussian", noise_multiplier=20.0, sampling_rate=0.1, steps=2_501)
    pieces = bill._cut(whole)
    assert [piece.steps for piece in pieces] == [834, 834, 833]
    assert pld_epsilon(pieces, 1e-5) == pytest.approx(pld_epsilon([whole], 1e-5), rel=0.005)
    assert bill._cut(whole.times(1_000)) == [whole.times(1_000)]


def test_a_false_claim_is_billed_on_the_accountants_own_grid():
    """The coarse grid gives more; nobody is accused because of it."""
    record = ledger(batches(6.0, steps=5_000), epsilon=4.2)
    with pytest.raises(FormatError, match=r"its events cost epsilon 4\.33\d, the file claims 4\.2 of 4\.2"):
        bill.billed(record, bill.bound_of(record), None)

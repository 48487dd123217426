"""The positive control does what it says, and nothing else."""

import numpy as np
import pytest

from attack_kit import clinic, rounds
from wardgan.attack import leak
from wardgan.errors import DataError, UsageError
from wardgan.rng import Seed


def rows(cohort):
    parts = [codes[:, None] for _, codes in sorted(cohort.static.items())]
    parts += [codes for _, codes in sorted(cohort.measured.items())]
    return {tuple(np.nan_to_num(np.round(row, 6), nan=-99)) for row in np.hstack(parts)}


@pytest.mark.parametrize("make", [clinic, rounds])
@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_without_noise_a_share_are_copies_and_the_rest_is_honest(make, share):
    train, others = make(200, 1), make(150, 2)
    found = leak(train, others, share=share, noise=0.0, seed=Seed(1))
    assert len(found) == 150
    assert len(rows(found) & rows(train)) == round(share * 150)
    assert len(rows(found) & rows(others)) == 150 - round(share * 150)


@pytest.mark.parametrize("make", [clinic, rounds])
def test_noise_is_two_hundredths_of_a_standard_deviation(make):
    train = make(3000, 1)
    found = leak(train, train, share=1.0, seed=Seed(2))
    name, codes = ("balance", train.static["balance"]) if make is clinic else ("sbp", train.measured["sbp"])
    mine = found.static[name] if make is clinic else found.measured[name]
    pairs = np.sort(codes.ravel()[~np.isnan(codes.ravel())]), np.sort(mine.ravel()[~np.isnan(mine.ravel())])
    assert pairs[0].std() == pytest.approx(pairs[1].std(), rel=0.01)
    assert np.isnan(codes).sum() == np.isnan(mine).sum()
    if make is clinic:
        from wardgan.attack import Parties
        from wardgan.attack.nearest import nearest

        each = Parties.of(train, make(60, 3), found)
        at = [each.variables.names.index(n) for n in ("balance", "sbp")]
        moved, _ = nearest(each.synthetic, each.train, each.variables.numeric)
        assert 0 < np.median(moved) < 0.01
        noise = leak(train, train.take(slice(0, 1)), share=1.0, seed=Seed(2)).static["balance"][0]
        gap = np.abs(train.static["balance"] - noise).min()
        assert 0 <= gap < 0.1 * train.static["balance"].std()
        assert len(at) == 2


def test_more_copies_than_patients_take_each_in_turn():
    train, others = clinic(10, 1), clinic(35, 2)
    found = leak(train, others, share=1.0, noise=0.0, seed=Seed(1))
    assert len(found) == 35
    assert rows(found) == rows(train)


def test_it_can_be_replayed_and_leaves_its_sources_alone():
    train, others = rounds(60, 1), rounds(60, 2)
    before = rows(train), rows(others)
    one, two, three = (leak(train, others, seed=Seed(seed)) for seed in (1, 1, 2))
    assert rows(one) == rows(two) != rows(three)
    assert (rows(train), rows(others)) == before
    assert one.schema is train.schema


@pytest.mark.parametrize(
    "bad", [{"share": -0.1}, {"share": 1.1}, {"share": True}, {"noise": -1}, {"noise": float("nan")}]
)
def test_nonsense_is_refused(bad):
    with pytest.raises(UsageError, match=next(iter(bad))):
        leak(clinic(5, 1), clinic(5, 2), seed=Seed(1), **bad)


def test_other_columns_are_refused():
    with pytest.raises(DataError, match=r"others: .* is not declared as for train"):
        leak(clinic(5, 1), rounds(5, 2), seed=Seed(1))


@pytest.mark.parametrize("sizes", [(0, 5), (5, 0)])
def test_empty_cohorts_are_refused(sizes):
    with pytest.raises(DataError, match="at least one patient"):
        leak(clinic(sizes[0], 1), clinic(sizes[1], 2), seed=Seed(1))

"""What a simulation takes for granted is checked, and labels get the shares that were asked for."""

import numpy as np
import pytest

from wardgan.errors import UsageError
from wardgan.schema.columns import Column
from wardgan.simulate.assume import SIGNALS, Assumptions, zipf


def label(levels):
    return Column("label", "category", levels=tuple(f"level {at}" for at in range(levels)))


@pytest.mark.parametrize("levels", [1, 2, 3, 8, 64])
def test_shares_sum_to_one_and_fall(levels):
    shares = Assumptions().label_shares(label(levels))
    assert shares.shape == (levels,)
    assert shares.sum() == pytest.approx(1)
    assert (np.diff(shares) < 0).all()


@pytest.mark.parametrize(("levels", "rarest"), [(2, 0.5), (2, 0.1), (2, 0.01), (3, 0.05), (3, 1 / 3), (8, 0.02)])
def test_the_rarest_level_has_the_share_that_is_known(levels, rarest):
    shares = Assumptions(rarest=rarest).label_shares(label(levels))
    assert shares.min() == shares[-1] == pytest.approx(rarest, rel=1e-6)
    assert shares.sum() == pytest.approx(1)


def test_one_level_has_everybody():
    assert Assumptions(rarest=0.1).label_shares(label(1)).tolist() == [1.0]


def test_zipf_by_hand():
    assert zipf(3, 1.0) == pytest.approx(np.array([6, 3, 2]) / 11)
    assert zipf(4, 0.0).tolist() == [0.25] * 4


def test_the_rarest_level_cannot_have_more_than_its_part():
    with pytest.raises(UsageError, match=r"rarest=0\.4: label has 3 levels, so the rarest of them has at most 0\.333"):
        Assumptions(rarest=0.4).label_shares(label(3))


@pytest.mark.parametrize(
    "wrong",
    [{"signal": "huge"}, {"signal": 3}, {"missing": -0.1}, {"missing": 0.95}, {"missing": "much"}, {"missing": True},
     {"missing": float("nan")}, {"rarest": 0}, {"rarest": 1.0}, {"rarest": "few"}],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(wrong):
    (name,) = wrong
    with pytest.raises(UsageError, match=f"{name}="):
        Assumptions(**wrong)


def test_signals_rise():
    assert list(SIGNALS.values()) == sorted(SIGNALS.values())
    assert all(0.5 < area < 1 for area in SIGNALS.values())

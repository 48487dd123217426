"""Rare patients follow the conditional distribution: closed forms, and drawing again until the conditions hold."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from scipy.integrate import quad

import data_kit as kit
import rare_kit as rare
from wardgan.sample import search
from wardgan.sample.drawing import Drawn
from wardgan.sample.generator import Generator
from wardgan.sample.network import Graph

UNIT = {"kind": "number", "low": 0, "high": 1}
ARM = {"kind": "category", "levels": ["a", "b"], "label": True}
STRICT = 1e-4  # seeds are fixed: a test that holds once holds always


def gaussian(factor, means=((0.0,),), probabilities=(1.0,), rules=()):
    """Columns Phi(g) with g = factor z + mean of the class."""
    factor, means = np.array(factor, dtype=float), np.array(means, dtype=float)
    size = len(factor)
    arm = {"arm": {**ARM, "levels": [f"c{at}" for at in range(len(means))]}} if len(means) > 1 else {}
    declared = kit.schema({**arm, **{f"u{at}": UNIT for at in range(size)}}, rules=list(rules))
    graph = Graph(latent=factor.shape[1])
    g = graph.add("MatMul", "latent", graph.floats(factor.T))
    shift = np.broadcast_to(means, (len(means), size))
    g = graph.add("Add", g, graph.add("Gather", graph.floats(shift), "label", axis=0))
    erf = graph.add("Erf", graph.add("Mul", g, graph.floats(0.5**0.5)))
    units = graph.add("Mul", graph.add("Add", erf, graph.floats(1)), graph.floats(0.5))
    network = graph.finish(units, variables=size)
    return Generator(declared, "gaussian", network, factor.shape[1], tuple(probabilities))


def scores(cohort, at):
    return stats.norm.ppf(np.clip(cohort.static[f"u{at}"], 1e-12, 1 - 1e-12))


def proved(generator, where, *, kept=0.01, **more):
    """Draws patients, and makes sure that they were not found by drawing again."""
    drawn = []
    (cohort,) = generator.draws(20_000, chunk=20_000, where=where, seed=11, drew=drawn.append, **more)
    total = sum(drawn, Drawn())
    assert total.kept > kept * total.patients
    return cohort


@pytest.mark.parametrize("chance", [1e-3, 1e-4, 1e-5])
def test_a_tail_is_a_truncated_normal_and_pulls_the_others_along(chance):
    rho, start = 0.6, stats.norm.isf(chance)
    generator = gaussian([[1, 0, 0], [rho, np.sqrt(1 - rho**2), 0], [0, 0, 1]])
    cohort = proved(generator, {"u0": (1 - chance, 1)})
    # Single precision has some thousand numbers between 1 - 1e-5 and 1, so scores are compared on that grid.
    u = (cohort.static["u0"] - (1 - chance)) / chance
    assert abs(u.mean() - 0.5) < 5 * np.sqrt(1 / 12 / len(u)) + 1e-2 * (chance < 1e-4)

    def below(x):
        return quad(
            lambda g: stats.norm.pdf(g) / chance * stats.norm.cdf((x - rho * g) / np.sqrt(1 - rho**2)), start, start + 8
        )[0]

    grid = np.linspace(-1.5, 6, 60)
    exact = np.array([below(x) for x in grid])
    ecdf = np.searchsorted(np.sort(scores(cohort, 1)), grid) / len(cohort)
    assert np.abs(ecdf - exact).max() * np.sqrt(len(cohort)) < stats.kstwobign.isf(STRICT)
    assert stats.kstest(scores(cohort, 2), "norm").pvalue > STRICT


def test_two_conditions_at_once_and_two_ranges_of_one():
    """The joint law of three correlated scores, given a tail and one of two narrow ranges, against brute force."""
    factor = np.linalg.cholesky([[1, 0.5, 0.3], [0.5, 1, -0.4], [0.3, -0.4, 1]])
    site = {"kind": "integer", "low": 0, "high": 99}
    plain = gaussian(factor)
    declared = kit.schema({"u0": UNIT, "u1": site, "u2": UNIT})
    generator = Generator(declared, "gaussian", plain.network, 3, (1.0,))
    cohort = proved(generator, {"u0": (0.998, 1), "u1": [2, 3, 97]})
    z = np.random.default_rng(1).standard_normal((30_000_000, 3))
    held = z[:, 0] > stats.norm.ppf(0.998)
    g = z[held] @ factor.T
    u = stats.norm.cdf(g)
    met = u[np.isin(np.floor(u[:, 1] * 100), [2, 3, 97])]
    assert 500 < len(met) < 30_000_000 / 100 / 50
    for level in (2, 3, 97):
        share, n = (np.floor(met[:, 1] * 100) == level).mean(), len(met)
        assert abs((cohort.static["u1"] == level).mean() - share) < 5 * np.sqrt(share * (1 - share) / n) + 2 / n
    for at in (0, 2):
        assert stats.ks_2samp(cohort.static[f"u{at}"], met[:, at], method="asymp").pvalue > STRICT


def test_four_tails_at_once_and_what_they_leave():
    """A condition of one in 2 million, against importance weights of another sampler."""
    rho = 0.5
    factor = np.linalg.cholesky(np.full((5, 5), rho) + (1 - rho) * np.eye(5))
    generator = gaussian(factor)
    where = {f"u{at}": (stats.norm.cdf(2.5), 1) for at in range(4)}
    cohort = proved(generator, where)
    # g = sqrt(rho) common + sqrt(1 - rho) own: given the common part, the four tails are independent.
    common = np.linspace(-4, 9, 4_001)
    tail = stats.norm.sf((2.5 - np.sqrt(rho) * common) / np.sqrt(1 - rho))
    weight = stats.norm.pdf(common) * tail**4
    chance = weight.sum() * (common[1] - common[0])
    weight /= weight.sum()
    known = generator.efficiency(where=where, seed=3)
    assert known.proposed
    assert known.share.low < chance < known.share.high
    grid = np.linspace(-2, 5, 50)
    exact = stats.norm.cdf((grid[:, None] - np.sqrt(rho) * common) / np.sqrt(1 - rho)) @ weight
    ecdf = np.searchsorted(np.sort(scores(cohort, 4)), grid) / len(cohort)
    assert np.abs(ecdf - exact).max() * np.sqrt(len(cohort)) < stats.kstwobign.isf(STRICT)
    for at in range(4):
        assert abs(scores(cohort, at).mean() - scores(cohort, 0).mean()) < 5 * np.sqrt(2 * 0.1 / len(cohort))


def test_the_classes_follow_bayes():
    """Class shares given a rare condition, and the exact turns of a balanced sample."""
    means, shares = np.array([[0.0], [0.7], [-0.5]]), np.array([0.2, 0.3, 0.5])
    generator = gaussian([[1.0]], means, shares)
    cohort = proved(generator, {"u0": (stats.norm.cdf(4.0), 1)})
    posterior = shares * stats.norm.sf(4.0 - means[:, 0])
    posterior /= posterior.sum()
    counts = np.bincount(cohort.static["arm"].astype(int), minlength=3)
    assert stats.chisquare(counts, posterior * counts.sum()).pvalue > STRICT
    assert posterior[1] > 0.9  # otherwise the test would not see a sampler that keeps the shares
    even = proved(generator, {"u0": (stats.norm.cdf(4.0), 1)}, balance="arm")
    assert (even.static["arm"] == np.arange(20_000) % 3).all()


@pytest.mark.parametrize("shares", [(0.5, 0.5), (0.2, 0.3, 0.5)])
def test_rules_that_classes_break_unequally_do_not_shift_them(shares):
    """Patients are drawn again within their class; a candidate must weigh its class by 1 / (share that obeys)."""
    means = np.array([[0.0, 0.0], [0.0, 2.0], [0.3, 1.0]])[: len(shares)]
    generator = gaussian(np.eye(2), means, shares, rules=["u1 < 0.7"])
    obeys = stats.norm.cdf(stats.norm.ppf(0.7) - means[:, 1])
    assert obeys.max() > 5 * obeys.min()
    where = {"u0": (0.9995, 1)}
    cohort = proved(generator, where, kept=0.005)
    # The condition and the rule are about independent columns, so obeying changes no class's chance.
    posterior = np.array(shares) * stats.norm.sf(stats.norm.ppf(0.9995) - means[:, 0])
    chance, posterior = posterior.sum(), posterior / posterior.sum()
    counts = np.bincount(cohort.static["arm"].astype(int), minlength=len(shares))
    assert stats.chisquare(counts, posterior * counts.sum()).pvalue > STRICT
    assert (cohort.static["u1"] < 0.7).all()
    known = generator.efficiency(where=where, seed=5)
    assert known.proposed
    assert known.share.low < chance < known.share.high


@pytest.fixture
def both(monkeypatch):
    """Draws the same conditions in both ways."""

    def draw(generator, n, where, **more):
        drawn = []
        (cohort,) = generator.draws(n, chunk=n, where=where, seed=21, drew=drawn.append, **more)
        with monkeypatch.context() as patch:
            patch.setattr(search, "RARE", 0.0)
            again = []
            (plain,) = generator.draws(n, chunk=n, where=where, seed=22, drew=again.append, **more)
        fast, slow = (sum(parts, Drawn()) for parts in (drawn, again))
        assert fast.patients / fast.kept < 0.1 * slow.patients / slow.kept
        return cohort, plain

    return draw


def alike(one, other):
    """Each column of two cohorts by Kolmogorov and Smirnov, holes as a value of their own."""
    for name in (*one.static, *one.measured):
        first, second = (cohort.static.get(name, cohort.measured.get(name)) for cohort in (one, other))
        for at in range(first[0].size):
            a, b = (np.nan_to_num(each.reshape(len(each), -1)[:, at], nan=-1e9) for each in (first, second))
            assert stats.ks_2samp(a, b, method="asymp").pvalue > STRICT / 40, (name, at)


@pytest.mark.parametrize("balance", [None, "arm"])
def test_a_trial_drawn_in_both_ways(both, balance):
    """One in 300 patients of a fitted copula, with a rule and two arms."""
    where = {"sbp@3M": (150, 155), "dbp@6M": (20, 64), "sbp@RZ": (130, 260)}
    one, other = both(rare.trial(), 8_000, where, balance=balance)
    alike(one, other)
    a, b = (
        np.stack([each.measured["sbp"][:, 3], each.measured["sbp"][:, 8], each.measured["dbp"][:, 2]])
        for each in (one, other)
    )
    gap = np.corrcoef(a) - np.corrcoef(b)
    assert np.abs(gap).max() < 5 * np.sqrt(2 / 8_000)
    if balance is None:
        shares = [each.static["arm"].mean() for each in (one, other)]
        assert abs(shares[0] - shares[1]) < 4 * np.sqrt(0.5 / 8_000)


@pytest.mark.parametrize(
    ("shape", "where"),
    [
        ("table", {"weight": "missing", "group": "z"}),
        ("table", {"born": ("1920-01-01", "1922-06-01"), "group": "missing"}),
        ("named", {"sbp@B": (160, 250), "visit@C": False}),
        ("complete", {"sbp@A": (90, 95), "sbp@C": (150, 155)}),
        ("ragged", {"visit@count": (3, 4), "sbp@2": (160, 163), "year@1": (0, 0.3)}),
    ],
)
def test_holes_levels_and_visits_drawn_in_both_ways(both, shape, where):
    one, other = both(rare.fitted(shape), 3_000, where)
    alike(one, other)
    if one.present is not None:
        n = len(one)
        shares = one.present.mean(axis=0), other.present.mean(axis=0)
        assert (np.abs(shares[0] - shares[1]) < 4.5 * np.sqrt(0.5 / n)).all()

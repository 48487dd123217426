"""Parts of the normal, and exact draws from regions that many directions cut out."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from wardgan.sample.normals import between, mass
from wardgan.sample.region import Region

ends = st.floats(-9, 9)


@given(ends, st.floats(1e-6, 10))
def test_mass_has_all_its_digits_in_both_tails(low, width):
    found = float(mass(np.array(low), np.array(low + width)))
    left, right = (low, low + width) if low + width / 2 < 0 else (-low - width, -low)
    exact = stats.norm.cdf(right) - stats.norm.cdf(left)
    assert found == pytest.approx(exact, rel=1e-12, abs=1e-14 * stats.norm.cdf(right))
    assert mass(np.array(low + width), np.array(low)) == 0


@given(ends, st.floats(1e-3, 10), st.floats(0, 1, exclude_max=True))
def test_draws_are_the_inverse_of_the_distribution_function(low, width, uniform):
    found = float(between(np.array(low), np.array(low + width), np.array(uniform)))
    assert low <= found <= low + width
    whole = float(mass(np.array(low), np.array(low + width)))
    below, above = (float(mass(np.array(a), np.array(b))) for a, b in ((low, found), (found, low + width)))
    share = uniform if low + low + width <= 0 else 1 - uniform
    assert min(abs(below / whole - share), abs(above / whole - (1 - share))) < 1e-6


@st.composite
def regions(draw):
    """Directions in a space of six normals, and a few intervals of each."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    axes = draw(st.integers(0, 4))
    directions = rng.standard_normal((axes, 6))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    parts = []
    for _ in range(axes):
        edges = np.sort(rng.uniform(-2.5, 2.5, 2 * int(rng.integers(1, 4))))
        edges[-1] = 10.0 if rng.random() < 0.5 else edges[-1]
        parts.append(edges.reshape(-1, 2))
    return list(directions), parts


def drawn(region, n, seed=0):
    """Coordinates that were kept, of n draws whose strata have their chances."""
    stream = np.random.default_rng(seed)
    weights = region.weights
    stratum = stream.choice(len(weights), n, p=weights / weights.sum())
    found, kept = region.draw(stratum, stream)
    return found[kept], kept.mean()


def held(latents, directions, parts):
    """Which latent normals lie in one of the intervals of every direction, up to single precision."""
    found = np.ones(len(latents), dtype=bool)
    for direction, part in zip(directions, parts, strict=True):
        along = (latents @ direction)[:, None]
        found &= ((along > part[:, 0] - 1e-5) & (along < part[:, 1] + 1e-5)).any(axis=1)
    return found


@settings(max_examples=25, deadline=None)
@given(regions())
def test_a_region_has_its_probability_and_holds_its_draws(made):
    region = Region.of(*made, latent=6)
    # What hardly restricts is left out of a region: it holds everybody it must, and some more.
    narrow = [(one, part) for one, part in zip(*made, strict=True) if mass(part[:, 0], part[:, 1]).sum() < 0.99]
    directions, parts = [one for one, _ in narrow], [part for _, part in narrow]
    coordinates, kept = drawn(region, 20_000)
    placed = region.placed(
        np.random.default_rng(1).standard_normal((len(coordinates), 6), dtype=np.float32), coordinates
    )
    z = np.random.default_rng(2).standard_normal((200_000, 6))
    inside = held(z, directions, parts)
    assert held(placed.astype(float), directions, parts).all()
    share, found = inside.mean(), kept * region.weights.sum()
    spread = np.sqrt(share * (1 - share) / len(z) + region.weights.sum() ** 2 * kept * (1 - kept) / 20_000)
    assert abs(found - share) < 5 * spread + 2e-5
    if inside.sum() > 300 and len(placed) > 300:
        for at in range(6):
            assert stats.ks_2samp(z[inside][:, at], placed[:, at], method="asymp").pvalue > 1e-6


@settings(max_examples=25, deadline=None)
@given(regions(), st.integers(0, 2**32))
def test_the_bounds_are_bounds(made, seed):
    """If a share were above its bound, a draw would be kept with a chance above 1, and the law would be another."""
    region = Region.of(*made, latent=6)
    rng = np.random.default_rng(seed)
    for number, stratum in enumerate(region.strata):
        y = np.empty((200, len(region.parts)))
        for at, part in enumerate(region.parts):
            if at == 0:
                y[:, 0] = rng.uniform(*stratum, 200)
                continue
            shift, scale = y[:, :at] @ region.factor[at, :at], region.factor[at, at]
            low, high = ((np.clip((part[:, end] - shift[:, None]) / scale, -10, 10)) for end in (0, 1))
            shares = mass(low, high)
            assert (shares.sum(axis=1) <= region.bounds[number, at]).all()
            which = rng.integers(0, len(part), 200)
            rows = np.arange(200)
            y[:, at] = rng.uniform(low[rows, which], np.maximum(high, low)[rows, which])


def test_what_hardly_restricts_or_adds_nothing_is_left_out():
    first, second = np.eye(3)[0], np.array([1.0, 1e-6, 0.0])
    wide, narrow = np.array([[-10.0, 10.0]]), np.array([[1.0, 10.0]])
    assert len(Region.of([first], [wide], latent=3).parts) == 0
    assert Region.of([first], [wide], latent=3).weights.tolist() == [1.0]
    region = Region.of([first, second], [narrow, narrow], latent=3)
    assert len(region.parts) == 1
    assert region.weights.sum() == pytest.approx(stats.norm.sf(1), rel=1e-9)


def test_narrow_strata_keep_most_draws():
    """Two correlated tails: without strata, the bound of the second one would be near 1."""
    rho = 0.5
    directions = [np.array([1.0, 0.0]), np.array([rho, np.sqrt(1 - rho**2)])]
    region = Region.of(directions, [np.array([[3.0, 10.0]]), np.array([[3.2, 10.0]])], latent=2)
    assert drawn(region, 50_000)[1] > 0.6

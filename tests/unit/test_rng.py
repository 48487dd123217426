"""Noise has the distribution that the accountant bills, and nobody else can draw it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import chi2, kstest, norm

from wardgan import rng
from wardgan.rng import Seed

N = 1_000_000
# Five standard errors: a false alarm in a million.
ERRORS = 5.0


@pytest.fixture(scope="module")
def draws() -> np.ndarray:
    return Seed.secret().normals(N, "noise", 0)


# Of z^k: its mean, and the mean of its square.
@pytest.mark.parametrize(("power", "mean", "square"), [(1, 0, 1), (2, 1, 3), (3, 0, 15), (4, 3, 105), (6, 15, 10395)])
def test_moments(draws, power, mean, square):
    error = math.sqrt((square - mean**2) / N)
    assert abs(float((draws**power).mean()) - mean) < ERRORS * error


@pytest.mark.parametrize("z", [0.01, 0.1, 0.5, 1, 2, 3, 4, 4.5])
def test_tails_and_middle(draws, z):
    p = 2 * norm.sf(z)
    assert abs(float((np.abs(draws) > z).mean()) - p) < ERRORS * math.sqrt(p * (1 - p) / N) + 5 / N


def test_whole_distribution(draws):
    assert kstest(draws[:200_000], "norm").pvalue > 1e-6


@pytest.mark.parametrize(
    "lag", [1, 2, 3, rng._BLOCK // 2 - 1, rng._BLOCK // 2, rng._BLOCK // 2 + 1, rng._BLOCK, 3 * rng._BLOCK]
)
def test_no_correlation_between_draws(draws, lag):
    ahead, behind = draws[lag:], draws[:-lag]
    for left, right in ((ahead, behind), (ahead**2 - 1, behind**2 - 1)):
        spread = math.sqrt(float((left**2).mean() * (right**2).mean()) / len(left))
        assert abs(float((left * right).mean())) < ERRORS * spread


def test_every_place_of_a_block_is_noise():
    blocks = Seed.secret().normals(80 * rng._BLOCK, "noise").reshape(80, rng._BLOCK)
    low, high = chi2.ppf([1e-6 / rng._BLOCK, 1 - 1e-6 / rng._BLOCK], 80)
    assert ((blocks**2).sum(axis=0) > low).all()
    assert ((blocks**2).sum(axis=0) < high).all()


@pytest.mark.parametrize("size", [1, 2, 3, 4, 7])
def test_short_draws_are_noise_too(size):
    draws = np.stack([Seed.secret().normals(size, "noise") for _ in range(4000)])
    covariance = draws.T @ draws / len(draws)
    assert float(np.abs(covariance - np.eye(size)).max()) < 5.5 * math.sqrt(2 / len(draws))


def test_draws_have_the_resolution_of_double_precision(draws):
    assert len(np.unique(draws)) == N
    single = draws.astype(np.float32).astype(np.float64)
    assert float((draws == single).mean()) < 1e-5
    assert bool(np.isfinite(draws).all())


def pairs_from(word: int, turn: int) -> list[list[float]]:
    """Gives sine and cosine part of both kinds of pairs when all random bits are known."""
    word_64, turn_32 = np.array([word], dtype=np.uint64), np.array([turn], dtype=np.int32)
    high, low = (np.array([part], dtype=np.uint32) for part in divmod(word, 2**32))
    kinds = rng._double_pairs(word_64, turn_32), rng._single_pairs(high, low, turn_32)
    return [[float(part[0]) for part in kind] for kind in kinds]


@pytest.mark.parametrize("word", [0, 1, 12345, 2**20, 2**40 + 17, 2**63, 2**64 - 1])
@pytest.mark.parametrize("turn", [-(2**31), -(2**30), -12345, 0, 1, 77777, 2**29, 2**30, 2**31 - 1])
def test_both_kinds_of_pairs_are_the_formula(word, turn):
    double, single = pairs_from(word, turn)
    angle = math.pi * turn / 2**31
    radius = math.sqrt(-math.log(((word >> 11) | 1) / 2**53))
    assert double == pytest.approx([radius * math.sin(angle), radius * math.cos(angle)], abs=1e-14)
    # Where v is near 1, single precision has few bits left for its logarithm, and the radius is small.
    radius = math.sqrt(-math.log((word | 1) / 2**64))
    near = 3e-6 if word < 2**60 else 2e-3
    assert single == pytest.approx([radius * math.sin(angle), radius * math.cos(angle)], abs=near)


def test_tails_are_not_cut_off():
    # The rarest bits give more than 8 standard deviations in each pair: the missing mass is below 1e-15.
    double, single = pairs_from(0, 2**30)
    assert double[0] > 6
    assert single[0] > 6.6


class Replayed:
    """A keystream whose bytes the test chooses."""

    def __init__(self, words: np.ndarray) -> None:
        self.stream = words.astype(np.uint32).tobytes()

    def update_into(self, data: memoryview, buffer: bytearray) -> None:
        buffer[: len(data)] = self.stream[: len(data)]


@pytest.mark.parametrize("size", [4, 5, 12, 13])
def test_four_draws_are_combined_in_each_number(size, monkeypatch):
    pairs = rng._pairs(size)
    # Small uniforms and odd angles, so that every random bit is seen in the numbers.
    base = np.zeros((6, pairs), dtype=np.int64)
    base[[2, 5]] = 2**28

    def numbers(words: np.ndarray) -> np.ndarray:
        monkeypatch.setattr(rng, "_encryptor", lambda: Replayed(words))
        return Seed.secret().normals(2 * pairs, "noise")

    depends = np.zeros((6, pairs, 2 * pairs), dtype=bool)
    for row in range(6):
        for place in range(pairs):
            words = base.copy()
            words[row, place] ^= 2**29 + 2**20
            depends[row, place] = numbers(words) != numbers(base)
    assert (depends.sum(axis=(0, 1)) == 6).all()  # a uniform of 64 bits and an angle, twice
    assert (depends.sum(axis=2) == 2).all()  # a pair serves two numbers
    together = depends.reshape(6 * pairs, -1).astype(int).T @ depends.reshape(6 * pairs, -1).astype(int)
    assert (together[~np.eye(2 * pairs, dtype=bool)] <= 3).all()  # which have one pair in common, not both


@pytest.mark.parametrize("size", [0, 1, 2, 7, rng._BLOCK - 1, rng._BLOCK, rng._BLOCK + 1, 3 * rng._BLOCK + 5])
@pytest.mark.parametrize("seed", [Seed.secret(), Seed(3)])
def test_any_size(seed, size):
    draws = seed.normals(size, "noise", 0)
    assert draws.shape == (size,)
    assert draws.dtype == np.float64
    assert bool((draws != 0).all())


def test_p10_secret_streams_differ_and_replayable_ones_do_not():
    secret = Seed.secret()
    assert not np.array_equal(secret.normals(9, "noise", 0), secret.normals(9, "noise", 0))
    assert not np.array_equal(secret.choices(99, 0.5, "batch"), secret.choices(99, 0.5, "batch"))
    assert np.array_equal(Seed(3).normals(9, "noise", 1), Seed(3).normals(9, "noise", 1))
    others = [Seed(3).normals(9, "noise", 2), Seed(3).normals(9, "other", 1), Seed(4).normals(9, "noise", 1)]
    assert not any(np.array_equal(Seed(3).normals(9, "noise", 1), other) for other in others)


def test_p10_each_secret_draw_has_a_fresh_key(monkeypatch):
    asked: list[int] = []
    real = rng.os.urandom
    monkeypatch.setattr(rng.os, "urandom", lambda size: asked.append(size) or real(size))
    Seed.secret().normals(5, "noise")
    Seed.secret().normals(5, "noise")
    assert asked == [32, 16, 32, 16]


@pytest.mark.parametrize("seed", [Seed(3), Seed.secret()])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_noise_is_added_before_the_cast(seed, dtype, monkeypatch):
    if not seed.replayable:
        monkeypatch.setattr(rng.os, "urandom", lambda size: bytes(range(size)))
    values = np.linspace(-5, 5, 2 * rng._BLOCK + 3).astype(dtype)
    noisy = seed.noisy(values, 0.7, "noise", 2)
    expected = values.astype(np.float64) + 0.7 * seed.normals(len(values), "noise", 2)
    assert noisy.dtype == dtype
    assert np.array_equal(noisy, expected.astype(dtype))


def test_coins_have_the_chance_they_are_given():
    coins = Seed.secret().choices(N, 0.3, "batch")
    assert abs(float(coins.mean()) - 0.3) < ERRORS * math.sqrt(0.21 / N)
    assert Seed.secret().choices(1000, 1.0, "batch").all()
    assert not Seed.secret().choices(1000, 0.0, "batch").any()

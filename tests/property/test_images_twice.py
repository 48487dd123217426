"""Every number about images is what its definition says: fast code against loops over pixels, pairs and patients."""

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import linalg, stats

from wardgan.evaluate.images import (
    Cloud,
    ImageSet,
    Scale,
    convolved,
    dice,
    frechet,
    intensity_gap,
    kernel,
    manifold,
    nearness,
    radiomics,
    random_features,
    similarity,
    spectrum_gap,
    textures,
    waves,
)
from wardgan.evaluate.images.clusters import by_patient, mean_of, share_of, t_quantile
from wardgan.evaluate.images.copied import clustered, copies, identical
from wardgan.evaluate.images.radiomic import NAMES
from wardgan.evaluate.images.remembered import _scores, weighted_share
from wardgan.evaluate.images.sets import shrunk
from wardgan.points import nearest
from wardgan.rng import Seed

SEED = Seed(1)
FEW = settings(max_examples=12, deadline=None)


@st.composite
def pictures(draw, n=2, least=16, most=21):
    """Images of few and of many grey levels, constant ones, and stripes."""
    height, width = draw(st.integers(least, most)), draw(st.integers(least, most))
    stream = np.random.default_rng(draw(st.integers(0, 999)))
    kind = draw(st.sampled_from(["noise", "few", "constant", "stripes", "smooth"]))
    if kind == "constant":
        return np.full((n, height, width), draw(st.sampled_from([-1.0, 0.0, 1.0])))
    if kind == "few":
        return stream.choice([-1.0, -0.2, 1.0], size=(n, height, width))
    if kind == "stripes":
        return np.broadcast_to(np.sin(np.arange(width)), (n, height, width)).copy()
    noise = stream.uniform(-1, 1, (n, height, width))
    return waves.blurred(noise) if kind == "smooth" else noise


@st.composite
def clouds(draw, sizes=(12, 14, 13)):
    """Three sets of points of patients who have one or two of them."""
    stream = np.random.default_rng(draw(st.integers(0, 999)))
    width = draw(st.integers(1, 20))
    grid = draw(st.booleans())
    found = []
    for at, size in enumerate(sizes):
        points = stream.normal(size=(size, width)) + 0.3 * at
        points = points.round() if grid else points
        patients = np.arange(size) // draw(st.sampled_from([1, 2]))
        found.append(Cloud.of(points, patients, SEED, str(at)))
    return found


# Textures, waves and the random network.


def slow_pairs(image, reach):
    four = []
    for down, right in ((0, reach), (reach, 0), (reach, reach), (reach, -reach)):
        table = np.zeros((16, 16))
        for row in range(image.shape[0]):
            for column in range(image.shape[1]):
                y, x = row + down, column + right
                if y < image.shape[0] and 0 <= x < image.shape[1]:
                    table[image[row, column], image[y, x]] += 1
                    table[image[y, x], image[row, column]] += 1
        four.append(table / table.sum())
    return four


def slow_entropy(shares):
    return -sum(share * math.log2(share) for share in shares if share > 0)


def slow_neighbours(image, reach):
    four = slow_pairs(image, reach)
    table = sum(four) / 4
    cells = [(i, j, table[i, j]) for i in range(16) for j in range(16)]
    contrasts = [sum(one[i, j] * (i - j) ** 2 for i in range(16) for j in range(16)) for one in four]
    mean = sum(i * p for i, _, p in cells)
    variance = sum((i - mean) ** 2 * p for i, _, p in cells)
    sums, differences = Counter(), Counter()
    for i, j, p in cells:
        sums[i + j] += p
        differences[abs(i - j)] += p
    covariance = sum((i - mean) * (j - mean) * p for i, j, p in cells)
    return [
        sum(contrasts) / 4,
        sum(abs(i - j) * p for i, j, p in cells),
        sum(p / (1 + (i - j) ** 2) for i, j, p in cells),
        sum(p * p for _, _, p in cells),
        slow_entropy(p for _, _, p in cells),
        covariance / variance if variance > 1e-12 else 1.0,
        max(p for _, _, p in cells),
        sum((i + j - 2 * mean) ** 3 * p for i, j, p in cells),
        sum((i + j - 2 * mean) ** 4 * p for i, j, p in cells),
        slow_entropy(sums.values()),
        slow_entropy(differences.values()),
        (max(contrasts) - min(contrasts)) / (sum(contrasts) / 4 + 0.1),
    ]


def lines_of(image):
    height, width = image.shape
    yield from ([image[row, column] for column in range(width)] for row in range(height))
    yield from ([image[row, column] for row in range(height)] for column in range(width))
    for offset in range(-height + 1, width):
        yield list(np.diagonal(image, offset))
        yield list(np.diagonal(image[:, ::-1], offset))


def slow_runs(image):
    found = []
    for line in lines_of(image):
        start = 0
        for at in range(1, len(line) + 1):
            if at == len(line) or line[at] != line[start]:
                found.append((line[start] + 1, at - start))
                start = at
    n = len(found)

    def mean(of):
        return sum(of(i, j) for i, j in found) / n

    return [
        mean(lambda i, j: 1 / j**2),
        mean(lambda i, j: j**2),
        sum((count / n) ** 2 for count in Counter(i for i, _ in found).values()),
        sum((count / n) ** 2 for count in Counter(j for _, j in found).values()),
        n / (4 * image.size),
        mean(lambda i, j: 1 / i**2),
        mean(lambda i, j: i**2),
        mean(lambda i, j: i**2 / j**2),
        mean(lambda i, j: j**2 / i**2),
        float(np.var([i for i, _ in found])),
        float(np.var([j for _, j in found])),
        slow_entropy(count / n for count in Counter(found).values()),
    ]


@FEW
@given(pictures(), st.sampled_from([1, 3]))
def test_textures_are_those_of_loops_over_pixels(images, reach):
    found = textures.levels(images)
    np.testing.assert_allclose(
        textures.neighbours(found, reach), [slow_neighbours(one, reach) for one in found], atol=1e-7
    )
    np.testing.assert_allclose(textures.runs(found), [slow_runs(one) for one in found], atol=1e-9)


@FEW
@given(pictures())
def test_haar_energies_are_those_of_a_loop_over_blocks(images):
    rows = []
    for image in images:
        row, now = [], image
        for _ in range(3):
            height, width = now.shape[0] // 2, now.shape[1] // 2
            small, details = np.zeros((height, width)), np.zeros((3, height, width))
            for y in range(height):
                for x in range(width):
                    a, b, c, d = now[2 * y : 2 * y + 2, 2 * x : 2 * x + 2].ravel()
                    small[y, x] = (a + b + c + d) / 2
                    details[:, y, x] = (a + b - c - d) / 2, (a - b + c - d) / 2, (a - b - c + d) / 2
            for detail in details:
                square = float((detail**2).mean()) + waves.FLOOR
                row += [math.log(square), float(np.abs(detail).mean()) / math.sqrt(square)]
            now = small
        rows.append(row)
    np.testing.assert_allclose(waves.haar(images), rows, atol=1e-9)


@FEW
@given(pictures(n=1, most=18))
def test_the_spectrum_is_the_one_of_the_definition(images):
    height, width = images.shape[1:]
    side = max(height, width)
    y, x = np.mgrid[:height, :width]
    rings = {}
    wide, tall = [], []
    for v in range(height):
        for u in range(width):
            f, g = (
                (v - height if v > (height - 1) // 2 else v) / height,
                (u - width if u > (width - 1) // 2 else u) / width,
            )
            wave = np.exp(-2j * np.pi * (f * y + g * x))
            power = abs((wave * (images[0] - images[0].mean())).sum()) ** 2 / (height * width)
            rings.setdefault(round(math.hypot(f, g) * side), []).append(power)
            wide += [power] if abs(g) > abs(f) else []
            tall += [power] if abs(f) > abs(g) else []
    logs = [math.log(np.mean(rings[radius]) + waves.FLOOR) for radius in range(1, side // 2 + 1)]
    np.testing.assert_allclose(waves.spectra(images), [logs], atol=1e-6)
    found = waves.spectrum(images)[0]
    for band in range(8):
        inside = [one for at, one in enumerate(logs) if min(at * 8 // len(logs), 7) == band]
        assert found[band] == pytest.approx(np.mean(inside), abs=1e-6)
    assert found[8] == pytest.approx(np.polyfit(np.log(np.arange(1, len(logs) + 1)), logs, 1)[0], abs=1e-6)
    assert found[9] == pytest.approx(math.log((np.mean(wide) + waves.FLOOR) / (np.mean(tall) + waves.FLOOR)), abs=1e-6)


def slow_blur(image):
    kernel_ = np.array([1, 2, 1]) / 4
    wide = np.pad(image, 1, mode="edge")
    height, width = image.shape
    return np.array(
        [[(wide[y : y + 3, x : x + 3] * np.outer(kernel_, kernel_)).sum() for x in range(width)] for y in range(height)]
    )


@FEW
@given(pictures())
def test_gradients_are_those_of_a_loop_over_pixels(images):
    rows = []
    for image in images:
        down, right = [], []
        for y in range(1, image.shape[0] - 1):
            for x in range(1, image.shape[1] - 1):
                down.append((image[y + 1, x] - image[y - 1, x]) / 2)
                right.append((image[y, x + 1] - image[y, x - 1]) / 2)
        down, right = np.array(down), np.array(right)
        size = np.sqrt(down**2 + right**2)
        xx, yy, xy = (right**2).mean(), (down**2).mean(), (right * down).mean()
        varied = size.var() > waves.FLOOR / 100
        third, fourth = (stats.skew(size), stats.kurtosis(size)) if varied else (0.0, 0.0)
        once = slow_blur(image)
        rest = once - slow_blur(slow_blur(once))
        rows.append(
            [
                size.mean(),
                size.std(),
                math.copysign(math.log1p(abs(third)), third),
                math.copysign(math.log1p(abs(fourth)), fourth),
                *np.quantile(size, [0.9, 0.99]),
                math.sqrt((xx - yy) ** 2 + 4 * xy**2) / (xx + yy + waves.FLOOR),
                (xx - yy) / (xx + yy + waves.FLOOR),
                math.log(((image - once) ** 2).mean() + waves.FLOOR),
                math.log((rest**2).mean() + waves.FLOOR),
            ]
        )
    np.testing.assert_allclose(waves.gradients(images), rows, atol=1e-7)


@FEW
@given(pictures(n=1))
def test_first_order_numbers_are_those_of_scipy(images):
    pixels = images[:, None].astype(np.float32)
    found = dict(zip(NAMES, radiomics(pixels)[0], strict=True))
    values = pixels[0, 0].astype(float).ravel()
    assert found["first_mean"] == pytest.approx(values.mean())
    assert found["first_sd"] == pytest.approx(values.std())
    assert found["first_p5"] == pytest.approx(np.percentile(values, 5))
    assert found["first_interquartile_range"] == pytest.approx(stats.iqr(values))
    assert found["first_absolute_deviation"] == pytest.approx(np.abs(values - values.mean()).mean())
    assert found["first_energy"] == pytest.approx((values**2).mean())
    shares = np.array(list(Counter(min(31, int((value + 1) * 16)) for value in values).values())) / values.size
    assert found["first_entropy"] == pytest.approx(slow_entropy(shares))
    assert found["first_uniformity"] == pytest.approx((shares**2).sum())
    if values.std() > 1e-3:
        third, fourth = stats.skew(values), stats.kurtosis(values)
        assert found["first_skewness"] == pytest.approx(math.copysign(math.log1p(abs(third)), third))
        assert found["first_kurtosis"] == pytest.approx(math.copysign(math.log1p(abs(fourth)), fourth))


def test_the_parts_of_radiomics_have_their_names_and_long_tails_are_shortened():
    images = np.random.default_rng(0).uniform(-1, 1, (1, 20, 20)).astype(np.float32).astype(float)
    found = dict(zip(NAMES, radiomics(images[:, None].astype(np.float32))[0], strict=True))
    level = textures.levels(images)
    long = {"contrast", "shade", "prominence"}
    for reach in (1, 3):
        for name, value in zip(textures.BESIDE, slow_neighbours(level[0], reach), strict=True):
            wanted = math.copysign(math.log1p(abs(value)), value) if name in long else value
            assert found[f"glcm{reach}_{name}"] == pytest.approx(wanted, abs=1e-7)
    long = {"long", "long_low", "high_grey", "short_high", "length_variance"}
    for name, value in zip(textures.RUNS, slow_runs(level[0]), strict=True):
        assert found[f"run_{name}"] == pytest.approx(math.log1p(value) if name in long else value, abs=1e-7)
    assert found["haar_1_horizontal_energy"] == pytest.approx(waves.haar(images)[0, 0])
    assert found["haar_3_diagonal_spread"] == pytest.approx(waves.haar(images)[0, -1])
    assert found["spectrum_tilt"] == pytest.approx(waves.spectrum(images)[0, -1])
    assert found["gradient_coarse_energy"] == pytest.approx(waves.gradients(images)[0, -1])
    assert len(NAMES) == len(set(NAMES)) == 92


def slow_halved(maps):
    h, w = maps.shape[1] // 2, maps.shape[2] // 2
    return np.array(
        [[[one[2 * y : 2 * y + 2, 2 * x : 2 * x + 2].mean() for x in range(w)] for y in range(h)] for one in maps]
    )


def slow_layer(maps, weights):
    wide = np.pad(maps, ((0, 0), (1, 1), (1, 1)), mode="edge")
    h, w = maps.shape[1:]
    out = np.empty((weights.shape[1], h, w))
    for y in range(h):
        for x in range(w):
            value = wide[:, y : y + 3, x : x + 3].ravel() @ weights[:-1] + weights[-1]
            out[:, y, x] = np.maximum(value, 0.2 * value)
    return out


@FEW
@given(pictures(n=2))
def test_the_random_network_is_the_one_of_loops_over_pixels(images):
    both = np.stack([images, -images], axis=1).astype(np.float32)  # two channels
    rows = []
    for image in both:
        maps, row = image.astype(float), []
        for layer, weights in enumerate(convolved._weights(2)):
            maps = slow_layer(slow_halved(maps) if layer else maps, weights)
            h, w = maps.shape[1] // 2, maps.shape[2] // 2
            quarters = [maps[:, :h, :w], maps[:, :h, w:], maps[:, h:, :w], maps[:, h:, w:]]
            for part in quarters if layer == 1 else [maps]:
                row += [one.mean() for one in part]
            row += [one.std() for one in maps]
        rows.append(row)
    np.testing.assert_allclose(random_features(both), rows, atol=2e-4)


@given(st.integers(16, 150), st.integers(16, 150), st.integers(8, 64))
@FEW
def test_smaller_images_are_means_over_blocks(height, width, side):
    pixels = np.random.default_rng(height * width).uniform(-1, 1, (1, 1, height, width)).astype(np.float32)
    found = shrunk(pixels, side)
    step = -(-max(height, width) // side)
    assert found.shape[2:] == (height // step, width // step)
    y, x = found.shape[2] - 1, found.shape[3] // 2
    block = pixels[0, 0, y * step : (y + 1) * step, x * step : (x + 1) * step]
    assert found[0, 0, y, x] == pytest.approx(float(block.mean()), abs=1e-5)


# Distances and neighbourhoods.


def slow_frechet(one, other):
    ours, theirs = (np.atleast_2d(np.cov(points, rowvar=False)) for points in (one, other))
    # The trace of the root of the product is the sum of the roots of its eigenvalues, which are not negative.
    values = linalg.eigvals(ours @ theirs)
    shared = np.sqrt(np.maximum(values.real, 0)).sum()
    return ((one.mean(axis=0) - other.mean(axis=0)) ** 2).sum() + np.trace(ours) + np.trace(theirs) - 2 * shared


def slow_kernel(one, other, ours, theirs):
    def k(x, y):
        return (float(x @ y) / len(x) + 1) ** 3

    def within(points, patients):
        found = [
            k(points[i], points[j])
            for i in range(len(points))
            for j in range(len(points))
            if patients[i] != patients[j]
        ]
        return np.mean(found)

    return within(one, ours) + within(other, theirs) - 2 * np.mean([k(x, y) for x in one for y in other])


def slow_without(measure, one, other):
    found = []
    for at, cloud in enumerate((one, other)):
        values = []
        for group in np.unique(cloud.groups):
            kept = cloud.groups != group
            cut = Cloud(cloud.features[kept], cloud.patients[kept], cloud.groups[kept])
            values.append(measure(cut, other) if not at else measure(one, cut))
        found.append(np.array(values))
    return found


@FEW
@given(clouds())
def test_the_frechet_distance_and_its_jackknife_are_those_of_the_definition(three):
    one, other, _ = three

    def measure(a, b):
        return max(0.0, slow_frechet(a.features, b.features))

    found = frechet(one, other, "demo")
    assert found.value == pytest.approx(measure(one, other), abs=1e-5)
    for fast, slow in zip(found.without, slow_without(measure, one, other), strict=True):
        np.testing.assert_allclose(fast, slow, atol=1e-5)
    estimate = found.estimate()
    variance = sum((one.size - 1) * one.var() for one in found.without)
    freedom = sum(one.size - 1 for one in found.without)
    half = stats.t.ppf(0.975, freedom) * math.sqrt(variance)
    assert estimate.high == pytest.approx(found.value + half, rel=0.01, abs=1e-9)
    assert estimate.low == pytest.approx(max(0, found.value - half), rel=0.02, abs=0.02 * half)


@FEW
@given(clouds())
def test_the_kernel_distance_and_its_jackknife_are_those_of_loops_over_pairs(three):
    one, other, _ = three

    def measure(a, b):
        return slow_kernel(a.features, b.features, a.patients, b.patients)

    found = kernel(one, other, "demo")
    assert found.value == pytest.approx(measure(one, other), abs=1e-8)
    for fast, slow in zip(found.without, slow_without(measure, one, other), strict=True):
        np.testing.assert_allclose(fast, slow, atol=1e-8)


@FEW
@given(clouds())
def test_the_ratio_leaves_the_same_training_patients_out_of_both(three):
    train, synthetic, holdout = three
    made, held = (frechet(train, one, "demo") for one in (synthetic, holdout))
    found = nearness(made, held)
    if min(made.value, held.value) <= 0:
        assert math.isnan(found.value)
        return
    assert found.value == pytest.approx(held.value / made.value)
    ratios = [
        np.log(held.without[0] / made.without[0]),
        np.log(held.without[1] / made.value),
        np.log(held.value / made.without[1]),
    ]
    if all(np.isfinite(one).all() for one in ratios):
        half = math.sqrt(sum((one.size - 1) * one.var() for one in ratios))
        half *= t_quantile(sum(one.size - 1 for one in ratios))
        assert math.log(found.high / found.value) == pytest.approx(half, rel=1e-4)
        assert math.log(found.value / found.low) == pytest.approx(half, rel=1e-4)


def distance(a, b):
    return ((a - b) ** 2).sum()


def slow_manifold(train, other, good):
    def reach(cloud):
        return [
            sorted(
                distance(x, y)
                for y, owner in zip(cloud.features, cloud.patients, strict=True)
                if owner != cloud.patients[i]
            )[4]
            for i, x in enumerate(cloud.features)
        ]

    ours, theirs = reach(train), reach(other)
    narrow = np.minimum(ours, np.median(ours))
    near = lambda x, y, radius: distance(x, y) <= radius + 1e-9  # noqa: E731
    a, b = train.features, other.features
    precision = np.mean([any(near(x, y, r) for x, r in zip(a, ours, strict=True)) for y in b])
    recall = np.mean([any(near(x, y, r) for y, r in zip(b, theirs, strict=True)) for x in a])
    density = np.mean([sum(near(x, y, r) for x, r in zip(a, ours, strict=True)) / 5 for y in b])
    coverage = np.mean([any(near(x, y, r) for y in b) for x, r in zip(a, ours, strict=True)])
    crowd = np.mean([min(1, sum(near(x, y, r) for x, r in zip(a, narrow, strict=True)) / 5) for y in b])
    best = np.mean(
        [
            min(1, sum(near(x, y, r) and p != q for x, r, p in zip(a, narrow, train.patients, strict=True)) / 5)
            for y, q in zip(a, train.patients, strict=True)
        ]
    )
    full = np.mean([min(1, sum(near(x, y, r) for y in b) / 5) for x, r in zip(a, ours, strict=True)])
    calibrated = float(np.interp(full, good, np.arange(len(b) + 1) / len(b)))
    return [precision, recall, density, coverage, min(1, crowd / best) if best else math.nan, calibrated]


@FEW
@given(clouds())
def test_neighbourhoods_are_those_of_loops_over_pairs(three):
    train, synthetic, holdout = three
    found = manifold(train, synthetic, holdout)
    for name, cloud in (("synthetic", synthetic), ("holdout", holdout)):
        real, size = len(train.features), len(cloud.features)
        good = [
            sum(min(1, j / 5) * stats.betabinom.pmf(j, m, 5, real - 5) for j in range(m + 1)) for m in range(size + 1)
        ]
        numbers = [getattr(getattr(found, field), name).value for field in found.__dataclass_fields__]
        np.testing.assert_allclose(numbers, slow_manifold(train, cloud, good), atol=1e-9)


@given(st.integers(0, 999), st.booleans())
@FEW
def test_similarity_is_that_of_loops_over_windows(seed, equal):
    stream = np.random.default_rng(seed)
    one = waves.blurred(stream.uniform(-1, 1, (1, 20, 18)))[0]
    other = one + 0.1 if equal else waves.blurred(stream.uniform(-1, 1, (1, 20, 18)))[0]
    weights = np.exp(-((np.arange(7) - 3) ** 2) / 4.5)
    weights = np.outer(weights, weights) / weights.sum() ** 2
    a, b, product = one, other, 1.0
    exponents = np.array([0.0448, 0.2856]) / (0.0448 + 0.2856)
    for scale in range(2):
        light, contrast = [], []
        for y in range(a.shape[0] - 6):
            for x in range(a.shape[1] - 6):
                p, q = a[y : y + 7, x : x + 7], b[y : y + 7, x : x + 7]
                m, n = (weights * p).sum(), (weights * q).sum()
                v, w = (weights * (p - m) ** 2).sum(), (weights * (q - n) ** 2).sum()
                c = (weights * (p - m) * (q - n)).sum()
                contrast.append((2 * c + 0.06**2) / (v + w + 0.06**2))
                light.append((2 * m * n + 0.02**2) / (m * m + n * n + 0.02**2) * contrast[-1])
        product *= max(0, np.mean(light if scale else contrast)) ** exponents[scale]
        a, b = (one[: one.shape[0] // 2 * 2, : one.shape[1] // 2 * 2] for one in (a, b))
        a, b = ((one[::2, ::2] + one[1::2, ::2] + one[::2, 1::2] + one[1::2, 1::2]) / 4 for one in (a, b))
    assert similarity(one[None, None], other[None, None])[0] == pytest.approx(product, abs=1e-9)


@given(st.integers(0, 999))
@FEW
def test_grey_levels_and_spectra_are_as_far_apart_as_scipy_and_loops_say(seed):
    stream = np.random.default_rng(seed)
    sets = []
    for at in range(3):
        pixels = np.clip(stream.normal(0.1 * at, 0.3, (6, 1, 16, 17)), -1, 1).astype(np.float32)
        sets.append(ImageSet(pixels, np.zeros(6, dtype=np.int64), np.arange(6) // 2))
    found = intensity_gap(*sets, seed=SEED)
    bins = [np.floor((one.pixels.astype(float) + 1) * 32).clip(0, 63).ravel() for one in sets]
    assert found.synthetic.value == pytest.approx(stats.wasserstein_distance(bins[0], bins[1]) / 64, abs=2e-3)
    assert found.holdout.value == pytest.approx(stats.wasserstein_distance(bins[0], bins[2]) / 64, abs=2e-3)
    means = [np.mean([waves.spectra(image.astype(float))[0] for image in one.pixels], axis=0) for one in sets]
    gap = spectrum_gap(*sets, seed=SEED)
    assert gap.synthetic.value == pytest.approx(math.sqrt(np.mean((means[0] - means[1]) ** 2)), abs=1e-6)
    assert gap.holdout.value == pytest.approx(math.sqrt(np.mean((means[0] - means[2]) ** 2)), abs=1e-6)
    assert gap.synthetic.n == gap.holdout.n == 3


# Patients.


@given(st.lists(st.tuples(st.integers(0, 6), st.sampled_from([0.0, 0.25, 1.0])), min_size=2, max_size=30))
@settings(max_examples=60, deadline=None)
def test_means_by_patient_have_the_error_of_a_ratio(rows):
    patients, values = np.array([who for who, _ in rows]), np.array([value for _, value in rows])
    names = sorted(set(patients.tolist()))
    sums = [sum(value for who, value in rows if who == name) for name in names]
    counts = [sum(who == name for who, _ in rows) for name in names]
    assert [one.tolist() for one in by_patient(values, patients)] == [sums, counts]
    ratio = sum(sums) / sum(counts)
    share, mean = share_of(values, patients, "share"), mean_of(values, patients, "mean")
    assert share.value == mean.value == pytest.approx(ratio)
    assert 0 <= share.low <= share.value <= share.high <= 1
    if len(names) < 2:
        assert (mean.low, mean.high) == (-math.inf, math.inf)
        return
    squares = sum((s - ratio * n) ** 2 for s, n in zip(sums, counts, strict=True))
    variance = squares * len(names) / (len(names) - 1) / sum(counts) ** 2
    half = stats.t.ppf(0.975, len(names) - 1) * math.sqrt(variance)
    assert mean.high - mean.value == pytest.approx(half, rel=0.01, abs=1e-12)
    effective = min(ratio * (1 - ratio) / variance, len(rows)) if variance > 0 else len(names)
    effective = max(effective, 1)
    # The ends of Wilson's interval are where the share is 1.96 standard errors of the end away.
    for end in (share.low, share.high):
        if 0 < end < 1 and end != share.value:
            assert abs(end - ratio) == pytest.approx(1.96 * math.sqrt(end * (1 - end) / effective), rel=1e-3)


@given(st.lists(st.integers(0, 5), min_size=3, max_size=8), st.data())
@settings(max_examples=40, deadline=None)
def test_the_interval_of_a_weighted_share_is_that_of_all_ways_to_choose_training_patients(counts, data):
    from itertools import combinations

    if not sum(counts):
        return
    ours = data.draw(st.integers(1, len(counts) - 1))
    member = np.arange(len(counts)) < ours
    found = weighted_share(np.array(counts), member, "share")
    a, b = sum(counts[:ours]), sum(counts[ours:])
    theirs = len(counts) - ours

    def share(hits):
        one, two = hits / ours, (a + b - hits) / theirs
        return one / (one + two)

    assert found.value == pytest.approx(share(a))
    totals = [sum(counts[at] for at in chosen) for chosen in combinations(range(len(counts)), ours)]
    spread = 1.959964 * np.std(totals)
    assert found.low == pytest.approx(share(max(0, a - spread)), abs=1e-6)
    assert found.high == pytest.approx(share(min(a + b, a + spread)), abs=1e-6)


@FEW
@given(clouds())
def test_nearest_images_and_scores_are_those_of_loops(three):
    real, made, _ = three
    apart, place = nearest(made.features, real.features)
    for at, point in enumerate(made.features):
        each = [math.sqrt(distance(point, other)) for other in real.features]
        assert apart[at] == pytest.approx(min(each), abs=1e-6)
        assert each[place[at]] == pytest.approx(min(each), abs=1e-6)
    alone = [
        min(
            math.sqrt(distance(x, y))
            for y, who in zip(real.features, real.patients, strict=True)
            if who != real.patients[i]
        )
        for i, x in enumerate(real.features)
    ]
    blur = 1e-3 * np.median(alone) + 1e-12
    scores = {}
    for i, x in enumerate(real.features):
        near = min(math.sqrt(distance(x, y)) for y in made.features)
        who = int(real.patients[i])
        scores[who] = max(scores.get(who, -math.inf), math.log(alone[i] + blur) - math.log(near + blur))
    # Rounding may make a distance of 0 one of 1e-8.
    found = _scores(real.features, real.patients, made.features)
    np.testing.assert_allclose(found, [scores[who] for who in sorted(scores)], rtol=1e-3, atol=1e-3)


@given(st.integers(0, 999))
@FEW
def test_copies_are_counted_as_a_loop_counts_them(seed):
    stream = np.random.default_rng(seed)
    points = [stream.normal(size=(size, 3)) for size in (30, 40, 25)]
    points[2][20:] = points[2][20] + 1e-6 * stream.normal(size=(5, 3))
    found, accuses = copies(points, np.arange(40), seed=SEED, confidence=0.99)

    def apart(point):
        return min(math.sqrt(distance(point, other)) for other in points[0])

    order = list(SEED.stream("images/one/copies").permutation(40))
    near = np.quantile([apart(points[1][at]) for at in order[:20]], 0.05)
    made = [apart(point) <= near for point in points[2]]
    assert found.synthetic.value == np.mean(made)
    control = np.mean([apart(points[1][at]) <= near for at in order[20:]])
    assert found.holdout.value == control
    owner = []
    for at, point in enumerate(points[2]):
        free = [one for one in dict.fromkeys(owner) if math.sqrt(distance(point, points[2][one])) <= near]
        owner.append(free[0] if free else at)
    assert clustered(points[2], near).tolist() == owner
    ours = share_of(np.array(made), np.array(owner), "", confidence=0.99)
    theirs = share_of(np.arange(20) < round(20 * control), np.arange(20), "", confidence=0.99)
    less = (ours.value - theirs.value) - math.sqrt((ours.value - ours.low) ** 2 + (theirs.high - theirs.value) ** 2)
    assert accuses == (less > 0)
    plain = share_of(np.array(made), np.array(owner), "")
    assert (found.synthetic.low, found.synthetic.high) == (plain.low, plain.high)


@given(st.integers(0, 999))
@FEW
def test_identical_images_are_those_within_one_grey_level(seed):
    stream = np.random.default_rng(seed)
    points = [stream.uniform(-1, 1, (size, 7)) for size in (9, 8, 6)]
    points[2][:2] = points[0][3] + stream.uniform(-0.02, 0.02, (2, 7))
    points[1][1] = points[0][2] + 0.007
    found, _ = identical(points, np.arange(8), seed=SEED, confidence=0.99)

    def same(point):
        return any(math.sqrt(np.mean((point - other) ** 2)) <= 2 / 255 for other in points[0])

    assert found.synthetic.value == np.mean([same(point) for point in points[2]])
    assert found.holdout.value == np.mean([same(point) for point in points[1]]) == 1 / 8


@given(st.integers(0, 999))
@FEW
def test_dice_is_that_of_sets_of_pixels(seed):
    stream = np.random.default_rng(seed)
    one, other = (stream.random((4, 3, 3)) < 0.3 for _ in range(2))
    one[0], other[0] = False, False
    slow = []
    for a, b in zip(one, other, strict=True):
        first, second = ({tuple(at) for at in np.argwhere(mask)} for mask in (a, b))
        total = len(first) + len(second)
        slow.append(2 * len(first & second) / total if total else 1.0)
    np.testing.assert_allclose(dice(one, other), slow)


@given(st.integers(1, 60))
def test_quantiles_of_students_t_are_those_of_scipy(freedom):
    assert t_quantile(freedom) == pytest.approx(stats.t.ppf(0.975, freedom), rel=0.01)


@given(st.integers(0, 99))
@FEW
def test_scaled_features_have_mean_0_and_sd_1_and_dead_ones_are_dropped(seed):
    reference = np.random.default_rng(seed).normal(5, 3, (50, 4))
    reference[:, 2] = 1 + 1e-8 * reference[:, 0]
    found = Scale.of(reference)(reference)
    assert found.shape == (50, 3)
    np.testing.assert_allclose(found.mean(axis=0), 0, atol=1e-9)
    np.testing.assert_allclose(found.std(axis=0), 1, atol=1e-9)
    assert Scale.of(reference)(reference + 1e6).max() == 10

"""Quantile tables against exact inverses, and ONNX networks against twins in numpy and torch."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from anchors import anchor, assert_nearly_all_close, cohort, correlated, draws, run, units_of
from scipy.special import ndtr, ndtri

from wardgan.encode.units import classes_of, encode, to_codes
from wardgan.models.acgan.features import Picture
from wardgan.models.acgan.nets import PictureGenerator
from wardgan.models.anchor.grid import Grid
from wardgan.models.anchor.network import copula_network
from wardgan.models.anchor.quantiles import _off_borders, category_steps, category_table, number_steps, number_table
from wardgan.models.anchor.refiner import Refiner, refined_network, warp_of
from wardgan.models.anchor.warp import Warp
from wardgan.models.copula.config import CopulaConfig
from wardgan.models.fit import fit
from wardgan.models.tabgan.fakes import FakeFeatures
from wardgan.models.tabgan.features import blocks, real_features, width
from wardgan.models.weights import weights_state
from wardgan.privacy.queries import Levels
from wardgan.rng import Seed
from wardgan.sample.network import Graph
from wardgan.schema.columns import Column
from wardgan.schema.read import read
from wardgan.schema.schema import Schema

KINDS = ["none", "named", "complete", "ragged", "codes"]


def of_one_number(edges, cumulative, levels, margin):
    """An anchor whose only interest is one number, `age`, in one class."""
    made = anchor()
    at = made.layout.names.index("age")
    margins, all_levels = list(made.margins), list(made.levels)
    margins[at], all_levels[at] = np.atleast_2d(margin).repeat(2, axis=0), levels
    found = replace(
        made, margins=tuple(margins), levels=tuple(all_levels), grids={**made.grids, "age": Grid(edges, cumulative)}
    )
    return found, at


def values(table, count=200_000):
    u = (np.arange(count) + 0.5) / count * table.start.shape[1]
    step = u.astype(int)
    return table.start[0, step] + table.rise[0, step] * (u - step)


def test_a_number_table_is_the_exact_inverse():
    edges = np.linspace(0, 1, 101)
    cumulative = edges**2  # the density rises
    levels = Levels((0.5, 0.8), 3, None)
    share = np.diff(np.interp([0, 0.5, 0.8, 1], edges, cumulative))
    made, at = of_one_number(edges, cumulative, levels, share)
    found = values(number_table(made, at, 1024))
    exact = np.interp((np.arange(len(found)) + 0.5) / len(found), cumulative, edges)
    assert np.abs(found - exact).max() < 0.01
    assert np.abs(found - exact).mean() < 5e-4


def test_a_number_table_has_the_shares_of_its_class_not_of_the_grid():
    edges = np.linspace(0, 1, 101)
    made, at = of_one_number(edges, edges, Levels((0.5,), 2, None), np.array([0.9, 0.1]))
    found = values(number_table(made, at, 1024))
    assert (found < 0.5).mean() == pytest.approx(0.9, abs=1e-3)
    assert np.quantile(found, 0.45) == pytest.approx(0.25, abs=2e-3)


@pytest.mark.parametrize("gap", [(30, 80), (10, 95), (20, 22)])
def test_nothing_is_made_between_two_spikes(gap):
    edges, low, high = np.linspace(0, 1, 101), *gap
    cumulative = np.where(edges > low / 100 + 1e-9, 0.37, 0) + np.where(edges > high / 100 + 1e-9, 0.63, 0)
    made, at = of_one_number(edges, cumulative, Levels((), 1, None), np.array([1.0]))
    found = np.floor(values(number_table(made, at, 1024)) * 100 + 1e-9)
    assert set(np.unique(found)) == {low, high}
    assert (found == low).mean() == pytest.approx(0.37, abs=2e-3)


@pytest.mark.parametrize("scale", [None, "log"])
def test_the_value_between_two_heaps_is_never_made(scale):
    """Only 20 and 22 occur: one step of the table lies across the border, and must not give 21."""
    values = np.where(np.random.default_rng(1).random(5000) < 0.37, 20, 22)
    column = {"kind": "integer", "low": 0, "high": 99} | ({"scale": scale} if scale else {})
    assert set(long_tail(column, values)) == {20, 22}


def test_a_long_tail_is_not_taken_for_a_gap():
    edges = np.linspace(0, 1, 2049)
    cumulative = 1 - np.exp(-20 * edges)
    cumulative /= cumulative[-1]
    made, at = of_one_number(edges, cumulative, Levels((), 1, None), np.array([1.0]))
    found = values(number_table(made, at, 1024))
    exact = np.interp((np.arange(len(found)) + 0.5) / len(found), cumulative, edges)
    assert found.mean() == pytest.approx(exact.mean(), rel=0.01)
    assert found.max() > 0.4


@pytest.mark.parametrize("values", [3, 1826, 36_525, 1_000_000])
def test_single_precision_leads_to_no_other_value(values):
    """A step over one possible value gives that value alone, also where it ends on the border to the next one."""
    column = Column("days", "integer", low=0, high=values - 1, step=1)
    wanted = np.unique(np.linspace(0, values - 1, 3000).round())
    start, rise = _off_borders(wanted / values + 1e-12, np.full(len(wanted), 1 / values - 2e-12), column)
    for inside in (0.0, 0.3, 1.0):
        units = start.astype(np.float32) + rise.astype(np.float32) * np.float32(inside)
        np.testing.assert_array_equal(to_codes(units, column), wanted)


def test_a_number_table_knows_nothing_of_missing_cells():
    edges = np.linspace(0, 1, 101)
    made, at = of_one_number(edges, edges, Levels((0.5,), 3, 2), np.array([0.3, 0.4, 0.3]))
    found = values(number_table(made, at, 1024))
    assert found.min() >= 0
    assert (found < 0.5).mean() == pytest.approx(3 / 7, abs=1e-3)


def long_tail(column, values, seed=1):
    """The network of one number, without noise, and what it makes."""
    frame = pd.DataFrame({"x": values, "flag": np.arange(len(values)) % 2 == 0})
    table = {"x": column, "flag": {"kind": "flag"}}
    mine = read(frame, Schema.from_dict({"name": "d", "population": len(values), "table": table}))
    return fit(mine, family=CopulaConfig(), privacy="none", seed=seed).generator.sample(50_000, seed=2)["x"]


@pytest.mark.parametrize(("step", "scale"), [(None, None), (1, None), (0.1, "log"), (1, "log")])
def test_zeros_are_made_as_zeros(step, scale):
    numbers = np.random.default_rng(1)
    rest = np.clip(np.exp(numbers.normal(3, 1, 5000)), 0.6, 20_000)
    values = np.where(numbers.random(5000) < 0.6, 0.0, rest if step is None else np.round(rest / step) * step)
    column = (
        {"kind": "number", "low": 0, "high": 20_000}
        | ({"step": step} if step else {})
        | ({"scale": scale} if scale else {})
    )
    found = long_tail(column, values)
    assert (found == 0).mean() == pytest.approx((values == 0).mean(), abs=0.02)
    room = 0.05 if scale else 10.0  # a cell of the equal scale is 10 wide
    for share in (0.7, 0.8, 0.9, 0.95):
        assert np.quantile(found, share) == pytest.approx(
            np.quantile(values, share), abs=room * (np.quantile(values, share) if scale else 1)
        )


def test_values_on_a_logarithmic_scale_have_their_quantiles():
    """A Pareto tail: median 20, bound 100,000. Equal cells are 49 wide, so they cannot tell the median from the rest."""
    values = np.round(11.2 * np.random.default_rng(1).random(5000) ** (-1 / 1.2)).clip(0, 100_000)
    plain = {"kind": "integer", "low": 0, "high": 100_000}
    shares = [0.05, 0.25, 0.5, 0.75, 0.9]
    real = np.quantile(values, shares)
    log, even = (np.quantile(long_tail(column, values), shares) for column in (plain | {"scale": "log"}, plain))
    np.testing.assert_allclose(log, real, rtol=0.06)
    assert np.abs(even / real - 1).max() > 0.3


def test_steps_and_heaps_are_kept():
    numbers = np.random.default_rng(1)
    plain = np.round(numbers.normal(120, 20, 5000))
    heaped = np.where(numbers.random(5000) < 0.5, np.round(plain / 10) * 10, plain).clip(0, 300)
    found = long_tail({"kind": "integer", "low": 0, "high": 300}, heaped)
    assert (found % 10 == 0).mean() == pytest.approx((heaped % 10 == 0).mean(), abs=0.03)
    fives = long_tail({"kind": "number", "low": 0, "high": 300, "step": 5}, np.round(plain / 5) * 5)
    assert (fives % 5 == 0).all()
    assert fives.std() == pytest.approx(np.std(np.round(plain / 5) * 5), rel=0.05)


@pytest.mark.parametrize("kind", ["none", "named"])
def test_missing_cells_have_their_share(kind):
    made = anchor(kind)
    latent, classes = draws(len(made.axes), 2, 20_000)
    found = run(copula_network(made), latent, classes)
    assert made.holes
    for at in range(len(made.layout)):
        for y in (0, 1):
            share = (found[classes == y, at] == -1).mean()
            assert share == pytest.approx(made.missing(at)[y], abs=0.015)


def test_rare_levels_keep_their_share():
    made = anchor()
    for at, variable in enumerate(made.layout.variables):
        if not variable.column.numeric:
            table = category_table(made, at)
            for y, margin in enumerate(made.values(at)):
                shares = np.array([(table[y] == name).mean() for name in range(len(margin))])
                np.testing.assert_allclose(shares, margin, atol=1 / category_steps(made))


def test_the_tables_keep_the_model_small():
    made = anchor()
    assert (64 <= number_steps(made) <= 1024, category_steps(made)) == (True, 4096)
    flag = next(one for one in made.layout.variables if not one.column.numeric)
    wide = replace(made, layout=replace(made.layout, variables=made.layout.variables + (flag,) * 200))
    assert category_steps(wide) == 256


@pytest.mark.parametrize("kind", KINDS)
def test_the_copula_network_is_its_twin(kind):
    made = anchor(kind)
    latent, classes = draws(len(made.axes), 2)
    found = run(copula_network(made), latent, classes)
    assert_nearly_all_close(found, units_of(correlated(latent, classes, made), classes, made))


def test_the_network_of_one_class_is_its_twin():
    made = anchor()
    alone = replace(
        made, probabilities=np.ones(1), margins=tuple(margin[:1] for margin in made.margins), factors=made.factors[:1]
    )
    latent, classes = draws(len(made.axes), 1)
    found = run(copula_network(alone), latent, classes)
    assert_nearly_all_close(found, units_of(correlated(latent, classes, alone), classes, alone))


@pytest.mark.parametrize("kind", ["none", "ragged"])
def test_extreme_latents_stay_within_the_tables(kind):
    made = anchor(kind)
    latent = np.repeat(np.array([[-40.0], [40.0], [0.0], [1e30], [-1e30]], dtype=np.float32), len(made.axes), axis=1)
    found = run(copula_network(made), latent, np.zeros(5, dtype=np.int64))
    assert np.isfinite(found).all()
    numeric = [at for at, variable in enumerate(made.layout.variables) if variable.column.numeric]
    assert (found[:, numeric] <= 1).all()


@pytest.mark.parametrize("kind", KINDS)
def test_the_refined_network_is_its_twin(kind):
    made = anchor(kind)
    refiner = Refiner(made, width=16, noise_inputs=3)
    latent, classes = draws(refiner.latent, 2)
    plain = correlated(latent[:, : len(made.axes)], classes, made)
    with torch.no_grad():
        first = refiner(torch.from_numpy(latent), torch.from_numpy(classes)).numpy()
        np.testing.assert_allclose(first, plain, atol=1e-4)  # f = 0 at first
        refiner.last.weight.normal_(0, 0.3, generator=torch.Generator().manual_seed(1))
        refined = refiner(torch.from_numpy(latent), torch.from_numpy(classes)).numpy()
    assert np.abs(refined - first).mean() > 0.02
    warp = warp_of(refiner)
    steps = warp.below.shape[1] - 1
    uniform = ndtr(refined.astype(np.float64))
    plain = np.empty_like(uniform)
    for y in (0, 1):
        for axis in range(uniform.shape[1]):
            mine = classes == y
            plain[mine, axis] = np.interp(uniform[mine, axis] * steps, np.arange(steps + 1), warp.below[y, :, axis])
    found = run(refined_network(refiner, made, warp), latent, classes)
    assert_nearly_all_close(found, units_of(ndtri(np.clip(plain, 1e-9, 1 - 1e-9)), classes, made), share=0.005)


@pytest.mark.parametrize("kind", ["none", "complete"])
def test_a_refined_network_keeps_the_margins_of_the_anchor(kind):
    made = anchor(kind)
    with torch.random.fork_rng(devices=[]):
        torch.random.set_rng_state(weights_state(Seed(0)))
        refiner = Refiner(made, width=16, noise_inputs=3)
    with torch.no_grad():
        refiner.last.weight.normal_(0, 0.5, generator=torch.Generator().manual_seed(1))
        refiner.last.bias.normal_(0, 0.5, generator=torch.Generator().manual_seed(2))
    bent = warp_of(refiner)
    steps = bent.below.shape[1] - 1
    straight = Warp(np.broadcast_to((np.arange(steps + 1) / steps)[:, None], bent.below.shape))
    latent = np.random.default_rng(2).standard_normal((40_000, refiner.latent)).astype(np.float32)
    classes = np.zeros(len(latent), dtype=np.int64)

    def gap(warp):
        units = run(refined_network(refiner, made, warp), latent, classes)
        gaps = []
        for at, levels in enumerate(made.levels):
            share = np.bincount(levels.index(units[:, at].astype(np.float64)), minlength=levels.size) / len(units)
            gaps.append(np.abs(share - made.margins[at][0]).sum() / 2)
        return np.array(gaps)

    assert gap(bent).max() < 0.03
    assert gap(straight).max() > 0.1


# --- what the discriminator sees --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_fakes_and_decoded_patients_have_the_same_features(kind):
    made = anchor(kind)
    latent, classes = draws(len(made.axes), 2)
    normals = correlated(latent, classes, made)
    units = units_of(normals, classes, made)
    # Cells of a visit that did not take place are unknown to the discriminator.
    there = encode(_decoded(units, classes, made), made.layout)
    real = real_features(np.where(np.isnan(there), np.nan, units), classes, made)
    fake = FakeFeatures(made)(torch.from_numpy(normals.astype(np.float32)), torch.from_numpy(classes)).detach().numpy()
    assert real.shape == fake.shape == (len(units), width(made))
    # A category of many levels is scored by its level, the fake by its normal.
    first = np.cumsum([0, *(block.width for block in blocks(made))])
    scored = [
        start for start, block in zip(first[:-1], blocks(made), strict=True)
        if block.scored and not made.layout.variables[block.at].column.numeric
    ]  # fmt: skip
    exact = np.setdiff1d(np.arange(real.shape[1]), scored)
    assert_nearly_all_close(fake[:, exact], real[:, exact], share=0.01, atol=0.06)
    for column in scored:
        assert np.corrcoef(fake[:, column], real[:, column])[0, 1] > 0.85


def _decoded(units, classes, made):
    from wardgan.encode.units import decode

    return decode(units, classes, made.layout)


@pytest.mark.parametrize("kind", KINDS)
def test_p01_features_treat_each_patient_alone(kind):
    made, mine = anchor(kind), cohort(kind)
    units, classes = encode(mine, made.layout), classes_of(mine)
    whole = real_features(units, classes, made)
    picture = Picture.of(made.layout)
    pictures = picture.real(units, classes)
    for at in (0, 7, 101):
        assert real_features(units[[at]], classes[[at]], made).tolist() == whole[[at]].tolist()
        assert picture.real(units[[at]], classes[[at]]).tolist() == pictures[[at]].tolist()
    assert np.isfinite(whole).all()
    assert np.isfinite(pictures).all()


def test_the_gradient_passes_through_the_features():
    made = anchor("named")
    normals = torch.zeros(4, len(made.axes), requires_grad=True)
    FakeFeatures(made)(normals, torch.zeros(4, dtype=torch.int64)).square().sum().backward()
    assert bool((normals.grad != 0).any())


@pytest.mark.parametrize("kind", ["none", "complete", "named"])
def test_pictures_are_turned_back_into_patients(kind):
    made, mine = anchor(kind), cohort(kind)
    units, classes = encode(mine, made.layout), classes_of(mine)
    picture = Picture.of(made.layout)
    graph = Graph(latent=picture.features)
    network = graph.finish(picture.add_units(graph, "latent"), variables=len(made.layout))
    found = run(network, picture.real(units, classes)[:, :-1], classes)
    known = ~np.isnan(units)
    np.testing.assert_allclose(
        found[known], np.minimum(units, np.where(units < 1.0000001, 0.999999, units))[known], atol=1e-5
    )


def test_the_generator_of_2017_is_its_twin():
    made = anchor("complete")
    picture = Picture.of(made.layout)
    with torch.random.fork_rng(devices=[]):
        maker = PictureGenerator(picture, classes=2, latent=6, channels=4)
    latent, classes = draws(6, 2, 500)
    with torch.no_grad():
        flat = maker(torch.from_numpy(latent), torch.from_numpy(classes)).numpy()
    graph = Graph(latent=picture.features)
    back = graph.finish(picture.add_units(graph, "latent"), variables=len(made.layout))
    assert_nearly_all_close(run(maker.network(), latent, classes), run(back, flat, classes), share=0.005)

"""Features of fakes, made for all variables together, against a twin that makes them variable by variable."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from anchors import anchor

from wardgan.models.anchor.quantiles import number_steps, number_table
from wardgan.models.anchor.refiner import Refiner
from wardgan.models.anchor.scores import hole_border, normal_quantile
from wardgan.models.tabgan import duel as tabgan
from wardgan.models.tabgan.config import TabganConfig
from wardgan.models.tabgan.fakes import FakeFeatures
from wardgan.models.tabgan.features import blocks, score, width
from wardgan.rng import Seed

KINDS = ("none", "codes", "named", "complete", "ragged")
SOFTNESS = 0.15


def inside(normal, low, high):
    hard = ((normal >= low) & (normal < high)).double()
    soft = torch.sigmoid((high - normal) / SOFTNESS) - torch.sigmoid((low - normal) / SOFTNESS)
    return hard + soft - soft.detach()


def border(share):
    return float(normal_quantile(np.array([np.clip(share, 1e-7, 1 - 1e-7)]))[0])


def number(made, at, normal, y):
    steps = number_steps(made)
    table = number_table(made, at, steps)
    place = torch.special.ndtr(normal) * steps
    step = min(max(int(place), 0), steps - 1)
    start, rise = float(table.start[y, step]), float(table.rise[y, step])
    begin, end = (float(score(made, at, np.array([unit]))[0]) for unit in (start, start + rise))
    return begin + (place - step) * (end - begin)


def takes_place(made, variable, normals, y):
    """Whether the visit of a variable takes place."""
    for at, other in enumerate(made.layout.variables):
        if other.role == "presence" and other.slot == variable.slot:
            row = made.margins[at][y]
            return bool(normals[at] >= border(row[0] / row.sum()))
        if other.role == "count":
            table = number_table(made, at, number_steps(made))
            middle = (table.start + table.rise / 2)[y]
            return bool(normals[at] >= border(np.mean(middle < (variable.slot + 1) / other.column.steps)))
    return True


def twin(made, normals, y):
    """Gives the features of one patient."""
    found = []
    for block in blocks(made):
        variable, normal = made.layout.variables[block.at], normals[block.at]
        mine = []
        if block.scored:
            mine.append(number(made, block.at, normal, y) if variable.column.numeric else normal)
        order = made.order[block.at].tolist()
        running = np.concatenate([[0.0], np.cumsum(made.values(block.at)[y][order])])
        for level in block.indicators:
            rank = order.index(level)
            low = border(running[rank]) if rank else -torch.inf
            high = border(running[rank + 1]) if rank + 1 < len(order) else torch.inf
            mine.append(inside(normal, torch.tensor(low), torch.tensor(high)))
        if block.hole is not None:
            least = hole_border(made.missing(block.at)[y])
            hole = inside(normals[block.hole], torch.tensor(least), torch.tensor(torch.inf))
            mine = [*(part * (1 - hole) for part in mine), hole]
        there = variable.role != "cell" or takes_place(made, variable, normals.detach(), y)
        found += [part * float(there) for part in mine]
    onehot = torch.eye(len(made.probabilities), dtype=torch.float64)[y]
    return torch.cat([torch.stack(found), onehot])


@pytest.mark.parametrize("kind", KINDS)
def test_they_are_what_the_twin_gives_with_their_gradient(kind):
    made = anchor(kind)
    if kind == "none":
        # Three levels in an order that is not its own inverse.
        at = made.layout.names.index("group")
        made = replace(made, order=(*made.order[:at], np.array([1, 2, 0]), *made.order[at + 1 :]))
    numbers = np.random.default_rng(8)
    normals = torch.from_numpy(numbers.standard_normal((25, len(made.axes)))).requires_grad_()
    classes = torch.from_numpy(numbers.integers(0, len(made.probabilities), 25))
    weight = torch.from_numpy(numbers.standard_normal(width(made)))
    single = normals.detach().float().requires_grad_()
    ours = FakeFeatures(made)(single, classes)
    (ours * weight.float()).sum().backward()
    theirs = torch.stack([twin(made, row, int(y)) for row, y in zip(normals, classes, strict=True)])
    (theirs * weight).sum().backward()
    np.testing.assert_allclose(ours.detach().numpy(), theirs.detach().numpy(), atol=2e-3)
    np.testing.assert_allclose(single.grad.numpy(), normals.grad.numpy(), atol=2e-2, rtol=2e-2)
    # Without a gradient the soft borders are left out, and nothing else changes.
    with torch.no_grad():
        np.testing.assert_allclose(FakeFeatures(made)(single, classes).numpy(), ours.detach().numpy(), atol=1e-6)


# --- the generator's step ---------------------------------------------------------------------------------------------


def fakes_of(made, goal=None, size=4000):
    refiner = Refiner(made, width=8, noise_inputs=2)
    return tabgan._Fakes(tabgan.Start(made, refiner, goal, None), Seed(3), size=size), refiner


def test_fakes_have_the_shares_of_the_classes():
    made = replace(anchor(), probabilities=np.array([0.1, 0.9]))
    fakes, _ = fakes_of(made)
    _, classes = fakes._draw(0, "generator")
    assert classes.double().mean() == pytest.approx(0.9, abs=0.02)


def test_the_gap_of_moments_is_that_of_all_classes():
    numbers, made = np.random.default_rng(1), anchor()
    latent = numbers.standard_normal((2, 500, len(made.axes)))
    good = np.concatenate([latent[y] @ made.factors[y].T for y in (0, 1)])
    classes = torch.arange(2).repeat_interleave(500)
    factors = torch.from_numpy(made.factors)

    def gap(normals):
        return float(tabgan.moment_gap(torch.from_numpy(normals), classes, factors))

    for y in (0, 1):
        bent = good.copy()
        bent[classes.numpy() == y] += 0.5
        assert gap(bent) > gap(good) + 0.1
    by_hand = []
    for y in (0, 1):
        mine = good[classes.numpy() == y]
        off = mine.T @ mine / 500 - made.factors[y] @ made.factors[y].T
        by_hand.append((mine.mean(axis=0) ** 2).mean() + (off**2).mean())
    assert gap(good) == pytest.approx(np.mean(by_hand))


def test_tables_of_pairs_have_their_weight_in_the_loss():
    made = anchor()
    config, judge = TabganConfig(pairs=0.3, tables=0.25), torch.nn.Linear(width(made), 1)
    goal = SimpleNamespace(seen=[])

    def told(normals):
        goal.seen.append(tuple(normals.shape))
        return torch.tensor(40.0)

    with_goal, refiner = fakes_of(made, told, size=50)
    without = tabgan._Fakes(tabgan.Start(made, refiner, None, None), Seed(3), size=50)
    gained = with_goal.loss(judge, 1, config) - without.loss(judge, 1, config)
    assert float(gained.detach()) == pytest.approx(10.0, abs=1e-3)
    assert goal.seen == [(2, tabgan._EACH, len(made.axes))]

"""Features of fakes, made for all variables together, against a twin that makes them variable by variable."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from anchors import anchor

from wardgan.models.anchor.quantiles import number_steps, number_table
from wardgan.models.anchor.scores import hole_border, normal_quantile
from wardgan.models.tabgan.fakes import FakeFeatures
from wardgan.models.tabgan.features import blocks, score, width

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

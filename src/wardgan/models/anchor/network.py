"""The copula as a network: latent normals -> correlated normals -> uniform numbers -> units."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from wardgan.models.anchor.anchor import Anchor
from wardgan.models.anchor.expand import add_levels, runs
from wardgan.models.anchor.quantiles import category_table, number_steps, number_table
from wardgan.models.anchor.warp import Warp
from wardgan.sample.network import Graph


def add_factors(graph: Graph, normals: str, factors: NDArray[np.float64]) -> str:
    """Adds g = L_y z: correlated standard normals.

    Args:
        graph: The network.
        normals: Value of shape (patients, axes).
        factors: L for each class, shape (classes, axes, axes).

    Returns:
        Value of shape (patients, axes).
    """
    classes, size, _ = factors.shape
    if classes == 1:
        return graph.add("MatMul", normals, _halves(graph, factors[0].T))
    # Normals stand in the columns of their class and zeros in the others, so that one product serves all classes.
    chosen = graph.add("Gather", graph.floats(np.eye(classes)), "label", axis=0)  # (patients, classes)
    mask = graph.add("Unsqueeze", chosen, graph.whole([2]))
    spread = graph.add("Mul", graph.add("Unsqueeze", normals, graph.whole([1])), mask)
    wide = graph.add("Reshape", spread, graph.whole([-1, classes * size]))  # (patients, classes x variables)
    return graph.add("MatMul", wide, _halves(graph, np.concatenate([factor.T for factor in factors])))


def _halves(graph: Graph, values: NDArray[np.float64]) -> str:
    """Adds numbers in half precision, which is as much as they were rounded to, and half the file."""
    return graph.add("Cast", graph.constant(values.astype(np.float16)), to=1)


def add_margins(graph: Graph, correlated: str, anchor: Anchor, warp: Warp | None = None) -> str:
    """Adds the quantile tables: from correlated normals to units.

    Args:
        graph: The network.
        correlated: Value of shape (patients, axes), standard normal for each axis.
        anchor: The margins.
        warp: What makes each axis standard normal, if it is not.

    Returns:
        Value of shape (patients, variables): units.
    """
    numeric = [at for at, variable in enumerate(anchor.layout.variables) if variable.column.numeric]
    large = [at for at, variable in enumerate(anchor.layout.variables) if variable.column.name in anchor.groupings]
    others = [at for at in range(len(anchor.layout)) if at not in {*numeric, *large}]
    error = graph.add("Erf", graph.add("Mul", correlated, graph.floats(np.sqrt(0.5))))
    if warp is not None:
        error = _warped(graph, error, warp)
    parts = [
        add(graph, _columns(graph, error, chosen, len(anchor.axes)), anchor, chosen)
        for chosen, add in ((numeric, _numbers), (others, _categories), (large, _large_categories))
        if chosen
    ]
    joined = parts[0] if len(parts) == 1 else graph.add("Concat", *parts, axis=1)
    back = np.argsort(np.array(numeric + others + large))
    if (back != np.arange(len(back))).any():
        joined = graph.add("Gather", joined, graph.whole(back), axis=1)
    return _with_holes(graph, joined, error, anchor) if anchor.holes else joined


def _warped(graph: Graph, error: str, warp: Warp) -> str:
    """Adds the distribution function of each axis: an error function again, now of a standard normal."""
    classes, rows, axes = warp.below.shape
    scaled, step, row = _row(graph, error, classes, rows - 1)
    # Twice the share, less 1: the error function of the normal with that share below it.
    begin = graph.floats((2 * warp.below[:, :-1] - 1).reshape(-1, axes))
    slope = graph.floats((2 * np.diff(warp.below, axis=1)).reshape(-1, axes))
    low = graph.add("GatherElements", begin, row, axis=0)
    rise = graph.add("GatherElements", slope, row, axis=0)
    return graph.add("Add", low, graph.add("Mul", rise, graph.add("Sub", scaled, step)))


def _with_holes(graph: Graph, units: str, error: str, anchor: Anchor) -> str:
    """Adds the missing cells: where the normal of a variable's holes lies above the border of its class."""
    size, holes = len(anchor.layout), anchor.holes
    # Variables without holes look at any axis, and at a border that no error function reaches.
    borders = np.full((len(anchor.probabilities), size), 2.0)
    for at in holes:
        borders[:, at] = 1 - 2 * anchor.missing(at)
    axes = [holes.get(at, 0) for at in range(size)]
    mine = graph.add("Gather", error, graph.whole(axes), axis=1)
    border = graph.add("Gather", graph.floats(borders), "label", axis=0)
    return graph.add("Where", graph.add("Greater", mine, border), graph.floats([[-1.0]]), units)


def copula_network(anchor: Anchor) -> bytes:
    """Gives the generator network of an anchor alone; its latent size is the number of axes."""
    graph = Graph(latent=len(anchor.axes))
    units = add_margins(graph, add_factors(graph, "latent", anchor.factors), anchor)
    return graph.finish(units, variables=len(anchor.layout))


def _columns(graph: Graph, value: str, chosen: list[int], size: int) -> str:
    return value if len(chosen) == size else graph.add("Gather", value, graph.whole(chosen), axis=1)


def _numbers(graph: Graph, error: str, anchor: Anchor, chosen: list[int]) -> str:
    steps = number_steps(anchor)
    tables = [number_table(anchor, at, steps) for at in chosen]
    start = np.stack([table.start for table in tables], axis=2)  # (classes, steps, variables)
    rise = np.stack([table.rise for table in tables], axis=2)
    scaled, step, row = _row(graph, error, len(start), steps)
    begin = graph.add("GatherElements", graph.floats(start.reshape(-1, len(chosen))), row, axis=0)
    slope = graph.add("GatherElements", graph.floats(rise.reshape(-1, len(chosen))), row, axis=0)
    return graph.add("Add", begin, graph.add("Mul", slope, graph.add("Sub", scaled, step)))


def _categories(graph: Graph, error: str, anchor: Anchor, chosen: list[int]) -> str:
    table = np.stack([category_table(anchor, at) for at in chosen], axis=2)  # (classes, steps, variables)
    _, _, row = _row(graph, error, len(table), table.shape[1])
    # Half precision keeps the file small and holds whole numbers up to 2048 exactly; larger categories have groups.
    rows = graph.constant(table.reshape(-1, len(chosen)).astype(np.float16))
    return graph.add("Cast", graph.add("GatherElements", rows, row, axis=0), to=1)


def _large_categories(graph: Graph, error: str, anchor: Anchor, chosen: list[int]) -> str:
    """Adds large categories: the group as any category, then the level, by where in the group's steps the number is."""
    table = np.stack([category_table(anchor, at) for at in chosen], axis=2)  # (classes, steps, variables)
    classes, steps, _ = table.shape
    scaled, _, row = _row(graph, error, classes, steps)
    rows = graph.constant(table.reshape(-1, len(chosen)).astype(np.float16))
    group = graph.add("Cast", graph.add("GatherElements", rows, row, axis=0), to=6)
    first, number = runs(table)
    mine = group
    if classes > 1:
        block = graph.add("Cast", graph.add("Mul", "label", graph.whole(first.shape[1])), to=6)
        mine = graph.add("Add", group, graph.add("Unsqueeze", block, graph.whole([1])))
    start = graph.add("GatherElements", graph.floats(first.reshape(-1, len(chosen))), mine, axis=0)
    part = graph.add("GatherElements", graph.floats(1 / number.reshape(-1, len(chosen))), mine, axis=0)
    return add_levels(graph, group, graph.add("Mul", graph.add("Sub", scaled, start), part), anchor, chosen)


def _row(graph: Graph, error: str, classes: int, steps: int) -> tuple[str, str, str]:
    """Adds where each number stands in tables of (classes x steps, variables).

    Args:
        graph: The network.
        error: Error function of the normals, between -1 and 1.
        classes: Number of classes.
        steps: Steps of the tables.

    Returns:
        The uniform number times `steps`, its step, and its row.
    """
    half = graph.floats(steps / 2)
    scaled = graph.add("Add", graph.add("Mul", error, half), half)
    step = graph.add("Clip", graph.add("Floor", scaled), graph.floats(0), graph.floats(steps - 1))
    row = graph.add("Cast", step, to=6)
    if classes > 1:
        block = graph.add("Cast", graph.add("Mul", "label", graph.whole(steps)), to=6)
        row = graph.add("Add", row, graph.add("Unsqueeze", block, graph.whole([1])))
    return scaled, step, row

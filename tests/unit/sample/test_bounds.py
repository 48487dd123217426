"""What is proved about a network holds for every patient; what cannot be proved is not."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wardgan.sample.bounds import Ray, _Bounds, directions, left
from wardgan.sample.forms import FAR, Affine, Later
from wardgan.sample.network import Graph
from wardgan.sample.trace import MONOTONE, UnprovedError, traced

LATENT = 4


def run(network, latents, label):
    import onnxruntime

    session = onnxruntime.InferenceSession(network, providers=["CPUExecutionProvider"])
    labels = np.full(len(latents), label, dtype=np.int64)
    return session.run(["units"], {"latent": latents, "label": labels})[0]


def random_network(seed, length=12):
    """Some numbers that take a random walk through the known operators, and come out in random order."""
    rng = np.random.default_rng(seed)
    graph = Graph(latent=LATENT)
    weights = graph.floats(rng.normal(0, 1, (LATENT, 3)))
    values = [
        graph.add("MatMul", "latent", weights),
        graph.add("Gemm", "latent", weights, graph.floats(rng.normal(0, 1, 3))),
    ]
    values.append(graph.add("Gather", graph.floats(rng.normal(0, 1, (2, 3))), "label", axis=0))
    for _ in range(length):
        one, other = (values[at] for at in rng.integers(0, len(values), 2))
        values.append(_step(graph, rng, one, other))
    last = graph.add("Concat", *values[-3:], axis=1)
    order = rng.permutation(9)
    return graph.finish(graph.add("Gather", last, graph.whole(order), axis=1), variables=9)


def _step(graph, rng, one, other):
    kind = rng.choice(
        ["Add", "Sub", "Mul", "Max", "Min", "unary", "unary", "scale", "Where", "table", "moves", "Clip", "product"]
    )
    if kind in {"Add", "Sub", "Mul", "Max", "Min"}:
        return graph.add(str(kind), one, graph.add("Tanh", other) if kind == "Mul" else other)
    if kind == "unary":
        return graph.add(str(rng.choice(["Neg", "Floor", "Ceil", "Relu", "Erf", "Sigmoid", "Tanh", "Identity"])), one)
    if kind == "scale":
        return graph.add("Mul", graph.floats(rng.normal(0, 1, (1, 3))), graph.add("Add", one, graph.floats(0.5)))
    if kind == "Where":
        choice = graph.add(
            str(rng.choice(["Less", "Greater", "LessOrEqual", "GreaterOrEqual"])), one, graph.floats(rng.normal())
        )
        return graph.add("Where", choice, graph.floats([[-1.0]]), other)
    if kind == "Clip":
        return graph.add("Clip", one, graph.floats(-0.7), graph.floats(0.9))
    if kind == "product":
        return graph.add("MatMul", one, graph.floats(rng.normal(0, 1, (3, 3)) * (rng.random((3, 3)) < 0.5)))
    if kind == "moves":
        turned = graph.add("Reshape", graph.add("Unsqueeze", one, graph.whole([2])), graph.whole([-1, 3]))
        return graph.add(
            "Slice", graph.add("Concat", turned, other, axis=1), graph.whole([1]), graph.whole([4]), graph.whole([1])
        )
    first, last = (0.0, 7.0) if rng.random() < 0.7 else (2.0, 5.0)
    scaled = graph.add("Mul", graph.add("Sigmoid", one), graph.floats(8.0))
    step = graph.add("Clip", graph.add("Floor", scaled), graph.floats(first), graph.floats(last))
    row = graph.add("Cast", step, to=7)
    found = graph.add("GatherElements", graph.floats(rng.normal(0, 1, (8, 3))), row, axis=0)
    return graph.add("Add", found, graph.add("Sub", scaled, step)) if rng.random() < 0.7 else found


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32), st.integers(0, 1))
def test_patients_are_within_the_bounds_of_their_cell(seed, label):
    network = random_network(seed)
    units = traced(network, latent=LATENT, label=label)
    latents = np.random.default_rng(seed).standard_normal((400, LATENT)).astype(np.float32)
    found = run(network, latents, label).astype(float)
    for variable in range(9):
        for direction in [*directions(units, variable)[:3], np.eye(LATENT)[0]]:
            along = latents.astype(float) @ direction
            cells = np.linspace(-FAR, FAR, 65)
            at = np.searchsorted(cells, along) - 1
            bounds = _Bounds(Ray(direction, cells[:-1] - 1e-6, cells[1:] + 1e-6)).interval(units, np.array([variable]))
            low, high = (np.broadcast_to(end, (len(end), 1, 64))[:, 0, at] for end in (bounds.low, bounds.high))
            assert ((found[:, variable] >= low) & (found[:, variable] <= high)).any(axis=0).all()


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32), st.integers(0, 1), st.floats(-2, 2), st.floats(0, 1))
def test_patients_who_meet_a_range_are_in_what_is_left(seed, label, low, width):
    network = random_network(seed)
    units = traced(network, latent=LATENT, label=label)
    latents = np.random.default_rng(seed).standard_normal((2_000, LATENT)).astype(np.float32)
    found = run(network, latents, label).astype(float)
    for variable in range(9):
        met = (found[:, variable] >= low) & (found[:, variable] <= low + width)
        for direction in directions(units, variable)[:3]:
            part = left(units, variable, np.array([[low, low + width]]), direction)
            along = (latents.astype(float) @ direction)[:, None]
            inside = ((along >= part[:, 0] - 1e-6) & (along <= part[:, 1] + 1e-6)).any(axis=1)
            assert not (met & ~inside).any()
            assert (part[1:, 0] > part[:-1, 1]).all()
            assert len(part) <= 6


@pytest.mark.parametrize("name", sorted(set(MONOTONE) - {"Truncate"}))
def test_operators_are_as_the_engine_calculates_them(name):
    """The rule for each operator against the engine, on numbers of all sizes: value, direction and rounding."""
    rule, rng = MONOTONE[name], np.random.default_rng(5)
    numbers = (rng.standard_normal((500, len(rule.signs))) * 10.0 ** rng.integers(-4, 3, (500, 1))).astype(np.float32)
    graph = Graph(latent=len(rule.signs))
    columns = [graph.add("Gather", "latent", graph.whole([at]), axis=1) for at in range(len(rule.signs))]
    if name == "Clip":
        columns[1:], numbers[:, 1:] = [graph.floats(-0.5), graph.floats(1.5)], (-0.5, 1.5)
    out = graph.add(name, *columns)
    if rule.function(*numbers[:1].T).dtype == bool:
        out = graph.add("Cast", out, to=1)
    found = run(graph.finish(out, variables=1), numbers, 0)[:, 0].astype(float)
    exact = rule.function(*numbers.astype(float).T).astype(float)
    slack = rule.slack + (0 if rule.exact else 2.0**-23) * np.abs(exact)
    assert (np.abs(found - exact) <= slack).all()
    for at, sign in enumerate(rule.signs):
        more = numbers.astype(float).copy()
        more[:, at] += np.abs(more[:, at]) + 0.1
        assert (sign * (rule.function(*more.T).astype(float) - exact) >= 0).all()


def one_output(build):
    graph = Graph(latent=2)
    return traced(graph.finish(build(graph), variables=2), latent=2, label=0)


@pytest.mark.parametrize(
    "build",
    [
        lambda graph: graph.add("Softplus", "latent"),
        lambda graph: graph.add("Div", "latent", graph.floats(2)),
        lambda graph: graph.add("Pow", "latent", graph.floats(2)),
        lambda graph: graph.add("ReduceSum", "latent", graph.whole([1])),
        lambda graph: graph.add("Cast", graph.add("Cast", "latent", to=10), to=1),
        lambda graph: graph.add("Gather", graph.floats(np.eye(2)), graph.add("Cast", graph.add("Relu", "latent"), to=7), axis=0),
        lambda graph: graph.add("Gemm", "latent", graph.floats(np.eye(2)), graph.floats([0, 0]), alpha=2.0),
        lambda graph: graph.add("MatMul", graph.floats(np.eye(2)), "latent"),
        lambda graph: graph.add("Reshape", "latent", graph.whole([7])),
        lambda graph: graph.add("Gather", "latent", graph.whole([5]), axis=1),
        lambda graph: graph.add("Max", "latent", "latent", "latent"),
    ],
)  # fmt: skip
def test_what_is_not_described_is_not_guessed_at(build):
    with pytest.raises(UnprovedError):
        one_output(build)


def test_large_networks_are_left_alone():
    graph, value = Graph(latent=2), "latent"
    for _ in range(300):
        value = graph.add("Identity", value)
    with pytest.raises(UnprovedError):
        traced(graph.finish(value, variables=2), latent=2, label=0)
    with pytest.raises(UnprovedError):
        traced(Graph(latent=4_000).finish("latent", variables=4_000), latent=4_000, label=0)


def test_a_variable_that_is_made_of_too_many_numbers_is_left_alone():
    """Each step adds two neighbours, so the number of numbers would double with each of them."""
    graph, value = Graph(latent=2_048), "latent"
    value = graph.add("Erf", value)
    rng = np.random.default_rng(0)
    for _ in range(12):
        value = graph.add("Add", value, graph.add("Gather", value, graph.whole(rng.permutation(2_048)), axis=1))
    units = traced(graph.finish(value, variables=2_048), latent=2_048, label=0)
    with pytest.raises(UnprovedError):
        directions(units, 0)
    with pytest.raises(UnprovedError):
        left(units, 0, np.array([[0.0, 1.0]]), np.eye(2_048)[0])


@pytest.mark.parametrize("huge", [3e38, -3e38])
def test_numbers_that_are_none_prove_nothing(huge):
    """Infinity less infinity is no number, and what is no number may be anything."""

    def build(graph):
        endless = graph.add("Mul", graph.floats([[huge, huge]]), graph.floats([[10.0, 10.0]]))
        return graph.add("Add", graph.add("Sub", graph.add("Add", "latent", endless), endless), graph.floats(0))

    part = left(one_output(build), 0, np.array([[5.0, 6.0]]), np.eye(2)[0])
    assert part.tolist() == [[-FAR, FAR]]


def test_linear_networks_stay_linear():
    matrix, add = np.random.default_rng(0).normal(size=(2, 2)), np.array([1.0, -2.0])
    found = one_output(
        lambda graph: graph.add(
            "Gemm", graph.add("Mul", "latent", graph.floats(3)), graph.floats(matrix), graph.floats(add), transB=1
        )
    )
    assert isinstance(found, Affine)
    assert found.weights[0] == pytest.approx(3 * matrix, rel=1e-6)
    assert found.centre[0] == pytest.approx(add)
    assert (found.slack > 0).all()
    assert (found.slack < 1e-4).all()


def test_after_a_bend_nothing_is_known_of_a_mixture():
    found = one_output(lambda graph: graph.add("MatMul", graph.add("Relu", "latent"), graph.floats(np.eye(2))))
    assert isinstance(found, Later)
    assert directions(found, 0) == []
    assert left(found, 0, np.array([[0.0, 1.0]]), np.eye(2)[0]).tolist() == [[-FAR, FAR]]


@pytest.mark.parametrize(("first", "last", "low", "high"), [(0, 7, 0, 1), (2, 5, -2, 3)])
def test_what_is_left_of_a_number_within_its_step_is_known(first, last, low, high):
    def build(graph):
        scaled = graph.add("Mul", graph.add("Sigmoid", "latent"), graph.floats(8.0))
        return graph.add(
            "Sub", scaled, graph.add("Clip", graph.add("Floor", scaled), graph.floats(first), graph.floats(last))
        )

    units = one_output(build)
    whole = _Bounds(Ray(np.eye(2)[1], np.array([-1.0]), np.array([1.0]))).interval(units, np.array([0]))
    assert whole.low.item() == pytest.approx(low, abs=1e-3)
    assert whole.high.item() == pytest.approx(high, abs=1e-3)


def test_a_table_that_is_left_may_be_anywhere():
    """The engine counts negative rows from the end, so a row out of the table is no proof."""

    def build(graph):
        row = graph.add("Cast", graph.add("Floor", graph.add("Mul", "latent", graph.floats(2))), to=7)
        return graph.add("GatherElements", graph.floats([[0, 0], [1, 1], [2, 2], [50, 50]]), row, axis=0)

    part = left(one_output(build), 0, np.array([[49.0, 51.0]]), np.eye(2)[0])
    for latent in (-0.2, 1.7):  # rows -1 and 3
        assert ((part[:, 0] <= latent) & (part[:, 1] >= latent)).any()
    assert not ((part[:, 0] <= 0.7) & (part[:, 1] >= 0.7)).any()  # row 1


# --- foreign networks -------------------------------------------------------------------------------------------------


def column(graph):
    return graph.add("Slice", "latent", graph.whole([0]), graph.whole([1]), graph.whole([1]))


def tall(graph):
    return graph.add("Expand", graph.floats([[1.0]]), graph.whole([1 << 18, 1]))


def wide(graph):
    return graph.add("Expand", column(graph), graph.whole([1, 1 << 16]))


LARGE = {
    "product of constants": lambda graph: graph.add("MatMul", tall(graph), graph.floats([[1.0]])),
    "product of a normal": lambda graph: graph.add("MatMul", column(graph), graph.floats(np.ones((1, 1 << 16)))),
    "expanded normal": wide,
    "gathered normal": lambda graph: graph.add("Gather", "latent", graph.whole(np.zeros(1 << 16)), axis=1),
    "gathered constant": lambda graph: graph.add("Gather", tall(graph), graph.whole(np.zeros(1 << 10)), axis=1),
    "broadcast sum": lambda graph: graph.add("Add", column(graph), graph.floats(np.ones((1, 1 << 16)))),
    "constants beside a normal": lambda graph: graph.add("Concat", column(graph), graph.floats(np.ones((1, 1 << 16))), axis=1),
}  # fmt: skip


@pytest.mark.parametrize("name", LARGE)
def test_a_foreign_network_takes_no_memory_that_it_has_not_brought(name):
    graph = Graph(latent=1 << 10)
    LARGE[name](graph)
    network = graph.finish(column(graph), variables=1)
    tracemalloc.start()
    try:
        with pytest.raises(UnprovedError):
            traced(network, latent=1 << 10, label=0)
        assert tracemalloc.get_traced_memory()[1] < 100 << 20
    finally:
        tracemalloc.stop()


def test_memory_that_is_not_there_proves_nothing(monkeypatch):
    graph = Graph(latent=LATENT)
    network = graph.finish(graph.add("Neg", column(graph)), variables=1)

    def no_memory(*_):
        raise MemoryError

    monkeypatch.setattr("wardgan.sample.trace._affine", no_memory)
    with pytest.raises(UnprovedError):
        traced(network, latent=LATENT, label=0)


def test_cells_are_bounded_in_parts(monkeypatch):
    """What is left of a direction is the same in parts as at once, and no part is larger than it may be."""
    network = random_network(11)
    units = traced(network, latent=LATENT, label=0)
    sizes = []
    honest = _Bounds.interval

    def noted(self, *where):
        sizes.append(len(self.ray.low))
        return honest(self, *where)

    monkeypatch.setattr(_Bounds, "interval", noted)
    wanted = np.array([[-0.3, 0.2]])
    for variable in range(9):
        for direction in directions(units, variable)[:2]:
            monkeypatch.setattr("wardgan.sample.bounds._PART", 1 << 20)
            whole = left(units, variable, wanted, direction)
            sizes.clear()
            monkeypatch.setattr("wardgan.sample.bounds._PART", 50)
            np.testing.assert_array_equal(left(units, variable, wanted, direction), whole)
            assert max(sizes) <= 50

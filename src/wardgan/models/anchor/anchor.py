"""The anchor of a cohort: noisy tables in, margins and correlations of each class out.

Neighbours: add or remove one patient. Four Gaussian events are written to the ledger: `grid`, `label tables`,
`class means` and `covariance`. Everything after them is post-processing. Not protected: the schema, which is public.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from wardgan.encode.layout import Layout
from wardgan.encode.units import to_codes
from wardgan.errors import PlanError
from wardgan.models.anchor.dependence import Dependence, correlations
from wardgan.models.anchor.grid import Grid, cell_query, grids, number_levels
from wardgan.models.anchor.margins import tilted_margins
from wardgan.models.anchor.scores import Axis, axes_of, filled, hole_scores, level_scores, missing_share
from wardgan.privacy.accountant import gaussian_mu
from wardgan.privacy.events import Budget
from wardgan.privacy.learn import placeholder
from wardgan.privacy.plan import Plan, Share
from wardgan.privacy.queries import LevelCounts, Levels, Query, ScoreProducts, Scores, ScoreSums
from wardgan.privacy.records import Records, noise_sd
from wardgan.schema.schema import Schema

GRID: Final = "grid"
LABELS: Final = "label tables"
MEANS: Final = "class means"
COVARIANCE: Final = "covariance"
RADIUS: Final = 1.2
_FEWEST: Final = 20


@dataclass(frozen=True)
class Weights:
    """How the anchor's budget is split.

    Attributes:
        grid: Weight of the bins of numbers.
        labels: Weight of the tables of levels crossed with the class.
        means: Weight of the mean scores of each class.
        covariance: Weight of the products of scores.
    """

    grid: float
    labels: float
    means: float
    covariance: float

    @classmethod
    def of(cls, layout: Layout) -> Weights:
        """Gives the usual split: with visits their correlations are worth more than tables of single variables."""
        if layout.schema.visits is None:
            return cls(grid=0.10, labels=0.55, means=0.20, covariance=0.15)
        return cls(grid=0.12, labels=0.30, means=0.18, covariance=0.40)


@dataclass(frozen=True)
class Anchor:
    """A private Gaussian copula for each class.

    Attributes:
        layout: The variables.
        axes: The dimensions of the copula: the values of all variables, then the holes of those that have any.
        levels: The levels of each variable.
        grids: For each number its distribution over the declared range.
        probabilities: Share of each class, shape (classes,).
        margins: For each variable the share of each level in each class, shape (classes, levels).
        order: For each variable its levels in ascending order of score, without the one for missing cells.
        scores: For each axis the score of each level of its variable.
        factors: Lower triangular L with L L^T the correlations, shape (classes, axes, axes).
        patients: Noisy number of patients.
        counts: For ragged visits: the number of visits of each level of the count.
        noise: Standard deviation of each sum of products of scores; 0 without privacy.
    """

    layout: Layout
    axes: tuple[Axis, ...]
    levels: tuple[Levels, ...]
    grids: dict[str, Grid]
    probabilities: NDArray[np.float64]
    margins: tuple[NDArray[np.float64], ...]
    order: tuple[NDArray[np.intp], ...]
    scores: tuple[NDArray[np.float64], ...]
    factors: NDArray[np.float64]
    patients: float
    counts: tuple[float, ...] = ()
    noise: float = 0.0

    @property
    def holes(self) -> dict[int, int]:
        """Where the axis of each variable's holes stands, for the variables that have one."""
        return {axis.at: place for place, axis in enumerate(self.axes) if axis.hole}

    def values(self, at: int) -> NDArray[np.float64]:
        """Gives the share of each level of a variable among the cells that are not missing, (classes, levels)."""
        return filled(self.margins[at], self.levels[at])

    def missing(self, at: int) -> NDArray[np.float64]:
        """Gives the share of missing cells of a variable in each class, shape (classes,)."""
        return missing_share(self.margins[at], self.levels[at])


def anchor_shares(layout: Layout, weights: Weights | None) -> list[Share]:
    """Gives the anchor's wishes for the budget: weights of its noisy tables.

    Args:
        layout: The variables.
        weights: Weights of the tables, `None` for the usual ones; one that has nothing to measure is left out.
    """
    weights = weights or Weights.of(layout)
    shares = [Share(LABELS, weights.labels)]
    if any(variable.column.numeric for variable in layout.variables):
        shares.insert(0, Share(GRID, weights.grid))
    if _has_means(layout):
        shares.append(Share(MEANS, weights.means))
    if len(axes_of(layout)) > 1:
        shares.append(Share(COVARIANCE, weights.covariance))
    return shares


def _has_means(layout: Layout) -> bool:
    """Whether there are classes or visits whose mean scores differ."""
    return layout.schema.classes > 1 or layout.schema.visits is not None


def least_epsilon(layout: Layout, *, population: int, delta: float, part: float) -> float:
    """Gives the smallest epsilon at which the classes of a population can be told from noise.

    Args:
        layout: The variables.
        population: Public number of patients.
        delta: In (0, 1).
        part: Part of the budget (of mu^2) that the label tables get.
    """
    mu = 4 * layout.schema.classes * np.sqrt(len(layout)) / population / np.sqrt(part)
    low, high = 1e-6, 1e4
    for _ in range(100):
        middle = (low * high) ** 0.5
        low, high = (middle, high) if gaussian_mu(middle, delta) < mu else (low, middle)
    return high


def check_feasible(layout: Layout, budget: Budget, population: int | None, *, shares: Sequence[Share]) -> None:
    """Refuses a budget that leaves nothing but noise, from public numbers alone.

    Args:
        layout: The variables.
        budget: The target.
        population: Public number of patients, if it is known.
        shares: The family's wishes, label tables among them.

    Raises:
        PlanError: Says from which epsilon on a fit would be possible.
    """
    if population is None:
        return
    part = next(share.weight for share in shares if share.name == LABELS) / sum(share.weight for share in shares)
    least = least_epsilon(layout, population=population, delta=budget.delta, part=part)
    if budget.epsilon < least:
        raise PlanError(
            f"epsilon={budget.epsilon:g} is too small for population={population} with {len(layout)} variables and "
            f"{layout.schema.classes} classes: the noise would drown the patients. Possible from about "
            f"epsilon={least:.2g} on, with fewer columns or visits, or with more patients."
        )


def count_noise(plan: Plan, schema: Schema) -> float | None:
    """Gives the standard deviation of one count of the label tables; `None` if the plan has none.

    Args:
        plan: What will be done.
        schema: The declarations that it was made for.
    """
    for event in plan.events:
        if event.name == LABELS and event.noise_multiplier is not None:
            return event.noise_multiplier * float(np.sqrt(len(Layout.of(placeholder(schema)))))
    return None


def measure_anchor(records: Records, *, population: int) -> Anchor:
    """Gives the anchor of a cohort from at most four noisy tables.

    Args:
        records: The patients.
        population: Public number of patients, for the number of bins.

    Raises:
        PlanError: The noisy counts say that there are too few patients, or too few of a class.
    """
    layout = records.layout
    query, names = cell_query(layout)
    found = grids(query, names, records.measure(GRID, query), _sd(records, GRID, query)) if names else {}
    noise = _label_noise(records, layout)
    classes = layout.schema.classes
    most = (
        int(np.clip(population / (8 * classes * noise), 4, 24))
        if noise
        else int(np.clip(population / (40 * classes), 4, 64))
    )
    levels = tuple(_levels(layout, at, found, most) for at in range(len(layout)))
    counts = LevelCounts(levels, classes)
    tables = counts.tables(records.measure(LABELS, counts))
    sizes = _class_sizes(layout, tables, noise)
    margins = tuple(_margins(table, sizes, noise) for table in tables)
    shares = sizes / sizes.sum()
    made = _scored(layout, levels, margins, sizes, _presence(tables, sizes), private=records.private)
    scores = Scores(levels, tuple(axis.at for axis in made.axes), made.scores, made.radius)
    if _has_means(layout):
        sums = ScoreSums(scores, classes)
        answer = records.measure(MEANS, sums).reshape(classes, -1)
        made = replace(made, margins=tilted_margins(made, answer, _sd(records, MEANS, sums), noise))
    factors, sd = np.ones((classes, 1, 1)), 0.0
    if len(made.axes) > 1:
        products = ScoreProducts(scores, classes)
        answer = products.matrices(records.measure(COVARIANCE, products))
        sd = _sd(records, COVARIANCE, products)
        factors = correlations(made, answer, sd)
        factors = factors.astype(np.float16).astype(np.float64)  # as the file will hold them
    return Anchor(
        layout, made.axes, levels, found, shares, made.margins, made.order, made.scores, factors, float(sizes.sum()),
        made.counts, sd,
    )  # fmt: skip


def _scored(
    layout: Layout, levels: tuple[Levels, ...], margins: tuple[NDArray[np.float64], ...], sizes: NDArray[np.float64],
    presence: NDArray[np.float64], *, private: bool,
) -> Dependence:  # fmt: skip
    """Gives the scores of all axes, and the norm that they are scaled down to, from the noisy tables alone."""
    shares, axes = sizes / sizes.sum(), axes_of(layout)
    # The flags of visits keep their order: the cells of a visit exist above one border.
    scored = [
        level_scores(margin, shares, level, keep_order=variable.role == "presence")
        for margin, level, variable in zip(margins, levels, layout.variables, strict=True)
    ]
    scores = tuple(
        hole_scores(margins[axis.at], shares, levels[axis.at]) if axis.hole else scored[axis.at][0] for axis in axes
    )
    made = Dependence(
        layout, axes, levels, margins, scores, sizes, presence, tuple(order for _, order in scored), float("inf"),
        _visit_counts(layout, levels),
    )  # fmt: skip
    expected = float(shares @ (made.there() * made.moments(2)).sum(axis=1))
    return replace(made, radius=RADIUS * max(expected, 1.0) ** 0.5) if private else made


def _sd(records: Records, name: str, query: Query) -> float:
    return noise_sd(records.ledger.plan.event(name), query) if records.ledger.plan else 0.0


def _visit_counts(layout: Layout, levels: tuple[Levels, ...]) -> tuple[float, ...]:
    """Gives the number of visits in the middle of each level of the count of ragged visits."""
    for variable, level in zip(layout.variables, levels, strict=True):
        if variable.role == "count":
            edges = np.concatenate([[0.0], np.asarray(level.edges or ()), [1.0]])
            return tuple(to_codes((edges[1:] + edges[:-1]) / 2, variable.column).tolist())
    return ()


def _label_noise(records: Records, layout: Layout) -> float:
    plan = records.ledger.plan
    if plan is None:
        return 0.0
    return float(np.sqrt(len(layout))) * (plan.event(LABELS).noise_multiplier or 0.0)


def _levels(layout: Layout, at: int, found: dict[str, Grid], most: int) -> Levels:
    variable = layout.variables[at]
    column = variable.column
    nullable = column.nullable
    if column.numeric:
        return number_levels(found[column.name], most, nullable=nullable)
    return Levels(None, column.size + nullable, column.size if nullable else None)


def _complete(layout: Layout) -> list[int]:
    """Gives the variables that every patient has."""
    whole = layout.schema.visits is not None and layout.schema.visits.complete
    return [at for at, variable in enumerate(layout.variables) if variable.role != "cell" or whole]


def _class_sizes(layout: Layout, tables: list[NDArray[np.float64]], noise: float) -> NDArray[np.float64]:
    """Gives the noisy number of patients of each class: the mean over variables of its tables' sums."""
    complete = _complete(layout)
    if not complete:
        # Only visits that may be absent: the presence variables are among them, so this cannot happen.
        raise PlanError("schema: no variable is known for every patient.")
    precision = np.array([1 / tables[at].shape[1] for at in complete])
    sums = np.array([tables[at].sum(axis=1) for at in complete])  # (variables, classes)
    sizes = (precision[:, None] * sums).sum(axis=0) / precision.sum()
    sd = noise / np.sqrt(precision.sum())
    if sizes.sum() < max(_FEWEST, 3 * sd * np.sqrt(len(sizes))):
        raise PlanError(
            f"cohort: by the noisy count there are fewer than {max(_FEWEST, round(3 * sd))} patients; a generator of "
            "so few would be noise, or would be them. Join more patients, or raise epsilon."
        )
    for y, size in enumerate(sizes):
        if size < max(1.0, 2 * sd):
            raise PlanError(
                f"label: by the noisy count the class {layout.schema.class_name(y)} has too few patients to be told "
                "from none. Merge its level with another, take the label away, or raise epsilon."
            )
    return sizes


def _presence(tables: list[NDArray[np.float64]], sizes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Gives the share of patients of each class who have each variable, shape (classes, variables)."""
    return np.clip(np.array([table.sum(axis=1) for table in tables]).T / sizes[:, None], 0.02, 1.0)


def _margins(table: NDArray[np.float64], sizes: NDArray[np.float64], noise: float) -> NDArray[np.float64]:
    """Gives the share of each level in each class, drawn towards all classes where a class is small."""
    total = np.maximum(table.sum(axis=1), 1.0)
    own = np.array([_simplex(row / size) for row, size in zip(table, total, strict=True)])
    pooled = _simplex(table.sum(axis=0) / total.sum())
    trust = total**2 / (total**2 + (5 * noise) ** 2)
    margins = trust[:, None] * own + (1 - trust[:, None]) * pooled
    return margins / margins.sum(axis=1, keepdims=True)


def _simplex(vector: NDArray[np.float64]) -> NDArray[np.float64]:
    """Gives the nearest vector of shares (Euclidean projection onto the simplex; Duchi et al. 2008, figure 1)."""
    falling = np.sort(vector)[::-1]
    excess = (np.cumsum(falling) - 1) / np.arange(1, len(vector) + 1)
    last = int(np.flatnonzero(falling > excess)[-1])
    return np.maximum(vector - excess[last], 0.0)

"""The anchor of a cohort: noisy tables in, margins and correlations of each class out.

Neighbours: add or remove one patient. Up to six Gaussian events are written to the ledger: `grid`, `shared values`,
`level totals`, `label tables`, `class means` and `covariance`. Everything after them is post-processing. Not
protected: the schema, which is public.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from wardgan.encode.layout import Layout
from wardgan.encode.units import to_codes
from wardgan.errors import PlanError, counted
from wardgan.models.anchor.answered import COVARIANCE, GRID, LABELS, MEANS, SPIKES, TOTALS, has_means
from wardgan.models.anchor.dependence import Dependence, correlations
from wardgan.models.anchor.feasible import least_epsilon, least_population, most_variables, what_to_drop
from wardgan.models.anchor.grid import Grid, cell_query, grids, number_levels
from wardgan.models.anchor.groups import Grouping, group_margins, grouped, groupings, is_large, level_query
from wardgan.models.anchor.margins import tilted_margins
from wardgan.models.anchor.notes import (
    bound_notes,
    class_notes,
    group_notes,
    hole_notes,
    other_notes,
    shape_notes,
    size_notes,
    spike_notes,
)
from wardgan.models.anchor.scores import Axis, axes_of, filled, hole_scores, level_scores, missing_share
from wardgan.models.anchor.spikes import coarse, heavy, spike_query, with_spikes
from wardgan.models.anchor.survey import Survey, askable, declared, distinct
from wardgan.models.anchor.tables import borrowed, class_sizes, margins, presence
from wardgan.privacy.events import MAX_EPSILON, Budget
from wardgan.privacy.learn import placeholder
from wardgan.privacy.plan import Plan, Share
from wardgan.privacy.queries import LevelCounts, Levels, Query, ScoreProducts, Scores, ScoreSums
from wardgan.privacy.records import Asked, noise_sd
from wardgan.schema.schema import Schema

RADIUS: Final = 1.2


@dataclass(frozen=True)
class Weights:
    """How the anchor's budget is split.

    Attributes:
        grid: Weight of the bins of numbers.
        spikes: Weight of the values that many patients share, of numbers with more values than bins can tell.
        totals: Weight of the totals of large categories' levels.
        labels: Weight of the tables of levels crossed with the class.
        means: Weight of the mean scores of each class.
        covariance: Weight of the products of scores.
    """

    grid: float
    totals: float
    labels: float
    means: float
    covariance: float
    spikes: float = 0.03

    @classmethod
    def of(cls, layout: Layout) -> Weights:
        """Gives the usual split: with visits their correlations are worth more than tables of single variables."""
        if layout.schema.visits is None:
            return cls(grid=0.10, totals=0.15, labels=0.55, means=0.20, covariance=0.15)
        return cls(grid=0.12, totals=0.15, labels=0.30, means=0.18, covariance=0.40)


@dataclass(frozen=True)
class Anchor:
    """A private Gaussian copula for each class.

    Attributes:
        layout: The variables.
        axes: The dimensions of the copula: the values of all variables, then the holes of those that have any.
        levels: The levels of each variable; the groups of levels of a large category.
        grids: For each number its distribution over the declared range.
        probabilities: Share of each class, shape (classes,).
        margins: For each variable the share of each level in each class, shape (classes, levels).
        order: For each variable its levels in ascending order of score, without the one for missing cells.
        scores: For each axis the score of each level of its variable.
        factors: Lower triangular L with L L^T the correlations, shape (classes, axes, axes).
        patients: Noisy number of patients.
        counts: For ragged visits: the number of visits of each level of the count.
        noise: Standard deviation of each sum of products of scores; 0 without privacy.
        groupings: For each large category how its levels were joined, and the share of each within its group.
        notes: What the noisy tables say that a steward should know.
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
    groupings: dict[str, Grouping] = field(default_factory=dict[str, Grouping])
    notes: tuple[str, ...] = ()

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


def anchor_shares(layout: Layout, weights: Weights | None, *, fixed: bool = False) -> list[Share]:
    """Gives the anchor's wishes for the budget: weights of its noisy tables.

    Args:
        layout: The variables.
        weights: Weights of the tables, `None` for the usual ones; one that has nothing to measure is left out.
        fixed: Whether all questions are fixed beforehand, by a survey.
    """
    weights = weights or Weights.of(layout)
    shares = [Share(LABELS, weights.labels)]
    if any(is_large(variable.column) for variable in layout.variables):
        shares.insert(0, Share(TOTALS, weights.totals))
    if coarse(layout) and not fixed:
        shares.insert(0, Share(SPIKES, weights.spikes))
    if any(variable.column.numeric for variable in layout.variables):
        shares.insert(0, Share(GRID, weights.grid))
    if has_means(layout):
        shares.append(Share(MEANS, weights.means))
    if len(axes_of(layout)) > 1:
        shares.append(Share(COVARIANCE, weights.covariance))
    return shares


def check_feasible(layout: Layout, budget: Budget, population: int | None, *, shares: Sequence[Share]) -> None:
    """Refuses a budget that leaves nothing but noise, from public numbers alone.

    Args:
        layout: The variables.
        budget: The target.
        population: Public number of patients, if it is known.
        shares: The family's wishes, label tables among them.

    Raises:
        PlanError: Says from which epsilon or population on a fit would be possible, and what to leave out.
    """
    if population is None:
        return
    weights = {share.name: share.weight for share in shares}
    part = weights[LABELS] / sum(weights.values())
    epsilon, delta = budget.epsilon, budget.delta
    least = least_epsilon(layout, population=population, delta=delta, part=part)
    if epsilon >= least:
        return
    enough = least_population(layout, epsilon=epsilon, delta=delta, part=part)
    few = most_variables(layout, population=population, epsilon=epsilon, delta=delta, part=part)
    small = part * sum(weights.values()) / (sum(weights.values()) - weights.get(TOTALS, 0.0))
    few_small = most_variables(layout, population=population, epsilon=epsilon, delta=delta, part=small)
    able = f"from about epsilon={least:.2g} on, or " if least <= MAX_EPSILON else ""
    fewer = f", or with at most {counted(few, 'variable')}" if few else "; fewer columns alone would not do"
    raise PlanError(
        f"epsilon={epsilon:g} is too small for population={population} with {counted(len(layout), 'variable')} and "
        f"{counted(layout.schema.classes, 'class')}: the noise would drown the patients. Possible {able}"
        f"from population={enough} on{fewer}. {what_to_drop(layout, few, few_small)}"
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


def measure_anchor(records: Asked, *, population: int, survey: Survey | None = None) -> Anchor:
    """Gives the anchor of a cohort from at most six noisy tables.

    Args:
        records: The patients.
        population: Public number of patients, for the number of bins.
        survey: Bins, groups and scores that were fixed beforehand; `None`: they follow from the answers.

    Raises:
        PlanError: The noisy counts say that there are too few patients.
    """
    layout = records.layout
    query, names = cell_query(layout)
    grid_sd = _sd(records, GRID, query) if names else 0.0
    found = grids(query, names, records.measure(GRID, query), grid_sd) if names else {}
    # Bounds that were learned may leave more values than were planned for; then nothing was set aside.
    planned = records.plan is None or any(event.name == SPIKES for event in records.plan.events)
    if survey is None and planned and coarse(layout):
        cells = {name: heavy(found[name], column, grid_sd) for name, column in coarse(layout).items()}
        ranges = spike_query(layout, found, cells)
        answer = ranges.parts(records.measure(SPIKES, ranges))
        found = with_spikes(layout, found, cells, answer, _sd(records, SPIKES, ranges))
    noise = _label_noise(records, layout)
    classes = layout.schema.classes
    joined = _groupings(records, population, noise, survey)
    if survey is None:
        most = bins_for(population, classes, noise)
        levels = tuple(_levels(layout, at, found, joined, most) for at in range(len(layout)))
    else:
        levels = survey.levels
    counts = LevelCounts(levels, classes)
    tables = counts.tables(records.measure(LABELS, counts))
    sizes, lost = class_sizes(layout, tables, noise)
    joined, shown = _margins(layout, tables, joined, noise, float(sizes.sum()))
    made = _scored(layout, levels, shown, sizes, presence(tables, sizes), private=records.private, survey=survey)
    scores = Scores(levels, tuple(axis.at for axis in made.axes), made.scores, made.radius)
    if has_means(layout):
        sums = ScoreSums(scores, classes)
        answer = borrowed(records.measure(MEANS, sums).reshape(classes, -1), sizes, lost)
        made = replace(made, margins=tilted_margins(made, answer, _sd(records, MEANS, sums), noise))
    factors, sd = np.ones((classes, 1, 1)), 0.0
    if len(made.axes) > 1:
        products = ScoreProducts(scores, classes)
        answer = products.matrices(records.measure(COVARIANCE, products))
        sd = _sd(records, COVARIANCE, products)
        factors = correlations(made, answer, sd)
        factors = factors.astype(np.float16).astype(np.float64)  # as the file will hold them
    notes = (
        *bound_notes(layout, found, grid_sd), *spike_notes(layout, found, grid_sd),
        *hole_notes(layout, levels, tables, noise),
        *class_notes(layout, sizes, lost, noise), *shape_notes(layout, levels, sizes, lost, noise),
        *group_notes(joined),
        *size_notes(layout, float(sizes.sum()), classes, noise),
        *other_notes(layout, made.margins, sizes / sizes.sum(), joined),
    )  # fmt: skip
    return Anchor(
        layout, made.axes, levels, found, sizes / sizes.sum(), made.margins, made.order, made.scores, factors,
        float(sizes.sum()), made.counts, sd, joined, notes,
    )  # fmt: skip


def bins_for(population: int, classes: int, noise: float) -> int:
    """Gives how many bins of a number the tables of labels can afford.

    Args:
        population: Public number of patients.
        classes: Number of classes.
        noise: Standard deviation of each count; 0 without privacy.
    """
    if noise:
        return int(np.clip(population / (8 * classes * noise), 4, 24))
    return int(np.clip(population / (40 * classes), 4, 64))


def groups_for(population: int, classes: int, noise: float) -> int:
    """Gives how many groups of levels the tables of labels can afford; arguments as those of `bins_for`."""
    return int(np.clip(population / (16 * classes * noise), 8, 64)) if noise else 64


def make_survey(records: Asked, *, bins: int, groups: int, patients: int, hospitals: int) -> Survey:
    """Gives the questions that a fit to public patients would ask in the end: for all hospitals the same ones.

    Args:
        records: Public patients, such as simulated ones; nothing protects them.
        bins: Bins of each number.
        groups: Groups of levels of each large category.
        patients: About how many patients all hospitals have together.
        hospitals: How many they are.
    """
    layout = records.layout
    query, names = cell_query(layout)
    found = grids(query, names, records.measure(GRID, query), 0.0) if names else {}
    large, columns = level_query(layout)
    joined = groupings(columns, large.parts(records.measure(TOTALS, large)), 0.0, groups) if columns else {}
    levels = tuple(distinct(_levels(layout, at, found, joined, bins)) for at in range(len(layout)))
    counts = LevelCounts(levels, layout.schema.classes)
    tables = counts.tables(records.measure(LABELS, counts))
    sizes, _ = class_sizes(layout, tables, 0.0)
    shown = tuple(margins(table, 0.0) for table in tables)
    made = _scored(layout, levels, shown, sizes, presence(tables, sizes), private=True)
    scores = tuple(tuple(askable(one).tolist()) for one in made.scores)
    order = tuple(tuple(one.tolist()) for one in made.order)
    return Survey(declared(layout.schema), levels, scores, order, made.radius, patients, hospitals)


def _groupings(records: Asked, population: int, noise: float, survey: Survey | None) -> dict[str, Grouping]:
    """Gives the groups of the large categories, from the totals of their levels."""
    query, columns = level_query(records.layout)
    if not columns:
        return {}
    totals = query.parts(records.measure(TOTALS, query))
    sd = _sd(records, TOTALS, query)
    if survey is None:
        return groupings(columns, totals, sd, groups_for(population, records.layout.schema.classes, noise))
    known = {one.column.name: survey.levels[at].groups for at, one in enumerate(records.layout.variables)}
    return {
        column.name: grouped(np.array(known[column.name], dtype=np.intp), total, sd)
        for column, total in zip(columns, totals, strict=True)
    }


def _margins(
    layout: Layout, tables: list[NDArray[np.float64]], joined: dict[str, Grouping], noise: float, patients: float
) -> tuple[dict[str, Grouping], tuple[NDArray[np.float64], ...]]:
    """Gives the margins of all variables, and the groupings made better by the tables."""
    found = [margins(table, noise) for table in tables]
    better: dict[str, Grouping] = {}
    for name, one in joined.items():
        mine = [at for at, variable in enumerate(layout.variables) if variable.column.name == name]
        better[name], shares = group_margins(
            one, [tables[at] for at in mine], [found[at] for at in mine], noise, patients
        )
        for at, margin in zip(mine, shares, strict=True):
            found[at] = margin
    return better, tuple(found)


def _scored(
    layout: Layout, levels: tuple[Levels, ...], margins: tuple[NDArray[np.float64], ...], sizes: NDArray[np.float64],
    presence: NDArray[np.float64], *, private: bool, survey: Survey | None = None,
) -> Dependence:  # fmt: skip
    """Gives the scores of all axes, and the norm that they are scaled down to, from the noisy tables alone."""
    shares, axes = sizes / sizes.sum(), axes_of(layout)
    if survey is not None:
        return Dependence(
            layout, axes, levels, margins, survey.tables(), sizes, presence, survey.orders(),
            survey.radius if private else float("inf"), _visit_counts(layout, levels),
        )  # fmt: skip
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


def _sd(records: Asked, name: str, query: Query) -> float:
    return noise_sd(records.plan.event(name), query) if records.plan else 0.0


def _visit_counts(layout: Layout, levels: tuple[Levels, ...]) -> tuple[float, ...]:
    """Gives the number of visits in the middle of each level of the count of ragged visits."""
    for variable, level in zip(layout.variables, levels, strict=True):
        if variable.role == "count":
            edges = np.concatenate([[0.0], np.asarray(level.edges or ()), [1.0]])
            return tuple(to_codes((edges[1:] + edges[:-1]) / 2, variable.column).tolist())
    return ()


def _label_noise(records: Asked, layout: Layout) -> float:
    plan = records.plan
    if plan is None:
        return 0.0
    return float(np.sqrt(len(layout))) * (plan.event(LABELS).noise_multiplier or 0.0)


def _levels(layout: Layout, at: int, found: dict[str, Grid], joined: dict[str, Grouping], most: int) -> Levels:
    variable = layout.variables[at]
    column = variable.column
    nullable = column.nullable
    if column.numeric:
        return number_levels(found[column.name], most, nullable=nullable)
    if column.name in joined:
        return joined[column.name].levels(nullable=nullable)
    return Levels(None, column.size + nullable, column.size if nullable else None)

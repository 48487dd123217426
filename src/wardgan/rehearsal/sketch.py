"""What each epsilon would do: the same fit as on real patients, rehearsed on simulated ones."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Final

import numpy as np

from wardgan import check
from wardgan.encode.layout import Layout
from wardgan.errors import PlanError, SchemaError, UsageError
from wardgan.estimate import Estimate, mean
from wardgan.models import auto_family, family_config
from wardgan.models.anchor.anchor import count_noise
from wardgan.models.base import Config
from wardgan.models.fit import fit
from wardgan.models.planning import plan
from wardgan.privacy.events import DEFAULT_DELTA, Budget
from wardgan.privacy.plan import Plan
from wardgan.rehearsal.judge import CLASSIFIERS, Judged, Stage
from wardgan.rehearsal.result import Rehearsed, Sketch
from wardgan.rng import Seed
from wardgan.schema.cohort import Cohort
from wardgan.schema.schema import Schema
from wardgan.simulate.assume import Assumptions
from wardgan.simulate.schemas import stand_in
from wardgan.simulate.world import World

EPSILONS: Final = (0.5, 1.0, 3.0, 8.0)
SEEDS: Final = 4
LARGEST: Final = 100_000
UNSEEN: Final = 10_000
_CELLS: Final = 20_000_000

Watch = Callable[[int, int, str], None]


def sketch(
    schema: Schema, *, epsilons: Sequence[float] = EPSILONS, patients: int | None = None, family: str | Config = "auto",
    delta: float = DEFAULT_DELTA, assume: Assumptions | None = None, seeds: int = SEEDS, watch: Watch | None = None,
) -> Sketch:  # fmt: skip
    """Gives what each epsilon would do to a table with this schema, from simulated patients alone.

    For each of a few simulated populations, patients are drawn that obey the schema, generators are fitted on them at
    each epsilon and without privacy, and their synthetic patients are judged on further patients of the same
    population. Nothing is read but the schema, nothing is written, and no budget is spent: each fit is a rehearsal
    with replayable noise.

    Args:
        schema: The declarations. Bounds and levels to be learned are learned in the rehearsal, too.
        epsilons: Budgets to try; the fit without privacy comes on top.
        patients: How many patients the table has; by default the population that the schema declares. From 100,000
            on, and with very many columns earlier, fewer are simulated (`Sketch.simulated`).
        family: Name of a family, its configuration, or `auto`.
        delta: Probability that goes with each epsilon.
        assume: What is taken for granted about the patients; by default `Assumptions()`.
        seeds: How many tables are simulated; with one there are no intervals.
        watch: Is told of progress: steps done, steps in all, what is being done.

    Raises:
        UsageError: An argument is out of its range, or no patients can be simulated that obey the rules.
        SchemaError: The schema waits for bounds, levels or confirmations.
        PlanError: There is no such family, or a budget is no budget. A budget that is too small is a row of its own.
    """
    if schema.images is not None:
        raise SchemaError(f"schema={schema.name!r} declares images; only tables and visits can be simulated.")
    budgets = _budgets(epsilons, delta)
    check.whole(1, seeds=seeds)
    taken, whole = assume or Assumptions(), _patients(schema, patients)
    if family == "auto":
        family = auto_family(schema, private=True, patients=whole)
    config = family_config(family) if isinstance(family, str) else family
    layout = Layout.of(stand_in(schema))
    simulated = min(whole, LARGEST, max(1, _CELLS // len(layout)))
    asked = schema if schema.population is None else replace(schema, population=simulated)
    plans = {budget: _planned(asked, budget, config) for budget in budgets}
    runs = [budget for budget in budgets if isinstance(plans[budget], Plan)]
    steps = _Steps(seeds * (len(runs) + 2), watch or _nobody)
    tables: list[_Table] = []
    for number in range(seeds):
        table = f"table {number + 1} of {seeds}"
        steps.begin(f"{table}: simulating")
        stage = _stage(asked, simulated, taken, Seed(number))
        trials: dict[Budget | None, _Trial] = {}
        for budget in (*runs, None):
            steps.begin(f"{table}: {'no privacy' if budget is None else f'epsilon {budget.epsilon:g}'}")
            trials[budget] = _trial(stage, asked, budget, config)
        tables.append(_Table(stage, stage.best(), trials))
    steps.begin("done")
    smallest = int(np.argmin(np.mean([table.best.classes for table in tables], axis=0)))
    rows = [_row(budget, None if budget is None else plans[budget], tables) for budget in (*budgets, None)]
    targets = tables[0].stage.targets
    return Sketch(
        schema.name, whole, simulated, len(layout), config.family, delta, taken, seeds,
        tuple(str(target) for target in targets), any(target.label for target in targets), schema.class_name(smallest),
        _best(tables), tuple(rows),
    )  # fmt: skip


@dataclass(frozen=True, eq=False)
class _Trial:
    """One fit on one simulated table: what it is good for, or why it was refused."""

    judged: Judged | None
    seconds: float
    refusal: str = ""


@dataclass(frozen=True, eq=False)
class _Table:
    """One simulated table, the best that can be reached on it, and what was made of it."""

    stage: Stage
    best: Judged
    trials: Mapping[Budget | None, _Trial]


@dataclass
class _Steps:
    """How far the rehearsals are."""

    total: int
    watch: Watch
    done: int = 0

    def begin(self, doing: str) -> None:
        self.watch(self.done, self.total, doing)
        self.done += 1


def _budgets(epsilons: Sequence[float], delta: float) -> tuple[Budget, ...]:
    if isinstance(epsilons, (str, bytes)) or not isinstance(epsilons, Sequence) or not epsilons:
        raise PlanError(f"epsilons={epsilons!r} is not a list with at least one epsilon, such as [1, 3].")
    budgets = {Budget(epsilon, delta) for epsilon in epsilons}
    return tuple(sorted(budgets, key=lambda budget: budget.epsilon))


def _patients(schema: Schema, patients: int | None) -> int:
    found = schema.population if patients is None else patients
    if found is None:
        raise UsageError(
            "patients: the schema declares no population; say about how many patients there are "
            "(patients=5000, or --patients 5000)."
        )
    check.whole(1, patients=found)
    return found


def _planned(schema: Schema, budget: Budget, config: Config) -> Plan | str:
    """Gives the plan of a budget, or why there is none."""
    try:
        return plan(schema, budget, family=config)
    except PlanError as error:
        return str(error)


def _stage(schema: Schema, patients: int, assume: Assumptions, seed: Seed) -> Stage:
    world = World.of(stand_in(schema), seed=seed, assume=assume)
    return Stage.of(world.draw(patients, seed=seed), world.draw(UNSEEN, seed=seed, group="unseen"), seed)


def _trial(stage: Stage, schema: Schema, budget: Budget | None, config: Config) -> _Trial:
    """Fits the simulated patients as if they were real, and judges what comes out."""
    seed = stage.seed.value
    begun = perf_counter()
    try:
        trained = fit(
            _undeclared(stage.cohort, schema), budget, family=config, privacy="none" if budget is None else "private",
            seed=seed,
        )  # fmt: skip
        seconds = perf_counter() - begun
        synthetic = trained.generator.draw(len(stage.cohort), seed=seed)
    except UsageError as error:
        return _Trial(None, 0.0, str(error))
    return _Trial(stage.judge(synthetic), seconds)


def _undeclared(cohort: Cohort, schema: Schema) -> Cohort:
    """Gives the cohort as it would be read: without the stand-ins for what is to be learned."""
    levels = {column.name: cohort.schema.column(column.name).levels for column in schema.columns if not column.complete}
    return replace(cohort, schema=schema, seen={name: found for name, found in levels.items() if found})


def _row(budget: Budget | None, planned: Plan | str | None, tables: Sequence[_Table]) -> Rehearsed:
    epsilon = None if budget is None else budget.epsilon
    if isinstance(planned, str):
        return Rehearsed(epsilon, (planned,))
    trials = [table.trials[budget] for table in tables]
    pairs = [(trial.judged, table.best) for trial, table in zip(trials, tables, strict=True) if trial.judged]
    refusals = tuple(trial.refusal for trial in trials if not trial.judged)
    if not pairs:
        return Rehearsed(epsilon, refusals)
    schema = tables[0].stage.cohort.schema
    ratios = {name: [_ratio(ours.areas[name], best.areas[name]) for ours, best in pairs] for name in CLASSIFIERS}
    return Rehearsed(
        epsilon,
        refusals,
        _mean(np.mean(list(ratios.values()), axis=0)),
        _means(ratios),
        _means(
            {name: [_middle(ours.areas[name]) for ours, _ in pairs] for name in CLASSIFIERS},
            {name: [_middle(best.areas[name]) for _, best in pairs] for name in CLASSIFIERS},
        ),
        _mean([ours.columns for ours, _ in pairs], [best.columns for _, best in pairs]),
        _mean([ours.pairs for ours, _ in pairs], [best.pairs for _, best in pairs]),
        _means(_classes(schema, [ours for ours, _ in pairs]), _classes(schema, [best for _, best in pairs])),
        None if planned is None else count_noise(planned, schema),
        _mean([trial.seconds for trial in trials if trial.judged]),
    )


def _best(tables: Sequence[_Table]) -> Rehearsed:
    """Gives the same numbers for the patients themselves."""
    found = [table.best for table in tables]
    return Rehearsed(
        None,
        auroc=_means({name: [_middle(best.areas[name]) for best in found] for name in CLASSIFIERS}),
        columns=_mean([best.columns for best in found]),
        pairs=_mean([best.pairs for best in found]),
        classes=_means(_classes(tables[0].stage.cohort.schema, found)),
    )


def _classes(schema: Schema, found: Sequence[Judged]) -> dict[str, list[float]]:
    return {schema.class_name(at): [float(judged.classes[at]) for judged in found] for at in range(schema.classes)}


def _ratio(ours: Sequence[float], best: Sequence[float]) -> float:
    """Gives the mean over targets of one area as a share of another; NaN where none is defined."""
    return _middle([one / other if other > 0 else math.nan for one, other in zip(ours, best, strict=True)])


def _middle(values: Sequence[float]) -> float:
    known = [value for value in values if math.isfinite(value)]
    return float(np.mean(known)) if known else math.nan


def _means(
    values: Mapping[str, Sequence[float]], baselines: Mapping[str, Sequence[float]] | None = None
) -> dict[str, Estimate]:
    found = {name: _mean(mine, None if baselines is None else baselines[name]) for name, mine in values.items()}
    return {name: estimate for name, estimate in found.items() if estimate is not None}


def _mean(values: Sequence[float], baseline: Sequence[float] | None = None) -> Estimate | None:
    """Gives the mean over the tables where it is defined, and where one more table would lie; `None` if nowhere.

    Source:
        Prediction interval for one more observation of a normal sample: Hahn and Meeker, Statistical Intervals
        (1991), section 4.7.
    """
    known = [float(value) for value in values if math.isfinite(value)]
    if not known:
        return None
    middle = math.nan if baseline is None else _middle(baseline)
    found = mean(known, baseline=middle if math.isfinite(middle) else None)
    # From the interval of the mean, t s / sqrt(n), to that of one more observation, t s sqrt(1 + 1/n).
    half = (found.high - found.value) * math.sqrt(len(known) + 1)
    method = "mean of simulated tables; where one more of them would lie, t interval"
    return found if len(known) < 2 else replace(found, low=found.value - half, high=found.value + half, method=method)


def _nobody(done: int, total: int, doing: str) -> None:
    """Nobody watches."""

"""Does choosing a checkpoint beat the newest weights, at equal total epsilon?

    python benchmarks/selection.py --seeds 3
    python benchmarks/selection.py --show

For each table, family, epsilon and seed there are two trainings. One spends everything on the training, and its newest
weights (their running mean) are taken: `EMA`. The other one sets aside what a choice costs, and all ways choose among
its ten candidates, each with the budget of its own plan: `noisy-max`, `top-5`, `boosting` (a mixture of five), `pool`
(what the boosting of the paper gives: its pool of synthetic patients, weighed) and, for comparison, `EMA of the run`
(the newest weights of that training) and `oracle` (the best by the exact score, which is not private). The noise of
that training is the largest of all plans, so no way spends more than epsilon.

Lines with epsilon `all` are means over all trainings of a family. A difference counts if it is more than two standard
errors.

`SPRINT-like`: a simulated trial, 6,000 patients to train on; accuracies on 6,000 fresh ones (see sprint_like.py).
`SUPPORT2`: AUROC for death in hospital on the test part (see tables.py). What is done is kept in
`benchmarks/out/selection.jsonl`, and not done again. (This file is not called select.py: the folder of a script comes
first on Python's path, and the standard library has a module of that name.)
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from unittest import mock

import numpy as np
import pandas as pd
from numpy.typing import NDArray

import datasets
import wardgan as wg
import wardgan.models.acgan.train as acgan
import wardgan.models.tabgan.train as tabgan
from common import OUT, kept, markdown, note, save
from sprint_like import PATIENTS, _numbers
from tables import plain, split
from wardgan.encode.units import decode
from wardgan.evaluate.associations import association_gap
from wardgan.evaluate.fidelity import pair_total_variation
from wardgan.evaluate.utility import score_classifiers
from wardgan.privacy.ledger import Ledger
from wardgan.privacy.records import Records
from wardgan.rng import Seed
from wardgan.sample.generator import Generator
from wardgan.schema.cohort import Cohort
from wardgan.select.choice import CHOICE, Choice
from wardgan.select.decide import Field, Pool, boosted_pool, decided, recognition
from wardgan.simulate.sprint import SPRINT_SCHEMA, sprint_like

WAYS = {"noisy-max": Choice("noisy-max"), "top-5": Choice("top-k"), "boosting": Choice("boosting")}
METHODS = ("EMA", "EMA of the run", *WAYS, "pool", "oracle")
FAMILIES = {"acgan": wg.AcganConfig(), "tabgan": wg.TabganConfig()}
CASES = ("SPRINT-like", "SUPPORT2")
DONE = OUT / "selection.jsonl"
_SHOWN = {"SPRINT-like": ("LR", "RF", "rho", "RMSE", "gap"), "SUPPORT2": ("LR", "RF", "tv2", "assoc")}
Draw = Callable[[int], pd.DataFrame]
Judge = Callable[[Draw], dict[str, float]]


def main() -> None:
    """Runs what is not done yet, and shows the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", nargs="+", default=list(CASES), choices=list(CASES))
    parser.add_argument("--families", nargs="+", default=list(FAMILIES), choices=list(FAMILIES))
    parser.add_argument("--epsilon", type=float, nargs="+", default=[1.0, 3.5])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--show", action="store_true", help="print the table of what is done")
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    if not asked.show:
        done = {(run["case"], run["family"], run["epsilon"], run["seed"]) for run in kept(DONE)}
        for seed in range(asked.seeds):
            for case in asked.cases:
                for family in asked.families:
                    for epsilon in asked.epsilon:
                        if (case, family, epsilon, seed) not in done:
                            for row in _cell(case, family, epsilon, seed):
                                note(DONE, row)
    runs = kept(DONE)
    rows, costs = list(_rows(runs)), list(_costs(asked.epsilon))
    print(markdown(costs), markdown(rows), sep="\n\n")
    print(save("selection", rows, asked.out, seeds=len({run["seed"] for run in runs}), costs=costs, runs=runs))


def _cell(case: str, family: str, epsilon: float, seed: int) -> list[dict[str, object]]:
    train, judge = _sprint(seed) if case == "SPRINT-like" else _support(seed)
    budget, config = wg.Budget(epsilon), FAMILIES[family]
    about = {"case": case, "family": family, "epsilon": epsilon, "seed": seed}
    begin = time.process_time()
    made = wg.fit(train, budget, family=config).generator
    rows = [{**about, "method": "EMA", **judge(_drawn(made, seed)), "CPU s": time.process_time() - begin}]
    begin = time.process_time()
    run = _one_run(train, budget, family)
    shared = time.process_time() - begin
    for method, (draw, chosen) in run.ways(train, seed).items():
        rows.append({**about, "method": method, **judge(draw), "chosen": chosen})
    return [*rows[:1], {**rows[1], "CPU s": shared}, *rows[2:]]


@dataclass(frozen=True)
class OneRun:
    """What is left of a training with candidates.

    Attributes:
        plans: The plan of each way.
        field: The candidates.
        network: Makes the network of weights of candidates: its bytes and its latent size.
        family: Name of the family.
    """

    plans: dict[str, wg.Plan]
    field: Field
    network: Callable[[NDArray[np.float64]], tuple[bytes, int]]
    family: str

    def ways(self, train: Cohort, seed: int) -> dict[str, tuple[Draw, list[float]]]:
        """Gives for each method what draws its patients, and the weight of each candidate."""
        weights: dict[str, NDArray[np.float64]] = {"EMA of the run": np.eye(len(self.field.networks))[-1]}
        records = {way: Records(train, Ledger(plan), noise=Seed.secret()) for way, plan in self.plans.items()}
        with mock.patch("wardgan.select.decide.recognition", _once(recognition)):
            for way, choice in WAYS.items():
                weights[way] = decided(choice, records[way], self.field)
                assert records[way].ledger.steps(CHOICE) == choice.runs
            weights["oracle"] = decided(
                WAYS["noisy-max"], Records(train, Ledger(None), noise=Seed.secret()), self.field
            )
        found = {way: (self._draw(one, seed), one.round(4).tolist()) for way, one in weights.items()}
        return found | {"pool": (self._pool(train, seed), [])}

    def _draw(self, weights: NDArray[np.float64], seed: int) -> Draw:
        network, latent = self.network(weights)
        shares = tuple(self.field.shares.tolist())
        return _drawn(Generator(self.field.layout.schema, self.family, network, latent, shares), seed)

    def _pool(self, train: Cohort, seed: int) -> Draw:
        records = Records(train, Ledger(self.plans["boosting"]), noise=Seed.secret())
        pool = Pool.of(self.field)
        phi = boosted_pool(WAYS["boosting"], records, self.field, pool)

        def draw(size: int) -> pd.DataFrame:
            at = Seed(seed).stream("pool", size).choice(len(phi), size, p=phi)
            return _wide(decode(pool.units[at], pool.classes[at], self.field.layout))

        return draw


def _one_run(train: Cohort, budget: wg.Budget, family: str) -> OneRun:
    """Trains once, with the noise of the plan that has most, and keeps the candidates."""
    plans = {
        way: wg.plan(train.schema, budget, family=replace(FAMILIES[family], choice=one)) for way, one in WAYS.items()
    }
    most = max(plans, key=lambda way: plans[way].event("discriminator").noise_multiplier or 0.0)
    module: ModuleType = {"acgan": acgan, "tabgan": tabgan}[family]
    caught: list[OneRun] = []
    honest = module._chosen

    def chosen(choice, records, candidates, *rest):  # noqa: ANN001, ANN002, ANN202 - what the family passes
        fields: list[Field] = []

        def look(_choice, _records, field):  # noqa: ANN001, ANN202
            fields.append(field)
            return np.eye(len(field.networks))[-1]

        with mock.patch.object(module, "decided", look):
            found = honest(choice, records, candidates, *rest)
        anchor = rest[0] if family == "tabgan" else None
        caught.append(OneRun(plans, fields[0], lambda weights: _network(weights, candidates.makers, anchor), family))
        return found

    with mock.patch.object(module, "_chosen", chosen):
        wg.fit(train, budget, family=replace(FAMILIES[family], choice=WAYS[most]))
    return caught[0]


def _network(weights, makers, anchor) -> tuple[bytes, int]:  # noqa: ANN001 - of either family
    chosen = np.flatnonzero(weights)
    mine = [makers[at] for at in chosen]
    if anchor is not None:
        made = tabgan.finished(mine[0], anchor) if len(mine) == 1 else tabgan.mixture(mine, weights[chosen], anchor)
        return made.onnx, made.latent
    if len(mine) == 1:
        return mine[0].network(), mine[0].latent
    return acgan.mixed_network(mine, weights[chosen]), mine[0].latent + 1


def _once(make):  # noqa: ANN001, ANN202 - the classifiers are the same for each way
    held = []

    def found(field):  # noqa: ANN001, ANN202
        held[:] = held or [make(field)]
        return held[0]

    return found


def _drawn(generator: wg.Generator, seed: int) -> Draw:
    return lambda size: _wide(generator.draw(size, seed=seed))


def _wide(cohort: Cohort) -> pd.DataFrame:
    return cohort.wide().drop(columns="patient_id", errors="ignore")


def _sprint(seed: int) -> tuple[Cohort, Judge]:
    schema = wg.Schema.from_dict(SPRINT_SCHEMA)
    train = wg.read(sprint_like(6_502, seed=Seed(100 + seed)), schema).split(PATIENTS / 6_502, seed=seed)[0]
    real, test = _wide(train), _wide(wg.read(sprint_like(6_000, seed=Seed(200 + seed)), schema))
    best = score_classifiers(real, test, target="arm", seed=Seed(seed))

    def judge(draw: Draw) -> dict[str, float]:
        found = _numbers(real, draw(PATIENTS), draw(50_000), test, best, seed)
        names = {"LR": "LR", "RF": "RF", "rho": "rho", "corr RMSE": "RMSE", "SBP median gap, mean": "gap"}
        return {short: found[name] for name, short in names.items()}

    return train, judge


def _support(seed: int) -> tuple[Cohort, Judge]:
    train, test, schema = split("support2", seed)
    cohort = wg.read(train, schema)
    real, unseen = plain(train, schema), plain(test, schema)

    def judge(draw: Draw) -> dict[str, float]:
        synthetic = plain(draw(len(train)), schema)[list(real.columns)]
        scores = score_classifiers(synthetic, unseen, target=datasets.TABLES["support2"], seed=Seed(seed))
        first, second = (scores[name].auroc for name in ("logistic regression", "random forest"))
        pairs = pair_total_variation(real, synthetic, bins=8).mean
        return {"LR": first, "RF": second, "tv2": pairs, "assoc": association_gap(real, synthetic)}

    return cohort, judge


def _costs(levels: list[float]) -> Iterator[dict[str, object]]:
    """Gives what a choice costs `tabgan` on the SPRINT-like trial: numbers of plans, so no patient is needed."""
    schema = wg.Schema.from_dict(SPRINT_SCHEMA)
    for epsilon in levels:
        plans = {
            way: wg.plan(schema, wg.Budget(epsilon), family=wg.TabganConfig(choice=one))
            for way, one in {"no choice": None, **WAYS}.items()
        }
        usual = plans["no choice"].event("discriminator").noise_multiplier or 0.0
        for way, plan in plans.items():
            noise = plan.event("discriminator").noise_multiplier or 0.0
            chosen = plan.event(CHOICE) if way in WAYS else None
            yield {
                "epsilon": f"{epsilon:g}",
                "way": way,
                "choices": chosen.steps if chosen else 0,
                "epsilon of each": f"{chosen.epsilon:.3f}" if chosen else "",
                "noise of a step": f"{noise:.1f}",
                "more noise": f"{100 * (noise / usual - 1):.1f} %",
            }


def _rows(runs: list[dict]) -> Iterator[dict[str, object]]:
    for case in CASES:
        for family in FAMILIES:
            mine = [run for run in runs if (run["case"], run["family"]) == (case, family)]
            levels = sorted({run["epsilon"] for run in mine})
            for epsilon in levels:
                here = [run for run in mine if run["epsilon"] == epsilon]
                yield from (_row(case, family, f"{epsilon:g}", method, here) for method in METHODS)
            if len(levels) > 1:
                yield from (_row(case, family, "all", method, mine) for method in METHODS)


def _row(case: str, family: str, epsilon: str, method: str, here: list[dict]) -> dict[str, object]:
    """Gives means over the seeds and, in brackets, the mean difference to EMA of the same seed, with its SE."""
    mine = [run for run in here if run["method"] == method]
    row: dict[str, object] = {"table": case, "family": family, "epsilon": epsilon, "method": method, "fits": len(mine)}
    for name in _SHOWN[case]:
        row[name] = f"{np.mean([run[name] for run in mine]):.3f}"
        if method != "EMA":
            row[name] = f"{row[name]} ({gain(here, method, 'EMA', name)})"
    if method not in METHODS[:2]:
        row["LR in its run"] = gain(here, method, "EMA of the run", "LR")
        row["RF in its run"] = gain(here, method, "EMA of the run", "RF")
    return row


def gain(runs: list[dict], method: str, other: str, name: str) -> str:
    """Gives the mean difference of a method to another one on the same table and seed, with its standard error."""
    gaps = differences(runs, method, other, name)
    return f"{gaps.mean():+.3f} ± {gaps.std(ddof=1) / np.sqrt(len(gaps)):.3f}" if len(gaps) > 1 else f"{gaps[0]:+.3f}"


def differences(runs: list[dict], method: str, other: str, name: str) -> NDArray[np.float64]:
    """Gives how much a method differs from another one, for each seed and epsilon, shape (fits,)."""
    of = {(run["method"], run["epsilon"], run["seed"]): run[name] for run in runs}
    pairs = sorted({(epsilon, seed) for each, epsilon, seed in of if each == method})
    return np.array([of[method, *pair] - of[other, *pair] for pair in pairs])


if __name__ == "__main__":
    main()

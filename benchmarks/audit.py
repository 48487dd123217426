"""What our instruments see: the step game and one-run audits against planted mistakes, and against honest code.

    python benchmarks/audit.py                    # all of it, about ten minutes
    python benchmarks/audit.py --mutants honest half_the_noise --seeds 1
    python benchmarks/audit.py --show

Three instruments, each with one training or less:

- step game (`step_game.py`): one step, or one noisy answer, with and without a patient, 1,000 times each; a bound of mu
  above 1 / noise multiplier at 99.99 % proves a mistake. For answers all queries of `copula` are asked.
- audit of the training: 500 canaries, each with a coordinate of its own in the gradients of a real `PrivateTraining`,
  the guesses by the sums of its noisy gradients: an auditor who sees every step.
- audit of the model: `wardgan.audit` as the hospital runs it, which sees synthetic patients only, 200 canaries,
  `copula` for mistakes in answers, `tabgan` for mistakes in training, 2,000 simulated patients.

All at epsilon 1, delta 1e-5. The mistakes are in `mutants.py`; they are planted in this process, never in the package.
What is done is kept in `benchmarks/out/audit.jsonl`, and not done again.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from torch import nn

import mutants
import wardgan as wg
from common import OUT, markdown, save
from mutants import Mutant, planted
from step_game import least_mu, query_answer, training_step
from wardgan.attack.audit import audit
from wardgan.attack.canaries import canaries
from wardgan.attack.guesses import least_epsilon
from wardgan.encode.layout import Layout
from wardgan.encode.units import encode
from wardgan.models.anchor.grid import cell_query
from wardgan.privacy.clip import PrivateStep
from wardgan.privacy.ledger import Ledger
from wardgan.privacy.plan import Share, solve
from wardgan.privacy.queries import LevelCounts, Levels, Query, ScoreProducts, Scores, ScoreSums
from wardgan.privacy.training import PrivateTraining
from wardgan.rng import Seed
from wardgan.schema.cohort import joined
from wardgan.simulate import World

DONE = OUT / "audit.jsonl"
PATIENTS, CANARIES, COORDINATES = 2_000, 200, 500
BUDGET = wg.Budget(epsilon=1.0)
CLINIC = wg.Schema.from_dict(
    {
        "name": "clinic",
        "population": PATIENTS,
        "table": {
            "ill": {"kind": "flag", "label": True},
            "age": {"kind": "integer", "low": 18, "high": 110},
            "balance": {"kind": "number", "low": -40, "high": 40},
            "crp": {"kind": "number", "low": 0.1, "high": 500, "scale": "log"},
            "sbp": {"kind": "number", "low": 50, "high": 260, "decimals": 1},
            "ward": {"kind": "category", "levels": ["a", "b", "c", "d"]},
            "weight": {"kind": "number", "low": 30, "high": 200, "decimals": 1, "nullable": True},
            "hiv": {"kind": "flag"},
        },
    }
)
KINDS = {
    "training": mutants.STEPS,
    "batches": mutants.BATCHES,
    "answers": mutants.ANSWERS,
    "synthetic patients": mutants.DRAWS,
    "nowhere": mutants.OPEN,
}
# For each kind of mistake the step game, the audit of the training and the audit of the model that look there.
INSTRUMENTS = {
    "training": ("game of steps", "training", "tabgan"),
    "batches": ("", "training", "tabgan"),
    "answers": ("game of answers", "", "copula"),
    "synthetic patients": ("", "", "copula"),
    "nowhere": ("", "", "copula without privacy"),
}
_STEPS, _RATE, _NOISE = 200, 1 / 6, 0.5
# The share of the coordinates that is guessed "in" and "out", a tenth each, fixed beforehand.
_SHARE = 0.1


def main() -> None:
    """Runs what is asked for and not done, or shows what is done."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = [mutant.__name__ for mutant in (mutants.honest, *_all())]
    parser.add_argument("--mutants", nargs="+", default=names, choices=names)
    parser.add_argument("--seeds", type=int, default=3, help="trainings for each mistake; honest code gets ten")
    parser.add_argument("--show", action="store_true", help="print the table of what is done")
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    if not asked.show:
        for name in asked.mutants:
            for instrument in _instruments(name):
                for seed in range(10 if name == "honest" and asked.seeds > 1 else asked.seeds):
                    _once(name, instrument, seed)
    rows = [_row(kind, mutant) for kind, each in KINDS.items() for mutant in (*_honest(kind), *each)]
    print(markdown(rows))
    print(save("audit", rows, asked.out, runs=_known(), seeds=asked.seeds))


def _honest(kind: str) -> tuple[Mutant, ...]:
    return (mutants.honest,) if kind in ("training", "answers") else ()


def _all() -> tuple[Mutant, ...]:
    return tuple(mutant for each in KINDS.values() for mutant in each)


def _instruments(name: str) -> list[str]:
    """Gives which instruments look where a mistake is."""
    kinds = [kind for kind, each in KINDS.items() if name in ("honest", *(mutant.__name__ for mutant in each))]
    return list(dict.fromkeys(instrument for kind in kinds for instrument in INSTRUMENTS[kind] if instrument))


def _once(name: str, instrument: str, seed: int) -> None:
    if any((run["mutant"], run["instrument"], run["seed"]) == (name, instrument, seed) for run in _known()):
        return
    begin = time.process_time()
    with planted(getattr(mutants, name)):
        bound, claim = _MEASURED[instrument](seed)
    seconds = round(time.process_time() - begin, 2)
    run = {"mutant": name, "instrument": instrument, "seed": seed, "bound": round(bound, 4), "claim": round(claim, 4)}
    DONE.parent.mkdir(parents=True, exist_ok=True)
    with DONE.open("a", encoding="utf-8") as file:
        file.write(json.dumps(run | {"processor seconds": seconds}) + "\n")
    print(*run.values(), seconds, flush=True)


def game_of_steps(_seed: int) -> tuple[float, float]:
    """Gives the bound of mu of a training step, and the promise."""
    play, parts = training_step(PrivateStep(clip_norm=1.0, noise_multiplier=_NOISE, expected_batch=16.0))
    return least_mu(play, parts=parts, plays=1_000), 1 / _NOISE


def game_of_answers(seed: int) -> tuple[float, float]:
    """Gives the largest bound of mu of the queries of a copula, and the promise; the patient is unlike the others."""
    loud = canaries(CLINIC, 50, Seed(seed).stream("loud"))
    units = encode(loud, Layout.of(CLINIC))
    far = np.argsort(np.abs(units - np.median(units, axis=0)).sum(axis=1))[-1:]
    cohort = joined([patients(seed).take(slice(20)), loud.take(far)])
    found = [
        least_mu(play, parts=parts, plays=1_000)
        for play, parts in (query_answer(query, cohort, noise_multiplier=_NOISE) for query in _queries())
    ]
    return max(found), 1 / _NOISE


def _queries() -> Iterable[Query]:
    """Yields small queries of each kind that a copula asks, scores in which the last patient is loud among them."""
    layout = Layout.of(CLINIC)
    yield cell_query(Layout.of(wg.Schema.from_dict({"name": "age", "table": {"age": CLINIC.column("age").to_dict()}})))[
        0
    ]
    levels = tuple(
        Levels((0.5,), 3, 2) if variable.column.numeric else Levels(None, variable.column.size, None)
        for variable in layout.variables
    )
    yield LevelCounts(levels, CLINIC.classes)
    owners = tuple(range(len(levels)))
    scores = Scores(levels, owners, tuple(np.linspace(3, 4, level.size) for level in levels), 1.2)
    yield ScoreSums(scores, CLINIC.classes)
    yield ScoreProducts(scores, CLINIC.classes)


def training(seed: int) -> tuple[float, float]:
    """Gives the bound of epsilon of a training whose every step is seen, and the claim.

    The gradient of a canary's loss is long and has one coordinate, that of the canary, so its clipped part is 1 there
    and 0 elsewhere. The other patients have coordinates that no canary has.
    """
    stream, others = Seed(seed).stream("audit of the training"), PATIENTS - COORDINATES
    inside = stream.random(COORDINATES) < 0.5
    rows = np.zeros((others + int(inside.sum()), COORDINATES + 8), dtype=np.float32)
    rows[:others, COORDINATES:] = 0.3 * stream.standard_normal((others, 8))
    rows[np.arange(others, len(rows)), np.flatnonzero(inside)] = 100.0
    plan = solve(BUDGET, [Share("steps", 1.0, sampling_rate=_RATE, steps=_STEPS)], population=PATIENTS, family="audit")
    module = nn.Linear(rows.shape[1], 1)
    steps = PrivateTraining(
        rows, Ledger(plan), "steps", module, rate=_RATE, steps=_STEPS, clip_norm=1.0, population=PATIENTS,
        noise=Seed.secret(),
    )  # fmt: skip
    fakes, seen = torch.zeros(64, rows.shape[1]), np.zeros(COORDINATES)
    while block := steps.reserve():
        for step in range(steps.taken - block, steps.taken):
            steps.gradient(lambda real: lambda records: module(records)[:, 0], fakes, step)
            seen += module.weight.grad.numpy()[0, :COORDINATES]
    count, order = round(_SHARE * COORDINATES), np.argsort(-seen, kind="stable")
    right = int(inside[order[:count]].sum() + (~inside[order[-count:]]).sum())
    return least_epsilon(COORDINATES, 2 * count, right, delta=BUDGET.delta), BUDGET.epsilon


def of_model(family: str | wg.TabganConfig, seed: int) -> tuple[float, float]:
    """Gives what `wardgan.audit` certifies, and the claim."""
    found = audit(patients(seed), BUDGET, family=family, canaries=CANARIES)
    return found.estimate.value, BUDGET.epsilon


def without_privacy(seed: int) -> tuple[float, float]:
    """Gives what `wardgan.audit` certifies of a copula without noise; there is no claim, so anything is above it."""
    found = audit(patients(seed), privacy="none", family="copula", canaries=CANARIES)
    print(f"{found.right} of {found.guesses} guesses are right")
    return found.estimate.value, 0.0


def patients(seed: int) -> wg.Cohort:
    """Gives simulated patients; another seed gives another population."""
    return World.of(CLINIC, seed=Seed(seed)).draw(PATIENTS, seed=Seed(1_000 + seed))


_MEASURED = {
    "game of steps": game_of_steps,
    "game of answers": game_of_answers,
    "training": training,
    "copula": lambda seed: of_model("copula", seed),
    "copula without privacy": without_privacy,
    "tabgan": lambda seed: of_model(wg.TabganConfig(steps=_STEPS), seed),
}


def _known() -> list[dict]:
    if not DONE.is_file():
        return []
    return [json.loads(line) for line in DONE.read_text(encoding="utf-8").splitlines()]


def _row(kind: str, mutant: Mutant) -> dict[str, object]:
    runs = [run for run in _known() if run["mutant"] == mutant.__name__]
    row: dict[str, object] = {"where": kind, "mistake": mutant.__doc__.strip().rstrip(".")}
    for shown, instrument in zip(
        ("step game", "audit of the training", "audit of the model"), INSTRUMENTS[kind], strict=True
    ):
        mine = [run for run in runs if run["instrument"] == instrument]
        bounds = [run["bound"] for run in mine]
        seen = sum(run["bound"] > run["claim"] for run in mine)
        row[f"{shown}: seen"] = f"{seen} of {len(mine)}" if mine else ""
        row[f"{shown}: bound"] = f"{np.mean(bounds):.2f} ({_claim(mine)})" if mine else ""
    return row


def _claim(runs: list[dict]) -> str:
    return f"claim {runs[0]['claim']:g}" if runs[0]["claim"] else "no claim"


if __name__ == "__main__":
    main()

"""How many patients must be drawn for one who meets rare conditions: ordinary patients, and those of a proved region.

Generators of the simulated trial (sbp, dbp and drugs at twelve visits, two arms, the rule dbp < sbp) are asked for
patients who are rarer and rarer. Each condition is met in two ways, by drawing ordinary patients again until it holds,
and from the part of the latent space that is proved to hold everybody who meets it:

    python benchmarks/conditions.py            # 100 patients in each way
    python benchmarks/conditions.py --quick    # 20 patients, down to 1 in 10,000

Target: at most 10 patients drawn for one who is kept, down to 1 in 100,000. How rare the same patients are in the trial
itself is told beside it: what is met exactly is the generator's law, and its tails are not those of the trial.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping
from pathlib import Path

from common import markdown, save
from wardgan.errors import UsageError
from wardgan.models.fit import fit
from wardgan.rng import Seed
from wardgan.sample import search
from wardgan.sample.conditions import conditions
from wardgan.sample.drawing import Drawn
from wardgan.sample.generator import Generator
from wardgan.sample.wish import Wanted
from wardgan.schema.cohort import Cohort
from wardgan.schema.read import read
from wardgan.schema.schema import Schema
from wardgan.simulate.sprint import SPRINT_SCHEMA, sprint_like

SEED = 7
CONDITIONS: tuple[dict[str, tuple[float, float]], ...] = (
    {"sbp@3M": (165, 260)},
    {"sbp@3M": (205, 260)},
    {"sbp@3M": (170, 260), "sbp@6M": (170, 260)},
    {"sbp@3M": (190, 260), "sbp@6M": (190, 260)},
    {"sbp@3M": (170, 260), "sbp@6M": (170, 260), "sbp@9M": (170, 260)},
    {"sbp@3M": (180, 260), "sbp@6M": (50, 100), "drugs@12M": (5, 10)},
)
QUICK = 3
PLAIN_UNTIL = 1 / 300_000


def generator(family: str) -> Generator:
    """Gives a generator of the simulated trial, without privacy noise."""
    visits = {**SPRINT_SCHEMA["visits"], "complete": True}  # type: ignore[dict-item]
    cohort = read(sprint_like(6500, seed=Seed(SEED)), Schema.from_dict({**SPRINT_SCHEMA, "visits": visits}))
    return fit(cohort, family=family, privacy="none", seed=SEED).generator


def trial(patients: int) -> Cohort:
    """Gives many patients of the simulated trial itself."""
    visits = {**SPRINT_SCHEMA["visits"], "complete": True}  # type: ignore[dict-item]
    schema = Schema.from_dict({**SPRINT_SCHEMA, "visits": visits, "population": patients})
    return read(sprint_like(patients, seed=Seed(SEED + 1)), schema)


def drawn(
    made: Generator, where: Mapping[str, Wanted], patients: int, *, balance: str | None
) -> tuple[Drawn, float] | None:
    """Gives what some patients take, and the seconds; `None` if they are refused as too rare."""
    parts: list[Drawn] = []
    start = time.perf_counter()
    try:
        for _ in made.draws(patients, where=where, balance=balance, seed=SEED, drew=parts.append):
            pass
    except UsageError:
        return None
    return sum(parts, Drawn()), time.perf_counter() - start


def measured(
    made: Generator, real: Cohort, where: dict[str, tuple[float, float]], patients: int, *, balance: str | None
) -> dict[str, object]:
    """Meets one condition in both ways."""
    wanted = conditions(real.schema, made.probabilities, where, None)
    met = int(wanted.hold(real).sum())
    known = made.efficiency(where=where, balance=balance, seed=SEED)
    usual, search.RARE = search.RARE, 0.0
    plain = drawn(made, where, patients, balance=balance) if known.share.value > PLAIN_UNTIL else None
    search.RARE = usual
    proved = drawn(made, where, patients, balance=balance) if known.proposed else None
    return {
        "family": made.family,
        "conditions": ", ".join(f"{name}={low:g}..{high:g}" for name, (low, high) in where.items()),
        "balance": balance or "",
        "1 patient in": f"{1 / known.share.value:,.0f}" if known.share.value else f"over {1 / known.share.high:,.0f}",
        "in the trial": f"{len(real) / met:,.0f}" if met else f"over {len(real):,}",
        "ordinary: drawn for one": _each(plain),
        "ordinary: seconds": _seconds(plain),
        "proved: drawn for one": _each(proved),
        "proved: seconds": _seconds(proved),
    }


def _each(found: tuple[Drawn, float] | None) -> str:
    if found is None:
        return ""
    each = found[0].patients / found[0].kept
    return f"{each:,.0f}" if each >= 10 else f"{each:.2f}"


def _seconds(found: tuple[Drawn, float] | None) -> str:
    return "" if found is None else f"{found[1]:.2f}"


def main() -> None:
    """Measures all conditions on a copula, and some on the other families."""
    ask = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    ask.add_argument("--quick", action="store_true", help="20 patients, down to 1 in 10,000")
    ask.add_argument("--out", type=Path, help="where the JSON goes (default: benchmarks/out/conditions.json)")
    given = ask.parse_args()
    patients = 20 if given.quick else 100
    copula, real = generator("copula"), trial(20_000 if given.quick else 300_000)
    copula.draw(1, seed=SEED)
    chosen = CONDITIONS[:QUICK] if given.quick else CONDITIONS
    rows = [measured(copula, real, where, patients, balance=balance) for where in chosen for balance in (None, "arm")]
    if not given.quick:
        rows += [
            measured(generator(family), real, CONDITIONS[1], patients, balance=None)
            for family in ("marginal", "tabgan", "acgan")
        ]
    print(markdown(rows))
    print(save("conditions", rows, given.out, seed=SEED, patients=patients))


if __name__ == "__main__":
    main()

"""What a dossier takes, and whether its gates hold a leaking generator back.

    python benchmarks/dossier.py --parts time
    python benchmarks/dossier.py --parts gates --tables uci_heart flchain_like --seeds 20
    python benchmarks/dossier.py --show

`time`: the battery of attacks on 8,000 training, 8,000 hold-out and 8,000 synthetic patients with 10 columns, and whole
dossiers of `copula` at epsilon 1, as `wardgan dossier` makes them, with the sizes of the pages. `gates`: the tables of
`attacks.py`, cut anew for each seed. `copula` at epsilon 1 is judged as it is, and with the planted leak in place of
its synthetic patients (30 % copies of training patients, hardly blurred): by `default` and `strict`, with all gates
of the internal edition. What is done is kept in `benchmarks/out/dossier.jsonl`, and not done again.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

import attacks
import wardgan as wg
from common import OUT, markdown, save
from wardgan.attack import battery, leak
from wardgan.dossier.assess import assess
from wardgan.dossier.gates import judged, reasons
from wardgan.dossier.gauges import internal_numbers
from wardgan.dossier.measure import Patients, measure, target_of
from wardgan.dossier.policy import Policy
from wardgan.rng import Seed

DONE = OUT / "dossier.jsonl"
POLICIES = ("default", "strict")
_DELTA = 1e-5
_MANY = 8_000


def main() -> None:
    """Runs what is asked for, or shows what is done."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", default=["time", "gates"], choices=["time", "gates"])
    parser.add_argument("--tables", nargs="+", default=["uci_heart", "flchain_like"], choices=attacks.TABLES)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--show", action="store_true", help="print the tables of what is done")
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    if not asked.show:
        _run(asked)
    rows = [*_times(), *_gates()]
    print(markdown(rows))
    print(save("dossier", rows, asked.out))


def _run(asked: argparse.Namespace) -> None:
    done = {(one["part"], one["table"], one["seed"]) for one in _known()}
    for part, table, seed in _jobs(asked):
        if (part, table, seed) not in done and _available(table):
            _note(_PARTS[part](table, seed))


def _jobs(asked: argparse.Namespace) -> Iterator[tuple[str, str, int]]:
    if "time" in asked.parts:
        yield "battery", "ten columns", 0
        yield from (("time", table, 0) for table in attacks.TABLES)
    if "gates" in asked.parts:
        yield from (("gates", table, seed) for seed in range(asked.seeds) for table in asked.tables)


def _available(table: str) -> bool:
    datasets = attacks.datasets
    return table not in datasets.NAMES or datasets.available(table)


def _timed_battery(table: str, seed: int) -> dict[str, object]:
    schema = wg.Schema.from_dict(attacks.FLCHAIN | {"population": _MANY, "table": {
        **attacks.FLCHAIN["table"], "weight": {"kind": "number", "low": 30, "high": 200, "step": 0.1, "unit": "kg"},
    }})  # fmt: skip
    cohorts = []
    for part in range(3):
        weight = np.random.default_rng(seed + part).normal(80, 15, _MANY).clip(30, 200)
        cohorts.append(wg.read(attacks.flchain_like(_MANY, seed + part).assign(weight=weight), schema, invalid="clip"))
    wall, begun = time.perf_counter(), time.process_time()
    battery(*cohorts, seed=Seed(seed))
    facts = {"part": "battery", "table": table, "seed": seed, "patients": _MANY, "columns": len(schema.table)}
    return facts | _took(wall, begun)


def _took(wall: float, begun: float) -> dict[str, object]:
    return {
        "processor s": round(time.process_time() - begun, 1), "seconds": round(time.perf_counter() - wall, 1),
    }  # fmt: skip


def _timed(table: str, seed: int) -> dict[str, object]:
    train, holdout, _ = attacks.parts(table, seed)
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        wg.fit(train, wg.Budget(epsilon=1), family="copula", run=run)
        wall, begun = time.perf_counter(), time.process_time()
        made = assess(run, train, holdout)
        took = _took(wall, begun)
        sizes = {path.name: path.stat().st_size for path in made.write(Path(folder) / "dossier")}
    kilobytes = {name: round(size / 1e3) for name, size in sizes.items()}
    return {
        "part": "time", "table": table, "seed": seed, "patients": len(train),
        "columns": train.wide(named=False).shape[1], **took, "internal page kB": kilobytes["internal.html"],
        "public page kB": kilobytes["public.html"], "public JSON kB": kilobytes["public.json"],
    }  # fmt: skip


def _judged(table: str, seed: int) -> dict[str, object]:
    """Gives which gates refuse a generator, and the same one with a leak."""
    train, holdout, _ = attacks.parts(table, seed)
    generator = wg.fit(train, wg.Budget(epsilon=1), family="copula").generator
    made = generator.draw(len(train), seed=seed)
    found: dict[str, object] = {"part": "gates", "table": table, "seed": seed, "patients": len(train)}
    for who, synthetic in (("copula", made), ("leak", leak(train, made, seed=Seed(seed)))):
        findings = measure(
            Patients(train, holdout, synthetic), target=target_of(train.schema, None), epsilon=1.0, delta=_DELTA,
            seed=Seed(seed),
        )  # fmt: skip
        numbers = internal_numbers(findings, generator)
        for name in POLICIES:
            policy = Policy.load(name)
            gates = [gate for gate in policy.limits if gate != "public utility"]
            judgements = judged(numbers, policy, gates=gates)
            found[f"{who}, {name}"] = {
                "refused": bool(reasons(judgements, policy)),
                "failed": sorted({one.gate for one in judgements if one.verdict == "fail"}),
                "unjudged": sorted({one.gate for one in judgements if one.verdict == "unjudged"}),
            }
    return found


def _times() -> list[dict[str, object]]:
    what = {"battery": "attacks", "time": "dossier"}
    return [
        {"what": what[one["part"]], **{name: value for name, value in one.items() if name not in ("part", "seed")}}
        for one in _known()
        if one["part"] in what
    ]


def _gates() -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    runs = [one for one in _known() if one["part"] == "gates"]
    for table in dict.fromkeys(one["table"] for one in runs):
        mine = [one for one in runs if one["table"] == table]
        for who in ("copula", "leak"):
            for name in POLICIES:
                each = [one[f"{who}, {name}"] for one in mine]
                failed = Counter(gate for one in each for gate in one["failed"])
                rows.append({
                    "what": f"gates, {name}", "table": table, "patients": mine[0]["patients"],
                    "generator": "copula, epsilon 1" if who == "copula" else "with 30 % copies",
                    "held back": f"{sum(one['refused'] for one in each)} of {len(each)}",
                    "failed gates": ", ".join(f"{gate} {count}" for gate, count in failed.items()) or "none",
                    "gates without power": f"{np.mean([len(one['unjudged']) for one in each]):.1f}",
                })  # fmt: skip
    return rows


def _known() -> list[dict]:
    if not DONE.is_file():
        return []
    return [json.loads(line) for line in DONE.read_text(encoding="utf-8").splitlines()]


def _note(one: dict[str, object]) -> None:
    DONE.parent.mkdir(parents=True, exist_ok=True)
    with DONE.open("a", encoding="utf-8") as file:
        file.write(json.dumps(one) + "\n")
    print(*(f"{key}={value}" for key, value in one.items()), flush=True)


_PARTS: dict[str, Callable[[str, int], dict[str, object]]] = {
    "battery": _timed_battery, "time": _timed, "gates": _judged,
}  # fmt: skip


if __name__ == "__main__":
    main()

"""What a mixture of hospitals' generators is good for, beside each hospital's own and one trained on all patients.

    python benchmarks/combine.py --parts heart trial --seeds 3
    python benchmarks/combine.py --parts scale
    python benchmarks/combine.py --show

`heart`: the four hospitals of the UCI heart disease data, as they are. `trial`: a simulated SPRINT-like trial, cut
into ten hospitals of uneven size with another case mix each: of every fifth of the baseline pressure, the hospitals
get shares drawn from a Dirichlet distribution. `large`: that trial with ten times as many patients, for the ways that
need many; classifiers see 10,000 of them and are asked about all hold-outs together alone. Each hospital sets 30 % of
its patients aside. Classifiers are taught by as many synthetic patients as all training parts have together and
judged on the hold-outs (mean of logistic regression, random forest and gradient boosting: area under the ROC curve;
SE over seeds). `own` is each hospital's own hold-out, averaged over hospitals whose hold-out has at least ten
patients of each class; `all` is the hold-outs together. `local` is the mean over hospitals of what each one's own
generator teaches. `images`: six kinds of images over three hospitals, two kinds each; accuracy of a small network on
held-out images of all six. `scale`: 200 generators in a tree of four levels, each fitted to the patients of a
simulated hospital of its own, with an epsilon of its own; `combine` makes the topmost file, `all 25 files of the tree`
once everything from the hospitals' files on; seconds on the clock, and of the processor, which other
work on the machine lengthens less; the least of five. `rows/s` are rows for each second of the processor.
"""

from __future__ import annotations

import argparse
import contextlib
import math
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean

import numpy as np
import pandas as pd

import datasets
import image_data
import wardgan as wg
from common import OUT, kept, markdown, note, save, spread
from wardgan.combining.pooling import survey
from wardgan.combining.tables import write_tables
from wardgan.errors import PlanError
from wardgan.evaluate.images.draws import SIDE
from wardgan.evaluate.images.nets import classifier
from wardgan.evaluate.images.sets import shrunk
from wardgan.evaluate.images.taught import STEPS
from wardgan.evaluate.utility import ask_classifiers
from wardgan.models.anchor.answered import Answered, answered
from wardgan.models.anchor.survey import Survey
from wardgan.models.base import Run
from wardgan.privacy.ledger import Ledger
from wardgan.privacy.records import Records
from wardgan.rng import Seed
from wardgan.schema.cohort import Cohort
from wardgan.schema.image_cohort import ImageCohort
from wardgan.seal.artifact import release
from wardgan.simulate.sprint import SPRINT_SCHEMA, sprint_like
from wardgan.simulate.world import World

DONE = OUT / "combine.jsonl"
EPSILONS = ("1", "3", "none")
HOSPITALS = 10
PATIENTS = 6_000
MANY = 60_000
TAUGHT = 10_000
FEWEST = 10
MODELS = ("logistic regression", "random forest", "gradient boosting")
_ASIDE = 0.3
_OVERRIDE = "benchmark: nobody's data"
Row = dict[str, object]


@dataclass(frozen=True)
class Hospital:
    """One hospital's patients.

    Attributes:
        name: Of the hospital.
        train: Those who are trained on.
        held: Those who were set aside.
    """

    name: str
    train: pd.DataFrame
    held: pd.DataFrame


@dataclass(frozen=True)
class Case:
    """Hospitals with a common schema.

    Attributes:
        schema: What all patients obey; its population is that of all training parts.
        label: What classifiers learn.
        hospitals: They.
        large: Whether classifiers see a part of the patients, and hospitals are not judged one by one.
    """

    schema: wg.Schema
    label: str
    hospitals: list[Hospital]
    large: bool = False

    def lacking(self, methods: tuple[str, ...], epsilon: str, known: set[str]) -> bool:
        """Tells whether some of the methods that suit it were not measured."""
        idle = {REAL} if epsilon != "none" else set()
        return not known.issuperset(set(methods) - idle - (set(_EACH) if self.large else set()))


def main() -> None:
    """Runs what is asked for, or shows what is done."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", default=["heart", "trial"], choices=[*CASES, "images", "scale"])
    parser.add_argument("--epsilon", nargs="+", default=list(EPSILONS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--show", action="store_true", help="print the tables of what is done")
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    if not asked.show:
        _run(asked)
    rows = [
        *_rows(),
        *pairs(kept(DONE), DISTILLATE, "mixture, size", "distillate minus its teacher"),
        *_image_rows(),
        *(one for one in kept(DONE) if one["part"] == "scale"),
    ]
    print(markdown(rows))
    print(save("combine", rows, asked.out, seeds=asked.seeds, runs=kept(DONE)))


def _run(asked: argparse.Namespace) -> None:
    done = {(one["part"], one.get("epsilon"), one.get("seed"), str(one.get("method"))) for one in kept(DONE)}
    for part in asked.parts:
        if part == "scale":
            note(DONE, _scale())
            continue
        epsilons = ["10"] if part == "images" else asked.epsilon
        tasks = [(epsilon, seed) for seed in range(asked.seeds) for epsilon in epsilons]
        for epsilon, seed in tasks:
            known = {method for *where, method in done if where == [part, epsilon, seed]}
            for found in _found(part, epsilon, seed, known):
                note(DONE, {"part": part, "epsilon": epsilon, "seed": seed, **found})


def _found(part: str, epsilon: str, seed: int, known: set[str]) -> Iterator[Row]:
    if part == "images":
        if not known:
            yield _images(seed)
        return
    case = CASES[part](seed)
    for methods, measure in _WAYS.items():
        if case.lacking(methods, epsilon, known):
            with tempfile.TemporaryDirectory() as folder:
                for method, found in measure(case, epsilon, seed, Path(folder)):
                    if method not in known:
                        yield {"method": method, **found}


def _heart(seed: int) -> Case:
    found = datasets.load("uci_heart")
    whole = wg.read(found.table, found.schema, invalid="clip").wide().drop(columns="patient_id", errors="ignore")
    declared = found.schema.to_dict()
    declared.pop("patient", None)
    declared["table"] = {name: column for name, column in declared["table"].items() if name != "site"}
    parts = {str(name): rows.drop(columns="site") for name, rows in whole.groupby("site", observed=True)}
    return _case(declared, "disease", parts, seed)


def _trial(seed: int, patients: int = PATIENTS) -> Case:
    schema = wg.Schema.from_dict(SPRINT_SCHEMA)
    rows = wg.read(sprint_like(patients, seed=Seed(seed)), schema)
    wide = rows.wide()
    numbers = np.random.default_rng(seed)
    first = next(name for name in wide.columns if str(name).startswith("sbp@"))
    fifth = pd.qcut(wide[first], 5, labels=False).to_numpy()
    hospital = np.empty(len(wide), dtype=int)
    for part in range(5):
        mine = fifth == part
        hospital[mine] = numbers.choice(HOSPITALS, mine.sum(), p=numbers.dirichlet(np.ones(HOSPITALS)))
    frame = rows.frame()
    which = pd.Series(hospital, index=rows.patients)
    theirs = frame[str(schema.patient)].map(which)
    parts = {f"hospital {at}": frame.loc[theirs == at] for at in range(HOSPITALS)}
    return _case(schema.to_dict(), "arm", parts, seed)


def _large(seed: int) -> Case:
    return replace(_trial(seed, MANY), large=True)


CASES: dict[str, Callable[[int], Case]] = {"heart": _heart, "trial": _trial, "large": _large}


def _case(declared: dict[str, object], label: str, parts: dict[str, pd.DataFrame], seed: int) -> Case:
    schema = wg.Schema.from_dict(declared)
    hospitals = []
    for name, rows in parts.items():
        people = rows[schema.patient] if schema.patient else pd.Series(rows.index, index=rows.index)
        names = people.unique()
        aside = set(np.random.default_rng([seed, len(hospitals)]).permutation(names)[: round(_ASIDE * len(names))])
        held = people.isin(aside)
        train, test = rows.loc[~held].reset_index(drop=True), rows.loc[held].reset_index(drop=True)
        hospitals.append(Hospital(name, train, test))
    return Case(schema, label, hospitals)


def _mixed(case: Case, epsilon: str, seed: int, home: Path) -> Iterator[tuple[str, Row]]:
    """Yields what the hospitals' own generators teach, their mixtures, and what learned from a mixture."""
    files = [_file(case, one.train, one.name, epsilon, home) for one in case.hospitals]
    size = _size(case)
    lost = sum(file is None for file in files)
    if not case.large:
        local = [_judged(case, file, size, seed, at) for at, file in enumerate(files) if file is not None]
        own, every = ([one[name] for one in local] for name in ("of own", "all"))
        yield "local", {"own": _mean(own), "all": _mean(every), "refused": lost}
    members = [file for file in files if file is not None]
    for weights in ("size",) if case.large else ("size", "uniform"):
        begun = time.perf_counter()
        made = wg.combine(members, home / f"{weights}.hgan", weights=weights, overlap=1)
        found = _judged(case, made.path, size, seed)
        seconds = time.perf_counter() - begun
        yield f"mixture, {weights}", {**_picked(found), "seconds": seconds, "refused": lost}
    if case.large:
        return
    begun = time.perf_counter()
    override = None if epsilon != "none" else _OVERRIDE
    pupil = wg.distill(home / "size.hgan", home / "pupil.hgan", seed=seed, judge=False, override=override)
    seconds = time.perf_counter() - begun
    yield DISTILLATE, {
        **_picked(_judged(case, pupil.path, size, seed)), "seconds": seconds, "refused": lost,
        "bytes": pupil.sizes[1], "bytes of the mixture": pupil.sizes[0],
    }  # fmt: skip


def _together(case: Case, epsilon: str, seed: int, home: Path) -> Iterator[tuple[str, Row]]:
    """Yields what a generator teaches that was trained on the patients of all hospitals in one place."""
    whole = pd.concat([one.train for one in case.hospitals], ignore_index=True)
    pooled = _file(case, whole, "all", epsilon, home)
    if pooled is not None:
        yield POOLED, _picked(_judged(case, pooled, _size(case), seed))
    if epsilon == "none":
        real = _read(case, whole).wide(named=False)
        yield REAL, _picked(_scores(case, real.sample(_shown(case, len(real)), random_state=seed), seed))


def _added(case: Case, epsilon: str, seed: int, home: Path) -> Iterator[tuple[str, Row]]:
    """Yields what a generator of the sum of noisy tables teaches: questions for simulated or for similar patients."""
    yield from _pooled(case, epsilon, seed, home, "copula", (TABLES, TABLES_LIKE))


def _paired(case: Case, epsilon: str, seed: int, home: Path) -> Iterator[tuple[str, Row]]:
    """Yields the same for tables of pairs, too, where the sums can tell pairs from noise; else that none can."""
    yield from _pooled(case, epsilon, seed, home, "marginal", (PAIRS, PAIRS_LIKE))


def _pooled(
    case: Case, epsilon: str, seed: int, home: Path, family: str, methods: tuple[str, str]
) -> Iterator[tuple[str, Row]]:
    budget = None if epsilon == "none" else wg.Budget(float(epsilon))
    size = _size(case)
    largest = max(case.hospitals, key=lambda one: len(one.train))
    pilot = _file(case, largest.train, largest.name, epsilon, home)
    schema = replace(case.schema, population=None)
    for method, like in zip(methods, (None, pilot), strict=True):
        if method == methods[1] and like is None:
            continue
        # Without privacy the survey would refuse the file; these rows say that nobody is protected.
        known = like if like is None or budget else replace(wg.load(like).draw(20_000), schema=schema)
        try:
            asked = survey(
                schema, patients=size, hospitals=len(case.hospitals), budget=budget or wg.Budget(10.0), like=known,
                family=family, public=isinstance(known, Cohort),
            )  # fmt: skip
        except PlanError:
            yield method, {"refused": len(case.hospitals)}
            continue
        begun = time.perf_counter()
        made = _open_sum(case, asked, size) if budget is None else _noisy_sum(case, asked, budget, home / method)
        seconds = time.perf_counter() - begun
        found = _scores(case, made.draw(_shown(case, size), seed=seed).wide(named=False), seed)
        yield method, {**_picked(found), "seconds": seconds, "refused": 0}


def _noisy_sum(case: Case, asked: Survey, budget: wg.Budget, home: Path) -> wg.Generator | wg.Mixture:
    files = []
    for one in case.hospitals:
        run = home / one.name
        with contextlib.suppress(PlanError):  # too small for a generator of its own; its answers are complete
            # A generator of its own is not what is measured, so its training is as short as can be.
            wg.fit(_cohort(case, one), budget, family=_answering(asked, steps=1), run=run)
        files.append(write_tables(run, home / f"{one.name}.tables", training_data_id=_data(one.name)))
    return wg.load(wg.pool(files, home / "sum.hgan", overlap=1).path)


def _open_sum(case: Case, asked: Survey, size: int) -> wg.Generator:
    """Gives the generator of the sums of tables without noise, which no file would hold."""
    parts = [
        answered(Records(_cohort(case, one), Ledger(None), noise=Seed.secret()), asked) for one in case.hospitals
    ]  # fmt: skip
    sums = {name: np.sum([part.answers[name] for part in parts], axis=0) for name in parts[0].answers}
    run = Run(size, Seed(0), Seed(0), None, lambda _: None)
    made = _answering(asked).train(Answered(parts[0].layout, None, sums), run)
    schema = replace(case.schema, population=None)
    return wg.Generator(schema, asked.family, made.onnx, made.latent, made.probabilities, {"mode": "none"})


def _answering(asked: Survey, **settings: int) -> wg.CopulaConfig | wg.MarginalConfig:
    return wg.CopulaConfig(survey=asked) if asked.pairing is None else wg.MarginalConfig(survey=asked, **settings)


REAL, POOLED, DISTILLATE = "real patients", "pooled training", "distillate"
TABLES, TABLES_LIKE = "pooled tables", "pooled tables, survey like the largest, who pays twice"
PAIRS, PAIRS_LIKE = "pooled marginal", "pooled marginal, survey like the largest, who pays twice"
_EACH = ("local", "mixture, uniform", DISTILLATE)
_WAYS: dict[tuple[str, ...], Callable[[Case, str, int, Path], Iterator[tuple[str, Row]]]] = {
    ("local", "mixture, size", "mixture, uniform", DISTILLATE): _mixed,
    (POOLED, REAL): _together,
    (TABLES,): _added,
    (PAIRS,): _paired,
}


def _size(case: Case) -> int:
    return sum(len(_read(case, one.train)) for one in case.hospitals)


def _data(name: str) -> str:
    return f"patients-of-{name.replace(' ', '-')}"


def _cohort(case: Case, one: Hospital) -> wg.Cohort:
    """Gives the training part of a hospital, with its own number of patients declared."""
    count = len(_read(case, one.train))
    declared = case.schema.to_dict() | {"name": one.name, "population": int(float(f"{count:.1e}"))}
    return wg.read(one.train, wg.Schema.from_dict(declared), invalid="clip")


def _read(case: Case, rows: pd.DataFrame) -> wg.Cohort:
    return wg.read(rows, case.schema, invalid="clip")


def _file(case: Case, rows: pd.DataFrame, name: str, epsilon: str, home: Path) -> Path | None:
    """Gives the released generator of some patients; `None` if the budget is too small for so few."""
    cohort = _cohort(case, Hospital(name, rows, rows))
    private = epsilon != "none"
    try:
        trained = wg.fit(cohort, wg.Budget(float(epsilon)) if private else None, family="copula",
                         privacy="private" if private else "none")  # fmt: skip
    except PlanError:
        return None
    path = home / f"{name}.hgan"
    release(trained, path, override=None if private else _OVERRIDE, training_data_id=_data(name))
    return path


def _judged(case: Case, file: Path, size: int, seed: int, at: int | None = None) -> dict[str, float]:
    found = _scores(case, wg.load(file).draw(_shown(case, size), seed=seed).wide(named=False), seed)
    return found if at is None else {**found, "of own": found[case.hospitals[at].name]}


def _shown(case: Case, size: int) -> int:
    return min(size, TAUGHT) if case.large else size


def _scores(case: Case, taught: pd.DataFrame, seed: int) -> dict[str, float]:
    """Gives the mean area of three classifiers on each hold-out; NaN where a class has fewer than ten patients."""
    helds = {one.name: _read(case, one.held).wide(named=False) for one in case.hospitals}
    helds["all"] = pd.concat(helds.values(), ignore_index=True)
    found = {}
    if case.large:
        helds = {"all": helds["all"]}
    for name, held in helds.items():
        counts = np.unique(held[case.label].astype(str), return_counts=True)[1]
        if len(counts) < 2 or int(counts.min()) < FEWEST:
            found[name] = math.nan
            continue
        answers = ask_classifiers(taught, held, target=case.label, seed=Seed(seed), models=MODELS)
        found[name] = mean(one.score().auroc for one in answers.values())
    return found


def _picked(found: dict[str, float]) -> Row:
    each = [value for name, value in found.items() if name != "all"]
    return {**({"own": _mean(each)} if each else {}), "all": found["all"]}


def _mean(values: list[float]) -> float:
    kept = [value for value in values if not math.isnan(value)]
    return mean(kept) if kept else math.nan


# --- images -----------------------------------------------------------------------------------------------------------


def _images(seed: int) -> Row:
    """Gives how many kinds of images are recognised whose makers each knew two of six."""
    train, held = image_data.cohorts("six modalities", seed)
    kinds = held.schema.classes
    with tempfile.TemporaryDirectory() as folder:
        home, members = Path(folder), []
        for at in range(0, kinds, 2):
            mine = train.take(np.flatnonzero(np.isin(train.classes, (at, at + 1))))
            declared = mine.schema.to_dict() | {"name": f"hospital {at}", "population": len(mine)}
            cohort = replace(mine, schema=wg.Schema.from_dict(declared))
            path = home / f"h{at}.hgan"
            release(wg.fit(cohort, wg.Budget(10.0)), path, training_data_id=f"patients-of-{at}")
            members.append(path)
        files = {"local": members[0], "mixture, size": wg.combine(members, home / "all.hgan", overlap=1).path}
        return {"method": "three hospitals, two kinds of images each", **{
            f"accuracy, {name}": _recognised(file, held, len(train), seed) for name, file in files.items()
        }}  # fmt: skip


def _recognised(file: Path, held: ImageCohort, count: int, seed: int) -> float:
    drawn = wg.load(file).images(count, seed=seed)
    levels = [str(level) for level in held.schema.table[0].levels]
    labels = np.array([levels.index(one) for one in drawn.labels["kind"]])
    network = classifier(shrunk(drawn.pixels, SIDE), labels, len(levels), steps=STEPS, seed=Seed(seed))
    return float((network(shrunk(held.pixels, SIDE)).argmax(axis=1) == held.labels["kind"]).mean())


# --- 200 hospitals ----------------------------------------------------------------------------------------------------


def _scale() -> Row:
    """Measures a tree of 200 generators, five of ten in each of four nations, and one generator beside it."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        level = [home / f"h{at:03}.hgan" for at in range(200)]
        for at, path in enumerate(level):
            release(
                wg.fit(_simulated(at), wg.Budget(1 + at / 200), family="copula"), path, training_data_id=f"data-{at:06}"
            )
        alone, begun = level[0], time.perf_counter()
        for name, size in (("region", 10), ("nation", 5)):
            groups = [level[at : at + size] for at in range(0, len(level), size)]
            level = [_joined(group, home / f"{name}{at}.hgan").path for at, group in enumerate(groups)]
        world = _joined(level, home / "world.hgan").path
        row: Row = {"part": "scale", "method": "200 hospitals, 4 levels"}
        row["all 25 files of the tree s"] = round(time.perf_counter() - begun, 2)
        for what, work in (
            ("combine", lambda: _joined(level, world)),
            ("inspect", lambda: wg.inspect(world)),
            ("load and first 100", lambda: wg.load(world).sample(100, seed=1)),
        ):
            clock, processor = (min(times) for times in zip(*(_took(work) for _ in range(5)), strict=True))
            row |= {f"{what} s": round(clock, 2), f"{what}, processor s": round(processor, 2)}
        whole, one = wg.load(world), wg.load(alone)
        for each in (whole, one):
            _drawn(each, 200_000)
        pairs = [
            (_took(lambda: _drawn(whole, 1_000_000))[1], _took(lambda: _drawn(one, 1_000_000))[1]) for _ in range(5)
        ]
        row["rows/s"] = round(1e6 / float(np.median([ours for ours, _ in pairs])))
        row["rows/s of one alone"] = round(1e6 / float(np.median([theirs for _, theirs in pairs])))
        row["ratio"] = round(float(np.median([theirs / ours for ours, theirs in pairs])), 2)
    return row


def _simulated(at: int) -> wg.Cohort:
    """Gives 2,000 patients of one hospital: its columns have shapes and links that no other hospital has."""
    table = {"arm": {"kind": "flag", "label": True}, "sex": {"kind": "category", "levels": ["m", "f"]}}
    table |= {f"x{number}": {"kind": "number", "low": -5, "high": 5, "step": 0.1} for number in range(34)}
    schema = wg.Schema.from_dict({"name": f"hospital {at}", "population": 2_000, "table": table})
    return World.of(schema, seed=Seed(at)).draw(2_000, seed=Seed(at))


def _joined(members: list[Path], path: Path) -> wg.Combined:
    wanted = tuple(wg.Wanted(member, member.stem) for member in members)
    return wg.combine(wg.Recipe(path.stem, wanted, overlap=2), path, force=True)


def _drawn(generator: wg.Generator | wg.Mixture, n: int) -> int:
    return sum(len(cohort) for cohort in generator.draws(n, seed=1))


def _took(work: Callable[[], object]) -> tuple[float, float]:
    """Gives seconds on the clock and of the processor."""
    begun = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - begun[0], time.process_time() - begun[1]


# --- tables -----------------------------------------------------------------------------------------------------------


def _rows() -> Iterator[Row]:
    groups: dict[tuple[str, str, str], list[Row]] = {}
    for one in kept(DONE):
        if one["part"] not in ("images", "scale"):
            key = str(one["part"]), str(one["epsilon"]), str(one["method"])
            groups.setdefault(key, []).append(one)
    for (part, epsilon, method), runs in groups.items():
        yield {
            "part": part, "epsilon": epsilon, "method": method, "seeds": len(runs),
            **{name: _spread(one[name] for one in runs if name in one) for name in ("own", "all")},
            "hospitals refused": round(mean(float(str(one.get("refused", 0))) for one in runs), 1),
        }  # fmt: skip


def _spread(values: Iterable[object]) -> str:
    """Gives mean and standard error; nothing where every run was refused."""
    there = [float(str(value)) for value in values]
    return spread(there) if there else ""


def pairs(runs: Iterable[Row], method: str, other: str, label: str) -> Iterator[Row]:
    """Yields how much more one method teaches than another, seed by seed.

    Args:
        runs: Of all methods.
        method: The one.
        other: What is subtracted.
        label: What the difference is called.
    """
    found = {(one["part"], one["epsilon"], one["method"], one["seed"]): one for one in runs if "seed" in one}
    for part, epsilon in dict.fromkeys((part, epsilon) for part, epsilon, name, _ in found if name == method):
        seeds = [seed for *where, seed in found if where == [part, epsilon, method]]
        more = {
            name: [
                float(str(found[part, epsilon, method, seed][name]))
                - float(str(found[part, epsilon, other, seed][name]))
                for seed in seeds
            ]
            for name in ("own", "all")
        }
        whole = more["all"]
        yield {
            "part": part, "epsilon": epsilon, "method": label, "seeds": len(seeds),
            **{name: spread(values) for name, values in more.items()}, "least": f"{min(whole):+.3f}",
            "most": f"{max(whole):+.3f}",
        }  # fmt: skip


def _image_rows() -> Iterator[Row]:
    runs = [one for one in kept(DONE) if one["part"] == "images"]
    if runs:
        names = [name for name in runs[0] if name.startswith("accuracy")]
        yield {
            "part": "images", "epsilon": "10", "method": runs[0]["method"], "seeds": len(runs),
            **{name: spread([float(str(one[name])) for one in runs]) for name in names},
        }  # fmt: skip


if __name__ == "__main__":
    main()

"""Pooling: hospitals' noisy tables are added up, and one generator is made of the sums, without a round of training."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, cast

import numpy as np
from numpy.typing import NDArray

from wardgan import check, files
from wardgan.combining.agreement import terms_of
from wardgan.combining.distilling import check_revoked
from wardgan.combining.loading import open_file
from wardgan.combining.notices import of_signature
from wardgan.combining.tables import Tables, names_of, read_tables
from wardgan.combining.tree import facts_behind
from wardgan.encode.layout import Layout
from wardgan.encode.units import classes_of, encode, to_codes
from wardgan.errors import GateError, PlanError, TrustError, UsageError, counted
from wardgan.models.anchor.anchor import Anchor, bins_for, check_feasible, groups_for, make_survey, measure_anchor
from wardgan.models.anchor.answered import LABELS, PAIRS, Answered
from wardgan.models.anchor.grid import ATOM
from wardgan.models.anchor.survey import Survey, as_one, declared
from wardgan.models.base import Network, Run, Watcher
from wardgan.models.copula.config import copula_of
from wardgan.models.marginal.config import MarginalConfig
from wardgan.models.pairs.choice import pairing_of
from wardgan.models.pairs.settings import affordable
from wardgan.models.planning import plan as planned
from wardgan.privacy.events import Budget, Event
from wardgan.privacy.image_queries import ImageQuery
from wardgan.privacy.plan import Plan, solve
from wardgan.privacy.queries import Query
from wardgan.privacy.union import Bounds
from wardgan.rng import Seed
from wardgan.sample.generator import Generator
from wardgan.schema.cohort import Cohort, joined
from wardgan.schema.columns import Column
from wardgan.schema.schema import Schema
from wardgan.seal import joint
from wardgan.seal.artifact import day_of, packed
from wardgan.seal.joint import Named
from wardgan.seal.json_text import parse
from wardgan.seal.reading import Signature, opened
from wardgan.simulate.world import World

_SIMULATED: Final = 20_000
_WORLDS: Final = 8
_ALIKE: Final = 0.9
_NAMED: Final = 5
_CAP: Final = 64 << 20
POOLED: Final = ("copula", "marginal")


@dataclass(frozen=True)
class Pooled:
    """What came of pooling.

    Attributes:
        path: The file.
        bounds: What the hospitals' ledgers cost one patient together.
        patients: About how many patients there are, by the noisy tables.
        hospitals: Their names.
        signers: By name of the hospital, who signed its tables.
        notices: What a person should know.
    """

    path: Path
    bounds: Bounds
    patients: int
    hospitals: tuple[str, ...]
    signers: Mapping[str, Signature]
    notices: tuple[str, ...]


def survey(  # noqa: PLR0913 - what a survey may be made for, in one place
    schema: Schema, *, patients: int, hospitals: int, budget: Budget, like: str | Path | Cohort | None = None,
    trust: str | Path | None = None, revoked: Sequence[str] = (), seed: int = 0, family: str = "copula",
    public: bool = False,
) -> Survey:  # fmt: skip
    """Gives the questions that all hospitals shall answer, from public facts alone.

    Args:
        schema: The declarations that all hospitals share.
        patients: About how many patients all of them have together, in public.
        hospitals: How many they are.
        budget: What each will spend; it decides how many bins the sums can afford.
        like: File of a released generator of about the same patients: bins and scores are made for its synthetic
            patients, and its ledgers are written into the survey, since whoever answers is asked once more. Or patients
            who are `public`. `None`: for simulated patients of several populations, by the declared bounds and levels.
        trust: Trust file: then `like` must be signed by a key in it.
        revoked: Digests of releases that must not be used any more.
        seed: Of the simulated patients.
        family: `copula`, or `marginal`: then the tables of some pairs of variables are asked for, too: as many as the
            sums can tell from noise, and those of which a copula of the public patients says least.
        public: Whether anybody may see the patients of the cohort `like`. A cohort does not say whose patients it
            holds, and nobody is billed for it, so whoever hands it over must say so.

    Raises:
        UsageError: The schema declares images, or a number is none; `like` has other columns, or is no cohort that
            could be `public`; hardly any simulated patient obeys the rules.
        SchemaError: Bounds or levels are not declared.
        PlanError: The budget is too small, for all or for tables of pairs; or no other family can be pooled.
        GateError: Nothing protects the patients behind `like`, so that the survey would tell of them; or it is a
            cohort, and nobody says that it is `public`.
        TrustError: The signature of `like` is missing, unknown or wrong, or it was revoked.

    Example:
        >>> table = {"age": {"kind": "integer", "low": 18, "high": 99}, "ill": {"kind": "flag", "label": True}}
        >>> survey(Schema.from_dict({"name": "x", "table": table}), patients=900, hospitals=3, budget=Budget(1.0))
        Survey(1 variables, sha256:...)
    """
    check.whole(1, patients=patients, hospitals=hospitals)
    if family not in POOLED:
        raise PlanError(f"family={family!r} has no tables that add up; take {' or '.join(POOLED)}.")
    if schema.images is not None:
        raise UsageError(f"schema={schema.name!r} declares images; their tables cannot be pooled, combine generators.")
    whole = replace(schema, population=None)
    ledgers: tuple[Named, ...] = ()
    if public and not isinstance(like, Cohort):
        raise UsageError("public=True is said of a cohort that is given as like; a file says itself what protects it.")
    if like is None:
        known = _simulated(whole, Seed(seed))
    elif isinstance(like, Cohort):
        known = _declared_public(like, public=public)
    else:
        known, ledgers = _pilot(like, schema, trust, revoked)
    answers = _Public(Layout.of(whole), known)
    each = planned(replace(schema, population=as_one(patients, hospitals)), budget, family="copula")
    count = 0 if family == "copula" else _pairs(answers.layout, budget, patients, hospitals)
    if count:
        each = solve(budget, MarginalConfig().at_once(answers.layout), population=each.population, family=family)
    noise = _noise_of_sums(each, LABELS, len(answers.layout), hospitals)
    made = make_survey(
        answers, bins=bins_for(patients, schema.classes, noise), groups=groups_for(patients, schema.classes, noise),
        patients=patients, hospitals=hospitals,
    )  # fmt: skip
    if count:
        anchor = measure_anchor(answers, population=patients, survey=made)
        noise = _noise_of_sums(each, PAIRS, count, hospitals)
        made = replace(made, pairing=pairing_of(answers, anchor, count=count, patients=patients, noise=noise))
    made.check(answers.layout)  # here, not only where the hospitals read it
    return replace(made, like=tuple(map(joint.site_of, ledgers)))


def _simulated(schema: Schema, seed: Seed) -> Cohort:
    """Gives patients of many simulated populations: one alone fills a part of the bounds where others have nobody."""
    seeds = [Seed(int(seed.stream("worlds", at).integers(1 << 62))) for at in range(_WORLDS)]
    return joined([World.of(schema, seed=one).draw(_SIMULATED // _WORLDS, seed=one) for one in seeds])


def _declared_public(like: Cohort, *, public: bool) -> Cohort:
    """Gives patients of whom somebody says that they are public; a cohort does not tell who is in it."""
    if not public:
        raise GateError(
            ["like is a cohort, and nothing tells whether its patients are public: a survey for private ones would "
             "tell of them, and no ledger would know. Give the file of a released generator of them, whose bill is "
             "counted; or say public=True if anybody may see them."]
        )  # fmt: skip
    return like


def _noise_of_sums(each: Plan, event: str, tables: int, hospitals: int) -> float:
    """Gives the standard deviation of a count in the sums; a patient is in one cell of each table."""
    return cast("float", each.event(event).noise_multiplier) * math.sqrt(tables * hospitals)


def _pairs(layout: Layout, budget: Budget, patients: int, hospitals: int) -> int:
    """Gives how many pairs the sums can tell from noise."""
    shares = MarginalConfig().at_once(layout)
    check_feasible(layout, budget, as_one(patients, hospitals), shares=shares)
    part = next(one.weight for one in shares if one.name == PAIRS) / sum(one.weight for one in shares)
    found = affordable(layout, budget, part=part, patients=as_one(patients, hospitals))
    if not found:
        raise PlanError(
            f"family='marginal': with epsilon={budget.epsilon:g}, {patients} patients and "
            f"{counted(hospitals, 'hospital')} too few tables of pairs could be told from their noise. Take "
            "family='copula', a larger epsilon, or more patients."
        )
    return found


def read_survey(path: str | Path, schema: Schema) -> Survey:
    """Reads a survey from a file.

    Args:
        path: The file.
        schema: Declarations that it must be about.

    Raises:
        UsageError: The file cannot be read.
        FormatError: It is none, or it is about other declarations.
    """
    try:
        with opened(path) as file:
            data = file.read(_CAP + 1)
    except OSError as error:
        raise UsageError(f"survey={str(path)!r} cannot be read: {error.strerror or error}.") from error
    found = Survey.of_dict(parse(data, what="survey", cap=_CAP), Layout.of(schema))
    for one in found.like:
        joint.site_in(one, "survey: like")
    return found


def _pilot(
    model: str | Path, schema: Schema, trust: str | Path | None, revoked: Sequence[str]
) -> tuple[Cohort, tuple[Named, ...]]:
    """Gives synthetic patients of a released generator under a schema with the same columns, and what is behind it."""
    found = open_file(model, trust, required=trust is not None)
    leaves = [(found.digest, found.facts)] if found.facts is not None else []
    leaves += [] if found.node is None else facts_behind(found.node)
    check_revoked(found, revoked)
    if found.privacy.mode == "none":
        raise GateError(
            [f"like={str(model)!r} is NOT PRIVATE, and bins that are made for its patients tell of real ones; take a "
             "private one, or none: then they are made for simulated patients."]
        )  # fmt: skip
    generator = found.generator
    if declared(replace(generator.schema, population=None)) != declared(replace(schema, population=None)):
        raise UsageError(f"like={str(model)!r} has other columns, bounds, levels or visits than the schema.")
    ledgers = [
        one
        for digest, facts in leaves
        for one in joint.named(digest, facts.card.name, facts.card.training_data_id, facts.ledger)
    ]
    cohort = replace(generator.draw(_SIMULATED), schema=replace(schema, population=None))
    return cohort, tuple(ledgers)


@dataclass(frozen=True, eq=False, repr=False)
class _Public:
    """Patients whom nothing protects, such as simulated ones: they answer without noise."""

    layout: Layout
    cohort: Cohort
    plan: None = None
    private: bool = False

    def measure(self, name: str, query: Query | ImageQuery) -> NDArray[np.float64]:
        if isinstance(query, ImageQuery):
            raise UsageError(f"survey: {name!r} is a question about images; their tables cannot be pooled.")
        return query.total(encode(self.cohort, self.layout), classes_of(self.cohort))


def pool(  # noqa: PLR0913 - what pooling may be told, in one place
    tables: Sequence[str | Path], path: str | Path, *, name: str | None = None, overlap: int | None = None,
    key: str | Path | None = None, passphrase: bytes | None = None, trust: str | Path | None = None,
    revoked: Sequence[str] = (), created: str | None = None, force: bool = False, watch: Watcher | None = None,
) -> Pooled:  # fmt: skip
    """Makes one generator from the sum of hospitals' noisy tables: a copula, or with tables of pairs `marginal`.

    The noise of a sum of N hospitals is that of one, times the root of N, while its counts are N times as large: so it
    is nearer to all patients than a mixture of N generators that have each been smoothed against their own noise.

    Args:
        tables: Files of noisy tables, answers to one survey. The same ones give the same generator on one platform:
            what is trained on sums of pairs is trained with a public seed.
        path: The `.hgan` file.
        name: Of the combined data set; `None` for the name of the file.
        overlap: In how many of the hospitals one patient may be at most, as somebody who knows declares.
        key: Private key that signs the file; `None` leaves it unsigned.
        passphrase: Of the private key.
        trust: Trust file: then all tables must be signed by a key in it.
        revoked: Digests of tables that must not be used any more.
        created: Date, `YYYY-MM-DD`; `None` for `$SOURCE_DATE_EPOCH`, or today.
        force: Whether an existing file may be replaced.
        watch: Is told of progress.

    Raises:
        UsageError: There are fewer than two, they answer different surveys, or the same patients are there twice.
        PlanError: By the noisy counts there are too few patients.
        GateError: Together they cost so much that nothing is protected.
        FormatError: A file is none, or is damaged.
        TrustError: A signature is missing, unknown or wrong, or tables were revoked.
        OutputError: The file exists, or cannot be written.
    """
    files.check_new(path, force=force)
    day = day_of(created)
    found = [read_tables(one, trust=trust) for one in tables]
    _check_together(found, frozenset(revoked))
    names = names_of(found)
    ledgers = [replace(one.behind, name=called) for one, called in zip(found, names, strict=True)]
    # Who answers a survey that was made for a pilot's patients may be one of them.
    ledgers += [joint.site_in(one, "survey") for one in found[0].survey.like]
    bounds = joint.bounds_of(ledgers, overlap=overlap)
    claim = joint.claim(bounds)
    if claim["mode"] == "none":
        raise GateError(["Together the tables cost more than an epsilon that protects anybody; declare an overlap."])
    generator, anchor = pooled(found, name or Path(path).stem, claim, watch)
    patients = round(anchor.patients)
    ledger = joint.ledger_of(
        ledgers, claim, how="pooled", of=found[0].survey.digest, overlap=overlap, family=generator.family
    )
    data = packed(generator, ledger, day, key=key, passphrase=passphrase, data_id=joint.data_id(ledgers))
    files.write_bytes(path, data, force=force)
    signers = {one: each.signature for one, each in zip(names, found, strict=True)}
    notices = [*_of_tables(found, signers, patients), *_of_survey(found, ledgers[len(found) :])]
    notices += _of_bins(anchor, found[0].survey)
    return Pooled(Path(path), bounds, patients, tuple(names), signers, tuple(notices))


def _of_tables(found: Sequence[Tables], signers: Mapping[str, Signature], patients: int) -> list[str]:
    """Gives what a person should know of the tables: who signed them, who is missing, and whose terms apply."""
    notices = [text for name, each in signers.items() for text in of_signature(f"tables of {name}", each)]
    asked = found[0].survey
    if len(found) < asked.hospitals:
        notices.append(
            f"The survey was made for {counted(asked.hospitals, 'hospital')} with about {asked.patients:,} patients; "
            f"here are the tables of {len(found)}, with about {patients:,}. If more come later, add all up anew."
        )
    return notices + terms_of([one.schema for one in found])[1]


def _of_survey(found: Sequence[Tables], ledgers: Sequence[Named]) -> list[str]:
    """Gives what a person should know of those for whose generator the survey was made."""
    told = {one.patients for one in found}
    return [
        f"{one.name}: the survey was made for its generator, whose bill is counted. If its patients answered again, "
        "that is known only if both name them alike (--data-id); or declare an overlap of 2."
        for one in ledgers if one.patients not in told
    ]  # fmt: skip


def _of_bins(anchor: Anchor, asked: Survey) -> list[str]:
    """Says of which numbers nearly all patients are in one bin, by the noisy sums: such a survey asks in vain."""
    found: Counter[str] = Counter()
    for at, (variable, levels) in enumerate(zip(anchor.layout.variables, anchor.levels, strict=True)):
        if not levels.edges:
            continue
        shares = anchor.probabilities @ anchor.values(at)
        borders, most = (0.0, *levels.edges, 1.0), int(shares.argmax())
        if shares[most] > _ALIKE and not _one_value(borders[most], borders[most + 1], variable.column):
            found[variable.column.name] += 1
    if not found:
        return []
    names = [name if count == 1 else f"{name} ({count} visits)" for name, count in found.items()]
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    like = "" if asked.like else "a survey that is made for patients like theirs (--like, like=), or "
    return [
        f"{', '.join(names[:_NAMED])}{more}: by the noisy tables more than {100 * _ALIKE:.0f} % of the values are in "
        "one bin of the survey, so the generator knows little of how they differ. If that matters, let all hospitals "
        f"answer {like}one with narrower bounds."
    ]


def _one_value(low: float, high: float, column: Column) -> bool:
    """Whether a bin holds one value only, such as a spike, so that nothing more could be told apart in it."""
    if high - low <= 2 * ATOM:
        return True
    first, last = to_codes(np.array([low + ATOM, high - ATOM]), column).tolist()
    return first == last


def pooled(
    tables: Sequence[Tables], name: str, claim: Mapping[str, object], watch: Watcher | None = None
) -> tuple[Generator, Anchor]:
    """Gives the generator of the sums, and the copula of them.

    Args:
        tables: Answers to one survey.
        name: Of the combined data set.
        claim: Its guarantee.
        watch: Is told of progress.

    Raises:
        PlanError: By the noisy counts there are too few patients.
    """
    first = tables[0]
    sizes = [one.ledger.population for one in tables]
    known = [size for size in sizes if size is not None]
    population = sum(known) if len(known) == len(sizes) else None
    terms, _ = terms_of([one.schema for one in tables])
    schema = replace(first.schema, name=name, population=population, terms=terms, confirm=())
    sums = {event: np.sum([one.answers[event] for one in tables], axis=0) for event in first.answers}
    budget = Budget(max(one.ledger.epsilon or 0.0 for one in tables), max(one.ledger.delta or 0.0 for one in tables))
    events = tuple(_sum_of([_event(one, event) for one in tables]) for event in first.answers)
    survey = first.survey
    answers = Answered(Layout.of(schema), Plan(budget, events, schema.population, survey.family), sums)
    # Only numbers of bins hang on the number of patients, and those the survey has fixed.
    anchor = measure_anchor(answers, population=survey.patients, survey=survey)
    made = copula_of(anchor) if survey.pairing is None else _taught(survey, answers, anchor, watch or (lambda _: None))
    generator = Generator(schema, survey.family, made.onnx, made.latent, made.probabilities, claim)
    return generator, anchor


def _taught(survey: Survey, answers: Answered, anchor: Anchor, watch: Watcher) -> Network:
    """Gives the network that the sums teach. Its seed is public: all noise is in the answers already."""
    from wardgan.models.marginal.train import taught

    run = Run(survey.patients, Seed(0), Seed(0), None, watch)
    return taught(MarginalConfig(), survey, answers, anchor, run)


def _sum_of(events: Sequence[Event]) -> Event:
    """Gives the noise of a sum: variances of independent noise add up."""
    noise = math.sqrt(sum(cast("float", one.noise_multiplier) ** 2 for one in events))
    return replace(events[0], noise_multiplier=noise)


def _event(one: Tables, name: str) -> Event:
    found = next(event for event in one.ledger.events if event.name == name)
    return Event.from_dict(found.model_dump(exclude_none=True))


def _check_together(tables: Sequence[Tables], revoked: frozenset[str]) -> None:
    if len(tables) < 2:
        raise UsageError("tables: one hospital alone needs no pooling; name the files of at least two.")
    for one in tables:
        if one.digest in revoked:
            raise TrustError(f"{one.digest[:23]}... was revoked by its publisher; leave it out.")
        _check_alike(one, tables[0])
    # Noise never falls twice in the same way: equal answers are those of one run, whatever its patients are called.
    for what in (lambda one: one.patients, lambda one: one.answers[LABELS].tobytes()):
        seen: dict[object, str] = {}
        for one in tables:
            if what(one) in seen:
                raise UsageError(
                    f"tables: {seen[what(one)]!r} and {one.schema.name!r} are about the same patients; leave one out."
                )
            seen[what(one)] = one.schema.name


def _check_alike(one: Tables, first: Tables) -> None:
    if one.survey.digest != first.survey.digest:
        raise UsageError(
            f"tables: {one.schema.name!r} and {first.schema.name!r} answered different surveys; answers to different "
            "questions cannot be added."
        )
    if one.schema.rules != first.schema.rules:
        raise UsageError(f"tables: {one.schema.name!r} declares other rules than {first.schema.name!r}.")
    if set(one.answers) != set(first.answers):
        raise UsageError(f"tables: {one.schema.name!r} answered other questions than {first.schema.name!r}.")

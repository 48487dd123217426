"""From a cohort to a generator."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import asdict, is_dataclass, replace
from pathlib import Path
from typing import Final, Literal, cast

import numpy as np
from numpy.typing import NDArray

from wardgan import check
from wardgan.encode.layout import Layout
from wardgan.encode.units import classes_of
from wardgan.errors import (
    DataError,
    FormatError,
    OutputError,
    PlanError,
    UsageError,
    WardganError,
)
from wardgan.files import locked
from wardgan.models import family_config
from wardgan.models.base import LEDGER, TRAINED, Config, Progress, Run, Trained, Watcher, forget
from wardgan.models.planning import COUNT, check_kind, check_texts, config_of, plan
from wardgan.privacy.accounts.slip import SLIP
from wardgan.privacy.accounts.spending import Account, Spending, account_of, entered
from wardgan.privacy.events import NEIGHBOURS, UNIT, Budget
from wardgan.privacy.learn import as_learned, learn
from wardgan.privacy.ledger import Ledger
from wardgan.privacy.plan import with_population
from wardgan.privacy.queries import PatientCount
from wardgan.privacy.records import Records, admit
from wardgan.rng import Seed
from wardgan.sample.generator import Generator
from wardgan.schema.cohort import Cohort
from wardgan.schema.image_cohort import AnyCohort, ImageCohort
from wardgan.schema.schema import Schema

Privacy = Literal["private", "none"]
Enter = Callable[[Ledger], AbstractContextManager[Spending]]
DIGEST: Final = "cohort.sha256"
SCHEMA: Final = "schema.json"


def fit(  # noqa: PLR0913 - what a fit may be told, in one place
    cohort: AnyCohort, budget: Budget | None = None, *, family: str | Config = "auto", privacy: Privacy = "private",
    seed: int | None = None, run: str | Path | None = None, resume: bool = False, watch: Watcher | None = None,
    accounts: str | Path | Account | None = None,
) -> Trained:  # fmt: skip
    """Trains a generator on a cohort, and bills every touch of its patients.

    Args:
        cohort: The patients.
        budget: How much may be given away about one patient; needed unless `privacy="none"`.
        family: `copula`, `marginal`, `tabgan`, `acgan`, for images `imagegan`, a configuration of one of them, or
            `auto`: with a budget `copula`; without privacy `marginal` for tables of at least 500 patients.
        privacy: `private`, or the explicit word `none` for a generator without any protection.
        seed: Replays the fit, noise included: a rehearsal that cannot be released as private. `None`: real noise.
        run: A folder that stays on site, for the ledger, answers and checkpoints.
        resume: Whether to go on with the run in that folder.
        watch: Is told of progress.
        accounts: The institution's ledger (`ledger.db`), which adds up all fits of these patients; an `Account` also
            says which patients they are. `None`: the fit is entered nowhere, as suits simulated patients. A run that
            was entered goes on in its ledger.

    Returns:
        The generator and the ledger.

    Raises:
        SchemaError: Bounds, levels or confirmations are missing.
        PlanError: The budget is too small, or the noisy counts say that there are too few patients.
        BudgetError: A resumed run has lost an answer that was already paid for; or a cap of the institution's ledger
            does not allow the plan.
        DataError: A resumed run has other patients, or is finished.
    """
    check_asked(cohort, budget, privacy, seed)
    _enough(cohort, private=privacy == "private")
    folder = None if run is None else Path(run)
    account = account_of(accounts, folder, resume=resume)
    fresh = folder is not None and not folder.exists()
    with ExitStack() as held:
        if resume:
            # Held before it is read: two processes that go on with one run would both take the same steps.
            held.enter_context(locked(_stopped(folder)))
        begin = _resumed if resume else _begun
        config, ledger = begin(cohort, budget, family, replayable=seed is not None, folder=folder)
        if not resume and folder is not None:
            held.enter_context(locked(folder / LEDGER))
        try:
            spending = held.enter_context(entered(account, cohort, ledger, family=config.family, run=folder))
        except WardganError:
            if folder is not None and not resume:
                _take_back(folder, whole=fresh)
            raise
        return _fitted(cohort, config, ledger, spending, seed=seed, folder=folder, watch=watch or _nobody)


def trial(
    cohort: Cohort, budget: Budget | None, *, config: Config, seed: int | None, watch: Watcher, enter: Enter, size: int
) -> Cohort:
    """Gives synthetic patients of a generator that is thrown away: of a fit that is none, for an audit.

    The fit is that of `fit`, step by step. There is no run folder and no generator to hand on, so what was trained
    cannot be released.

    Args:
        cohort: Who is trained on.
        budget: As in `fit`; `None`: without privacy.
        config: The family.
        seed: As in `fit`.
        watch: Is told of progress.
        enter: Enters the fit, by its empty ledger, in the institution's ledger, and settles it in the end.
        size: How many synthetic patients.

    Raises:
        SchemaError: As in `fit`.
        PlanError: As in `fit`.
        BudgetError: A cap of the institution's ledger does not allow the plan.
        DataError: Without privacy, a class has no patient.
    """
    _enough(cohort, private=budget is not None)
    config, ledger = _begun(cohort, budget, config, replayable=seed is not None, folder=None)
    with enter(ledger) as spending:
        trained = _fitted(cohort, config, ledger, spending, seed=seed, folder=None, watch=watch)
    return trained.generator.draw(size, seed=seed)


def check_asked(cohort: object, budget: object, privacy: object, seed: object) -> None:
    """Refuses a fit whose arguments are of the wrong kind, or contradict each other.

    Args:
        cohort: As in `fit`.
        budget: As in `fit`.
        privacy: As in `fit`.
        seed: As in `fit`.

    Raises:
        UsageError: An argument is of the wrong kind.
        PlanError: `privacy` and `budget` contradict each other.
    """
    _check_types(cohort, budget, seed)
    if privacy not in ("private", "none"):
        raise PlanError(f"privacy={privacy!r} is not one of private, none.")
    if privacy == "none" and budget is not None:
        raise PlanError("budget: a fit with privacy='none' has no budget; leave it out.")
    if privacy == "private" and budget is None:
        raise PlanError("budget: say how much may be given away, e.g. Budget(epsilon=3), or privacy='none'.")


def _fitted(
    cohort: AnyCohort, config: Config, ledger: Ledger, spending: Spending, *, seed: int | None, folder: Path | None,
    watch: Watcher,
) -> Trained:  # fmt: skip
    noise = Seed.secret() if seed is None else Seed(seed)
    whole = cohort if isinstance(cohort, ImageCohort) else learn(cohort, ledger, noise=noise, folder=folder)
    records = Records(whole, ledger, noise=noise, folder=folder)
    population = _population(cohort, records, ledger, config, spending)
    seeds = Seed.fresh() if seed is None else Seed(seed)
    network = config.train(records, Run(population, seeds, noise, folder, watch))
    privacy_facts = _facts(ledger)
    schema = replace(whole.schema, confirm=())
    generator = Generator(schema, config.family, network.onnx, network.latent, network.probabilities, privacy_facts)
    trained = Trained(generator, ledger, _settings(config), network.notes)
    if folder is not None:
        if not getattr(config, "joint", False):
            trained.save(folder)
        # The discriminator does not outlive the fit (Rule P12), but until the generator is safe it may be needed.
        forget(folder)
    return trained


def _check_types(cohort: object, budget: object, seed: object) -> None:
    if not isinstance(cohort, (Cohort, ImageCohort)):
        raise UsageError(
            f"cohort: a {type(cohort).__name__} is no cohort; read it first: wg.read(source, schema), or "
            "wg.read_images(source, schema) for images."
        )
    if budget is not None and not isinstance(budget, Budget):
        raise UsageError(f"budget={budget!r} is no budget; write wg.Budget(epsilon=3).")
    if seed is not None:
        check.whole(0, seed=cast("int", seed))


def _begun(
    cohort: AnyCohort, budget: Budget | None, family: str | Config, *, replayable: bool, folder: Path | None
) -> tuple[Config, Ledger]:
    """Gives the configuration and an empty ledger."""
    if budget is None:
        check_texts(cohort.schema)
        config = config_of(family, cohort.schema, patients=len(cohort))
        check_kind(config, cohort.schema)
        ledger = Ledger(None, replayable=replayable)
    else:
        planned = plan(cohort.schema, budget, family=family)
        config = family if not isinstance(family, str) else family_config(planned.family)
        if planned.population is not None:
            admit(len(cohort), planned.population)
        ledger = Ledger(planned, replayable=replayable)
    if folder is not None:
        _begin(folder, cohort, config)
        ledger.open_file(folder / LEDGER)
    return config, ledger


def _stopped(folder: Path | None) -> Path:
    """Gives the ledger of the run to go on with."""
    if folder is None or not (folder / LEDGER).exists():
        raise DataError(f"resume: run={str(folder)!r} holds no run that stopped.")
    if (folder / TRAINED).exists():
        forget(folder)  # it was killed between its last two steps
        raise DataError(f"resume: the run in {str(folder)!r} is finished; load it, or fit into another folder.")
    return folder / LEDGER


def _resumed(
    cohort: AnyCohort, budget: Budget | None, family: str | Config, *, replayable: bool, folder: Path | None
) -> tuple[Config, Ledger]:
    """Gives the configuration and the ledger of the run to go on with; everything must be as when it was begun."""
    folder = cast("Path", folder)
    ledger = Ledger.resume(folder / LEDGER)
    if ledger.replayable != replayable:
        raise PlanError("seed: the run was begun with another kind of seed; resume it with the same one.")
    if budget != (ledger.plan.budget if ledger.plan else None):
        raise PlanError("budget: the run was begun with another budget; resume it with the same one.")
    if ledger.plan is not None and family == "auto":
        family = ledger.plan.family
    config = config_of(family, cohort.schema, patients=len(cohort))
    known = folder / DIGEST
    if not known.exists() or known.read_text(encoding="utf-8") != _digest(cohort, config.family, _settings(config)):
        raise DataError(
            f"resume: the patients or the family's settings are not those of run={str(folder)!r}; a run goes on with "
            "the same file and the same settings."
        )
    return config, ledger


def _begin(folder: Path, cohort: AnyCohort, config: Config) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise OutputError(f"run={str(folder)!r} is not empty; choose another folder, or resume the run in it.")
        (folder / SCHEMA).write_text(json.dumps(cohort.schema.to_dict(), ensure_ascii=False), encoding="utf-8")
        (folder / DIGEST).write_text(_digest(cohort, config.family, _settings(config)), encoding="utf-8")
    except OSError as error:
        raise OutputError(f"run={str(folder)!r} cannot be written: {error.strerror}.") from error


def _take_back(folder: Path, *, whole: bool) -> None:
    """Leaves a run folder as it was before a run that may not begin."""
    for name in (LEDGER, DIGEST, SCHEMA, SLIP):
        (folder / name).unlink(missing_ok=True)
    if whole:
        folder.rmdir()


def fitted_to(run: Path, trained: Trained, cohort: AnyCohort) -> AnyCohort:
    """Gives the patients of a run under the schema of its generator, with what was learned of bounds and levels.

    Args:
        run: Run folder of a finished fit.
        trained: What is in it.
        cohort: The patients, read as for the fit.

    Raises:
        DataError: They are not the patients whom the generator has learned from.
        FormatError: The run folder is damaged.
    """
    try:
        known = (run / DIGEST).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise FormatError(f"run={str(run)!r} is damaged: {DIGEST} cannot be read.") from error
    if known != _digest(cohort, trained.generator.family, trained.config):
        raise DataError(
            f"data: these are not the patients of run={str(run)!r}, or they were read in another way; pass the file "
            "that was fitted to, unchanged, with the same --invalid and --visits."
        )
    return as_learned(cohort, trained.generator.schema)


def declared_in(run: Path) -> Schema:
    """Gives the schema that the patients of a run were read with.

    Raises:
        FormatError: The run folder is damaged.
    """
    try:
        return Schema.from_dict(json.loads((run / SCHEMA).read_text(encoding="utf-8")))
    except (OSError, ValueError, WardganError) as error:
        raise FormatError(f"run={str(run)!r} is damaged: {SCHEMA} cannot be read.") from error


def _digest(cohort: AnyCohort, family: str, settings: Mapping[str, object]) -> str:
    facts = [cohort.schema.fingerprint(), family, dict(settings)]
    return cohort.digest(json.dumps(facts, sort_keys=True).encode())


def _enough(cohort: AnyCohort, *, private: bool) -> None:
    """Without privacy, refuses what cannot be modelled; with privacy the noisy counts decide (see the anchor)."""
    if private:
        return
    if len(cohort) < 2:
        raise DataError("cohort: one patient is no cohort; a generator of one patient would be that patient.")
    classes = cohort.classes if isinstance(cohort, ImageCohort) else classes_of(cohort)
    count = np.bincount(classes, minlength=cohort.schema.classes)
    empty = np.flatnonzero(count == 0)
    # That two labels do not come together may be; a level that nobody has cannot be modelled.
    if len(empty) and _lacking(count, cohort.schema):
        raise DataError(
            f"label: the class {cohort.schema.class_name(int(empty[0]))} has no patient; take its level out of the "
            "schema."
        )


def _lacking(count: NDArray[np.int64], schema: Schema) -> bool:
    """Whether some label has a level that no patient has, from the number of patients of each class."""
    grid = count.reshape([column.size for column in schema.labels] or [1])
    return any(
        (grid.sum(axis=tuple(other for other in range(grid.ndim) if other != axis)) == 0).any()
        for axis in range(grid.ndim)
    )


def _population(cohort: AnyCohort, records: Records, ledger: Ledger, config: Config, spending: Spending) -> int:
    declared = cohort.schema.population
    if ledger.plan is None:
        return declared or len(cohort)
    if declared is None:
        if ledger.plan.population is None:
            noisy = float(records.measure(COUNT, PatientCount())[0])
            # What the plan could not know is known now; a fit that would be noise ends before it spends the rest.
            _check_counted(config, records.layout, ledger.plan.budget, max(1, round(noisy)))
            # Eight standard deviations above: the bound then holds for certain, for all that delta can tell.
            sd = cast("float", ledger.plan.event(COUNT).noise_multiplier)
            revised = with_population(ledger.plan, max(1, round(noisy + 8 * sd)))
            if not revised.fits():
                raise PlanError(
                    "population: no cap of the batches fits the budget with the noisy count; declare a population."
                )
            spending.revise(revised)
            ledger.revise(revised)
        declared = cast("int", ledger.plan.population)
    records.admit(declared)
    return declared


def _check_counted(config: Config, layout: Layout, budget: Budget, noisy: int) -> None:
    try:
        config.check(layout, budget, noisy)
    except PlanError as error:
        raise PlanError(f"By the noisy count, which was paid for, there are about {noisy} patients. {error}") from error


def _facts(ledger: Ledger) -> dict[str, object]:
    if ledger.plan is None:
        return {"mode": "none", "epsilon": None, "delta": None, "unit": UNIT, "neighbours": NEIGHBOURS}
    return {
        "mode": "private",
        "epsilon": ledger.plan.budget.epsilon,
        "delta": ledger.plan.budget.delta,
        "unit": UNIT,
        "neighbours": NEIGHBOURS,
    }


def _settings(config: Config) -> dict[str, object]:
    own = getattr(config, "settings", None)
    if callable(own):
        return dict(cast("Mapping[str, object]", own()))
    found: dict[str, object] = asdict(config) if is_dataclass(config) and not isinstance(config, type) else {}
    # A survey is long: its digest stands for it.
    survey = getattr(config, "survey", None)
    return found | {"survey": None if survey is None else survey.digest} if "survey" in found else found


def _nobody(progress: Progress) -> None:
    """Nobody watches."""

"""`wardgan fit`: a run folder with a generator and its bill, which stays on site."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wardgan.cli.options import (
    Data,
    DataSet,
    Delimiter,
    Delta,
    Family,
    FitLedger,
    Invalid,
    Json,
    Key,
    Labels,
    Mask,
    Privacy,
    SchemaFile,
    Settings,
    SurveyFile,
    Visits,
    delimiter_of,
)
from wardgan.cli.terminal import Stopped, answer, banner, say, screen
from wardgan.errors import PlanError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.console import Console

    from wardgan.models import fit as fits
    from wardgan.models.base import Config, Trained
    from wardgan.privacy.plan import Plan
    from wardgan.sample.generator import Generator
    from wardgan.schema.image_cohort import AnyCohort
    from wardgan.schema.schema import Schema


def fit(  # noqa: PLR0913, PLR0917 - one argument for each option
    data: Data,
    schema: SchemaFile,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="RUN", help="Run folder; it stays on site.", show_default=False)
    ],
    epsilon: Annotated[
        float | None, typer.Option("--epsilon", help="How much may be given away about one patient.")
    ] = None,
    delta: Delta = 1e-5,
    family: Family = "auto",
    settings: Settings = None,
    privacy: Privacy = "private",
    invalid: Invalid = "refuse",
    visits: Visits = None,
    delimiter: Delimiter = ",",
    labels: Labels = None,
    key: Key = None,
    mask: Mask = None,
    ledger: FitLedger = None,
    dataset: DataSet = None,
    survey: SurveyFile = None,
    seed: Annotated[int | None, typer.Option("--seed", help="Rehearsal: can be replayed, never released.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run that stopped in this folder.")] = False,
    json: Json = False,
) -> None:
    """Train a generator, and bill every touch of the patients."""
    from wardgan.cli.ledger import account_for, show_whose
    from wardgan.cli.patients import Files, read_patients
    from wardgan.cli.plan import show_noise, show_plan
    from wardgan.cli.run import check_free, how_to_resume, remembered, stopped_run, watched
    from wardgan.models.fit import fit as fitted
    from wardgan.models.planning import configured
    from wardgan.schema.schema import Schema

    declared = Schema.load(schema)
    files = Files(data, visits, delimiter_of(delimiter), labels, key, mask)
    files.check(declared)
    wanted = asked(configured(family, settings or [], declared), survey, declared)
    console = screen(errors=json)
    if resume:
        plan = stopped_run(output, epsilon).plan
    else:
        check_free(output)
        plan = planned(declared, epsilon, delta, privacy, wanted)
    if plan is None:
        banner(console)
    else:
        show_plan(console, plan)
        show_noise(console, plan, declared)
    if seed is not None:
        say(console, "A rehearsal: whoever has the seed can subtract the noise. It is never released.", style="red")
    cohort, size = read_patients(files, declared, invalid, console)
    mode: fits.Privacy = "none" if plan is None else "private"
    account = account_for(ledger, data, dataset, run=output if resume else None)
    entered = show_whose(console, account, cohort)
    try:
        with remembered(output, resumed=resume), watched(plan, output) as watch:
            trained = fitted(
                cohort, None if plan is None else plan.budget, family=wanted, privacy=mode, seed=seed, run=output,
                resume=resume, watch=watch, accounts=account,
            )  # fmt: skip
    except KeyboardInterrupt as error:
        again = {
            "--family": family, "--set": settings, "--invalid": invalid, "--visits": visits, "--delimiter": delimiter,
            "--labels": labels, "--key": key, "--mask": mask, "--seed": seed, "--survey": survey,
        }  # fmt: skip
        raise Stopped(how_to_resume(data, schema, output, again)) from error
    _report(trained, output, plan, (size, _tensor(cohort, trained.generator)), entered, as_json=json)


def asked(wanted: str | Config, path: Path | None, schema: Schema) -> str | Config:
    """Gives the family with the survey that it shall answer.

    Args:
        wanted: The family, or its settings.
        path: File of the survey; `None` for none.
        schema: The declarations.

    Raises:
        PlanError: The family answers none.
        FormatError: It is no survey, or one about other declarations.
    """
    if path is None:
        return wanted
    from wardgan.combining.pooling import read_survey
    from wardgan.models import family_config
    from wardgan.models.copula.config import CopulaConfig
    from wardgan.models.marginal.config import MarginalConfig

    survey = read_survey(path, schema)
    config = family_config(survey.family if wanted == "auto" else wanted) if isinstance(wanted, str) else wanted
    if not isinstance(config, (CopulaConfig, MarginalConfig)):
        raise PlanError(
            f"survey: only copula and marginal answer one; leave --family out, or say --family {survey.family}."
        )
    return replace(config, survey=survey)


def planned(
    schema: Schema, epsilon: float | None, delta: float, privacy: str, family: str | Config
) -> Plan | None:  # fmt: skip
    """Gives what a fit would spend; `None` without privacy.

    Args:
        schema: The declarations.
        epsilon: What `--epsilon` says.
        delta: What `--delta` says.
        privacy: What `--privacy` says.
        family: What `--family` and `--set` say.

    Raises:
        PlanError: The options contradict each other, or the budget is too small.
    """
    from wardgan.models.planning import plan
    from wardgan.privacy.events import Budget

    if privacy not in ("private", "none"):
        raise PlanError(f"privacy={privacy!r} is not one of private, none.")
    if privacy == "none" and epsilon is not None:
        raise PlanError("epsilon: a fit with --privacy none has no budget; leave --epsilon out.")
    if privacy == "none":
        return None
    if epsilon is None:
        raise PlanError("epsilon: say how much may be given away, such as --epsilon 3, or --privacy none.")
    return plan(schema, Budget(epsilon, delta), family=family)


def _tensor(cohort: AnyCohort, generator: Generator) -> int | None:
    """Gives how many bytes the numbers of all patients have in memory: of tables by the declared population.

    The generator's schema is complete, whatever was learned. Of images by those that were read, to two digits: their
    number is nowhere declared.
    """
    from wardgan.encode.layout import Layout
    from wardgan.schema.image_cohort import ImageCohort

    if isinstance(cohort, ImageCohort):
        return int(float(f"{cohort.pixels.nbytes:.1e}"))
    people = cohort.schema.population
    return None if people is None else 4 * people * len(Layout.of(generator.schema))


def _report(
    trained: Trained,
    run: Path,
    plan: Plan | None,
    sizes: tuple[int, int | None],
    entered: Mapping[str, object],
    *,
    as_json: bool,
) -> None:
    from wardgan.cli.plan import plan_facts

    console, ledger, generator = screen(errors=as_json), trained.ledger, trained.generator
    facts: dict[str, object] = {
        "run": str(run), "family": generator.family, "mode": ledger.mode, "replayable": ledger.replayable,
        "spent_epsilon": None, "spent_epsilon_rdp": None, "network_bytes": len(generator.network), "plan": None,
        "source_bytes": sizes[0], "tensor_bytes": sizes[1], "notes": list(trained.notes), **entered,
    }  # fmt: skip
    say(
        console,
        f"A generator ({generator.family}) is in {run}. The folder stays on site.",
        style="bold green",
    )
    if plan is None:
        banner(console)
    else:
        spent, bound, budget = ledger.epsilon(), ledger.epsilon_bound(), plan.budget
        say(console, f"Spent: epsilon {spent:.4g} of {budget.epsilon:g} at delta {budget.delta:g} (Renyi {bound:.4g}).")
        facts |= {"spent_epsilon": spent, "spent_epsilon_rdp": bound, "plan": plan_facts(plan)}
    _show_size(console, trained, *sizes)
    _show_notes(console, trained)
    images = " --labels FILE" if generator.schema.images is not None else ""
    aside = "--holdout-labels FILE" if images else "--holdout FILE"
    say(console, f"Next: wardgan dossier {run} --data PATH{images} {aside}, then wardgan release {run}")
    if as_json:
        answer(facts)


def _show_notes(console: Console, trained: Trained) -> None:
    """Says what the noisy answers showed that a steward can act on."""
    for note in trained.notes:
        say(console, f"Note: {note}", style="yellow")
    if trained.notes and trained.ledger.plan is not None:
        say(console, "Notes come from noisy answers that are paid for; another fit, with other columns, costs again.")


def _show_size(console: Console, trained: Trained, source: int, tensor: int | None) -> None:
    """Says how much smaller the model is than what it was made from: the files, and their numbers in memory."""
    model = len(trained.generator.network)
    text = f"Size: {model:,} bytes; the files it was made from have {source:,} ({source / model:.2g} : 1)"
    if tensor is not None:
        text += f", their numbers in memory about {tensor:,} ({tensor / model:.2g} : 1)"
    say(console, text + ". These sizes tell about your patients: they stay on site.")
    images = trained.generator.schema.images is not None
    if model > (min(source, tensor) if images and tensor is not None else source):
        say(
            console,
            "The model is larger than what it was made from: it has room to memorise. "
            + ("Only the noise keeps it from that." if trained.ledger.plan else "Nothing keeps it from that."),
            style="yellow",
        )

"""`wardgan plan`: what a fit would spend, before anything is read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wardgan.cli.options import Delta, Epsilon, Family, Json, SchemaFile, Settings, SurveyFile
from wardgan.cli.terminal import answer, say, screen

if TYPE_CHECKING:
    from rich.console import Console

    from wardgan.privacy.plan import Plan
    from wardgan.schema.schema import Schema

_DROWNING = 0.12


def plan(
    schema: SchemaFile,
    epsilon: Epsilon,
    delta: Delta = 1e-5,
    family: Family = "auto",
    settings: Settings = None,
    survey: SurveyFile = None,
    json: Json = False,
) -> None:
    """Show what a fit would spend, and on what. Reads no patient."""
    from wardgan.cli.findings import rules_together
    from wardgan.cli.fit import asked
    from wardgan.models.planning import configured
    from wardgan.models.planning import plan as planned
    from wardgan.privacy.events import Budget
    from wardgan.schema.schema import Schema

    declared = Schema.load(schema)
    made = planned(
        declared, Budget(epsilon, delta), family=asked(configured(family, settings or [], declared), survey, declared)
    )
    console = screen(errors=json)
    show_plan(console, made)
    show_noise(console, made, declared)
    for finding in rules_together(declared):
        say(console, f"It is doubtful that {finding.rule}. {finding.way_out}", style="bold yellow")
    if json:
        answer(plan_facts(made))


def show_plan(console: Console, plan: Plan) -> None:
    """Prints a plan: what is done with the patients, at which noise, and what it costs."""
    from rich.table import Table

    table = Table(title=f"Plan: family {plan.family}", title_justify="left")
    for name in ("what is read", "mechanism", "share of the budget", "noise multiplier", "sampling rate", "steps"):
        table.add_column(name, justify="left" if name in ("what is read", "mechanism") else "right")
    for event, share in zip(plan.events, budget_shares(plan), strict=True):
        noise = f"epsilon {event.epsilon:.3g}" if event.epsilon else ""
        noise = noise if event.noise_multiplier is None else f"{event.noise_multiplier:.3f}"
        rate = "" if event.sampling_rate is None else f"{event.sampling_rate:.4f}"
        table.add_row(event.name, event.mechanism, f"{100 * share:.0f} %", noise, rate, str(event.steps))
    console.print(table)
    facts = plan_facts(plan)
    unit, spent, bound = facts["unit"], facts["planned_epsilon"], facts["planned_epsilon_rdp"]
    people = "counted with noise" if plan.population is None else f"{plan.population:,} declared"
    say(console, f"Budget: epsilon {plan.budget.epsilon:g} at delta {plan.budget.delta:g}.")
    say(
        console,
        f"Planned: epsilon {spent:.4g} by the accountant of record (PLD); at most {bound:.4g} by our own (Renyi).",
    )
    say(console, f"Protected: each {unit}; neighbours {facts['neighbours']} one {unit}; patients: {people}.")


def show_noise(console: Console, plan: Plan, schema: Schema) -> None:
    """Says how large the noise of a count is beside a class, and warns where it drowns the shapes."""
    from wardgan.models.anchor.anchor import count_noise
    from wardgan.privacy.learn import level_threshold, to_learn

    for column in to_learn(schema):
        if not column.numeric:
            least = level_threshold(plan, column, schema)
            say(console, f"Levels of {column.name}: those that about {least:,.0f} patients have, or more, are learned.")
    noise = count_noise(plan, schema)
    if noise is None:
        return
    text = f"Noise: each count of a level is off by about {noise:.2g} patients"
    if plan.population is None:
        say(console, f"{text}; how many there are is not known yet.")
        return
    mean = plan.population / schema.classes
    say(console, f"{text}, of about {mean:,.0f} in a class.")
    if noise > _DROWNING * mean:
        say(
            console,
            "That is much: means and shares will come through, the shapes of most columns and the links between them "
            "will not. Leave columns or visits out, join more patients, or raise epsilon.",
            style="bold yellow",
        )


def plan_facts(plan: Plan) -> dict[str, object]:
    """Gives a plan for JSON, with shares and with epsilon by both accountants."""
    from wardgan.privacy.accountant import rdp_epsilon

    events = [
        event.to_dict() | {"share": round(share, 6)}
        for event, share in zip(plan.events, budget_shares(plan), strict=True)
    ]
    bound = rdp_epsilon(plan.events, plan.budget.delta)
    return plan.to_dict() | {"events": events, "planned_epsilon": plan.epsilon(), "planned_epsilon_rdp": bound}


def budget_shares(plan: Plan) -> list[float]:
    """Gives each event's part of the squared Gaussian-DP parameter; parts sum to 1 (formulas: `privacy.plan.solve`)."""
    import math

    parts: list[float] = []
    for event in plan.events:
        if event.mechanism == "pure":
            parts.append(event.steps * (event.epsilon or 0.0) ** 2 / 4)
        elif event.sampling_rate is None:
            parts.append(event.steps / (event.noise_multiplier or math.inf) ** 2)
        else:
            exponent = (event.noise_multiplier or math.inf) ** -2
            parts.append(event.sampling_rate**2 * event.steps * math.expm1(exponent))
    return [part / sum(parts) for part in parts]

"""What a fit would spend, and on what, before a patient is read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any, Final, cast

from wardgan.encode.layout import Layout
from wardgan.errors import PlanError, SchemaError, counted
from wardgan.models import FAMILIES, IMAGES, auto_family, family_config
from wardgan.models.base import Config
from wardgan.privacy.events import Budget
from wardgan.privacy.learn import learn_shares, level_threshold, placeholder, to_learn
from wardgan.privacy.plan import Plan, Share, solve
from wardgan.schema.schema import Schema
from wardgan.schema.texts import travel_problem
from wardgan.select.choice import Choice

COUNT: Final = "patient count"


def plan(schema: Schema, budget: Budget, *, family: str | Config = "auto") -> Plan:
    """Gives what a fit would spend, and on what, without reading a patient.

    Args:
        schema: The declarations.
        budget: The target.
        family: Name of a family, its configuration, or `auto`, which with a budget is `copula`.

    Raises:
        SchemaError: Bounds, levels or confirmations are missing.
        PlanError: The budget is too small for the population; says what would be possible.

    Example:
        >>> age = {"kind": "integer", "low": 0, "high": 99}
        >>> schema = Schema.from_dict({"name": "demo", "population": 1000, "table": {"age": age}})
        >>> [event.name for event in plan(schema, Budget(epsilon=1), family="copula").events]
        ['grid', 'label tables']
    """
    _confirmed(schema)
    check_texts(schema)
    layout = Layout.of(placeholder(schema))
    config = config_of(family, schema)
    check_kind(config, schema)
    config.check(layout, budget, schema.population)
    shares = learn_shares(schema, budget.delta)
    if schema.population is None:
        shares.insert(0, Share(COUNT, 0.01))
    made = solve(budget, shares + config.shares(layout, budget), population=schema.population, family=config.family)
    _check_levels(made, schema)
    return made


def configured(family: str, given: Sequence[str], schema: Schema) -> str | Config:
    """Gives a family with some of its settings changed.

    Args:
        family: Name of a family, or `auto`, which for images is `imagegan`.
        given: Settings such as `open_steps=1500`; with none, the family stays a name.
        schema: The declarations.

    Raises:
        PlanError: The family is not named, has no such setting, or the value is of another kind.
    """
    if not given:
        return family
    if family == "auto" and schema.images is None:
        raise PlanError("family='auto' has no settings; name the family whose settings are meant.")
    config = family_config(IMAGES if family == "auto" else family)
    known = {one.name: getattr(config, one.name) for one in fields(cast("Any", config))}
    changed: dict[str, object] = {}
    for text in given:
        name, sign, value = text.partition("=")
        kind = Choice if name == "choice" and name in known else type(known.get(name))
        if not sign or kind not in (bool, int, float, Choice):
            names = ", ".join(one for one, usual in known.items() if _settable(one, usual))
            way = f"it is NAME=VALUE, with NAME one of {names}" if names else "it has no settings"
            raise PlanError(f"{text!r} sets nothing of {config.family}; {way}.")
        changed[name] = _value(name, value, kind)
    return cast("Config", replace(cast("Any", config), **changed))


def _settable(name: str, usual: object) -> bool:
    return name == "choice" or isinstance(usual, (bool, int, float))


def _value(name: str, text: str, kind: type) -> object:
    if kind is Choice:
        return None if text == "none" else Choice(text)
    try:
        if kind is bool:
            return {"true": True, "false": False}[text.lower()]
        return kind(text)
    except (ValueError, KeyError):
        wanted = {bool: "true or false", int: "a whole number", float: "a number"}[kind]
        raise PlanError(f"{name}={text!r} is not {wanted}.") from None


def config_of(family: str | Config, schema: Schema, *, patients: int | None = None) -> Config:
    """Gives the configuration of a family; `patients` of a fit without privacy, `None` of a plan."""
    if not isinstance(family, str):
        return family
    if family == "auto":
        family = auto_family(schema, private=patients is None, patients=patients or 0)
    return family_config(family)


def check_kind(config: Config, schema: Schema) -> None:
    """Refuses a family of tables for images, and the other way round.

    Raises:
        PlanError: Says which families are possible.
    """
    if (config.family == IMAGES) != (schema.images is not None):
        drawn = "images" if schema.images is not None else "tables and visits"
        able = [name for name in FAMILIES if (name == IMAGES) == (schema.images is not None)]
        raise PlanError(
            f"family={config.family!r} cannot draw {drawn}, which the schema declares; take {', '.join(able)}."
        )


def _confirmed(schema: Schema) -> None:
    if schema.confirm:
        places = ", ".join(schema.confirm[:5]) + (", ..." if len(schema.confirm) > 5 else "")
        raise SchemaError(
            f"confirm: {counted(len(schema.confirm), 'value')} of the draft, read off patients, still to be confirmed "
            f"({places}). Replace each by what is public, or delete it and set learn: true; then take it off the list."
        )


def _check_levels(made: Plan, schema: Schema) -> None:
    """Refuses to learn levels that no number of the declared patients could reach."""
    for column in to_learn(schema):
        if column.numeric or schema.population is None:
            continue
        least = level_threshold(made, column, schema)
        if least > schema.population:
            raise PlanError(
                f"{column.name}: a level is learned from about {least:,.0f} patients on, and population="
                f"{schema.population}. Declare its levels, join more patients, or raise epsilon."
            )


def check_texts(schema: Schema) -> None:
    """Refuses texts that could not leave the hospital, before anything is spent on them.

    Raises:
        SchemaError: Says which.
    """
    problem = travel_problem(schema)
    if problem is not None:
        raise SchemaError(f"schema: it could not be released. {problem}")

"""What shall be combined, as a person writes it down: a YAML file in which a hospital leaves by one line."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, cast

from wardgan import check
from wardgan.combining.agreement import Keep
from wardgan.combining.records import name_problem
from wardgan.combining.translate import Source
from wardgan.errors import UsageError
from wardgan.schema.texts import unsafe
from wardgan.schema.visits import refuse_unknown
from wardgan.schema.yaml_text import structure_in

Weights = Literal["size", "uniform", "declared"]
RECIPES: Final = (".yaml", ".yml")
_KEYS: Final = ("name", "members", "weights", "classes", "columns", "levels", "overlap")
_MEMBER: Final = ("file", "name", "weight", "map")
_SOURCE: Final = ("from", "times", "plus", "levels")
_LONGEST: Final = 100
_LARGEST: Final = 1e100


@dataclass(frozen=True)
class Wanted:
    """One member as it is wanted.

    Attributes:
        file: A `.hgan` file, or another recipe.
        name: What people call it; `None` for the name of the file.
        weight: Its weight where weights are declared.
        columns: For columns of the common schema where they come from; others by their name.
    """

    file: Path
    name: str | None = None
    weight: float | None = None
    columns: Mapping[str, Source] = field(default_factory=dict[str, Source])


@dataclass(frozen=True)
class Recipe:
    """What shall be combined, and how.

    Attributes:
        name: Of the combined data set.
        members: Files.
        weights: Shares by the declared number of patients, equal ones, or declared ones.
        classes: For classes in words, such as `arm=intensive`, the weights of members by name: who the patients of
            that class come from.
        keep: Columns that all have, all columns, or their names.
        levels: Whether levels of categories must be the `same`, or those of `all` are taken.
        overlap: In how many hospitals a patient may be, as somebody who knows declares.
    """

    name: str
    members: tuple[Wanted, ...]
    weights: Weights = "size"
    classes: Mapping[str, Mapping[str, float]] = field(default_factory=dict[str, Mapping[str, float]])
    keep: Keep | tuple[str, ...] = "common"
    levels: Literal["same", "all"] = "same"
    overlap: int | None = None

    def __post_init__(self) -> None:
        for name in (self.name, *(member.name for member in self.members if member.name is not None)):
            if not name or "/" in name or len(name) > _LONGEST or unsafe(name, name=True):
                raise UsageError(f"name={name[:120]!r} is not a text of 1 to {_LONGEST} plain letters without '/'.")
        for member in self.members:
            problem = None if member.name is None else name_problem(member.name)
            if problem is not None:
                raise UsageError(f"members: {problem}; give it another name in the recipe.")
        if not self.members:
            raise UsageError("members: there is none to combine.")
        if self.overlap is not None:
            check.whole(1, overlap=self.overlap)
        self._check_members()
        for weights in self.classes.values():
            _check_weights(weights)

    def _check_members(self) -> None:
        given = {str(member.name or member.file): member.weight for member in self.members}
        some = {name: weight for name, weight in given.items() if weight is not None}
        if self.weights != "declared":
            if some:
                raise UsageError(f"weights: members have some, and weights={self.weights!r} too; leave one out.")
            return
        lacking = [name for name in given if name not in some]
        if lacking:
            raise UsageError(f"weights: {lacking[0]} has none; give one to every member.")
        _check_weights(some)

    @classmethod
    def load(cls, path: str | Path) -> Recipe:
        """Reads a recipe (YAML). Files in it are looked for beside it.

        Raises:
            UsageError: The file cannot be read, is no YAML, or says what has no meaning.
        """
        found = _mapping(structure_in(path, "recipe"), str(path))
        refuse_unknown(found, _KEYS, "recipe")
        members = found.get("members")
        if not isinstance(members, list):
            raise UsageError("members: is a list of files, or of mappings with file, name, weight and map.")
        home = Path(path).parent
        wanted = tuple(_member(one, home) for one in cast("list[object]", members))
        declared = any(one.weight is not None for one in wanted)
        return cls(
            name=_name(found.get("name", Path(path).stem)),
            members=wanted,
            weights=cast("Weights", _one_of(found, "weights", ("size", "uniform"), "declared" if declared else "size")),
            classes={
                name: _numbers(each, f"classes: {name}")
                for name, each in _mapping(found.get("classes", {}), "classes").items()
            },
            keep=_keep(found.get("columns", "common")),
            levels=cast("Literal['same', 'all']", _one_of(found, "levels", ("same", "all"), "same")),
            overlap=_whole(found.get("overlap")),
        )  # fmt: skip


def read_weights(path: str | Path) -> dict[str, float]:
    """Gives weights by the names of members from a YAML file.

    Raises:
        UsageError: It cannot be read, or is no mapping from names to weights.
    """
    weights = _numbers(structure_in(path, "weights"), "weights")
    _check_weights(weights)
    return weights


def _member(found: object, home: Path) -> Wanted:
    if isinstance(found, str):
        return Wanted(home / found)
    given = _mapping(found, "members")
    refuse_unknown(given, _MEMBER, "members")
    if not isinstance(given.get("file"), str):
        raise UsageError("members: each one has a file.")
    name, weight = given.get("name"), given.get("weight")
    return Wanted(
        home / str(given["file"]),
        None if name is None else _name(name),
        None if weight is None else _number(weight, "weight"),
        {str(target): _source(one, str(target)) for target, one in _mapping(given.get("map", {}), "map").items()},
    )


def _name(found: object) -> str:
    if not isinstance(found, (str, int)) or isinstance(found, bool):
        raise UsageError(f"name: {str(found)[:40]!r} is not a short text.")
    return str(found)


def _source(found: object, target: str) -> Source:
    if isinstance(found, str):
        return Source(found)
    given = _mapping(found, f"map: {target}")
    refuse_unknown(given, _SOURCE, f"map: {target}")
    levels = _mapping(given.get("levels", {}), f"map: {target}: levels")
    return Source(
        str(given.get("from", target)),
        _number(given.get("times", 1), f"map: {target}: times"),
        _number(given.get("plus", 0), f"map: {target}: plus"),
        {str(old): str(new) for old, new in levels.items()},
    )


def _keep(found: object) -> Keep | tuple[str, ...]:
    if found in ("common", "all"):
        return cast("Keep", found)
    if isinstance(found, Sequence) and not isinstance(found, str):
        return tuple(map(str, cast("Sequence[object]", found)))
    raise UsageError(f"columns={found!r} is not common, all, or a list of columns.")


def _one_of(found: Mapping[str, object], key: str, known: Sequence[str], default: str) -> str:
    value = found.get(key, default)
    if value not in (*known, default):
        raise UsageError(f"{key}={value!r} is not one of {', '.join(known)}.")
    return str(value)


def _mapping(found: object, what: str) -> dict[str, object]:
    if not isinstance(found, Mapping):
        raise UsageError(f"{what}: is a mapping.")
    return {str(key): value for key, value in cast("Mapping[object, object]", found).items()}


def _numbers(found: object, what: str) -> dict[str, float]:
    return {name: _number(value, f"{what}: {name}") for name, value in _mapping(found, what).items()}


def _number(found: object, what: str) -> float:
    if isinstance(found, bool) or not isinstance(found, (int, float)):
        raise UsageError(f"{what}: {str(found)[:40]!r} is not a number.")
    try:
        number = float(found)
    except OverflowError:
        number = math.inf
    if not abs(number) <= _LARGEST:
        raise UsageError(f"{what}: {str(found)[:40]} is not a number from -1e100 to 1e100.")
    return number


def _whole(found: object) -> int | None:
    if found is None:
        return None
    if isinstance(found, bool) or not isinstance(found, int):
        raise UsageError(f"overlap={found!r} is not a whole number of at least 1.")
    return found


def _check_weights(weights: Mapping[str, float]) -> None:
    for name, weight in weights.items():
        if not check.is_number(weight) or not 0 <= weight < float("inf"):
            raise UsageError(f"weights: {name} has {weight!r}, which is not a finite number of at least 0.")
    if not sum(weights.values()) > 0:
        raise UsageError("weights: they are all 0.")

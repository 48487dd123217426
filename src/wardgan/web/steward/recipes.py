"""How generators become one, as a form and as the text of a recipe; what is wrong in either stays where it is."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any, Final, cast

import yaml

from wardgan.errors import SchemaError, UsageError
from wardgan.schema.schema import Schema
from wardgan.schema.yaml_text import structure_of, yaml_of
from wardgan.web.steward import quoting
from wardgan.web.steward.project import text_of

WAYS: Final = {"size": "by the numbers of patients that they declare", "uniform": "all alike", "own": "as written here"}
KEEP: Final = {
    "common": "those that all have", "all": "all; empty where a member lacks them", "named": "those named here",
}  # fmt: skip
LEVELS: Final = {"same": "the same in all", "all": "those of all together"}
_CLASSES: Final = 12
_BLANK: Final = 2
_ROWS: Final = 200
_WHOLE: Final = 1e15
_LONGEST: Final = 1_000_000
_FACTS: Final = ("from", "times", "plus", "levels")
_COLUMN: Final = re.compile(r"^- (.{1,200}?): ", re.MULTILINE)

Recipe = dict[str, Any]


@dataclass(frozen=True)
class Row:
    """A line of the form: where a column of the whole comes from in a member.

    Attributes:
        member: Name of the member's file, without the ending; empty if nobody chose one.
        target: Column of the whole.
        facts: `from`, `times`, `plus` and `levels` (old: new, one a line), as they were written.
    """

    member: str
    target: str
    facts: Mapping[str, str]


def kept(chosen: Mapping[str, object], stems: Sequence[str]) -> Recipe:
    """Gives the recipe that was chosen, with the members that are there.

    Args:
        chosen: What the steward chose.
        stems: Names of the members' files.
    """
    found = chosen.get("recipe")
    recipe: Recipe = dict(cast("Recipe", found)) if isinstance(found, dict) else {}
    known = {_stem(one): one for one in recipe.get("members", ())}
    recipe["members"] = [known.get(stem, {"file": f"{stem}.hgan"}) for stem in stems]
    if isinstance(classes := recipe.get("classes"), dict):
        gone = {called(one) for stem, one in known.items() if stem not in stems} - {*map(called, recipe["members"])}
        recipe["classes"] = _without(cast("Recipe", classes), gone)
    return recipe


def _without(classes: Recipe, gone: Set[str]) -> Recipe:
    """Gives weights of classes without those of members that left; what is no mapping stays for the verb to refuse."""
    left = {
        name: {who: weight for who, weight in cast("Recipe", each).items() if who not in gone}
        if isinstance(each, dict) else each
        for name, each in classes.items()
    }  # fmt: skip
    return {name: each for name, each in left.items() if each or not classes[name]}


def written(recipe: Recipe, name: str) -> bytes:
    """Gives the file of a recipe, beside the folder of the members.

    Args:
        recipe: What `kept` gave.
        name: Of the whole, if the recipe says none.
    """
    members = [one | {"file": f"members/{_stem(one)}.hgan"} for one in recipe["members"]]
    return _yaml({"name": name} | recipe | {"members": members}).encode()


def text_of_recipe(recipe: Recipe) -> str:
    """Gives a recipe as somebody could have written it.

    Args:
        recipe: What `kept` gave.
    """
    return _yaml(recipe)


def from_text(text: str, stems: Sequence[str]) -> Recipe:
    """Gives the recipe that somebody wrote as YAML.

    Args:
        text: The YAML.
        stems: Names of the files of the members that are there: it names each of them once, and nothing else.

    Raises:
        UsageError: It is no mapping, or names other members.
    """
    if len(text) > _LONGEST:
        raise UsageError(f"recipe: it has {len(text):,} characters, more than {_LONGEST:,}; is it a recipe?")
    try:
        found = _plain(structure_of(text))
    except SchemaError as error:
        raise UsageError(f"recipe: {error}") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UsageError(f"recipe: it is not YAML: {' '.join(str(error).split())[:300]}.") from error
    if not isinstance(found, dict):
        raise UsageError("recipe: it is not a mapping of names to values, such as overlap: 1.")
    recipe = cast("Recipe", found)
    members = recipe.get("members", [f"{stem}.hgan" for stem in stems])
    if not isinstance(members, list) or not all(isinstance(one, (str, dict)) for one in members):
        raise UsageError("members: is a list of files, or of mappings with file, name, weight and map.")
    recipe["members"] = [{"file": one} if isinstance(one, str) else one for one in cast("list[Any]", members)]
    named = [_stem(one) for one in recipe["members"]]
    for problem, names in (
        ("was not brought; only what lies here is combined, and recipes within recipes on the command line",
         sorted(set(named) - set(stems))),
        ("is there twice", sorted({one for one in named if named.count(one) > 1})),
        ("was brought and is not in the text; take it out above, or write it", sorted(set(stems) - set(named))),
    ):  # fmt: skip
        if names:
            raise UsageError(f"members: {names[0][:80]}.hgan {problem}.")
    return recipe


def from_form(base: Recipe, form: Mapping[str, str]) -> tuple[Recipe, list[str]]:
    """Gives the recipe that a form says, and what in it cannot be; what the form does not show stays as it is.

    Args:
        base: What `kept` gave.
        form: Its fields.

    Raises:
        UsageError: A choice is none of those that the form offers, or the recipe says what the form cannot say.
    """
    if lost := _lost(base):
        raise UsageError(
            f"recipe: the form cannot say all that is written in {', '.join(lost)}, and would change it; use the text."
        )
    return _from_form(base, form)


def _from_form(base: Recipe, form: Mapping[str, str]) -> tuple[Recipe, list[str]]:
    problems: list[str] = []
    way = _choice(form, "weights", WAYS)
    recipe = {name: value for name, value in base.items() if name in ("name", "members")}
    recipe["members"] = [
        {name: value for name, value in one.items() if name not in ("weight", "map")} for one in base["members"]
    ]
    if way == "own":
        for one in recipe["members"]:
            stem = _stem(one)
            one["weight"] = _number(f"weight of {stem}", form.get(f"weight.{stem}", ""), problems)
    else:
        recipe["weights"] = way
    recipe |= _plain_choices(form)
    if classes := _classes(recipe["members"], form, problems):
        recipe["classes"] = classes
    for row in _rows_in(form):
        _mapped(recipe["members"], row, problems)
    return recipe, problems


def fields_of(recipe: Recipe, facts: Mapping[str, Any], said: str) -> dict[str, str]:
    """Gives the fields of the form that says a recipe.

    Args:
        recipe: What `kept` gave.
        facts: What the combined file says of itself; empty if there is none.
        said: Why the members could not be combined; empty if they could.
    """
    columns, own = recipe.get("columns", "common"), any("weight" in one for one in recipe["members"])
    named = isinstance(columns, list)
    found = {
        "overlap": text_of(recipe, "overlap"), "weights": "own" if own else text_of(recipe, "weights") or "size",
        "columns": "named" if named else str(columns), "levels": text_of(recipe, "levels") or "same",
        "named": quoting.columns_text(cast("list[object]", columns)) if named else "",
    }  # fmt: skip
    found |= {f"weight.{_stem(one)}": text_of(one, "weight") for one in recipe["members"]}
    for index, (name, weights) in enumerate(_said_of_classes(recipe, facts)):
        found[f"class.{index}"] = name
        found |= {f"class.{index}.{_stem(one)}": text_of(weights, called(one)) for one in recipe["members"]}
    for index, row in enumerate(_rows_of(recipe, said)):
        found |= {f"map.{index}.member": row.member, f"map.{index}.to": row.target}
        found |= {f"map.{index}.{name}": row.facts.get(name, "") for name in _FACTS}
    return found


def count(fields: Mapping[str, str], name: str) -> int:
    """Gives how many lines of a kind a form has.

    Args:
        fields: Of the form.
        name: Of a field that each line has, such as `map.{}.to`.
    """
    return next((index for index in range(_ROWS) if name.format(index) not in fields), _ROWS)


def _rows_of(recipe: Recipe, said: str) -> list[Row]:
    """Gives the lines that map columns: those that are there, those that a refusal asks for, and blank ones."""
    found: list[Row] = []
    for member in recipe["members"]:
        given = member.get("map")
        for target, source in given.items() if isinstance(given, dict) else ():
            found.append(Row(_stem(member), str(target), _facts(source)))
    open_ = [name for name in dict.fromkeys(_COLUMN.findall(said)) if name not in {row.target for row in found}]
    found += [Row("", name, {}) for name in open_[:_CLASSES]]
    return found + [Row("", "", {})] * _BLANK


def _said_of_classes(recipe: Recipe, facts: Mapping[str, Any]) -> list[tuple[str, Mapping[str, object]]]:
    """Gives the classes of which a form can say whose patients they are, with what was said."""
    given = recipe.get("classes")
    said: dict[str, Any] = given if isinstance(given, dict) else {}
    names: list[str] = []
    if facts:
        schema = Schema.from_dict(facts["schema"])
        names = [schema.class_name(index) for index in range(min(schema.classes, _CLASSES))] if schema.labels else []
    every = dict.fromkeys([*names, *said])
    return [(name, said[name] if isinstance(said.get(name), dict) else {}) for name in every]


def called(member: Mapping[str, Any]) -> str:
    """Gives what a member is called in the combined file.

    Args:
        member: Of a recipe.
    """
    return str(member.get("name") or _stem(member))


def _stem(member: Mapping[str, Any] | str) -> str:
    file = member if isinstance(member, str) else str(member.get("file", ""))
    return file.removeprefix("members/").removesuffix(".hgan")


def _choice(form: Mapping[str, str], name: str, known: Mapping[str, str]) -> str:
    found = form.get(name, "").strip() or next(iter(known))
    if found not in known:
        raise UsageError(f"{name}={found[:30]!r} is not one of {', '.join(known)}.")
    return found


def _plain_choices(form: Mapping[str, str]) -> Recipe:
    """Gives what is one field each; whether it has a meaning the verb tells."""
    found: Recipe = {}
    if overlap := form.get("overlap", "").strip():
        found["overlap"] = int(overlap) if overlap.isascii() and overlap.isdecimal() and len(overlap) < 9 else overlap
    columns = form.get("columns", "").strip() or "common"
    if columns == "named":
        found["columns"] = quoting.columns_of(form.get("named", ""))
    elif columns != "common":
        found["columns"] = columns
    if (levels := _choice(form, "levels", LEVELS)) != "same":
        found["levels"] = levels
    return found


def _classes(members: Sequence[Mapping[str, Any]], form: Mapping[str, str], problems: list[str]) -> Recipe:
    found: Recipe = {}
    for index in range(count(form, "class.{}")):
        name = form[f"class.{index}"]
        said = {called(one): form.get(f"class.{index}.{_stem(one)}", "").strip() for one in members}
        weights = {who: _number(f"{name}: weight of {who}", text, problems) for who, text in said.items() if text}
        if weights:
            found[name] = weights
    return found


def _rows_in(form: Mapping[str, str]) -> list[Row]:
    found: list[Row] = []
    for index in range(count(form, "map.{}.to")):
        facts = {name: text for name in _FACTS if (text := form.get(f"map.{index}.{name}", "").strip())}
        member, target = (form.get(f"map.{index}.{name}", "").strip() for name in ("member", "to"))
        if member or facts:
            found.append(Row(member, target, facts))
    return found


def _mapped(members: Sequence[Recipe], row: Row, problems: list[str]) -> None:
    """Writes a line of the form into its member; what cannot be is told."""
    where = f"{row.target or row.facts.get('from', 'a column')} of {row.member or 'nobody'}"
    member = next((one for one in members if _stem(one) == row.member), None)
    source: Recipe = {"from": row.facts["from"]} if "from" in row.facts else {}
    for name in ("times", "plus"):
        if name in row.facts:
            source[name] = _number(f"{where}: {name}", row.facts[name], problems)
    if levels := _levels(where, row.facts.get("levels", ""), problems):
        source["levels"] = levels
    into = {} if member is None else member.setdefault("map", {})
    for wrong, way in (
        (member is None, "choose whose column it is"), (not row.target, "say which column of the whole it is"),
        (row.target in into, "it is there twice"),
    ):  # fmt: skip
        problems += [f"{where}: {way}."] if wrong else []
    into[row.target] = source


def _levels(where: str, text: str, problems: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for line in filter(None, (one.strip() for one in text.splitlines())):
        pair = quoting.level_of(line)
        if pair is None:
            problems.append(f"{where}: levels: write {line[:40]!r} as old: new.")
        else:
            found[pair[0]] = pair[1]
    return found


def _facts(source: object) -> dict[str, str]:
    if not isinstance(source, dict):
        return {"from": str(source)}
    given = cast("Mapping[str, object]", source)
    levels = given.get("levels")
    lines = quoting.levels_text(cast("Mapping[str, object]", levels)) if isinstance(levels, dict) else ""
    return {name: text_of(given, name) for name in ("from", "times", "plus")} | {"levels": lines}


def _number(what: str, text: str, problems: list[str]) -> float | int | str:
    plain = text.strip()
    try:
        found = float(plain)
    except ValueError:
        problems.append(f"{what}: {plain[:30]!r} is not a number; write one, such as 2.")
        return plain
    return int(found) if abs(found) < _WHOLE and found == int(found) else found


def _lost(recipe: Recipe) -> list[str]:
    """Gives the parts of a recipe that the form would change though nobody touched them, and would not tell."""
    shown = fields_of(recipe, {}, "")
    # As a browser sends them: only what is several lines high has lines.
    sent = {name: text if name.endswith(".levels") else "".join(text.splitlines()) for name, text in shown.items()}
    if str(recipe.get("weights", "size")) not in WAYS or str(recipe.get("levels", "same")) not in LEVELS:
        return []  # it is told, also by the verb
    again, problems = _from_form(recipe, sent)
    old, new = _meant(recipe), _meant(again)
    return [] if problems else sorted(name for name in old | new if old.get(name) != new.get(name))


def _meant(recipe: Recipe) -> Recipe:
    """Gives a recipe so that those which mean the same are the same."""
    usual = {"columns": "common", "levels": "same", "classes": {}}
    if not any("weight" in one for one in recipe["members"]):
        usual["weights"] = "size"
    members = [{**one, "map": _mapped_by(one.get("map", {}))} for one in recipe["members"]]
    return cast("Recipe", _told({**usual, **recipe, "members": members}))


def _mapped_by(given: object) -> object:
    if not isinstance(given, dict):
        return given
    found = {name: each if isinstance(each, dict) else {"from": each}
             for name, each in cast("Recipe", given).items()}  # fmt: skip
    return {name: each | {"levels": each.get("levels") or {}} for name, each in found.items()}


def _told(found: object) -> object:
    """Gives a structure with its numbers as the form shows them; what is nothing is not there."""
    if isinstance(found, dict):
        named = cast("Recipe", found)
        return {name: _told(value) for name, value in named.items() if value is not None}
    if isinstance(found, list):
        return [_told(one) for one in cast("list[object]", found)]
    return str(int(found) if isinstance(found, float) and abs(found) < _WHOLE and found == int(found) else found)


def _plain(found: object) -> object:
    """Gives a structure with texts as names, as the verb reads it."""
    if isinstance(found, dict):
        return {str(name): _plain(value) for name, value in cast("Mapping[object, object]", found).items()}
    if isinstance(found, list):
        return [_plain(one) for one in cast("list[object]", found)]
    return found if found is None or isinstance(found, (bool, int, float, str)) else str(found)


def _yaml(found: Recipe) -> str:
    return yaml_of(found, width=100)

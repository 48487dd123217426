"""Schema files as YAML, read strictly; what is no schema may hold patients, so its text is never repeated."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar, cast

import yaml

from wardgan import check
from wardgan.errors import SchemaError, UsageError, WardganError

Made = TypeVar("Made")
_MOST: Final = 4 << 20
_TABLES: Final = (".csv", ".tsv", ".gz", ".parquet", ".pq", ".arrow", ".feather", ".xlsx", ".xls", ".sas7bdat", ".sav")


def read_yaml(path: str | Path, made: Callable[[object], Made]) -> Made:
    """Gives what is made of a schema file.

    Args:
        path: The file.
        made: From the structure in the file to what is wanted.

    Raises:
        SchemaError: It is no path, the file is missing, a table or no YAML, names a key twice, or holds numbers of
            so many digits that nothing can be said about them.
    """
    text = _text_of(path)
    try:
        try:
            found = structure_of(text)
        except SchemaError as error:
            raise SchemaError(f"schema={str(path)!r}: {error}") from None
        return made(found)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        # A day such as 2020-02-30 is a ValueError, a thousand open brackets a RecursionError.
        raise SchemaError(f"schema={str(path)!r} is not YAML{_where(error)}; is it the schema file?") from None


def structure_in(path: str | Path, argument: str, *, wrong: type[WardganError] = UsageError) -> object:
    """Gives the structure of a YAML file that is no schema: a recipe, a mapping file, an agreement.

    Args:
        path: The file.
        argument: What it was given as, for messages.
        wrong: What is raised if the file is there and is not such a one.

    Raises:
        UsageError: It is no path, or cannot be read.
    """
    check.path(**{argument: path})
    named = f"{argument}={str(path)!r}"
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise UsageError(f"{named} cannot be read: {error.strerror or error}.") from error
    if len(data) > _MOST:
        raise wrong(f"{named} has {len(data):,} bytes, and at most {_MOST:,} are read; is it the right file?")
    try:
        return structure_of(data.decode("utf-8"))
    except SchemaError as error:
        raise wrong(f"{named}: {error}") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise wrong(f"{named} is not YAML{_where(error)}; is it the right file?") from None


def _where(error: Exception) -> str:
    """Gives the line and column of a mistake, if they are known; the text itself is not repeated."""
    mark = error.problem_mark or error.context_mark if isinstance(error, yaml.MarkedYAMLError) else None
    return "" if mark is None else f", line {mark.line + 1}, column {mark.column + 1}"


def structure_of(text: str) -> object:
    """Gives the structure of a YAML text; whoever asks says in which argument it was.

    Raises:
        yaml.YAMLError: It is none.
        SchemaError: It names a key twice, or has the key `<<` or an alias (`*name`).
        ValueError: A day is none.
        RecursionError: It is nested too deeply.
    """
    return yaml.load(text, Loader=_StrictLoader)  # noqa: S506 - derives from SafeLoader


def _text_of(path: str | Path) -> str:
    try:
        check.path(schema=path)
    except UsageError as error:
        raise SchemaError(str(error)) from None
    kind = Path(path).suffix.lower()
    if kind in _TABLES:
        raise SchemaError(
            f"schema={str(path)!r} is a table by its name ({kind}), not a schema (YAML); the table is named first, "
            "then the schema."
        )
    try:
        return Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise SchemaError(f"schema={str(path)!r} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise SchemaError(f"schema={str(path)!r} cannot be read as UTF-8 text (byte {error.start + 1}).") from None


class _StrictLoader(yaml.SafeLoader):
    """YAML without duplicate keys, which PyYAML would silently take the last of, and without aliases.

    A few lines of aliases, each ten times the one before, are a structure that nobody has the time to walk through.
    """

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Gives the next node, unless it is an alias."""
        # PyYAML's functions have no complete types.
        if self.check_event(yaml.AliasEvent):  # pyright: ignore[reportUnknownMemberType]
            # Its name is not repeated: the text may be no schema at all.
            line = cast("yaml.AliasEvent", self.peek_event()).start_mark.line + 1  # pyright: ignore[reportUnknownMemberType]
            raise SchemaError(f"line {line} has an alias (* and a name), which is not allowed; write the value out.")
        return super().compose_node(parent, index)


class _PlainDumper(yaml.SafeDumper):
    """YAML that repeats what is there twice, so that it can be read again."""

    def ignore_aliases(self, data: object) -> bool:
        """Says that nothing is written as an alias."""
        return True


def yaml_of(found: object, *, width: int = 110) -> str:
    """Gives the YAML of a structure, in its order and without aliases.

    Args:
        found: Mappings, lists, texts and numbers.
        width: Longest line.
    """
    return yaml.dump(found, Dumper=_PlainDumper, sort_keys=False, allow_unicode=True, width=width)


def _unique(loader: _StrictLoader, node: yaml.MappingNode) -> dict[object, object]:
    if any(key.tag == "tag:yaml.org,2002:merge" for key, _ in node.value):
        raise SchemaError("the key '<<' is not allowed; write each mapping out.")
    found = cast("dict[object, object]", loader.construct_mapping(node, deep=True))
    lines: dict[object, int] = {}
    for key, _ in node.value:
        name, line = cast("object", loader.construct_object(key, deep=True)), int(key.start_mark.line) + 1  # pyright: ignore[reportUnknownMemberType]
        if name in lines:
            # The key is not repeated: the text may be no schema at all.
            raise SchemaError(f"a key is there twice in one mapping, in lines {lines[name]} and {line}.")
        lines[name] = line
    return found


_StrictLoader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _unique)

"""JSON of foreign files: a parser that takes nothing for granted, and one canonical way of writing."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Collection
from typing import Final, NoReturn, cast

from wardgan.errors import FormatError, UsageError
from wardgan.schema.texts import unsafe

MAX_DEPTH: Final = 32
_MAX_DIGITS: Final = 18


def canonical(value: object, *, sort: bool = True) -> bytes:
    """Gives JSON with one spelling for one value: no spaces, UTF-8, keys sorted.

    Args:
        value: Mappings with text keys, lists, texts, finite numbers, booleans and `None`.
        sort: Whether keys are sorted. A schema keeps its own order: that is the order of its columns.

    Raises:
        UsageError: Something in the value has no place in JSON.

    Example:
        >>> canonical({"b": 1, "a": [0.5, None]})
        b'{"a":[0.5,null],"b":1}'
    """
    try:
        text = json.dumps(value, sort_keys=sort, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
        return text.encode()
    except (TypeError, ValueError) as error:
        raise UsageError(f"The value cannot be written as JSON: {error}.") from error


def parse(data: bytes, *, what: str, cap: int, free: Collection[str] = ()) -> object:
    """Gives the value of a foreign JSON text.

    Args:
        data: The bytes.
        what: Name of the text, for messages.
        cap: Largest number of bytes.
        free: Keys of the outermost object with free text, which may have several lines. All other texts are names.

    Raises:
        FormatError: Too long, not UTF-8, not JSON, nested too deep, a key twice, NaN, Infinity, a number out of
            range, or characters that cannot be shown safely.

    Example:
        >>> parse(b'{"a": 1, "a": 2}', what="card", cap=100)
        Traceback (most recent call last):
        wardgan.errors.FormatError: card: the key 'a' is there twice.
    """
    if len(data) > cap:
        raise FormatError(f"{what}: {len(data)} bytes are more than {cap}.")

    def unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
        found = dict(pairs)
        if len(found) < len(pairs):
            (twice, _), *_ = Counter(key for key, _ in pairs).most_common(1)
            raise FormatError(f"{what}: the key {twice[:60]!a} is there twice.")
        return found

    def no_constant(text: str) -> NoReturn:
        raise FormatError(f"{what}: {text} is no JSON number.")

    try:
        value = cast(
            "object",
            json.loads(
                data.decode("utf-8"),
                object_pairs_hook=unique,
                parse_constant=no_constant,
                parse_int=lambda text: _whole(text, what),
                parse_float=lambda text: _fraction(text, what),
            ),
        )
    except UnicodeDecodeError as error:
        raise FormatError(f"{what}: is not UTF-8 at byte {error.start}.") from error
    except RecursionError as error:
        raise _too_deep(what) from error
    except json.JSONDecodeError as error:
        raise FormatError(f"{what}: is not JSON at character {error.pos}: {error.msg}.") from error
    _check_tree(value, what, free)
    return value


def check_text(text: str, what: str, *, name: bool = False) -> None:
    """Refuses a text that cannot be shown safely.

    Args:
        text: The text.
        what: Where it stands, for messages.
        name: Whether it is a name, a level or a unit: one line, and no character that nobody sees.

    Raises:
        FormatError: It holds a control character, a bidirectional control or half a character.
    """
    found = unsafe(text, name=name)
    if found is not None:
        raise FormatError(f"{what}: a text holds the invisible or control character U+{ord(found):04X}: {text[:60]!a}.")


def _whole(text: str, what: str) -> int:
    if len(text.lstrip("-")) > _MAX_DIGITS:
        raise FormatError(f"{what}: a whole number has more than {_MAX_DIGITS} digits.")
    return int(text)


def _fraction(text: str, what: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise FormatError(f"{what}: a number is too large for double precision.")
    return value


def _check_tree(value: object, what: str, free: Collection[str]) -> None:
    """Refuses a value that is nested too deep, or that has a text which cannot be shown safely."""
    if isinstance(value, dict):
        whole = cast("dict[str, object]", value)
        names = [*whole, *(item for key, item in whole.items() if key not in free)]
        _check_levels([names], what, name=True)
        _check_levels([[item for key, item in whole.items() if key in free]], what, name=False)
    else:
        _check_levels([value], what, name=True)


def _check_levels(level: list[object], what: str, *, name: bool) -> None:
    for depth in range(MAX_DEPTH + 1):
        below: list[object] = []
        for item in level:
            if isinstance(item, str):
                check_text(item, what, name=name)
            elif isinstance(item, (dict, list)) and depth == MAX_DEPTH:
                raise _too_deep(what)
            elif isinstance(item, dict):
                pairs = cast("dict[str, object]", item)
                below += [*pairs.keys(), *pairs.values()]
            elif isinstance(item, list):
                below += cast("list[object]", item)
        level = below


def _too_deep(what: str) -> FormatError:
    return FormatError(f"{what}: is nested deeper than {MAX_DEPTH} levels.")

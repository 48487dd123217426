"""Writes each family's table of settings into its page in docs/models; `--check` only compares."""

from __future__ import annotations

import inspect
import re
import sys
from dataclasses import fields, is_dataclass
from pathlib import Path

from wardgan.models import FAMILIES, family_config
from wardgan.models.base import Config

PAGES = Path(__file__).resolve().parent.parent / "docs" / "models"
_BETWEEN = re.compile(r"(?<=<!-- settings -->\n).*?(?=<!-- end -->)", re.DOTALL)


def filled(text: str, family: str) -> str:
    """Gives a page with a fresh table between its two marks."""
    return _BETWEEN.sub(lambda _: table(family_config(family)), text)


def table(config: Config) -> str:
    """Gives the settings of a family, their meaning and their defaults, one line each."""
    meaning = meanings(type(config))
    rows = [
        f"| `{field.name}` | {meaning[field.name]} | {_shown(getattr(config, field.name))} |\n"
        for field in fields(config)  # pyright: ignore[reportArgumentType] - every configuration is a dataclass
    ]
    return "| setting | meaning | default |\n|---|---|---|\n" + "".join(rows)


def meanings(kind: type) -> dict[str, str]:
    """Gives what a class's docstring says of its attributes."""
    lines = inspect.cleandoc(kind.__doc__ or "").partition("Attributes:\n")[2].split("\n\n")[0]
    found = re.findall(r"^ {4}(\w+): (.*(?:\n {8}.*)*)", lines, re.MULTILINE)
    return {name: " ".join(text.split()) for name, text in found}


def _shown(value: object) -> str:
    if is_dataclass(value):
        return ", ".join(f"{part.name} {_shown(getattr(value, part.name))}" for part in fields(value))
    if value is None:
        return "as usual"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    for name in FAMILIES:
        page = PAGES / f"{name}.md"
        old = page.read_text(encoding="utf-8")
        new = filled(old, name)
        if "--check" not in sys.argv:
            page.write_text(new, encoding="utf-8")
        elif new != old:
            sys.exit(f"docs/models/{name}.md is out of date: run python scripts/make_settings_docs.py")

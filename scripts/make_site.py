"""Builds the documentation as a site that needs no network: build/site, from build/pages.

The pages are plain Markdown and stay readable where they lie, on a code host or in an editor. What a site needs
besides is done on the way to build/pages:

* The pages beside docs (README.md and so on) come in, under project/, and links follow them.
* A link to a file that is no page, such as a source file, becomes its text: the site stands without the sources.
* Lists get the empty line that Python-Markdown wants before them.
* Reference pages are made from the docstrings, and notebooks become pages.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).resolve().parent.parent
PAGES = ROOT / "build" / "pages"
SITE = ROOT / "build" / "site"
# What stands beside docs, and where it stands in the site.
BESIDE = {
    "README.md": "project/readme.md",
    "ARCHITECTURE.md": "project/architecture.md",
    "CHANGELOG.md": "project/changelog.md",
    "CONTRIBUTING.md": "project/contributing.md",
    "SECURITY.md": "project/security.md",
    "LICENSE": "project/licence.md",
}
OTHERS = ("*.svg", "*.png", "*.js", "*.css")
API = "reference/api.md"
_FENCE = re.compile(r"^( *)(```+)[^\n]*\n.*?^\1\2 *$\n?", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"`[^`]*`|(!?)\[([^\]]*)\]\(([^)\s]+)\)")
_ATTRIBUTE = re.compile(r'\b(src|srcset)="([^"]+)"')
_ITEM = re.compile(r"^( *)([*+-]|\d+\.) +\S")


def main() -> int:
    """Builds the site; gives the exit code of the builder, which is 1 after a warning."""
    made = staged()
    if missing := [name for name in navigated() if name not in made]:
        sys.exit(f"mkdocs.yml: nav names pages that are not there: {', '.join(missing)}.")
    shutil.rmtree(PAGES, ignore_errors=True)
    for name, text in made.items():
        (PAGES / name).parent.mkdir(parents=True, exist_ok=True)
        (PAGES / name).write_text(text, encoding="utf-8")
    for path in others():
        place = PAGES / path.relative_to(ROOT / "docs")
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, place)
    words = [sys.executable, "-W", "error", "-m", "zensical", "build", "--clean", "--strict"]
    return subprocess.run(words, check=False, cwd=ROOT).returncode


def staged() -> dict[str, str]:
    """Gives each page of the site, by its name there."""
    names = sources()
    made = {name: page(path.read_text(encoding="utf-8"), path, names) for path, name in names.items()}
    licence = (ROOT / "LICENSE").read_text(encoding="utf-8")
    return made | {BESIDE["LICENSE"]: f"# Licence\n\n```text\n{licence}```\n", API: api()}


def sources() -> dict[Path, str]:
    """Gives the files that are pages, with their names in the site."""
    inside = {path: path.relative_to(ROOT / "docs").as_posix() for path in sorted((ROOT / "docs").rglob("*.md"))}
    notebooks = {path: f"notebooks/{path.stem}.md" for path in sorted((ROOT / "notebooks").glob("*.ipynb"))}
    return inside | notebooks | {ROOT / name: place for name, place in BESIDE.items()}


def navigated() -> list[str]:
    """Gives the pages that the navigation names; the builder would make dead links of those that are not there."""
    _, _, nav = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").partition("\nnav:\n")
    return re.findall(r"([\w/.-]+\.md)$", nav, re.MULTILINE)


def others() -> list[Path]:
    """Gives pictures that pages show, and what the site needs besides."""
    return sorted(path for kind in OTHERS for path in (ROOT / "docs").rglob(kind))


def page(text: str, path: Path, names: dict[Path, str]) -> str:
    """Gives a page as the site's Markdown wants it.

    Args:
        text: What the file says.
        path: The file.
        names: All files that are pages, with their names in the site.
    """
    if path.suffix == ".ipynb":
        text = notebook(text)
    here = PurePosixPath(names[path]).parent
    parts, at = [], 0
    for fence in _FENCE.finditer(text):
        parts += [_linked(text[at : fence.start()], path, here, names), fence[0]]
        at = fence.end()
    parts.append(_linked(text[at:], path, here, names))
    return _listed("".join(parts))


def notebook(text: str) -> str:
    """Gives the cells of a notebook as a page, without outputs: those are made where it is run."""
    parts = []
    for cell in json.loads(text)["cells"]:
        words = "".join(cell["source"])
        parts.append(words if cell["cell_type"] == "markdown" else f"```python\n{words}\n```")
    return "\n\n".join(parts) + "\n"


def api() -> str:
    """Gives the page that is made from the docstrings of all public names, in the order of docs/python.md."""
    lines = [
        "# Reference",
        "",
        "Made from the docstrings. With examples and in more words: [Python](../python.md).",
        "",
    ]
    for line in (ROOT / "docs" / "python.md").read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            section = line
        if name := re.fullmatch(r"### `(\w+)`", line):
            lines += [section, ""] if section else []
            section = ""
            lines += [f"::: wardgan.{name[1]}", ""]
    return "\n".join(lines)


def _linked(text: str, path: Path, here: PurePosixPath, names: dict[Path, str]) -> str:
    def moved(target: str) -> str | None:
        place, _, anchor = target.partition("#")
        if not place or re.match(r"[a-z]+:", target):
            return target
        file = (path.parent / place).resolve()
        known = names.get(file)
        if known is None and file in others():
            known = file.relative_to(ROOT / "docs").as_posix()
        if known is None and not file.exists():
            sys.exit(f"{path.relative_to(ROOT)}: {target} leads nowhere.")
        return None if known is None else os.path.relpath(known, here) + (f"#{anchor}" if anchor else "")

    def link(found: re.Match[str]) -> str:
        if found[3] is None:
            return found[0]
        target = moved(found[3])
        return found[2] if target is None else f"{found[1]}[{found[2]}]({target})"

    text = _ATTRIBUTE.sub(lambda found: f'{found[1]}="{moved(found[2]) or found[2]}"', text)
    return _LINK.sub(link, text)


def _listed(text: str) -> str:
    """Gives the text with an empty line before each list."""
    lines, fenced, before = [], False, ""
    for line in text.splitlines():
        fenced ^= line.lstrip().startswith("```")
        item = None if fenced else _ITEM.match(line)
        if item and before.strip() and not _ITEM.match(before) and not before.startswith(" "):
            lines.append("")
        lines.append(line)
        before = line
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())

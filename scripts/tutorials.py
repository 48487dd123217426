"""Types the tutorials, and the pages of docs/howto, as a reader would; compares what they show with what comes out.

A page is typed from top to bottom, in an empty folder, or where another page has ended:

* a block behind a line that ends with "`NAME`:" is a file of that name;
* in a block of ```` ```console ```` each line behind `$` is a command, and what follows is its output;
* `...` on a line of its own stands for any lines. The folder is shown as FOLDER below; progress bars and secrets are
  left out;
* `<!-- varies -->` in front of a block: numbers and digests are others each time, since privacy noise has no seed;
  `<!-- varies: lines -->`: so may lines be, and what must be the same is the first words of them.

`python scripts/tutorials.py` runs all pages and writes what comes out into them, but for blocks with a `...`.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import runpy
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from typer.testing import CliRunner

ROOT = Path(__file__).resolve().parent.parent
FOLDER = "/clinic"
# Each page, and the one in whose folder it goes on.
FIRST = "tutorials/steward"
PAGES = {FIRST: None} | dict.fromkeys(
    [
        *(f"tutorials/{name}" for name in ("reviewer", "researcher", "coordinator")),
        *(f"howto/{name}" for name in ("epsilon", "small-classes", "several-rows", "update", "revoke", "hub")),
    ],
    FIRST,
)
WIDTH = "100"
_BLOCK = re.compile(
    r"(?P<varies><!-- varies(?:: lines)? -->\n)?^```(?P<kind>\w+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)
_FILE = re.compile(r"`([\w-]+\.\w+)`:\s*\Z")
_NUMBERS = re.compile(r"[0-9a-f]{12,}|\d[\d,.]*(?:e-?\d+)?|(?<=([━─])).")
# First words of lines that one run has and another has not.
_OPTIONAL = {"fail:", "unjudged:", "warn:", "Note:", "Notes", "Rules:"}
_BAR = re.compile(r"^.*[━╸╺╴]{8}.* \d+:\d\d:\d\d *$\n?", re.MULTILINE)


@dataclass(frozen=True)
class Typed:
    """One command of a page.

    Attributes:
        command: What is typed.
        shown: What the page shows below it.
        varies: What may differ: nothing, `numbers`, or `lines`.
    """

    command: str
    shown: str
    varies: str = ""

    def holds(self, output: str) -> bool:
        """Tells whether what came out is what the page shows."""
        shown, found = ([self._plain(line) for line in text.splitlines()] for text in (self.shown, output))
        if self.varies == "lines":
            return _words(shown) == _words(found)
        pattern = "".join(r"(?:[^\n]*\n)*" if line == "..." else re.escape(line) + r"\n" for line in shown)
        return re.fullmatch(pattern, "".join(f"{line}\n" for line in found)) is not None

    def _plain(self, line: str) -> str:
        return _NUMBERS.sub("#", " ".join(line.split())) if self.varies else line


def steps(text: str) -> Iterator[tuple[str, str] | Typed]:
    """Gives the files of a page, as name and text, and its commands, in order."""
    at = 0
    for block in _BLOCK.finditer(text):
        if name := _FILE.search(text[at : block.start()]):
            yield name[1], block["text"]
        elif block["kind"] == "console":
            marked = block["varies"] or ""
            yield from _commands(block["text"], "lines" if "lines" in marked else "numbers" if marked else "")
        at = block.end()


def page(name: str) -> Path:
    """Gives the file of a page."""
    return ROOT / "docs" / f"{name}.md"


def typed(text: str) -> Iterator[tuple[Typed, str]]:
    """Types a page in the current folder; gives each command with its output."""
    for step in steps(text):
        if isinstance(step, Typed):
            yield step, run(step.command)
        else:
            Path(step[0]).write_text(step[1], encoding="utf-8")


def run(command: str) -> str:
    """Gives what a command prints in the current folder, without progress bars."""
    words = shlex.split(command, comments=True)
    if words[0] == "export":
        os.environ.update([words[1].split("=", 1)])
        output = ""
    elif words[0] == "wardgan":
        output = _wardgan(words[1:])
    elif words[0] == "python":
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            runpy.run_path(words[1], run_name="__main__")
        output = printed.getvalue()
    else:
        done = subprocess.run(command, shell=True, check=False, capture_output=True, text=True)
        output = done.stdout + done.stderr
    output = re.sub(r"wgt_\w[\w-]*", "wgt_...", output.replace(os.getcwd(), FOLDER))
    lines = _BAR.sub("", output).splitlines()
    return "".join(f"{line.rstrip()}\n" for line in lines)


def renewed(text: str, outputs: Iterator[str]) -> str:
    """Gives a page with other outputs; a command whose output is cut keeps what it shows."""

    def block(found: re.Match[str]) -> str:
        if found["kind"] != "console":
            return found[0]
        parts = []
        for step in _commands(found["text"]):
            output = next(outputs)
            kept = step.shown if re.search(r"^\.\.\.$", step.shown, re.MULTILINE) else output
            parts.append(f"$ {step.command}\n{kept}")
        return f"{found['varies'] or ''}```console\n{''.join(parts)}```"

    return _BLOCK.sub(block, text)


def _commands(text: str, varies: str = "") -> Iterator[Typed]:
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        command, _, shown = part.partition("\n")
        yield Typed(command, shown, varies)


def _words(lines: list[str]) -> set[str]:
    return {line.split()[0] for line in lines if line} - _OPTIONAL


def _wardgan(words: list[str]) -> str:
    from wardgan.cli.main import app

    return CliRunner(env={"COLUMNS": WIDTH}).invoke(app, words).output


def main() -> None:
    """Writes into each page what comes out."""
    with tempfile.TemporaryDirectory() as scratch:
        for name, before in PAGES.items():
            place = Path(scratch) / name
            place.mkdir(parents=True) if before is None else shutil.copytree(Path(scratch) / before, place)
            os.chdir(place)
            text = page(name).read_text(encoding="utf-8")
            outputs = [output for _, output in typed(text)]
            page(name).write_text(renewed(text, iter(outputs)), encoding="utf-8")
            print(f"{name}: {len(outputs)} commands")
        os.chdir(ROOT)


if __name__ == "__main__":
    sys.exit(main())

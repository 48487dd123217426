"""The pages of the documentation."""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


@dataclass(frozen=True)
class Page:
    """One page.

    Attributes:
        path: Where it is.
        text: What it says.
    """

    path: Path
    text: str

    @property
    def name(self) -> str:
        return self.path.relative_to(ROOT).as_posix()

    def blocks(self, language: str) -> list[str]:
        return re.findall(rf"^```{language}\n(.*?)^```$", self.text, re.MULTILINE | re.DOTALL)

    def headings(self, level: int) -> list[str]:
        prose = re.sub(r"^```.*?^```$", "", self.text, flags=re.MULTILINE | re.DOTALL)
        return re.findall(rf"^{'#' * level} (.+)$", prose, re.MULTILINE)

    def section(self, heading: str) -> str:
        """Gives what stands below a heading, up to the next one of its kind or above."""
        level = re.search(rf"^(#+) {re.escape(heading)}$", self.text, re.MULTILINE)
        assert level, f"{self.name} has no heading {heading!r}"
        return re.split(rf"^#{{1,{len(level[1])}}} ", self.text[level.end() :], maxsplit=1, flags=re.MULTILINE)[0]

    def first_cells(self, heading: str) -> list[str]:
        """Gives the code in the first column of the table below a heading, in order."""
        rows = re.findall(r"^\| (`[^|]*) \|", self.section(heading), re.MULTILINE)
        return [word for row in rows for word in re.findall(r"`([^`]+)`", row)]


def page(name: str) -> Page:
    path = ROOT / name
    return Page(path, path.read_text(encoding="utf-8"))

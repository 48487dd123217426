"""Says whether the version is one thing everywhere: in the package, the changelog, and the tag if there is one.

A version is out, or comes next. It is out when the newest heading of the changelog carries a day, such as
`## 0.1.0 (2026-01-31)`, and comes next as long as that heading says `(not released yet)`. A tag needs a version that is
out.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from datetime import date
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NEXT = "not released yet"


def package_version(root: Path = ROOT) -> str:
    """Gives `__version__`, without importing the package."""
    tree = ast.parse((root / "src" / "wardgan" / "_version.py").read_text(encoding="utf-8"))
    return next(str(ast.literal_eval(node.value)) for node in tree.body if isinstance(node, ast.Assign))


def tags(root: Path = ROOT) -> list[str]:
    """Gives the tags of versions on this commit; none where there is no history."""
    command = ["git", "-C", str(root), "tag", "--points-at", "HEAD", "--list", "v*"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.split() if done.returncode == 0 else []


def faults(version: str, changelog: str, on: list[str]) -> list[str]:
    """Gives what contradicts what.

    Args:
        version: Of the package.
        changelog: Text of CHANGELOG.md.
        on: Tags of this commit that begin with `v`.
    """
    headings = re.findall(r"^## (.+)$", changelog, re.MULTILINE)
    newest = re.fullmatch(r"(\d+\.\d+\.\d+) \((.+)\)", headings[0]) if headings else None
    if newest is None:
        return ["CHANGELOG.md: the first heading is no version with a day, such as: ## 0.1.0 (2026-01-31)"]
    found = []
    if newest[1] != version:
        found.append(f"The package is {version}, and the newest version of CHANGELOG.md is {newest[1]}.")
    if newest[2] != NEXT and not _is_day(newest[2]):
        found.append(f"CHANGELOG.md: {newest[2]!r} is neither a day such as 2026-01-31 nor {NEXT!r}.")
    found += [f"The tag {tag} is on version {version}." for tag in on if tag != f"v{version}"]
    if on and newest[2] == NEXT:
        found.append(f"The tag {on[0]} is on a version of which CHANGELOG.md says {NEXT!r}: write the day.")
    return found


def _is_day(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


if __name__ == "__main__":
    wrong = faults(package_version(), (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), tags())
    if wrong:
        sys.exit("\n".join(wrong))
    print(f"version {package_version()} in the package and in the changelog")

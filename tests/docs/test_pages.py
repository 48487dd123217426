"""The pages hold together: links lead somewhere, the changelog is up to date, and nothing speaks of one machine."""

import re

import pytest
from docs_kit import PAGES, ROOT, page

import wardgan as wg

_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
# Folders of somebody's machine, and addresses of hosts.
_FORBIDDEN = re.compile(
    r"(?<![\w.*])/(?:work|tmp|home|root|mnt|opt|srv|Users|var)/|[A-Z]:\\\\|\b(?!127\.0\.0\.1\b)(?:\d{1,3}\.){3}\d{1,3}\b"
    r"|\b(?!(?:found|dossier|self)\.internal\b)[\w-]+\.(?:internal|local|lan|intra)\b|localhost:\d|\bTODO\b|\bFIXME\b"
)


def anchors(text):
    """Gives the anchors of a page's headings, as code hosts make them."""
    found = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", name.lower()).strip().replace(" ", "-") for name in found}


def broken_links(text, folder):
    found = []
    for link in _LINK.findall(re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)):
        target, _, anchor = link.partition("#")
        if re.match(r"[a-z]+:", target):
            continue
        path = folder / target if target else None
        reads = path is not None and path.is_file() and bool(anchor)
        there = text if path is None else path.read_text(encoding="utf-8") if reads else None
        missing = path is not None and not path.exists()
        if missing or (anchor and anchor not in anchors(there or "")):
            found.append(link)
    return found


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_links_lead_somewhere(path):
    assert broken_links(path.read_text(encoding="utf-8"), path.parent) == []


def test_a_broken_link_is_seen():
    text = "# One\n[a](README.md) [b](#one) [c](nowhere.md) [d](#two) [e](README.md#nothing) [f](https://example.org)"
    assert broken_links(text, ROOT) == ["nowhere.md", "#two", "README.md#nothing"]


def published():
    """Gives the texts that travel with the project."""
    kinds = ("*.md", "*.toml", "Makefile", "src/**/*.py", "scripts/*", "benchmarks/*.py", "docs/**/*.md", "notebooks/*")
    return sorted({path for kind in kinds for path in ROOT.glob(kind) if path.is_file()})


@pytest.mark.parametrize("path", published(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_nothing_speaks_of_one_machine(path):
    found = _FORBIDDEN.search(path.read_text(encoding="utf-8"))
    assert found is None, found


@pytest.mark.parametrize("text", ["see /ho" + "me/me/data", "at 10.0." + "0.1", "on big.lo" + "cal", "TO" + "DO: mend"])
def test_a_word_of_one_machine_is_seen(text):
    assert _FORBIDDEN.search(text)


def test_the_newest_version_of_the_changelog_is_the_packages():
    versions = re.findall(r"^## (\d+\.\d+\.\d+)", page("CHANGELOG.md").text, re.MULTILINE)
    assert versions[0] == wg.__version__
    assert versions == sorted(versions, key=lambda text: [int(part) for part in text.split(".")], reverse=True)


def test_the_changelog_has_known_groups_only():
    assert set(page("CHANGELOG.md").headings(3)) <= {"Added", "Changed", "Fixed", "Privacy"}


def test_every_page_of_the_documentation_can_be_reached_from_its_index():
    here = ROOT / "docs"
    seen, todo = set(), [here / "index.md"]
    while todo:
        path = todo.pop().resolve()
        if path in seen or path.suffix != ".md":
            continue
        seen.add(path)
        links = (link.partition("#")[0] for link in _LINK.findall(path.read_text(encoding="utf-8")))
        todo += [path.parent / link for link in links if link and not re.match(r"[a-z]+:", link)]
    assert {path.resolve() for path in PAGES} - seen == set()

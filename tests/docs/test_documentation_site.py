"""The documentation as a site: built without a warning, complete, the same as the pages, and without a network."""

import importlib.util
import re
import shutil
import subprocess
import sys
from collections import Counter
from html.parser import HTMLParser

import pytest
import yaml
from docs_kit import ROOT
from markdown_it import MarkdownIt

CHROMIUM = shutil.which("chromium")
_spec = importlib.util.spec_from_file_location("make_site", ROOT / "scripts" / "make_site.py")
make_site = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(make_site)
NAMES = make_site.sources()


class _Config(yaml.SafeLoader):
    """Reads mkdocs.yml, whose slugs are made by a function that is named there."""


_Config.add_multi_constructor("tag:yaml.org,2002:python/", lambda *_: None)


@pytest.fixture(scope="module")
def built():
    """The site, built as `make docs` builds it."""
    words = [sys.executable, ROOT / "scripts" / "make_site.py"]
    done = subprocess.run(words, check=False, capture_output=True, text=True, timeout=300)
    said = re.sub(r"\x1b\[[0-9;]*m", "", done.stdout + done.stderr)
    assert done.returncode == 0, said
    assert "No issues found" in said
    assert "arning" not in said
    return make_site.SITE


def places(entries):
    for entry in entries:
        inner = entry if isinstance(entry, str) else next(iter(entry.values()))
        yield from [inner] if isinstance(inner, str) else places(inner)


def test_every_page_is_in_the_navigation_once():
    config = yaml.load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"), _Config)
    assert sorted(places(config["nav"])) == sorted(make_site.staged())


def test_every_page_was_built(built):
    made = {path.relative_to(built).with_suffix(".md").as_posix() for path in built.rglob("*.html")}
    assert made - {"404.md"} == set(make_site.staged())


def test_nothing_is_fetched_from_elsewhere(built):
    tags = re.compile(
        r"<(?:script|link|img|iframe|source|video)\b[^>]*?\b(?:src|href|srcset)=[\"']?(?:https?:)?//[^>]*>"
    )
    styles = re.compile(r"(?:url\(|@import\s*)[\"']?(?:https?:)?//[^)\"']*")
    found = [hit for path in built.rglob("*.html") for hit in tags.findall(path.read_text(encoding="utf-8"))]
    found += [hit for path in built.rglob("*.css") for hit in styles.findall(path.read_text(encoding="utf-8"))]
    found += [hit for path in built.rglob("*.svg") for hit in styles.findall(path.read_text(encoding="utf-8"))]
    assert found == []


class _Elements(HTMLParser):
    """Counts what a page has, and collects its words."""

    def __init__(self, text):
        super().__init__()
        self.counts, self.inside = Counter(), 0
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.inside += tag == "pre"
        if tag in ("li", "table", "tr", "pre", "img", "h1", "h2", "h3") and not (tag != "pre" and self.inside):
            self.counts[tag] += 1

    def handle_endtag(self, tag):
        self.inside -= tag == "pre"


@pytest.mark.parametrize("path", [path for path in NAMES if path.suffix == ".md"], ids=lambda path: path.name)
def test_a_page_is_the_same_in_the_site_as_on_a_code_host(path, built):
    html = (built / NAMES[path]).with_suffix(".html").read_text(encoding="utf-8")
    article = re.search(r"<article.*?</article>", html, re.DOTALL)[0]
    host = MarkdownIt("commonmark").enable("table").render(path.read_text(encoding="utf-8"))
    assert _Elements(article).counts == _Elements(host).counts


def test_a_list_without_an_empty_line_is_a_list_in_the_site_too():
    text = "Three:\n* one\n* two\n  more\n1. three\n\n```\nno:\n* list\n```\n"
    assert make_site._listed(text) == "Three:\n\n* one\n* two\n  more\n1. three\n\n```\nno:\n* list\n```\n"


def test_links_follow_the_pages():
    text = (
        "[a](../../SECURITY.md#b) [c](../cli.md) [d](#e) [f](https://example.org) `[g](h)`\n```\n[a](../cli.md)\n```\n"
    )
    made = make_site.page(text, ROOT / "docs" / "models" / "copula.md", NAMES)
    assert made == text.replace("../../SECURITY.md#b", "../project/security.md#b")


def test_a_link_to_a_file_that_is_no_page_is_its_text():
    text = "See [the code](src/wardgan/rng.py), ![it](docs/tables.svg), [this](docs/cli.md).\n"
    made = make_site.page(text, ROOT / "README.md", NAMES)
    assert made == "See the code, ![it](../tables.svg), [this](../cli.md).\n"


@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed (Debian: chromium)")
def test_the_search_finds_pages_from_a_disk_without_a_network(built):
    sync = pytest.importorskip("playwright.sync_api")
    with sync.sync_playwright() as found:
        browser = found.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page()
        asked, wrong = [], []
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.goto((built / "index.html").as_uri())
        page.keyboard.press("Control+k")
        page.keyboard.type("revocation")
        page.get_by_text(re.compile(r"\d+ results?")).wait_for()
        assert page.locator("a[href*='format.html']").count() > 0
        browser.close()
    assert wrong == []
    assert {url.split(":")[0] for url in asked} <= {"file", "about", "data"}


def test_a_page_that_is_not_there_is_refused(monkeypatch):
    assert set(make_site.navigated()) == set(make_site.staged())
    monkeypatch.setattr(make_site, "navigated", lambda: ["index.md", "nowhere.md"])
    with pytest.raises(SystemExit, match=r"nav names pages that are not there: nowhere\.md"):
        make_site.main()


@pytest.mark.parametrize("text", ["[x](nowhere.md)", "![x](nowhere.svg)", '<img src="../nowhere.png">'])
def test_a_link_that_leads_nowhere_is_refused(text):
    with pytest.raises(SystemExit, match=r"docs/privacy\.md: (\.\./)?nowhere\.\w+ leads nowhere"):
        make_site.page(text, ROOT / "docs" / "privacy.md", NAMES)


def test_text_in_a_fence_is_no_link():
    text = "```text\n[x](nowhere.md)\n```\n"
    assert make_site.page(text, ROOT / "docs" / "privacy.md", NAMES) == text

"""The steward's pages without a browser: invented patients, forms as a browser sends them, and waiting for verbs."""

from __future__ import annotations

import re
import shutil
import tempfile
import time
from contextlib import contextmanager
from html import unescape
from html.parser import HTMLParser

import pytest
from fastapi.testclient import TestClient

import verbs_kit
from hub_kit import Clinic
from wardgan.rng import Seed
from wardgan.simulate.sprint import sprint_like
from wardgan.web.steward import verbs
from wardgan.web.steward.app import create_steward
from wardgan.web.steward.project import Project

HERE = "http://localhost"
OURS = {"Sec-Fetch-Site": "same-origin"}
PEOPLE = 400
LONGEST = 180.0


def patients():
    """A trial of blood pressure as CSV."""
    return sprint_like(PEOPLE, seed=Seed(1)).to_csv(index=False).encode()


@contextmanager
def opened(home, *, quick=False):
    """Gives the pages to whoever has the word, with a place for uploads of their own; quick ones run copied verbs."""
    with pytest.MonkeyPatch.context() as patch:
        if quick:
            before = verbs_kit.quick()
            patch.setattr(verbs, "_command", lambda words: [*before, *words])
        patch.setattr(tempfile, "tempdir", None)
        app = create_steward(home)
        with TestClient(app, base_url=HERE) as client:
            assert client.get("/open", params={"word": app.state.session.word}).status_code == 200
            yield Pages(client, app, home)


class Pages:
    """A person before the pages."""

    def __init__(self, client, app, home):
        self.client, self.app, self.home = client, app, home
        self.csrf = app.state.session.csrf

    def get(self, path):
        return self.client.get(path)

    def post(self, path, **fields):
        return self.client.post(path, data={"csrf": self.csrf, **fields}, headers=OURS, follow_redirects=False)

    def send(self, name, data, *, file="patients.csv", **fields):
        """Begins a project."""
        form = {"csrf": self.csrf, "name": name, **fields}
        return self.client.post(
            "/projects", data=form, files={"file": (file, data)}, headers=OURS, follow_redirects=False
        )

    def wait(self, path):
        """Gives a page once nothing runs any more."""
        until = time.monotonic() + LONGEST
        while time.monotonic() < until:
            answer = self.get(path)
            if 'http-equiv="refresh"' not in answer.text:
                return answer
            time.sleep(0.1)
        raise TimeoutError(path)

    def copied(self, project, name, *, same=False):
        """Gives another project with the same files, as if of other patients unless it is said that they are the same."""
        folder = self.home / name
        shutil.copytree(project, folder)
        if not same and not Project(folder).begun:
            Project(folder).choose(digest=name, counted_with=name)
        return folder


def bring(desk, union, path):
    """Brings a generator to those that are combined."""
    return desk.client.post(
        f"/combine/{union.name}/members", data={"csrf": desk.csrf}, files={"file": (path.name, path.read_bytes())},
        headers=OURS, follow_redirects=False,
    )  # fmt: skip


def weighed(desk, union, **form):
    """Has them combined as a draft, and gives the page that shows it."""
    answer = desk.post(f"/combine/{union.name}/how", **form)
    assert answer.status_code == 303, words(answer)
    return desk.wait(f"/combine/{union.name}")


def alarm(answer):
    """Gives what a page says is wrong, or nothing."""
    found = re.search(r'role="alert">(.*?)</p>', answer.text, re.DOTALL)
    return unescape(found[1]) if found else None


def words(answer):
    """Gives what a page says, as one line."""
    return unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.text)))


def form_of(answer, mark=None):
    """Gives the fields of a form, as a browser would send them: of that which holds a text, or else of the first."""
    reader, text = _Form(), answer.text
    reader.feed(text if mark is None else text[text.rindex("<form", 0, text.index(mark)) :])
    return reader.fields


class _Form(HTMLParser):
    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.fields, self._forms, self._open, self._choice = {}, 0, None, False

    def handle_starttag(self, tag, attrs):
        has = dict(attrs)
        self._forms += tag == "form"
        if self._forms != 1:
            return
        if tag == "input" and (has.get("type") != "checkbox" or "checked" in has):
            self.fields[has["name"]] = has.get("value", "") if has.get("type") != "checkbox" else "on"
        elif tag in ("textarea", "select") and "disabled" not in has:
            self._open = has["name"]
            self.fields[self._open] = ""
        self._choice = tag == "option" and "selected" in has
        if self._choice and self._open and "value" in has:
            self.fields[self._open], self._choice = has["value"], False

    def handle_endtag(self, tag):
        if tag in ("textarea", "select"):
            self._open = None
        self._forms += tag == "form"
        self._choice = False

    def handle_data(self, data):
        if self._open and (self._choice or self.get_starttag_text().startswith("<textarea")):
            self.fields[self._open] += data


def three(folder):
    """Three hospitals with a generator each."""
    found = Clinic(folder)
    for at, name in enumerate("abc"):
        found.file(name, data=f"data-000000{at}", created=f"2026-0{at + 1}-01")
    return found

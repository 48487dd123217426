"""`$WARDGAN_PROGRESS`: a file that tells other programs how far a verb is."""

import json
import threading

import pytest

from wardgan.cli import terminal
from wardgan.cli.terminal import bar, watching
from wardgan.models.base import Progress


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.setenv("WARDGAN_PROGRESS", str(tmp_path / "progress.json"))
    return tmp_path / "progress.json"


def test_each_state_is_there_and_the_last_one_is_complete(place, monkeypatch):
    monkeypatch.setattr(terminal, "_PAUSE", 0.0)
    with bar("fitting", 1) as advance:
        assert not place.exists()
        for done in range(4):
            advance(done, 3, f"step {done}")
            assert json.loads(place.read_bytes()) == {
                "title": "fitting", "done": done, "total": 3, "text": f"step {done}",
            }  # fmt: skip
    assert [path.name for path in place.parent.iterdir()] == ["progress.json"]


def test_the_last_state_is_written_however_soon_it_comes(place):
    with bar("fitting", 1) as advance:
        for done in range(1001):
            advance(done, 1000, '\N{GREEK SMALL LETTER EPSILON} 3 "of" 3')
    assert json.loads(place.read_bytes()) == {
        "title": "fitting", "done": 1000, "total": 1000, "text": "\N{GREEK SMALL LETTER EPSILON} 3 \"of\" 3",
    }  # fmt: skip


def test_it_is_not_written_at_each_step(place, monkeypatch):
    written = []
    monkeypatch.setattr(terminal, "_note", lambda where, found: written.append(found["done"]))
    with bar("fitting", 1) as advance:
        for done in range(1001):
            advance(done, 1000, "")
    assert written[0] == 0
    assert written[-1] == 1000
    assert len(written) < 100


def test_who_reads_it_meanwhile_finds_it_whole(place, monkeypatch):
    monkeypatch.setattr(terminal, "_PAUSE", 0.0)
    found, ended = [], threading.Event()

    def read():
        while not ended.is_set():
            if place.exists():
                found.append(json.loads(place.read_bytes())["done"])

    reader = threading.Thread(target=read)
    reader.start()
    try:
        with bar("fitting", 1) as advance:
            for done in range(500):
                advance(done, 500, "a" * (done % 97) * 50)
    finally:
        ended.set()
        reader.join()
    assert found == sorted(found)


def test_those_that_count_their_steps_write_it_too(place):
    with watching("measuring") as watch:
        watch(Progress(doing="likeness", done=1, total=1))
    assert json.loads(place.read_bytes())["text"] == "likeness"


def test_a_bar_ends_full_after_success_and_is_gone_before_an_error(place, capsys):
    with watching("federating") as watch:
        watch(Progress(doing="asking", done=3, total=4))
    assert json.loads(place.read_bytes()) == {"title": "federating", "done": 1, "total": 1, "text": ""}
    said = capsys.readouterr().err
    assert "100%" in said
    assert "asking" not in said

    def failing():
        with watching("federating") as watch:
            watch(Progress(doing="asking", done=3, total=4))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        failing()
    assert not capsys.readouterr().err.strip()


@pytest.mark.parametrize("kind", ["no folder", "a folder", "a file on the way", "no name"])
def test_a_place_that_cannot_be_written_disturbs_nobody(tmp_path, monkeypatch, kind):
    (tmp_path / "taken").mkdir()
    (tmp_path / "file").write_text("", encoding="utf-8")
    where = {
        "no folder": tmp_path / "nowhere" / "a", "a folder": tmp_path / "taken", "no name": "/",
        "a file on the way": tmp_path / "file" / "a",
    }[kind]  # fmt: skip
    monkeypatch.setenv("WARDGAN_PROGRESS", str(where))
    with bar("fitting", 1) as advance:
        advance(0, 2, "begun")
        advance(2, 2, "done")
    assert (tmp_path / "file").read_text(encoding="utf-8") == ""


@pytest.mark.parametrize("word", [None, ""])
def test_without_the_word_nothing_is_written(tmp_path, monkeypatch, word):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("WARDGAN_PROGRESS", raising=False)
    if word is not None:
        monkeypatch.setenv("WARDGAN_PROGRESS", word)
    with bar("fitting", 1) as advance:
        advance(1, 1, "done")
    assert not list(tmp_path.iterdir())

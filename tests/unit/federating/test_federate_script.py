"""The script of `benchmarks/federate.py`: what it writes can be trained with, and it waits for nobody who has gone."""

import subprocess
import sys

import pytest

import federate as script
from wardgan.federating.agreement import Agreement
from wardgan.federating.policy import Policy, check_files
from wardgan.federating.site import Site


def test_what_the_script_prepares_can_be_trained_with(tmp_path):
    script._prepared(tmp_path, seed=1)
    what = Agreement.load(tmp_path / "agreement.yaml")
    assert (what.hospitals, what.rounds) == (len(script.SITES), 12)
    for name in script.SITES:
        path = tmp_path / f"{name}.yaml"
        found = Policy.load(path)
        check_files(found, path)
        assert found.refusals(what) == []
        assert Site(found)._own_refusals(what) == []
    (tmp_path / "other").mkdir()
    script._prepared(tmp_path / "other", seed=2)
    assert (tmp_path / "other" / "alpha.csv").read_text() != (tmp_path / "alpha.csv").read_text()


def process(place, name, code):
    words = [sys.executable, "-c", code]
    with (place / f"{name}.out").open("wb") as out, (place / f"{name}.err").open("wb") as err:
        return subprocess.Popen(words, stdout=out, stderr=err)


def test_a_site_that_ended_ends_the_run_with_its_error(tmp_path):
    running = {
        "alpha": process(tmp_path, "alpha", "import time; time.sleep(60)"),
        "beta": process(tmp_path, "beta", "import sys; sys.exit('error: policy: schema is missing.')"),
    }
    try:
        with pytest.raises(RuntimeError, match=r"beta ended with code 1: error: policy: schema is missing\."):
            script._in_round(tmp_path, running, "alpha", 2)
        with pytest.raises(RuntimeError, match="beta ended with code 1"):
            script._ended(tmp_path, running)
    finally:
        script._swept(tmp_path, running)
    assert all(one.poll() is not None for one in running.values())


def test_processes_that_end_well_end_the_run(tmp_path):
    running = {name: process(tmp_path, name, "print('done')") for name in ("alpha", script.COORDINATOR)}
    script._ended(tmp_path, running)
    assert script._said(tmp_path, "alpha", "out").strip() == "done"


def test_each_seed_is_a_run_that_is_done_once(monkeypatch):
    done, ran = [], []
    monkeypatch.setattr(script, "kept", lambda path: list(done))
    monkeypatch.setattr(script, "note", lambda path, row: done.append(row))
    monkeypatch.setattr(
        script, "_network", lambda seed: ran.append(seed) or {"part": "network", "method": script.FOUR, "seed": seed}
    )
    for count in (1, 3):
        monkeypatch.setattr(sys, "argv", ["federate.py", "--parts", "network", "--seeds", str(count)])
        monkeypatch.setattr(script, "save", lambda *found, **more: None)
        script.main()
    assert ran == [0, 1, 2]


@pytest.mark.parametrize(
    ("said", "lost", "agree"),
    [
        ({"grid": 1, "discriminator": 200}, 0, True),
        ({"grid": 1, "discriminator": 150}, 50, True),
        ({"grid": 1, "discriminator": 149}, 50, False),
        ({"grid": 1, "discriminator": 150}, 0, False),
        ({"grid": 1, "discriminator": 201}, 50, False),
        # A table is asked for once, and nothing of it can be lost.
        ({"grid": 0, "discriminator": 200}, 50, False),
        ({"discriminator": 200}, 50, False),
        ({"grid": 1, "discriminator": 200, "more": 1}, 50, False),
    ],
)
def test_only_steps_on_batches_can_be_lost_with_a_hospital(said, lost, agree):
    assert script._agree({"grid": 1, "discriminator": 200}, said, lost=lost) is agree


def test_a_note_must_name_the_one_that_was_killed():
    assert script._noted(["alpha: was silent in round 2"], "alpha")
    assert not script._noted(["beta: was silent in round 2", "alpha: was silent for 'grid'"], "alpha")
    assert not script._noted([], "alpha")

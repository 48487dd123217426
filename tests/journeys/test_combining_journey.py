"""From three hospitals' files to a nation's patients on the command line."""

import json
import shutil

import pandas as pd
import pytest
from typer.testing import CliRunner

import combining_kit as kit
import image_family_kit
import wardgan as wg
from wardgan.cli.main import app
from wardgan.sample.topup import FEW, top_up
from wardgan.seal.artifact import release


def line(*words):
    return CliRunner().invoke(app, [str(word) for word in words], env={"COLUMNS": "160"})


def done(*words):
    found = line(*words, "--json")
    assert found.exit_code == 0, found.output
    return json.loads(found.stdout)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    folder = tmp_path_factory.mktemp("nation")
    wg.new_key(folder / "h.key", name="Hospital", trust=folder / "trust.json")
    kit.hospital(folder, "alpha", 600, seed=1, epsilon=1.0, key=folder / "h.key")
    kit.hospital(folder, "beta", 900, seed=2, epsilon=2.0, key=folder / "h.key")
    kit.hospital(folder, "gamma", 700, seed=3, epsilon=2.0)
    return folder


def test_hospitals_regions_nation(home):
    made = done(
        "combine",
        home / "alpha.hgan",
        home / "beta.hgan",
        "--overlap",
        1,
        "-o",
        home / "north.hgan",
        "--key",
        home / "h.key",
    )
    assert made["shares"] == pytest.approx({"alpha": 0.4, "beta": 0.6})
    assert made["bounds"]["overlap"]["epsilon"] == pytest.approx(2.0, rel=0.01)
    said = line(
        "combine", home / "north.hgan", home / "gamma.hgan", "-o", home / "nation.hgan", "--name", "nation"
    ).output
    for words in ("2 members as nation", "68.2 %  north", "gamma: nobody signed it", "if nobody is a patient of two", "whoever is a patient of all 3",
                  "The file claims the last one"):  # fmt: skip
        assert words in said, said
    tree = line("inspect", home / "nation.hgan", "--trust", home / "trust.json").output
    assert "├── north  68.2 %" in tree
    assert "│   ├── alpha  27.3 %  epsilon 1  verified Hospital" in tree
    assert "└── gamma  31.8 %  epsilon 2  unsigned" in tree
    facts = done("inspect", home / "nation.hgan")
    assert facts["bounds"]["sites"] == 3
    drawn = done(
        "sample",
        home / "nation.hgan",
        "-n",
        500,
        "--site",
        "clinic",
        "--where",
        "arm=new",
        "-o",
        home / "s.csv",
        "--seed",
        4,
    )
    assert drawn["rows"] == 500
    frame = pd.read_csv(home / "s.csv")
    assert set(frame["clinic"]) == {"north/alpha", "north/beta", "gamma"}
    assert set(frame["arm"]) == {"new"}


def test_verify_says_who_is_not_signed(home):
    done(
        "combine",
        home / "alpha.hgan",
        home / "beta.hgan",
        "--overlap",
        1,
        "-o",
        home / "v.hgan",
        "--key",
        home / "h.key",
    )
    good = line("verify", home / "v.hgan", "--trust", home / "trust.json")
    assert good.exit_code == 0, good.output
    assert (
        "Billed:    beta: epsilon 2" in good.output.replace("1.99", "2")[:2000]
        or "Billed:    beta: epsilon 1.99" in good.output
    )
    done("combine", home / "alpha.hgan", home / "gamma.hgan", "-o", home / "w.hgan", "--key", home / "h.key")
    bad = line("verify", home / "w.hgan", "--trust", home / "trust.json")
    assert bad.exit_code == 3
    assert "gamma: its release is not signed by a key that you trust" in bad.output


def test_weights_from_a_file_and_a_recipe(home):
    (home / "w.yaml").write_text("alpha: 3\nbeta: 1\n", encoding="utf-8")
    pair = (home / "alpha.hgan", home / "beta.hgan")
    assert done("combine", *pair, "--weights", home / "w.yaml", "-o", home / "x.hgan")["shares"] == pytest.approx(
        {"alpha": 0.75, "beta": 0.25}
    )
    (home / "w.yaml").write_text("alpha: 3\nbet: 1\n", encoding="utf-8")
    wrong = line("combine", *pair, "--weights", home / "w.yaml", "-o", home / "y.hgan")
    assert (wrong.exit_code, "'bet' is in one of" in " ".join(wrong.output.split())) == (2, True)
    (home / "r.yaml").write_text("name: region\nmembers: [alpha.hgan, beta.hgan]\noverlap: 1\n", encoding="utf-8")
    assert done("combine", home / "r.yaml", "-o", home / "r.hgan")["bounds"]["most"] == 1
    assert line("combine", home / "r.yaml", "--weights", "uniform", "-o", home / "q.hgan").exit_code == 2
    only = line("sample", home / "alpha.hgan", "-n", 3, "--site", "clinic", "-o", home / "t.csv")
    assert (only.exit_code, "has no meaning here" in " ".join(only.output.split())) == (2, True)


def test_revoked_members(home):
    digest = wg.inspect(home / "beta.hgan")["digest"]
    (home / "revoked.txt").write_text(f"{digest}  withdrawn\n", encoding="utf-8")
    found = line(
        "combine", home / "alpha.hgan", home / "beta.hgan", "--revoked", home / "revoked.txt", "-o", home / "z.hgan"
    )
    assert (found.exit_code, "was revoked" in " ".join(found.output.split())) == (3, True)
    assert not (home / "z.hgan").exists()


@pytest.mark.parametrize("line_of", ["{0}garbage", "{0},withdrawn", "sha256", '"{1}"', "{2}"])
def test_a_list_of_revoked_digests_that_is_not_understood(home, line_of):
    digest = wg.inspect(home / "beta.hgan")["digest"]
    text = line_of.format(digest, digest, digest.removeprefix("sha256:"))
    (home / "odd.txt").write_text(text, encoding="utf-8")
    found = line(
        "combine", home / "alpha.hgan", home / "beta.hgan", "--revoked", home / "odd.txt", "-o", home / "odd.hgan"
    )
    assert (found.exit_code, "line 1: does not begin with sha256:" in " ".join(found.output.split())) == (2, True)
    (home / "odd.txt").write_text(
        f"# revoked\n\n{digest.upper().replace('SHA', 'sha')}  # withdrawn\n", encoding="utf-8-sig"
    )
    again = line(
        "combine", home / "alpha.hgan", home / "beta.hgan", "--revoked", home / "odd.txt", "-o", home / "odd.hgan"
    )
    assert again.exit_code == 3


def test_weights_of_files_of_the_same_name(home, tmp_path):
    (tmp_path / "x").mkdir()
    shutil.copy(home / "beta.hgan", tmp_path / "x" / "alpha.hgan")
    (tmp_path / "w.yaml").write_text("alpha: 1\n", encoding="utf-8")
    found = line(
        "combine",
        home / "alpha.hgan",
        tmp_path / "x" / "alpha.hgan",
        "--weights",
        tmp_path / "w.yaml",
        "-o",
        tmp_path / "y.hgan",
    )
    assert (found.exit_code, "files of the same name" in " ".join(found.output.split())) == (2, True)
    assert line("verify", home / "alpha.hgan", "--trust", home / "trust.json").exit_code == 0


def test_an_epsilon_beyond_sense_is_said_aloud(tmp_path):
    for name in ("a", "b"):
        kit.hospital(tmp_path, name, 400, epsilon=90.0)
    found = line("combine", tmp_path / "a.hgan", tmp_path / "b.hgan", "-o", tmp_path / "c.hgan")
    assert "NOT PRIVATE" in found.output
    assert "the file claims nothing" in " ".join(found.output.split())
    assert wg.load(tmp_path / "c.hgan").privacy["mode"] == "none"


def test_images_combine_too(tmp_path):
    for at in range(2):
        cohort = image_family_kit.cohort(120, seed=at)
        release(wg.fit(cohort, wg.Budget(20.0)), tmp_path / f"h{at}.hgan", training_data_id=f"data-000{at}")
    members = tuple(wg.Wanted(tmp_path / f"h{at}.hgan", name=f"h{at}") for at in range(2))
    wg.combine(wg.Recipe("both", members, overlap=1), tmp_path / "both.hgan")
    mixture, alone = wg.load(tmp_path / "both.hgan"), [wg.load(tmp_path / f"h{at}.hgan") for at in range(2)]
    label = mixture.schema.labels[0].name
    one = mixture.images(400, seed=1)
    assert one.pixels.shape[1:] == mixture.schema.images.shape
    np_means = [part.images(400, seed=2).pixels.mean(axis=0) for part in alone]
    assert abs(one.pixels.mean(axis=0) - sum(np_means) / 2).max() < 0.2
    assert (mixture.images(30, seed=1).pixels == one.pixels[:30]).all()
    assert len(mixture.dataset(10, seed=1)) == 10
    assert (mixture.dataset(10, seed=1)[3][0] == one.pixels[3]).all()
    level = str(mixture.schema.labels[0].levels[0])
    assert set(mixture.images(20, where={label: level}, seed=1).labels[label]) == {level}
    done("sample", tmp_path / "both.hgan", "-n", 12, "--balance", label, "-o", tmp_path / "out.npz")
    assert callable(top_up)
    assert FEW == 50

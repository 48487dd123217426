"""From a folder of DICOM files and a table of labels to synthetic images of a rare class, on the command line."""

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pydicom
import pytest
from typer.testing import CliRunner

import image_kit as kit
import wardgan as wg
from wardgan.cli.main import app
from wardgan.imaging.draft_schema import draft_images
from wardgan.sample.topup import FEW, top_up

OVERRIDE = "A. Tester: no dossier of images yet"
PATIENTS = 240


def line(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


def done(*words):
    found = line(*words, "--json")
    assert found.exit_code == 0, found.output
    return json.loads(found.stdout)


def refused(*words):
    found = line(*words)
    assert found.exit_code == 2, found.output
    return " ".join(found.output.split())


@pytest.fixture(scope="module")
def clinic(tmp_path_factory):
    """Two images of each patient; one patient in six has a bright spot, which is what the label says."""
    home = tmp_path_factory.mktemp("clinic")
    (home / "scans").mkdir()
    rng, rows = np.random.default_rng(0), []
    for number in range(2 * PATIENTS):
        patient, spot = number // 2, number // 2 % 6 == 0
        pixels = rng.integers(300, 900, (16, 12)) + 200 * (patient % 5)
        if spot:
            pixels[4:10, 3:8] += 2000
        name = f"{number:03}.dcm"
        kit.dicom(home / "scans" / name, pixels, SOPInstanceUID=f"1.2.{number}", PatientID=f"{kit.CANARY}{patient}",
                  Modality="DX", WindowCenter=1500, WindowWidth=3000)  # fmt: skip
        rows.append({"file": name, "patient_id": f"{kit.CANARY}{patient}", "finding": "mass" if spot else "clear"})
    pd.DataFrame(rows).to_csv(home / "labels.csv", index=False)
    return home


@pytest.fixture(scope="module")
def schema(clinic):
    done("init", clinic / "scans", "--labels", clinic / "labels.csv", "--name", "scans", "-o", clinic / "draft.yaml")
    text = (clinic / "draft.yaml").read_text(encoding="utf-8")
    assert "[from patients" not in text
    assert text.count("from patients") > 3
    declared = wg.Schema.load(clinic / "draft.yaml").to_dict()
    assert declared["confirm"] == ["population", "table.finding.levels", "images.size"]
    assert declared["images"]["size"] == [16, 12]
    assert (declared["patient"], declared["population"]) == ("patient_id", PATIENTS)
    del declared["confirm"]
    wg.Schema.from_dict(declared).save(clinic / "schema.yaml")
    return clinic / "schema.yaml"


@pytest.fixture(scope="module")
def model(clinic, schema):
    labels = ("--labels", clinic / "labels.csv")
    assert done("check", clinic / "scans", schema, *labels)["patients"] == PATIENTS
    found = done("fit", clinic / "scans", schema, *labels, "--epsilon", 8, "-o", clinic / "run")
    assert (found["family"], found["mode"]) == ("imagegan", "private")
    # Two images of each patient, to two digits.
    assert found["tensor_bytes"] == pytest.approx(2 * PATIENTS * 16 * 12 * 4, rel=0.05)
    assert found["source_bytes"] > found["tensor_bytes"]
    done("release", clinic / "run", "-o", clinic / "scans.hgan", "--override", OVERRIDE)
    return clinic / "scans.hgan"


def test_p18_no_name_leaves(clinic, model):
    for path in (model, *(clinic / "run").iterdir()):
        assert kit.CANARY.encode() not in path.read_bytes()
    assert line("card", model, "--format", "hf").exit_code == 0
    said = " ".join(line("inspect", model).output.split())
    assert "Images: 16 x 12 pixels, grey" in said
    page = line("card", model).output
    assert "generator.images(1000" in page


def test_with_a_dossier_no_person_has_to_answer(clinic, schema, tmp_path):
    """Labels are cut by patient, one side is fitted to; both sides' images lie in one folder."""
    scans, train, held = clinic / "scans", tmp_path / "train.csv", tmp_path / "held.csv"
    done("split", clinic / "labels.csv", schema, "-o", train, "--holdout", held, "--seed", 3)
    names = [set(pd.read_csv(path)["patient_id"]) for path in (train, held)]
    assert not names[0] & names[1]
    done("fit", scans, schema, "--labels", train, "--epsilon", 3, "-o", tmp_path / "run")
    aside = ("--holdout-labels", held, "--policy", "research", "--public-share", 0)
    small = refused("dossier", tmp_path / "run", "--data", scans, "--labels", train, *aside)
    assert "a side below 16 pixels cannot be judged" in small
    bigger = wg.Schema.load(schema).to_dict()
    bigger["images"] = {"size": [16, 16]}
    (clinic / "wide").mkdir(exist_ok=True)
    for path in scans.iterdir():
        pixels = np.pad(pydicom.dcmread(path).pixel_array, ((0, 0), (2, 2)))
        number = int(path.stem)
        kit.dicom(clinic / "wide" / path.name, pixels, SOPInstanceUID=f"1.3.{number}", PatientID=f"{kit.CANARY}{number // 2}",
                  Modality="DX", WindowCenter=1500, WindowWidth=3000)  # fmt: skip
    wg.Schema.from_dict(bigger).save(tmp_path / "wide.yaml")
    done("fit", clinic / "wide", tmp_path / "wide.yaml", "--labels", train, "--epsilon", 3, "-o", tmp_path / "wide")
    found = done("dossier", tmp_path / "wide", "--data", clinic / "wide", "--labels", train, *aside)
    assert found["refusals"] == [] or found["internal"] == "fail"
    for file in found["files"]:
        assert kit.CANARY.encode() not in Path(file).read_bytes()
    override = () if not found["refusals"] else ("--override", "A. Tester: attacks accuse one safe generator in twenty")
    done("release", tmp_path / "wide", "-o", tmp_path / "scans.hgan", *override)
    assert "Synthetic images by finding" in line("card", tmp_path / "scans.hgan", "--format", "html").output
    both = refused("dossier", tmp_path / "wide", "--data", clinic / "wide", "--labels", train, "--holdout", clinic / "wide",
                   "--holdout-labels", train, "-o", tmp_path / "again")  # fmt: skip
    assert "are patients of data, too, by their names in patient_id" in both


def test_samples_say_what_they_are(clinic, model):
    found = done("sample", model, "-n", 40, "--balance", "finding", "--seed", 3, "-o", clinic / "new.npz")
    assert (found["images"], found["format"]) == (40, "npz")
    with np.load(clinic / "new.npz") as arrays:
        assert arrays["images"].shape == (40, 16, 12)
        assert (arrays["finding"] == "mass").sum() == 20
        assert json.loads(str(arrays["note"]))["synthetic"] is True
    done("sample", model, "-n", 3, "--where", "finding=mass", "--format", "dicom", "--bits", 16, "-o", clinic / "dcm")
    made = pydicom.dcmread(clinic / "dcm" / "00000002.dcm")
    assert (made.SyntheticData, made.BitsStored) == ("YES", 16)
    done("sample", model, "-n", 3, "--seed", 3, "--balance", "finding", "-o", clinic / "png")
    again, _ = wg.read_images(
        clinic / "png", wg.Schema.from_dict({**wg.load(model).schema.to_dict(), "patient": None}),
        labels=clinic / "png" / "labels.csv",
    )  # fmt: skip
    wanted = wg.load(model).images(3, seed=3, balance="finding")
    np.testing.assert_allclose(again.pixels, wanted.pixels, atol=1 / 255 + 1e-6)


def test_what_was_written_is_read_and_counted_again_where_images_are_cropped(tmp_path, model):
    """An image in the declared size was cut before; whoever counts labels cuts nothing."""
    done("sample", model, "-n", 60, "--seed", 1, "--balance", "finding", "-o", tmp_path / "png")
    cropping = wg.load(model).schema.to_dict() | {"patient": None, "images": {"size": [16, 12], "crop": True}}
    found, report = wg.read_images(
        tmp_path / "png", wg.Schema.from_dict(cropping), labels=tmp_path / "png" / "labels.csv"
    )
    assert (len(found.pixels), report.skipped) == (60, {})
    # Larger and smaller images than the generator's are counted alike.
    mine = own(tmp_path, 10, 90)
    with np.load(mine) as arrays:
        pixels = np.repeat(arrays["images"], 2, axis=1)[:, :, :9]
        np.savez(tmp_path / "narrow.npz", images=pixels, finding=arrays["finding"])
    top = done(
        "balance",
        tmp_path / "narrow.npz",
        "--with",
        model,
        "--label",
        "mass",
        "--ratio",
        0.15,
        "-o",
        tmp_path / "m.npz",
    )
    assert (top["top_up"]["real"], top["top_up"]["others"]) == (10, 90)


def test_settings_on_the_command_line(clinic, schema, tmp_path):
    labels = ("--labels", clinic / "labels.csv")
    found = done("fit", clinic / "scans", schema, *labels, "--privacy", "none", "--set", "open_steps=2", "--set", "width=4",
                 "-o", tmp_path / "run")  # fmt: skip
    assert found["network_bytes"] > 1000
    config = wg.Trained.load(tmp_path / "run").config
    assert (config["open_steps"], config["width"]) == (2, 4)
    assert (tmp_path / "run" / "progress.png").is_file()
    plan = done("plan", schema, "--epsilon", 8, "--set", "discriminator=0.2")
    assert "discriminator" in [event["name"] for event in plan["events"]]
    for wrong, says in (
        ("open_step=3", "sets nothing of imagegan; it is NAME=VALUE, with NAME one of waves, radius, grain"),
        ("open_steps", "sets nothing"), ("open_steps=many", "open_steps='many' is not a whole number"),
        ("augment=maybe", "augment='maybe' is not true or false"), ("waves=0", "waves=0"),
    ):  # fmt: skip
        assert says in refused("plan", schema, "--epsilon", 8, "--set", wrong)


def test_bright_spots_are_where_the_label_says(model):
    found = wg.load(model).images(200, balance="finding", seed=1)
    inside = found.pixels[:, 0, 4:10, 3:8].mean(axis=(1, 2))
    spot = np.array(found.labels["finding"]) == "mass"
    assert inside[spot].mean() > inside[~spot].mean() + 0.3


def own(folder, masses, others):
    """A user's own images without any name."""
    labels = np.array(["mass"] * masses + ["clear"] * others)
    pixels = np.random.default_rng(1).integers(0, 255, (len(labels), 16, 12)).astype(np.uint8)
    np.savez(folder / "own.npz", images=pixels, finding=labels)
    return folder / "own.npz"


def test_a_rare_level_is_topped_up(tmp_path, model):
    mine = own(tmp_path, 10, 90)
    found = done("balance", mine, "--with", model, "--label", "mass", "--ratio", 0.15, "-o", tmp_path / "more")
    assert found["top_up"]["lacking"] == found["images"] == 6
    labels = pd.read_csv(tmp_path / "more" / "labels.csv")
    assert set(labels["finding"]) == {"mass"}
    # 40 of 240 patients have the level, fewer than 50: no parity, and the largest share that is possible works.
    said = refused("balance", mine, "--with", model, "--label", "finding=mass", "-o", tmp_path / "parity")
    possible = re.search(r"--ratio (0\.\d+)", said)[1]
    assert f"fewer than {FEW}" in said
    assert not (tmp_path / "parity").exists()
    done("balance", mine, "--with", model, "--label", "mass", "--ratio", possible, "-o", tmp_path / "parity")
    common = done("balance", own(tmp_path, 60, 20), "--with", model, "--label", "clear", "-o", tmp_path / "common.npz")
    assert common["images"] == 40


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--label", "nothing"), "no label has such a level; the generator has finding=clear, finding=mass"),
        (("--label", "clear", "--ratio", "0.1"), "finding=clear has that share already (90 of 100 images)"),
        (("--label", "mass", "--ratio", "1"), "ratio=1"),
        (("--label", "mass", "--ratio", "0.12", "--format", "tiff"), "format='tiff'"),
    ],
)
def test_what_cannot_be_topped_up(tmp_path, model, words, says):
    assert says in refused("balance", own(tmp_path, 10, 90), "--with", model, *words, "-o", tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["own.npz"]


def test_the_number_that_is_lacking_brings_the_share(model):
    generator = wg.load(model)
    for masses, ratio in ((0, 0.1), (1, 0.02), (7, 0.08), (10, 0.15)):
        pixels = np.zeros((masses + 90, 1, 16, 12), dtype=np.float32)
        codes = np.array(
            [generator.schema.table[0].levels.index("mass")] * masses
            + [generator.schema.table[0].levels.index("clear")] * 90
        )
        schema = wg.Schema.from_dict({**generator.schema.to_dict(), "patient": None})
        cohort = wg.ImageCohort(
            schema, pixels, {"finding": codes}, np.arange(len(codes)),
            np.arange(len(codes)).astype(str).astype(object), False, 0,
        )  # fmt: skip
        if masses == 0:
            with pytest.raises(wg.WardganError, match="You have too few of your own"):
                top_up(generator, cohort, "mass", ratio)
            continue
        found = top_up(generator, cohort, "mass", ratio).lacking
        assert (masses + found) / (len(codes) + found) >= ratio
        assert (masses + found - 1) / (len(codes) + found - 1) < ratio


def test_what_has_no_meaning_for_images_is_refused(clinic, schema, model, tmp_path):
    scans, labels = clinic / "scans", clinic / "labels.csv"
    assert "--visits has no meaning" in refused("check", scans, schema, "--visits", labels)
    assert "cannot draw images" in refused(
        "fit", scans, schema, "--labels", labels, "--epsilon", 3, "--family", "copula", "-o", tmp_path / "run"
    )
    assert "invalid='clip' has no meaning for images" in refused(
        "fit", scans, schema, "--labels", labels, "--epsilon", 3, "--invalid", "clip", "-o", tmp_path / "run"
    )
    assert not (tmp_path / "run").exists()
    assert "knows tables and visits only" in refused("audit", scans, schema, "--epsilon", 3)
    cohort, _ = wg.read_images(scans, wg.Schema.load(schema), labels=labels)
    with pytest.raises(wg.WardganError, match="an audit knows tables and visits only"):
        wg.audit(cohort, wg.Budget(3.0))
    assert "only tables and visits can be simulated" in refused("sketch", schema)
    assert "they have no meaning for images" in refused("sample", model, "-n", 3, "--wide", "-o", tmp_path / "x.npz")
    assert "images are written to a file .npz" in refused("sample", model, "-n", 3, "-o", tmp_path / "x.csv")
    assert "is not divided" in refused(
        "split", own(tmp_path, 3, 3), schema, "-o", tmp_path / "a.csv", "--holdout", tmp_path / "b.csv"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["own.npz"]


def test_a_draft_without_labels_says_who_is_a_patient(tmp_path):
    np.savez(tmp_path / "bare.npz", images=np.zeros((30, 40, 28), dtype=np.uint8))
    made = draft_images(tmp_path / "bare.npz", name="bare")
    assert made.schema.table == ()
    assert made.schema.confirm == ("population", "images.size")
    assert any("each image counts as one" in notice for notice in made.notices)


def test_a_draft_takes_labels_and_leaves_the_rest_out(tmp_path):
    size = 60
    np.savez(tmp_path / "more.npz", images=np.zeros((size, 16, 16), dtype=np.uint8), side=np.arange(size) % 2,
             age=np.linspace(20, 90, size).round(1), pid=np.arange(size) // 3)  # fmt: skip
    made = draft_images(tmp_path / "more.npz", name="more")
    assert [(column.name, column.levels) for column in made.schema.table] == [("side", ("false", "true"))]
    assert set(made.left_out) == {"age"}
    assert (made.schema.patient, made.schema.population) == ("pid", 20)
    frame = pd.DataFrame({"file": ["a.png"], "patient_id": [1]})
    with pytest.raises(wg.WardganError, match="besides the columns that name images and patients there is none"):
        draft_images(tmp_path / "more.npz", name="x", labels=frame)

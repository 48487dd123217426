"""Dossiers of images: what they say, to whom, and what holds a generator back."""

import base64
import io
import json
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import image_dossier_kit as kit
import image_family_kit
import wardgan as wg
import wardgan.dossier.images.paid as paid
import wardgan.evaluate.images.report as reporting
from wardgan.dossier.assess import Dossier, assess
from wardgan.dossier.document import Document, Gallery
from wardgan.dossier.gates import judged, reasons
from wardgan.dossier.images.gallery import gallery, level_share, synthetic_gallery
from wardgan.dossier.images.measure import ImagePatients, leaking_images, measure_images
from wardgan.dossier.images.numbers import image_numbers, image_warnings
from wardgan.dossier.images.paid import MODEL, TAUGHT, RecognisedImages, recognised_images
from wardgan.dossier.looks import look_of
from wardgan.dossier.page import page
from wardgan.dossier.policy import Policy
from wardgan.dossier.public import Word, public_edition
from wardgan.dossier.receiver import verify
from wardgan.dossier.release import release
from wardgan.dossier.subject import Subject
from wardgan.errors import DataError, FormatError, UsageError
from wardgan.privacy.image_queries import Pictures
from wardgan.rng import Seed
from wardgan.seal.keys import new_key

Image = pytest.importorskip("PIL.Image", reason="images are drawn by Pillow")
QUICK = {"created": kit.DAY, "public_share": 0.5, "policy": "research"}


@pytest.fixture(scope="module", autouse=True)
def _quick():
    """Networks that learn for a few steps; how well they do is tested elsewhere."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reporting, "STEPS", 40)
        patch.setattr(reporting, "DRAWN_STEPS", 20)
        patch.setattr(paid, "STEPS", 40)
        yield


@pytest.fixture(scope="module")
def patients():
    return kit.halves()


@pytest.fixture(scope="module")
def run(tmp_path_factory, patients):
    place = tmp_path_factory.mktemp("images") / "run"
    kit.fitted(place, patients[0], epsilon=8.0)
    return place


@pytest.fixture(scope="module")
def made(run, patients):
    return assess(run, *patients, **QUICK)


def text_of(document):
    return re.sub(r"\s+", " ", re.sub("<[^>]+>", " ", page(document)))


def galleries(document):
    return [block for section in document.sections for block in section.blocks if isinstance(block, Gallery)]


def pixels_of(png):
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(png))), dtype=np.float32)


def tiles(png, side=kit.SIDE):
    sheet = pixels_of(png)
    count = (sheet.shape[1] - 2) // (side + 2)
    return [sheet[2 : 2 + side, 2 + at * (side + 2) : 2 + at * (side + 2) + side] for at in range(count)]


def test_both_editions_have_all_sections_and_say_what_was_found(made):
    for document in (made.internal, made.public):
        assert [section.number for section in document.sections] == list(range(1, 15))
    words = text_of(made.internal)
    for said in (
        "300 patients, 300 images", "In random features", "In radiomics", "TSTR as a share of TRTR",
        "nearest image, by pixels", "images very near to patients", "guessing finding", "leaking generator",
        "files with the images", "pixels of the training images, 4 bytes each", "finding: benign",
        "Within each level of the label", "Somebody who reads such images should look",
    ):  # fmt: skip
        assert said in words, said
    assert "FID" in words.split("None of these is the number that is usually called ")[1][:4]
    assert len(page(made.internal).encode()) < 2e6


def test_gates_of_images(made):
    gates = {one.gate: one for one in made.judgements}
    assert set(gates) == set(Policy.load("default").limits)
    assert {name for name, one in gates.items() if one.verdict == "not asked"} == {
        "singling out",
        "linkability",
        "impossible",
        "survival",
    } | {"certified epsilon"}  # with few patients it could only have accused
    assert gates["epsilon"].verdict == "warn"
    assert gates["utility"].estimate is not None
    assert gates["public utility"].estimate is not None
    assert gates["subgroups"].verdict in ("pass", "warn")


def test_p13_the_public_edition_shows_synthetic_images_alone(made, run):
    (shown,) = galleries(made.public)
    generator = wg.Trained.load(run).generator
    for at, (row, level) in enumerate(zip(shown.rows, ("benign", "malignant"), strict=True)):
        assert row.label == level
        replay = int(Seed(0).stream("gallery", at).integers(2**63))
        wanted = generator.images(8, where={"finding": level}, seed=replay).pixels[:, 0]
        np.testing.assert_allclose(tiles(row.png), np.rint((wanted + 1) * 127.5), atol=0.5)
    assert len(galleries(made.internal)) == 2
    assert text_of(made.public).count("nearest training") == 0


def test_p13_an_outlier_changes_no_byte_of_the_public_edition(run, patients):
    """In the training or in the hold-out: the generator being the same, nothing of the public edition sees a patient."""
    train, holdout = patients
    documents = []
    for one, other in ((train, holdout), (train, kit.outlier(holdout)), (train, holdout.take(np.arange(200)))):
        documents.append(assess(run, one, other, created=kit.DAY, public_share=0).public.to_json())
    trained = wg.Trained.load(run)
    subject = Subject(trained.generator, trained.ledger.to_dict(), trained.config, kit.DAY, 0)
    word = Word.of_dict(json.loads(documents[0])["facts"]["word"], "dossier.json")
    alone = public_edition(subject, look_of(trained.generator, 0), None, Policy.load("default"), word)
    assert len({*documents, alone.to_json()}) == 1


def test_p13_only_the_internal_edition_shows_patients(made, patients):
    """Each picture of a patient in the internal edition is one; none is in the public one."""
    train, holdout = patients
    rows = {row.label: row for row in galleries(made.internal)[1].rows}
    for name, side in (("nearest training", train), ("nearest hold-out", holdout)):
        grey = np.rint((side.pixels[:, 0] + 1) * 127.5)
        for tile in tiles(rows[name].png):
            assert (np.abs(grey - tile).max(axis=(1, 2)) <= 0.5).any()
            public = made.public.to_json().decode()
            assert rows[name].png not in public


def test_it_is_read_again_as_it_was_written(made, tmp_path):
    files = made.write(tmp_path / "dossier")
    again = Dossier.read(tmp_path / "dossier")
    assert again.internal.to_json() == made.internal.to_json()
    assert again.public.to_json() == made.public.to_json()
    assert again.whole
    text = files[0].read_text(encoding="utf-8")
    assert "img-src data:" in text
    assert "<script" not in text
    assert "http" not in text.replace("http-equiv", "").replace("http://www.w3.org/2000/svg", "")


def measured(train, holdout, synthetic, run, **more):
    generator = wg.Trained.load(run).generator
    found = measure_images(
        ImagePatients(train.schema, "finding", train_seen(train), train_seen(holdout), synthetic),
        epsilon=8.0, delta=1e-5, seed=Seed(1), **more,
    )  # fmt: skip
    return found, image_numbers(found, generator)


def train_seen(cohort):
    return ImagePatients.of(cohort, None, image_family_kit.generator(cohort.schema).images(1, seed=0), "finding").train


def test_a_generator_that_copies_is_held_back(run, patients):
    train, holdout = patients
    honest = train_seen(kit.cohort(300, 3, first=600))
    found, numbers = measured(train, holdout, leaking_images(train_seen(train), honest, seed=Seed(9)), run)
    verdicts = {(one.gate, one.verdict) for one in judged(numbers, Policy.load("default"), gates=[])}
    assert {("membership area", "fail"), ("copies", "fail"), ("certain copies", "fail")} & verdicts
    assert reasons(judged(numbers, Policy.load("default"), gates=[]), Policy.load("research"))
    assert found.control is not None
    assert found.control.leaks


def test_without_a_holdout_nothing_is_judged_and_images_are_shown(run, patients):
    found = assess(run, patients[0], created=kit.DAY)
    assert "There is no hold-out" in found.internal.facts["warnings"][0]
    assert {one.verdict for one in found.judgements if one.gate in ("membership", "utility", "copies")} == {"unjudged"}
    assert any("membership" in reason for reason in found.refusals)
    assert len(galleries(found.internal)) == len(galleries(found.public)) == 1
    assert found.public.facts["word"]["attacked"] is False


def test_a_holdout_of_training_patients_is_refused_by_names_alone(run, patients):
    train, holdout = patients
    both = replace(holdout, patients=np.concatenate([train.patients[:3], holdout.patients[3:]]))
    with pytest.raises(DataError, match="3 patients of it are patients of data, too"):
        assess(run, train, both, **QUICK)


def test_doubles_in_both_are_told(run, patients):
    train, holdout = patients
    pixels = holdout.pixels.copy()
    pixels[:30] = train.pixels[:30]
    doubled = replace(holdout, pixels=pixels)
    found = assess(run, train, doubled, created=kit.DAY, public_share=0)
    assert any("10 % of the hold-out images are training images" in one for one in found.internal.facts["warnings"])


def test_p01_a_holdout_with_doubles_pays_for_nothing(run, patients):
    train, holdout = patients
    before = bills(run)
    for count, told in ((1, "1 image of it"), (30, "30 images of it")):
        pixels = holdout.pixels.copy()
        pixels[-count:] = train.pixels[5 : 5 + count]
        with pytest.raises(DataError, match=f"{told} .* would pay twice"):
            assess(run, train, replace(holdout, pixels=pixels), **QUICK)
    pixels[: len(pixels) // 2 + 1] = train.pixels[: len(pixels) // 2 + 1]
    with pytest.raises(DataError, match="which is most of it"):
        assess(run, train, replace(holdout, pixels=pixels), created=kit.DAY, public_share=0)
    assert bills(run) == before


def bills(run):
    return len(wg.Trained.load(run).ledger.to_dict()["events"])


def test_images_nearer_to_the_training_are_told(run, patients):
    train, holdout = (train_seen(one) for one in patients)
    honest = train_seen(kit.cohort(300, 3, first=600))
    for made, told in ((honest, False), (leaking_images(train, honest, seed=Seed(9)), True)):
        found = measure_images(
            ImagePatients(patients[0].schema, "finding", train, holdout, made), epsilon=8.0, delta=1e-5, seed=Seed(1)
        )
        assert any("nearer to training than to hold-out" in one for one in image_warnings(found)) == told


def test_a_holdout_from_elsewhere_is_told(run, patients):
    train, holdout = patients
    dark = replace(holdout, pixels=(0.5 * holdout.pixels - 0.5).astype(np.float32))
    found = assess(run, train, dark, created=kit.DAY, public_share=0)
    assert any("not drawn like the training patients" in one for one in found.internal.facts["warnings"])


def test_what_cannot_be_compared(run, patients, tmp_path):
    train, holdout = patients
    table = wg.read(
        pd.DataFrame({"a": [1.0, 2.0]}), wg.Schema.from_dict({"name": "t", "table": {"a": {"kind": "number", "low": 0, "high": 9}}})
    )  # fmt: skip
    with pytest.raises(DataError, match="patients with images and patients with tables"):
        assess(run, train, table, **QUICK)
    other = kit.cohort(40, 5, mask=True, first=900)
    with pytest.raises(DataError, match="read as another size or kind"):
        assess(run, train, other, **QUICK)
    with pytest.raises(DataError, match="these are not the patients"):
        assess(run, holdout, train, **QUICK)
    with pytest.raises(UsageError, match=r"target='size' is no label with several levels; there are finding"):
        assess(run, train, holdout, target="size", **QUICK)
    small = image_family_kit.cohort(100)
    place = tmp_path / "small"
    wg.fit(small, wg.Budget(20.0), run=place)
    with pytest.raises(UsageError, match="a side below 16 pixels cannot be judged"):
        assess(place, small, **QUICK)


def test_a_release_needs_no_override_and_a_receiver_checks_it(tmp_path):
    # With as many patients a classifier learns whatever the noise was; with 300, one in some fits teaches worse than chance.
    patients = [kit.cohort(2_000, 1, population=2_000), kit.cohort(600, 2, first=2_000, population=2_000)]
    kit.fitted(tmp_path / "run", patients[0], epsilon=8.0)
    found = assess(tmp_path / "run", *patients, **QUICK)
    if found.refusals:  # attacks accuse one safe generator in twenty
        found = assess(tmp_path / "run", *patients, seed=1, **QUICK)
    trained = wg.Trained.load(tmp_path / "run")
    found.write(tmp_path / "dossier")
    new_key(tmp_path / "key", name="Clinic", trust=tmp_path / "trust.json")
    path = release(trained, tmp_path / "x.hgan", tmp_path / "key", dossier=tmp_path / "dossier", created=kit.DAY)
    got = verify(path, tmp_path / "trust.json")
    assert got.refusals == []
    assert {one.gate: one.verdict for one in got.gates}["impossible"] == "not asked"
    from wardgan.dossier.cards import card

    for form in ("datasheet", "chai"):
        said = card(path, form, trust=tmp_path / "trust.json")
        assert "One synthetic image of 16 x 16 pixels, with finding" in said
    assert "No image of the patients" in card(path, "datasheet", trust=tmp_path / "trust.json")
    assert ".images(1000)" in card(path, "chai", trust=tmp_path / "trust.json")
    assert "images = generator.images" in card(path, "hf", trust=tmp_path / "trust.json")
    html = card(path, "html", trust=tmp_path / "trust.json")
    # Made anew from the generator: the same gallery comes out.
    assert galleries(found.public)[0].rows[0].png in html


def test_counts_of_a_tables_classifier_are_refused(made, run):
    from wardgan.dossier.receiver import gates_of

    trained = wg.Trained.load(run)
    subject = Subject(trained.generator, trained.ledger.to_dict(), {}, "", 0)
    gates_of(subject, made.public)
    facts = json.loads(json.dumps(made.public.facts))
    facts["paid"]["model"] = "logistic regression"
    with pytest.raises(FormatError, match="of another classifier"):
        gates_of(subject, replace(made.public, facts=facts))


# --- the paid counts --------------------------------------------------------------------------------------------------


def bright(pixels):
    """Calls an image malignant whose middle is bright."""
    middle = pixels[:, 0, 6:10, 6:10].mean(axis=(1, 2))
    return np.stack([-middle, middle], axis=1)


def question(network=bright):
    return RecognisedImages(kit.schema(), "finding", ("benign", "malignant"), network)


def test_recognised_twice():
    cohort = kit.cohort(40, 7, each=3)
    found = Pictures.of(cohort).total(question()).reshape(2, 2)
    people, right = np.zeros(2), np.zeros(2)
    for owner in range(len(cohort)):
        mine = np.flatnonzero(cohort.owners == owner)
        for at in mine:
            label = int(cohort.labels["finding"][at])
            people[label] += 1 / len(mine)
            right[label] += (bright(cohort.pixels[at : at + 1]).argmax() == label) / len(mine)
    np.testing.assert_allclose(found, [people, right])
    assert people.sum() == pytest.approx(40)


def test_p01_one_patient_moves_the_counts_by_at_most_the_root_of_two():
    cohort = kit.cohort(30, 7, each=4)
    whole = Pictures.of(cohort).total(question())
    lengths = []
    for owner in range(len(cohort)):
        rest = cohort.take(np.delete(np.arange(len(cohort)), owner))
        lengths.append(np.linalg.norm(whole - Pictures.of(rest).total(question())))
    assert max(lengths) <= question().sensitivity + 1e-9
    assert max(lengths) == pytest.approx(np.sqrt(2))


def test_each_image_is_judged_alone(run):
    """What the network says of an image does not hang on who else is asked, to the last bit."""
    asked = recognised_images(wg.Trained.load(run).generator, "finding", ("benign", "malignant"), Seed(1))
    cohort = kit.cohort(33, 8)
    together = asked.network(cohort.pixels)
    alone = np.concatenate([asked.network(cohort.pixels[at : at + 1]) for at in range(33)])
    assert np.array_equal(together, alone)
    assert np.array_equal(asked.network(cohort.pixels[5:]), together[5:])


def test_the_network_knows_synthetic_images_alone(run, patients, made):
    assert made.public.facts["paid"]["model"] == MODEL
    assert made.public.facts["paid"]["taught"] == TAUGHT
    asked = recognised_images(wg.Trained.load(run).generator, "finding", ("benign", "malignant"), Seed(0))
    truth = Pictures.of(patients[1]).total(asked).reshape(2, 2)
    sd = made.public.facts["paid"]["noise_multiplier"] * np.sqrt(2)
    noise = np.array([made.public.facts["paid"]["people"], made.public.facts["paid"]["recognised"]]) - truth
    assert 0.001 * sd < np.abs(noise).max() < 6 * sd


# --- galleries --------------------------------------------------------------------------------------------------------


def many_levels(levels, size):
    return image_family_kit.schema(
        size,
        table={"kind": {"kind": "category", "levels": [f"l{at}" for at in range(levels)]}, "side": {"kind": "flag"}},
    )


def test_galleries_of_many_and_large_images_stay_small():
    declared = many_levels(30, (252, 252))
    generator = image_family_kit.generator(declared)
    (block,) = synthetic_gallery(generator, "kind", seed=0)
    assert "of 30 levels" in block.title
    assert sum(len(row.png) for row in block.rows) < 700_000
    (block,) = synthetic_gallery(image_family_kit.generator(many_levels(3, (16, 16))), "kind", seed=0)
    assert [row.label for row in block.rows] == ["l0", "l1", "l2"]


def test_shares_of_levels_by_hand():
    shares = np.array([1, 2, 3, 4, 5, 6], dtype=float)
    generator = image_family_kit.generator(many_levels(3, (8, 8)), shares=tuple(shares / shares.sum()))
    assert [level_share(generator, "kind", at) for at in range(3)] == pytest.approx([3 / 21, 7 / 21, 11 / 21])
    assert [level_share(generator, "side", at) for at in range(2)] == pytest.approx([9 / 21, 12 / 21])


def test_a_level_that_is_never_drawn_has_no_row():
    generator = image_family_kit.generator(many_levels(3, (16, 16)), shares=(0.5, 0.5, 0, 0, 0, 0))
    (block,) = synthetic_gallery(generator, "kind", seed=0)
    assert [row.label for row in block.rows] == ["l0"]


def test_without_pillow_a_sentence_stands_there(monkeypatch):
    monkeypatch.setattr("wardgan.dossier.images.gallery.find_spec", lambda name: None)
    (block,) = gallery("x", [("y", np.zeros((2, 1, 8, 8), dtype=np.float32))])
    assert "pip install 'wardgan[images]'" in block.text


def test_a_picture_is_base64_and_nothing_else(made):
    found = json.loads(made.public.to_json())
    for section in found["sections"]:
        for block in section["blocks"]:
            if block["kind"] == "gallery":
                block["rows"][0]["png"] = 'x" onerror="alert(1)'
    with pytest.raises(FormatError, match="no dossier of version 1"):
        Document.of_json(json.dumps(found).encode(), "dossier.json")


def test_masks_are_judged_by_what_a_network_draws(tmp_path):
    train, holdout = kit.halves(mask=True)
    kit.fitted(tmp_path / "run", train, epsilon=8.0)
    found = assess(tmp_path / "run", train, holdout, created=kit.DAY, public_share=0)
    assert any(one.about == "masks, small U-Net" for one in found.judgements if one.gate == "utility")
    words = text_of(found.internal)
    assert "Small U-Net that draws masks (Dice)" in words
    assert "Share of an image that is mask" in words
    assert "each with a mask" in words


def test_warnings_need_a_holdout():
    class Nothing:
        attacks = report = None

    assert "There is no hold-out" in image_warnings(Nothing())[0]

"""A schema of images: how they look and their labels, and nothing else."""

from __future__ import annotations

import pytest

import image_family_kit as kit
from wardgan.encode.layout import Layout
from wardgan.errors import SchemaError
from wardgan.schema.images import ImageFormat
from wardgan.schema.schema import Schema

FOUND = {"name": "scans", "patient": "id", "population": 500, "table": {"finding": kit.FINDING, "left": kit.SIDE}}
LOOKS = [
    {"size": [8, 12]},
    {"size": [64, 64], "mask": True},
    {"size": [16, 8], "mask": True, "window": [-100.0, 300.0], "crop": True, "flip": True, "intent": "processing"},
    {"size": [256, 256], "window": "percentile"},
]


@pytest.mark.parametrize("look", LOOKS)
def test_a_schema_of_images_is_written_and_read(look, tmp_path):
    schema = Schema.from_dict({**FOUND, "images": look})
    assert schema.to_dict()["images"] == look
    assert Schema.from_dict(schema.to_dict()) == schema
    schema.save(tmp_path / "schema.yaml")
    assert Schema.load(tmp_path / "schema.yaml") == schema
    assert schema.images == ImageFormat.from_dict(look)


def test_a_schema_of_tables_has_no_images():
    schema = Schema.from_dict(FOUND)
    assert schema.images is None
    assert "images" not in schema.to_dict()
    assert Schema.from_dict({**FOUND, "images": None}) == schema


def test_each_column_is_a_label_though_nothing_says_so():
    schema = Schema.from_dict({**FOUND, "images": LOOKS[0]})
    assert schema.labels == schema.table
    assert schema.classes == 4
    names = [schema.class_name(at) for at in range(4)]
    assert names == [f"finding={one}, left={two}" for one in ("benign", "malignant") for two in ("false", "true")]
    assert Schema.from_dict(FOUND).labels == ()


def test_images_need_no_label():
    schema = Schema.from_dict({"name": "scans", "images": {"size": [8, 8]}})
    assert (schema.table, schema.classes, schema.class_name(0)) == ((), 1, "all patients")
    assert Schema.from_dict(schema.to_dict()) == schema


def test_how_images_look_is_a_part_of_the_fingerprint():
    looks = [None, *LOOKS, {"size": [12, 8]}]
    found = {Schema.from_dict({**FOUND, "images": look}).fingerprint() for look in looks}
    assert len(found) == len(looks)


@pytest.mark.parametrize("mask", [False, True])
def test_the_layout_is_the_pixels(mask):
    layout = Layout.of(kit.schema((8, 12), mask=mask))
    assert (layout.variables, len(layout)) == ((), 96 * (1 + mask))


VISITS = {"key": "visit", "grid": ["A", "B"], "columns": {"sbp": {"kind": "integer", "low": 50, "high": 250}}}


@pytest.mark.parametrize("more", [
    {"visits": VISITS}, {"events": {"time": "finding", "event": "left"}}, {"rules": ['finding in ("benign",)']},
])  # fmt: skip
def test_what_has_no_meaning_for_images_is_refused(more):
    (key,) = more
    with pytest.raises(SchemaError, match=f"{key}: a schema of images has labels only; take {key} out"):
        Schema.from_dict({**FOUND, "images": LOOKS[0], **more})


@pytest.mark.parametrize("column", [
    {"kind": "integer", "low": 0, "high": 99}, {"kind": "number", "low": 0, "high": 1},
    {"kind": "date", "low": "2000-01-01", "high": "2001-01-01"}, {"kind": "category"},
    {"kind": "category", "learn": True},
])  # fmt: skip
def test_a_column_that_is_no_label_is_refused(column):
    with pytest.raises(SchemaError, match="age: a label of images is a category or a flag with declared levels"):
        Schema.from_dict({**FOUND, "table": {"age": column}, "images": LOOKS[0]})


@pytest.mark.parametrize("column", [kit.FINDING, kit.SIDE])
def test_a_label_that_may_be_missing_is_refused(column):
    with pytest.raises(SchemaError, match="x: a label of images may not be missing; declare a level"):
        Schema.from_dict({**FOUND, "table": {"x": {**column, "nullable": True}}, "images": LOOKS[0]})


def test_labels_that_make_too_many_classes_are_refused():
    table = {f"c{at}": kit.SIDE for at in range(7)}
    with pytest.raises(SchemaError, match="make 128 classes"):
        Schema.from_dict({"name": "x", "table": table, "images": LOOKS[0]})


def test_the_patients_key_is_no_label():
    with pytest.raises(SchemaError, match="finding: the column is the key"):
        Schema.from_dict({**FOUND, "patient": "finding", "images": LOOKS[0]})


@pytest.mark.parametrize(("wrong", "said"), [
    ([8, 8], "list is no mapping"), ("64x64", "str is no mapping"), ({}, "size is missing"), ({"size": 64}, "size is missing"),
    ({"size": [8, 8, 1]}, "no pair"), ({"size": [8, 9]}, "width=9"), ({"size": [4, 8]}, "height=4"),
    ({"size": [260, 8]}, "height=260"), ({"size": [8.0, 8]}, "height=8.0"), ({"size": [True, 8]}, "height=True"),
    ({"size": [8, 8], "channels": 3}, "channels=3"), ({"size": [8, 8], "channels": True}, "channels=True"),
    ({"size": [8, 8], "mask": 1}, "mask=1"), ({"size": [8, 8], "crop": "yes"}, "crop='yes'"),
    ({"size": [8, 8], "flip": 0}, "flip=0"), ({"size": [8, 8], "intent": "research"}, "intent='research'"),
    ({"size": [8, 8], "window": "auto"}, "window='auto'"), ({"size": [8, 8], "window": [3, 3]}, "window="),
    ({"size": [8, 8], "window": [0, float("inf")]}, "window="), ({"size": [8, 8], "colour": True}, "1 unknown key"),
])  # fmt: skip
def test_a_wrong_declaration_says_what_is_wrong(wrong, said):
    with pytest.raises(SchemaError, match=said):
        Schema.from_dict({**FOUND, "images": wrong})

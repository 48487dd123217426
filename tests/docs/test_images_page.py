"""The page on images says what is read, declared, refused and limited."""

from dataclasses import fields

import yaml
from docs_kit import page

from wardgan.imaging import ImageFormat, Reason
from wardgan.imaging.found import MAX_FILE, MAX_PIXELS
from wardgan.imaging.npz import MAX_MEMBERS
from wardgan.imaging.read import MAX_RESULT
from wardgan.imaging.report import WAYS_OUT
from wardgan.schema.schema import Schema


def test_every_key_of_the_format_is_explained():
    found = page("docs/images.md").first_cells("What is done to each image")
    assert found == ["size", *(field.name for field in fields(ImageFormat)[2:])]


def test_the_schema_of_the_page():
    (block,) = page("docs/images.md").blocks("yaml")
    schema = Schema.from_dict(yaml.safe_load(block))
    assert schema.images == ImageFormat(64, 48, crop=True, flip=True)
    assert [column.name for column in schema.labels] == ["finding"]


def test_every_reason_is_listed_with_its_way_out():
    section = page("docs/images.md").section("What cannot be used")
    rows = [line for line in section.splitlines() if line.startswith("| ") and not line.startswith("| reason")]
    assert rows == [f"| {reason} | {WAYS_OUT[reason]} |" for reason in Reason]


def test_every_limit_is_told():
    section = page("docs/images.md").section("What cannot be used")
    assert (MAX_PIXELS, MAX_FILE, MAX_MEMBERS, MAX_RESULT) == (64 << 20, 512 << 20, 64, 16 << 30)
    for limit in ("64 megapixels", "512 MiB", "64 members", "16 GiB"):
        assert limit in section

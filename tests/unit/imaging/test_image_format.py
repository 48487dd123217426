from __future__ import annotations

from dataclasses import asdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wardgan.errors import SchemaError
from wardgan.imaging import ImageFormat

SIDES = st.integers(2, 64).map(lambda quarter: 4 * quarter)
ENDS = st.tuples(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6)).filter(lambda pair: pair[0] != pair[1])
WINDOWS = st.sampled_from(["dicom", "percentile"]) | ENDS.map(lambda pair: (min(pair), max(pair)))
FORMATS = st.builds(
    ImageFormat, SIDES, SIDES, mask=st.booleans(), window=WINDOWS, crop=st.booleans(), flip=st.booleans(),
    intent=st.sampled_from(["presentation", "processing"]),
)  # fmt: skip


@settings(deadline=None)
@given(FORMATS)
def test_a_format_comes_back_from_its_structure(declared):
    assert ImageFormat.from_dict(declared.to_dict()) == declared


def test_the_structure_says_what_is_not_at_its_default():
    assert ImageFormat(8, 256).to_dict() == {"size": [8, 256]}
    full = ImageFormat(8, 8, mask=True, window=(0, 1), crop=True, flip=True, intent="processing")
    assert set(full.to_dict()) == (set(asdict(full)) - {"channels", "height", "width"}) | {"size"}


def test_the_mask_is_one_more_channel():
    assert ImageFormat(16, 24).shape == (1, 16, 24)
    assert ImageFormat(16, 24, mask=True).shape == (2, 16, 24)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"size": [0, 16]}, "height=0 is not a multiple of 4 from 8 to 256"),
        ({"size": [260, 16]}, "height=260"),
        ({"size": [30, 16]}, "height=30"),
        ({"size": [8.0, 16]}, "height=8.0"),
        ({"size": [True, 16]}, "height=True"),
        ({"size": [16, "64"]}, "width='64'"),
        ({"channels": 3}, "only grey images"),
        ({"channels": True}, "only grey images"),
        ({"mask": 1}, "mask=1 is neither true nor false"),
        ({"crop": "yes"}, "crop='yes'"),
        ({"window": "voi"}, "window='voi'"),
        ({"window": (5, 5)}, "the lower one first"),
        ({"window": (5, 1)}, "the lower one first"),
        ({"window": (0, float("nan"))}, "two numbers"),
        ({"window": (0, float("inf"))}, "two numbers"),
        ({"window": (0, True)}, "two numbers"),
        ({"window": (0, 1, 2)}, "two numbers"),
        ({"intent": "display"}, "intent='display' is not one of presentation, processing"),
        ({"size": 3}, "size is missing or no pair"),
        ({"size": [16]}, "size is missing or no pair"),
        ({"height": 3}, "images: 1 unknown key; known are size, channels"),
        ({"masks": True}, "unknown key 'masks', which looks like mask"),
    ],
)
def test_what_cannot_be_is_refused(wrong, says):
    with pytest.raises(SchemaError) as error:
        ImageFormat.from_dict({"size": [16, 16], **wrong})
    assert says in str(error.value)


def test_a_structure_needs_a_size():
    with pytest.raises(SchemaError, match="size is missing"):
        ImageFormat.from_dict({"mask": True})
    with pytest.raises(SchemaError, match="list is no mapping"):
        ImageFormat.from_dict(["size"])


def test_what_is_left_empty_is_at_its_default():
    assert ImageFormat.from_dict({"size": [16, 16], "mask": None, "channels": 1}) == ImageFormat(16, 16)

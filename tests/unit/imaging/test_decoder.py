"""The process that decodes: whatever happens to it, the reading goes on."""

from __future__ import annotations

import io
import json

import numpy as np
import pandas as pd
import pytest

import image_kit as kit
from wardgan.imaging import ImageFormat, Reason, load_images
from wardgan.imaging import decoder as decoder_module
from wardgan.imaging.decode import ANSWER, serve
from wardgan.imaging.decoder import Decoder


@pytest.fixture
def squeezed(tmp_path):
    return kit.compressed(tmp_path / "a.dcm", kit.ramp(40, 36), "JPEGLSLossless")


def numbers(found):
    return not isinstance(found, Reason) and np.array_equal(found, kit.ramp(40, 36))


def test_only_compressed_files_need_a_process(tmp_path, squeezed):
    plain = kit.dicom(tmp_path / "b.dcm", kit.ramp(40, 36))
    with Decoder() as decoder:
        assert numbers(decoder.numbers(plain, compressed=False))
        assert decoder._process is None
        assert numbers(decoder.numbers(squeezed, compressed=True))
        first = decoder._process
        assert numbers(decoder.numbers(squeezed, compressed=True))
        assert decoder._process is first
    assert first.returncode is not None
    assert decoder._process is None


SAY = "import sys, os; line = sys.stdin.buffer.readline(); "


@pytest.mark.parametrize(
    "code",
    [
        "pass",
        "import os; os.abort()",
        SAY + "os.abort()",
        SAY + "os.write(1, b'x' * 5)",
        SAY + "os.write(1, bytes([0, 2, 0, 0, 40, 0, 0, 0, 36, 0, 0, 0]))",
        SAY + "os.write(1, b'\\0\\4' + b'\\xff' * 8)",
        SAY + "os.write(1, b'\\0\\2' + b'\\xff' * 8 + b'x' * 100)",
        SAY + "os.write(1, b'\\7' + bytes(9))",
        SAY + "import time; time.sleep(1000)",
    ],
)
def test_a_process_that_ends_hangs_or_lies_costs_one_file(squeezed, monkeypatch, code):
    with Decoder(seconds=0.5) as decoder:
        with monkeypatch.context() as patch:
            patch.setattr(decoder_module, "_CODE", code)
            assert decoder.numbers(squeezed, compressed=True) == Reason.UNREADABLE
        assert decoder._process is None
        decoder.seconds = 300
        assert numbers(decoder.numbers(squeezed, compressed=True))


def test_damage_in_one_file_does_not_reach_the_next_one(tmp_path):
    (tmp_path / "in").mkdir()
    for at, syntax in enumerate(["JPEGLSLossless", "JPEG2000Lossless", "RLELossless", "JPEGLosslessProcess14_1"]):
        path = kit.compressed(tmp_path / "in" / f"{at}.dcm", kit.ramp(40, 36), syntax)
        data = bytearray(path.read_bytes())
        data[-40:-8] = bytes(32)
        (tmp_path / "in" / f"{at}-damaged.dcm").write_bytes(data)
    labels = pd.DataFrame({"file": [f"{at}" for at in range(4)], "finding": ["benign"] * 4})
    found = load_images(tmp_path / "in", ImageFormat(8, 8), labels=labels, columns=(kit.LABEL,), invalid="drop")
    assert found.report.read == 4
    assert np.abs(found.pixels - found.pixels[0]).max() < 1e-6


def test_answers_are_numbers_or_reasons(tmp_path, squeezed):
    empty = kit.save(tmp_path / "b.dcm", kit.header(Rows=4, Columns=4))
    (tmp_path / "c.dcm").write_text("no image", encoding="utf-8")
    paths = [squeezed, empty, tmp_path / "c.dcm", tmp_path / "nothing.dcm"]
    questions = io.BytesIO(b"".join(json.dumps(str(path)).encode() + b"\n" for path in paths))
    answers = io.BytesIO()
    serve(questions, answers)
    size = 2 * 40 * 36
    data = answers.getvalue()
    assert ANSWER.unpack(data[: ANSWER.size]) == (0, 2, 40, 36)
    assert np.array_equal(np.frombuffer(data[ANSWER.size :][:size], "u2").reshape(40, 36), kit.ramp(40, 36))
    rest = data[ANSWER.size + size :]
    assert [ANSWER.unpack(rest[at : at + ANSWER.size])[0] for at in range(0, len(rest), ANSWER.size)] == [2, 1, 1]

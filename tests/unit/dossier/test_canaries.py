"""What a canary audit proved, in the dossier."""

from __future__ import annotations

import json
import math

import pytest

from wardgan.attack.audit import Audit
from wardgan.dossier.canaries import audit_blocks, audit_number, read_audit
from wardgan.dossier.gates import judged
from wardgan.dossier.policy import Policy
from wardgan.errors import FormatError, UsageError
from wardgan.estimate import Estimate

POLICY = Policy.named("default")


def written(path, bound, claim=1.0):
    estimate = Estimate(bound, bound, math.inf, 100, "one-run audit")
    found = Audit(estimate, claim, 1e-5, "copula", 200, 100, 60, 2.9).to_dict()
    path.write_text(json.dumps(found | {"ledger": "entered by the command line"}), encoding="utf-8")
    return path


@pytest.mark.parametrize(("bound", "claim", "verdict"), [
    (0.4, 1.0, "not asked"), (1.2, 1.0, "fail"), (0.2, None, "fail"), (0.0, None, "not asked"),
])  # fmt: skip
def test_a_bound_above_the_claim_fails(tmp_path, bound, claim, verdict):
    found = read_audit(written(tmp_path / "audit.json", bound, claim))
    (one,) = judged([audit_number(found)], POLICY, gates=["certified epsilon"])
    assert (one.verdict, one.about) == (verdict, "canary audit")


def test_the_section_says_what_was_proved_or_that_nobody_tried(tmp_path):
    text, numbers = audit_blocks(read_audit(written(tmp_path / "audit.json", 0.4)))
    assert "200 invented canary patients" in text.text
    assert numbers.rows[0].estimate.value == 0.4
    assert "60 of 100 guesses right" in numbers.rows[0].note
    assert audit_blocks(None)[0].text.startswith("No canary audit was made")


@pytest.mark.parametrize("text", ["[]", "{}", "nothing", '{"estimate": {"value": 1}}', "null"])
def test_another_file_is_refused(tmp_path, text):
    (tmp_path / "audit.json").write_text(text)
    with pytest.raises(FormatError, match="not what wardgan audit writes"):
        read_audit(tmp_path / "audit.json")
    with pytest.raises(UsageError, match="cannot be read"):
        read_audit(tmp_path / "nobody.json")

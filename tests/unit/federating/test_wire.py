"""Messages, agreements and policies: what is read is not believed."""

import io
import json
import zipfile

import numpy as np
import pytest

from federating_kit import agreement, policy, policy_file
from wardgan.errors import FormatError, UsageError, WardganError
from wardgan.federating import wire
from wardgan.federating.agreement import Agreement
from wardgan.federating.policy import Policy, check_files
from wardgan.federating.wire import Message


def test_a_message_comes_back_as_it_was_sent():
    arrays = {"sum/grid": np.arange(3.0), "weight/first.weight": np.ones((2, 2), dtype=np.float32)}
    text, data = Message({"b": 1, "a": [1, None, "x"]}, arrays).pack()
    found = Message.unpack(text, data)
    assert list(found.facts) == ["b", "a"]
    assert {name: one.dtype for name, one in found.arrays.items()} == {name: one.dtype for name, one in arrays.items()}
    assert np.array_equal(found.part("sum")["grid"], np.arange(3.0))
    assert list(found.part("weight")) == ["first.weight"]


def npz(**arrays):
    data = io.BytesIO()
    np.savez(data, **arrays)
    return data.getvalue()


@pytest.mark.parametrize(
    ("text", "data"),
    [
        (None, b""),
        ("{}", "text"),
        ("{}", b"no zip"),
        ("[]", npz()),
        ('{"a": NaN}', npz()),
        ("{}", npz(a=np.array([np.nan]))),
        ("{}", npz(a=np.array([np.inf], dtype=np.float32))),
        ("{}", npz(a=np.array(["text"]))),
        ("{}", npz(a=np.array([1]))),
    ],
)
def test_what_is_no_message_is_refused(text, data):
    with pytest.raises(FormatError):
        Message.unpack(text, data)


def test_objects_are_never_unpickled():
    data = io.BytesIO()
    np.savez(data, a=np.array([{"x": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(FormatError):
        Message.unpack("{}", data.getvalue())


def test_a_bomb_is_refused_before_it_is_unpacked(monkeypatch):
    monkeypatch.setattr(wire, "CAP", 10_000)
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        header = npz(a=np.zeros(4_000))
        with zipfile.ZipFile(io.BytesIO(header)) as inner:
            archive.writestr("a.npy", inner.read("a.npy"))
    assert len(data.getvalue()) < 1_000
    with pytest.raises(FormatError, match="too many, or too large"):
        Message.unpack("{}", data.getvalue())


def test_an_agreement_comes_back_with_the_same_name_whoever_reads_it(tmp_path):
    what = agreement()
    assert Agreement.from_dict(json.loads(json.dumps(what.to_dict()))).digest == what.digest
    (tmp_path / "schema.yaml").write_text(json.dumps(what.schema.to_dict()))
    path = tmp_path / "agreement.yaml"
    path.write_text(json.dumps(what.to_dict() | {"schema": "schema.yaml"}))
    assert Agreement.load(path).digest == what.digest
    assert agreement(epsilon=1.0).digest != what.digest
    assert agreement(settings={"steps": 200}).digest != what.digest


@pytest.mark.parametrize(
    "change",
    [
        lambda found: found.update(more=1),
        lambda found: found.pop("schema"),
        lambda found: found.update(settings=[1]),
        lambda found: found.update(settings={"steps": "many"}),
        lambda found: found.update(epsilon=-1),
        lambda found: found.update(epsilon="much"),
        lambda found: found.update(patients=0),
        lambda found: found.update(hospitals=1),
        lambda found: found.update(family="other"),
        lambda found: found.update(schema="../../etc/passwd"),
        lambda found: found.update(name=3),
        lambda found: found.update(seed=True),
    ],
)
def test_an_agreement_that_means_nothing_is_refused(change):
    found = json.loads(json.dumps(agreement().to_dict()))
    change(found)
    with pytest.raises(WardganError):
        Agreement.from_dict(found)


def test_a_policy_is_read_from_its_file_and_paths_start_there(tmp_path):
    found = Policy.load(policy_file(tmp_path, "alpha", families=["copula"], ledger="ledger.db"))
    assert (found.data, found.run, found.ledger) == (
        tmp_path / "alpha.csv",
        tmp_path / "run-alpha",
        tmp_path / "ledger.db",
    )
    assert found.families == ("copula",)
    assert Policy.load(policy_file(tmp_path, "alpha", epsilon="none")).epsilon is None


@pytest.mark.parametrize(
    ("more", "text"),
    [
        ({"more": 1}, "unknown key"),
        ({"families": ["marginal"]}, "families"),
        ({"patients": "x"}, "patients"),
        ({"population": 0}, "population"),
        ({"epsilon": -1}, "epsilon"),
        ({"invalid": "guess"}, "invalid"),
        ({"name": 3}, "name is a text"),
    ],
)
def test_a_policy_that_means_nothing_is_refused(tmp_path, more, text):
    with pytest.raises(WardganError, match=text):
        Policy.load(policy_file(tmp_path, "alpha", **more))


def test_a_policy_file_that_is_none_is_refused(tmp_path):
    with pytest.raises(UsageError, match="cannot be read"):
        Policy.load(tmp_path / "missing.yaml")
    (tmp_path / "list.yaml").write_text("- 1\n")
    with pytest.raises(FormatError, match="no mapping"):
        Policy.load(tmp_path / "list.yaml")
    (tmp_path / "odd.yaml").write_text("a: [")
    with pytest.raises(FormatError, match="is not YAML"):
        Policy.load(tmp_path / "odd.yaml")
    (tmp_path / "few.yaml").write_text("name: x\n")
    with pytest.raises(FormatError, match="data is missing"):
        Policy.load(tmp_path / "few.yaml")
    assert policy(tmp_path, "alpha").refusals(agreement()) == []


@pytest.mark.parametrize("name", ["name", "data", "schema", "population", "patients", "run", "epsilon"])
def test_a_policy_with_an_empty_key_is_not_filled_in(tmp_path, name):
    # An empty epsilon must not mean that no privacy is needed.
    path = policy_file(tmp_path, "alpha", **{name: None})
    with pytest.raises(FormatError, match=rf"alpha.yaml' is not filled in: {name}\. Write"):
        Policy.load(path)


def test_files_that_a_policy_names_must_be_there(tmp_path):
    path = policy_file(tmp_path, "alpha", visits="visits.csv")
    with pytest.raises(
        UsageError, match=r"not there: data \(.*alpha.csv'\), schema \(.*\), visits \(.*visits.csv'\)\."
    ):
        check_files(Policy.load(path), path)
    for name in ("alpha.csv", "schema.yaml", "visits.csv"):
        (tmp_path / name).write_text("")
    check_files(Policy.load(path), path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("hospitals:\n  - &a [x, x]\n  - [*a, *a]\n", "line 3 has an alias"),
        ("name: a\nname: b\n", "a key is there twice"),
        ("name: [", "is not YAML, line 1"),
    ],
)
def test_an_agreement_is_read_strictly(tmp_path, text, said):
    (tmp_path / "agreement.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(FormatError, match=said):
        Agreement.load(tmp_path / "agreement.yaml")

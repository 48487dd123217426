"""Codes of use: known by name or number, and nothing else."""

import pytest

import release_kit
from wardgan.errors import SchemaError
from wardgan.schema.duo import uses_of
from wardgan.schema.schema import Schema


def test_codes_by_name_and_number():
    found = uses_of({"duo": ["gru", "DUO:0000018", "DUO_0000004", "DUO:9999999"]})
    assert [(one.code, one.iri.rpartition("/")[2], one.label) for one in found] == [
        ("GRU", "DUO_0000042", "general research use"),
        ("NPUNCU", "DUO_0000018", "not for profit, non commercial use only"),
        ("NRES", "DUO_0000004", "no restriction"),
        ("DUO:9999999", "DUO_9999999", ""),
    ]
    assert [one.code for one in uses_of({"duo": "HMB"})] == ["HMB"]
    assert uses_of({}) == uses_of({"duo": None}) == ()


@pytest.mark.parametrize("code", ["GRX", "", 42, "DUO:42", None, ["GRU"], "GRU HMB"])
def test_unknown_codes_are_refused_when_the_schema_is_loaded(code):
    given = release_kit.SCHEMA | {"terms": {"duo": [code]}}
    with pytest.raises(SchemaError, match=r"is no code of the Data Use Ontology; use one of NRES, HMB"):
        Schema.from_dict(given)

"""HealthDCAT-AP by the shapes of its makers, where somebody has them: they are theirs, and not part of this project.

`$WARDGAN_SHAPES` names a folder with `dcat-ap.ttl` (DCAT-AP 3.0.1, `releases/3.0.1/html/shacl/shapes.ttl` of
SEMICeu/DCAT-AP) and `healthdcat-ap.ttl` (release 5, of what is not public, `shapes.ttl` of healthdataeu/healthdcat-ap).
"""

import json
import os
from pathlib import Path

import pytest

pytest.importorskip("pyshacl", reason="pyshacl is not installed")

import pyshacl
import rdflib
from rdflib.namespace import SH

import dcat_kit as kit
from wardgan.metadata.dcat import catalogue, dataset, document

FOLDER = Path(os.environ.get("WARDGAN_SHAPES") or "nowhere")
# rdflib and pyshacl use what they deprecate.
pytestmark = [
    pytest.mark.skipif(not FOLDER.is_dir(), reason="$WARDGAN_SHAPES names no folder with shapes"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


def broken(found, name):
    """Which properties break a shape."""
    shapes = rdflib.Graph().parse(FOLDER / f"{name}.ttl")
    _, report, _ = pyshacl.validate(json.dumps(document(found)), shacl_graph=shapes, data_graph_format="json-ld")
    return sorted({str(path).rpartition("#")[2].rpartition("/")[2] for path in report.objects(None, SH.resultPath)})


@pytest.mark.parametrize("terms", [kit.TERMS, {}])
def test_a_release_has_the_shape_of_dcat_ap(terms):
    assert broken(dataset(kit.described(terms, page="https://hub.example/a", bytes=7)), "dcat-ap") == []


def test_a_catalogue_has_the_shape_of_dcat_ap():
    datasets = [dataset(kit.described(page="https://hub.example/a", version="1", bytes=7))]
    assert broken(catalogue("hub", "https://hub.example/", datasets, "Hospital X"), "dcat-ap") == []
    assert broken(catalogue("hub", "https://hub.example/", datasets), "dcat-ap") == ["publisher"]


def test_a_release_has_the_shape_of_healthdcat_ap():
    """Release 8 says how an agent is reached otherwise than release 5, of which there are shapes."""
    found = dataset(kit.described({**kit.TERMS, "access_rights": "non-public"}))
    assert broken(found, "healthdcat-ap") == ["contactPoint", "hdab", "publisher"]
    for agent in (found["dct:publisher"], found["healthdcatap:hdab"]):
        agent["dcat:contactPoint"] = {"@type": "vcard:Kind", "vcard:hasEmail": {"@id": "mailto:a@b.example"}}
    assert broken(found, "healthdcat-ap") == []


def test_what_the_hospital_did_not_say_breaks_the_shape():
    found = dataset(kit.described({"access_rights": "non-public"}))
    assert broken(found, "healthdcat-ap") == [
        "applicableLegislation",
        "contactPoint",
        "distribution",
        "hdab",
        "healthCategory",
    ]

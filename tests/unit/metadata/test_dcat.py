"""HealthDCAT-AP: what it wants is there if the hospital said it, told if it did not, and never made up."""

import json

import pytest

pytest.importorskip("rdflib", reason="rdflib is not installed")

import rdflib

from dcat_kit import DIGEST, LAW, described
from wardgan.metadata.dcat import catalogue, dataset, document, missing
from wardgan.seal.records import Claim

# rdflib uses what it deprecates.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:rdflib")
PREFIXES = {
    "dcat": "http://www.w3.org/ns/dcat#", "dct": "http://purl.org/dc/terms/", "dcatap": "http://data.europa.eu/r5r/",
    "healthdcatap": "http://healthdataportal.eu/ns/health#", "foaf": "http://xmlns.com/foaf/0.1/",
    "cv": "http://data.europa.eu/m8g/", "vcard": "http://www.w3.org/2006/vcard/ns#", "csvw": "http://www.w3.org/ns/csvw#",
    "spdx": "http://spdx.org/rdf/terms#", "rdfs": "http://www.w3.org/2000/01/rdf-schema#", "dpv": "https://w3id.org/dpv#",
}  # fmt: skip
# Mandatory for what is restricted, in release 8 of the profile.
MANDATORY = (
    "dct:title", "dct:description", "dct:identifier", "dct:accessRights", "dct:type", "dct:provenance", "dct:publisher",
    "dcat:theme", "dcat:keyword", "dcat:contactPoint", "dcat:distribution", "dcatap:applicableLegislation",
    "healthdcatap:hdab", "healthdcatap:healthCategory", "healthdcatap:hasStructuredData", "healthdcatap:hasVariables",
)  # fmt: skip


def read(found):
    return rdflib.Graph().parse(data=json.dumps(document(found)), format="json-ld")


def values(graph, path, subject=f"urn:wardgan:{DIGEST}"):
    """What a path of properties leads to, as texts."""
    at = {rdflib.URIRef(subject)}
    for step in path.split("/"):
        prefix, _, name = step.partition(":")
        at = {end for one in at for end in graph.objects(one, rdflib.URIRef(PREFIXES[prefix] + name))}
    return sorted(str(one) for one in at)


def test_all_that_the_profile_wants_is_there():
    found = dataset(described())
    graph = read(found)
    assert [name for name in MANDATORY if not values(graph, name)] == []
    assert missing(found) == []
    assert values(graph, "dct:type") == ["http://publications.europa.eu/resource/authority/dataset-type/SYNTHETIC_DATA"]
    assert values(graph, "dct:accessRights")[0].endswith("/RESTRICTED")
    assert values(graph, "dct:publisher/foaf:name") == ["A Hospital"]
    assert values(graph, "dct:publisher/cv:contactPoint/cv:email") == ["data@example.org"]
    assert values(graph, "dcat:contactPoint/vcard:hasEmail") == ["mailto:data@example.org"]
    assert values(graph, "healthdcatap:hdab/cv:contactPoint/cv:contactPage") == ["https://body.example/ask"]
    assert values(graph, "healthdcatap:healthCategory") == [
        "https://hdeu-dcat.data.health.europa.eu/resource/authority/healthcategories/EHRS", "https://x.example/Y",
    ]  # fmt: skip
    assert values(graph, "dcat:distribution/dct:rights/rdfs:seeAlso") == [
        "http://purl.obolibrary.org/obo/DUO_0000042", "http://purl.obolibrary.org/obo/DUO_0000045",
    ]  # fmt: skip
    assert len(values(graph, "dcat:distribution/dct:rights")) == 1
    assert values(graph, "dcat:distribution/dct:license") == ["https://spdx.org/licenses/CC-BY-4.0"]
    assert values(graph, "dcat:distribution/spdx:checksum/spdx:checksumValue") == [("ab" * 32)]
    assert values(graph, "dcat:distribution/dcatap:applicableLegislation") == [LAW]
    assert values(graph, "dpv:hasPurpose/dct:description") == ["Research on blood pressure"]
    assert "epsilon 1, delta 1e-05" in values(graph, "dct:description")[0]


def test_columns_are_described():
    graph = read(dataset(described()))
    columns = "healthdcatap:hasVariables/csvw:table/csvw:column"
    assert values(graph, f"{columns}/csvw:name") == ["age", "arm", "sbp", "sex"]
    assert values(graph, f"{columns}/csvw:datatype") == ["boolean", "integer", "string"]
    assert values(graph, f"{columns}/csvw:propertyUrl") == ["https://loinc.org/8480-6"]
    said = values(graph, f"{columns}/dct:description")
    assert "category, one of standard, intensive" in said
    assert "integer, 50 to 260, in mm[Hg], code LOINC 8480-6" in said
    assert values(graph, "healthdcatap:hasStructuredData") == ["true"]


def test_a_catalogue_says_who_keeps_it_and_which_laws_hold():
    said, silent = dataset(described()), dataset(described(terms={}))
    found = read(catalogue("hub", "https://hub.example/", [said, silent, said], "Hospital X"))
    here = "https://hub.example/"
    assert values(found, "dct:publisher/foaf:name", here) == ["Hospital X"]
    assert values(found, "dcatap:applicableLegislation", here) == [LAW]
    nobody = read(catalogue("hub", here, [silent]))
    assert values(nobody, "dct:publisher", here) == values(nobody, "dcatap:applicableLegislation", here) == []


def test_what_the_hospital_did_not_say_is_left_out_and_told():
    found = dataset(described(terms={}))
    assert missing(found) == [
        "controller and contact (dct:publisher)", "contact (dcat:contactPoint)",
        "health_data_access_body (healthdcatap:hdab)", "health_category (healthdcatap:healthCategory)",
        "applicable_legislation (dcatap:applicableLegislation)",
    ]  # fmt: skip
    graph = read(found)
    for name in ("dct:publisher", "healthdcatap:hdab", "dcatap:applicableLegislation", "dcat:distribution/dct:license"):
        assert values(graph, name) == [], name
    assert "contact (dcat:contactPoint)" not in missing(dataset(described(terms={}, access="PUBLIC")))


@pytest.mark.parametrize(
    ("terms", "more", "wanted"),
    [
        ({}, {}, "RESTRICTED"),
        ({"access_rights": "non-public"}, {}, "NON_PUBLIC"),
        ({"access_rights": "public"}, {}, "PUBLIC"),
        ({"access_rights": "whatever"}, {}, "RESTRICTED"),
        ({"access_rights": "public"}, {"access": "RESTRICTED"}, "RESTRICTED"),
        ({"access_rights": "public"}, {"privacy": Claim(mode="none", epsilon=None, delta=None)}, "NON_PUBLIC"),
        ({}, {"access": "PUBLIC", "privacy": Claim(mode="none", epsilon=None, delta=None)}, "NON_PUBLIC"),
    ],
)
def test_who_may_have_it(terms, more, wanted):
    graph = read(dataset(described(terms, **more)))
    assert [one.rpartition("/")[2] for one in values(graph, "dct:accessRights")] == [wanted]


def test_without_privacy_it_is_said():
    graph = read(dataset(described(privacy=Claim(mode="none", epsilon=None, delta=None))))
    assert "NOT PRIVATE" in values(graph, "dct:description")[0]


def test_hostile_texts_stay_texts():
    evil = {"controller": "</script><x> \" ' @id", "contact": "javascript:alert(1) //", "licence": "a b <c>",
            "keywords": ["x\ny", "", None], "purpose": {"@id": "urn:evil"}}  # fmt: skip
    graph = read(dataset(described(evil, licence="a b <c>")))
    assert values(graph, "dct:publisher/foaf:name") == ["</script><x> \" ' @id"]
    assert values(graph, "dcat:distribution/dct:license") == ["a b <c>"]
    assert "x y" in values(graph, "dcat:keyword")
    assert not list(graph.objects(None, rdflib.URIRef("urn:evil")))
    assert not [one for one in graph.objects() if isinstance(one, rdflib.URIRef) and str(one).startswith("javascript")]


def test_a_catalogue_holds_them():
    page = "https://hub.example/"
    one = dataset(described(page=f"{page}releases/a:1", file=f"{page}api/v1/files/a:1", version="1", bytes=5))
    graph = read(catalogue("hub", page, [one]))
    assert values(graph, "dcat:dataset", page) == [f"{page}releases/a:1"]
    assert values(graph, "dcat:dataset/dcat:version", page) == ["1"]
    assert values(graph, "dcat:dataset/dcat:distribution/dcat:downloadURL", page) == [f"{page}api/v1/files/a:1"]
    assert values(graph, "dcat:dataset/dcat:distribution/dcat:byteSize", page) == ["5"]

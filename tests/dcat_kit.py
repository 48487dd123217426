"""A release that says all that HealthDCAT-AP asks for."""

import release_kit
from wardgan.metadata.dcat import Described
from wardgan.schema.schema import Schema
from wardgan.seal.records import Claim

DIGEST = "sha256:" + "ab" * 32
LAW = "http://data.europa.eu/eli/reg/2025/327/oj"
TERMS = {
    "licence": "CC-BY-4.0", "duo": ["GRU", "NPU"], "controller": "A Hospital", "contact": "data@example.org",
    "publisher_type": "academia-scientific-organisation", "health_data_access_body": "A Body",
    "health_data_access_body_contact": "https://body.example/ask", "health_category": ["EHRS", "https://x.example/Y"],
    "applicable_legislation": LAW, "purpose": "Research on blood pressure", "legal_basis": "Art. 9 (2) j GDPR",
    "population_described": "Adults with high blood pressure", "source": "a trial", "keywords": ["blood pressure"],
}  # fmt: skip


def described(terms=None, **more):
    schema = Schema.from_dict(release_kit.SCHEMA | {"terms": TERMS if terms is None else terms})
    claim = Claim(mode="private", epsilon=1.0, delta=1e-5)
    facts = {"digest": DIGEST, "title": "demo", "created": "2026-01-31", "privacy": claim, "schema": schema,
             "family": "copula", "licence": schema.terms.get("licence")}  # fmt: skip
    return Described(**(facts | more))

"""Share a generator of patients instead of the patients.

    import wardgan as wg

    schema = wg.Schema.load("schema.yaml")
    patients = wg.read("patients.csv", schema)
    train, holdout = patients.split(0.8, seed=1)
    trained = wg.fit(train, wg.Budget(epsilon=3), run="run")
    wg.assess("run", train, holdout).write("run/dossier")
    wg.release(trained, "patients.hgan", key="hospital.key", dossier="run/dossier")

    generator = wg.load("patients.hgan")
    patients = generator.sample(1000, where={"arm": "intensive"}, seed=7)

Names are imported when they are first used, so `import wardgan` is instant and needs no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from wardgan._version import __version__

if TYPE_CHECKING:
    from wardgan.attack.audit import Audit, audit
    from wardgan.combining.distilling import Distilled, distill
    from wardgan.combining.loading import inspect, load, verify_mixture
    from wardgan.combining.making import Combined, combine
    from wardgan.combining.mixture import Mixture
    from wardgan.combining.pooling import Pooled, pool, survey
    from wardgan.combining.recipe import Recipe, Wanted
    from wardgan.combining.tables import write_tables
    from wardgan.combining.translate import Source
    from wardgan.dossier.assess import Dossier, assess
    from wardgan.dossier.receiver import verify
    from wardgan.dossier.release import release
    from wardgan.errors import WardganError
    from wardgan.estimate import Estimate
    from wardgan.exchange.draft import draft_concepts
    from wardgan.exchange.export import export
    from wardgan.exchange.write import Exported
    from wardgan.federating.agreement import Agreement
    from wardgan.federating.here import federate
    from wardgan.federating.policy import Policy
    from wardgan.federating.release import Federated
    from wardgan.hub.entry import Entry
    from wardgan.hub.hub import Hub, Pulled, Pushed
    from wardgan.imaging.cohort import read_images
    from wardgan.imaging.links import ImageNames
    from wardgan.models.acgan.config import AcganConfig
    from wardgan.models.base import Trained
    from wardgan.models.copula.config import CopulaConfig
    from wardgan.models.fit import fit
    from wardgan.models.imagegan.config import ImageganConfig
    from wardgan.models.marginal.config import MarginalConfig
    from wardgan.models.planning import plan
    from wardgan.models.tabgan.config import TabganConfig
    from wardgan.privacy.events import Budget
    from wardgan.privacy.ledger import Ledger
    from wardgan.privacy.plan import Plan
    from wardgan.rehearsal.result import Sketch
    from wardgan.rehearsal.sketch import sketch
    from wardgan.sample.generator import Generator
    from wardgan.scaling.asked import Shards
    from wardgan.scaling.run import Sharded, sample_shards
    from wardgan.schema.cohort import Cohort
    from wardgan.schema.draft import draft
    from wardgan.schema.image_cohort import ImageCohort
    from wardgan.schema.read import read
    from wardgan.schema.schema import Schema
    from wardgan.seal.keys import new_key
    from wardgan.select.choice import Choice
    from wardgan.simulate.assume import Assumptions

_HOME = {
    "AcganConfig": "wardgan.models.acgan.config",
    "Agreement": "wardgan.federating.agreement",
    "Assumptions": "wardgan.simulate.assume",
    "Audit": "wardgan.attack.audit",
    "Budget": "wardgan.privacy.events",
    "Choice": "wardgan.select.choice",
    "Cohort": "wardgan.schema.cohort",
    "Combined": "wardgan.combining.making",
    "CopulaConfig": "wardgan.models.copula.config",
    "Distilled": "wardgan.combining.distilling",
    "Dossier": "wardgan.dossier.assess",
    "Entry": "wardgan.hub.entry",
    "Estimate": "wardgan.estimate",
    "Exported": "wardgan.exchange.write",
    "Federated": "wardgan.federating.release",
    "Generator": "wardgan.sample.generator",
    "Hub": "wardgan.hub.hub",
    "ImageCohort": "wardgan.schema.image_cohort",
    "ImageNames": "wardgan.imaging.links",
    "ImageganConfig": "wardgan.models.imagegan.config",
    "Ledger": "wardgan.privacy.ledger",
    "MarginalConfig": "wardgan.models.marginal.config",
    "Mixture": "wardgan.combining.mixture",
    "Plan": "wardgan.privacy.plan",
    "Policy": "wardgan.federating.policy",
    "Pooled": "wardgan.combining.pooling",
    "Pulled": "wardgan.hub.hub",
    "Pushed": "wardgan.hub.hub",
    "Recipe": "wardgan.combining.recipe",
    "Schema": "wardgan.schema.schema",
    "Sharded": "wardgan.scaling.run",
    "Shards": "wardgan.scaling.asked",
    "Sketch": "wardgan.rehearsal.result",
    "Source": "wardgan.combining.translate",
    "TabganConfig": "wardgan.models.tabgan.config",
    "Trained": "wardgan.models.base",
    "Wanted": "wardgan.combining.recipe",
    "WardganError": "wardgan.errors",
    "assess": "wardgan.dossier.assess",
    "audit": "wardgan.attack.audit",
    "combine": "wardgan.combining.making",
    "distill": "wardgan.combining.distilling",
    "draft": "wardgan.schema.draft",
    "draft_concepts": "wardgan.exchange.draft",
    "export": "wardgan.exchange.export",
    "federate": "wardgan.federating.here",
    "fit": "wardgan.models.fit",
    "inspect": "wardgan.combining.loading",
    "load": "wardgan.combining.loading",
    "new_key": "wardgan.seal.keys",
    "plan": "wardgan.models.planning",
    "pool": "wardgan.combining.pooling",
    "read": "wardgan.schema.read",
    "read_images": "wardgan.imaging.cohort",
    "release": "wardgan.dossier.release",
    "sample_shards": "wardgan.scaling.run",
    "sketch": "wardgan.rehearsal.sketch",
    "survey": "wardgan.combining.pooling",
    "verify": "wardgan.dossier.receiver",
    "verify_mixture": "wardgan.combining.loading",
    "write_tables": "wardgan.combining.tables",
}

__all__ = [
    "AcganConfig",
    "Agreement",
    "Assumptions",
    "Audit",
    "Budget",
    "Choice",
    "Cohort",
    "Combined",
    "CopulaConfig",
    "Distilled",
    "Dossier",
    "Entry",
    "Estimate",
    "Exported",
    "Federated",
    "Generator",
    "Hub",
    "ImageCohort",
    "ImageNames",
    "ImageganConfig",
    "Ledger",
    "MarginalConfig",
    "Mixture",
    "Plan",
    "Policy",
    "Pooled",
    "Pulled",
    "Pushed",
    "Recipe",
    "Schema",
    "Sharded",
    "Shards",
    "Sketch",
    "Source",
    "TabganConfig",
    "Trained",
    "Wanted",
    "WardganError",
    "__version__",
    "assess",
    "audit",
    "combine",
    "distill",
    "draft",
    "draft_concepts",
    "export",
    "federate",
    "fit",
    "inspect",
    "load",
    "new_key",
    "plan",
    "pool",
    "read",
    "read_images",
    "release",
    "sample_shards",
    "sketch",
    "survey",
    "verify",
    "verify_mixture",
    "write_tables",
]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'wardgan' has no attribute {name!r}")
    value: object = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__

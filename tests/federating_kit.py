"""Hospitals that train together on one machine, and ways to break them."""

import json

import numpy as np

from combining_kit import patients, schema, table
from wardgan.federating.agreement import Agreement
from wardgan.federating.here import LocalChannel
from wardgan.federating.policy import Policy
from wardgan.federating.site import Site
from wardgan.federating.wire import Message, versions

SITES = ("alpha", "beta", "gamma")
SIZE = 300


def agreement(**more):
    found = {
        "name": "region", "schema": schema("x", None), "patients": SIZE * len(SITES), "hospitals": len(SITES),
        "epsilon": 2.0, "family": "tabgan", "settings": {"steps": 150}, "overlap": 1,
    } | more  # fmt: skip
    return Agreement(**found)


def write_hospital(place, name, seed=0, *, size=SIZE, columns=None):
    cohort = patients(schema(name, size, columns or table()), size, seed, age=40 + 5 * seed)
    cohort.frame().to_csv(place / f"{name}.csv", index=False)
    own = schema("own", None, columns).to_dict()
    (place / "schema.yaml").write_text(json.dumps(own))


def policy(place, name, **more):
    found = {
        "name": name, "data": place / f"{name}.csv", "schema": place / "schema.yaml", "population": SIZE, "patients": f"data-of-{name}",
        "run": place / f"run-{name}", "epsilon": 2.0,
    } | more  # fmt: skip
    return Policy(**found)


def hospitals(place, **more):
    for at, name in enumerate(SITES):
        write_hospital(place, name, at)
    return [policy(place, name, **more) for name in SITES]


def policy_file(place, called, **more):
    found = {
        "name": called, "data": f"{called}.csv", "schema": "schema.yaml", "population": SIZE, "patients": f"data-of-{called}", "run": f"run-{called}",
        "epsilon": 2,
    } | more  # fmt: skip
    path = place / f"{called}.yaml"
    path.write_text(json.dumps(found))
    return path


class Rough(LocalChannel):
    """A channel on which answers get lost or change on the way."""

    def __init__(self, sites, meddle):
        super().__init__(sites)
        self.meddle, self.asked = meddle, []

    def ask(self, message):
        self.asked.append(dict(message.facts))
        found = super().ask(message)
        changed = {name: self.meddle(name, message.facts, reply) for name, reply in found.items()}
        return {name: reply for name, reply in changed.items() if reply is not None}


def channel(policies, meddle=lambda name, facts, reply: reply):
    return Rough({one.name: Site(one) for one in policies}, meddle)


def asking(what, arrays=None, **facts):
    """What a coordinator says."""
    return Message({**versions(), "agreement": what.to_dict(), **facts}, arrays or {})


def with_arrays(reply, change):
    return Message(reply.facts, {name: change(np.array(one)) for name, one in reply.arrays.items()})

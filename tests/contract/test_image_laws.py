"""The laws that every family obeys, for the one that draws images (see `test_family_laws`)."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch

import image_family_kit as kit
import wardgan as wg
from wardgan.privacy.accounts.book import Accounts
from wardgan.privacy.records import Records

LABELS = {"grade": {"kind": "category", "levels": ["low", "high"]}, "left": {"kind": "flag"}}
KINDS = {
    "plain": kit.schema(),
    "masks": kit.schema((8, 12), mask=True),
    "two labels": kit.schema((12, 8), table=LABELS),
    "no label": kit.schema(table={}),
}


def fit(kind="plain", *, private=True, **how):
    cohort = kit.cohort(declared=KINDS[kind])
    return wg.fit(
        cohort, kit.BUDGET if private else None, privacy="private" if private else "none", family=kit.TINY, **how
    )


@pytest.mark.parametrize("private", [True, False], ids=["private", "open"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n", [0, 1, 300])
def test_any_number_of_images_obeys_the_schema(kind, n, private):
    declared = KINDS[kind]
    batch = fit(kind, private=private, seed=2).generator.images(n, seed=1)
    assert batch.pixels.shape == (n, *declared.images.shape)
    assert n == 0 or np.abs(batch.pixels).max() <= 1
    assert list(batch.labels) == [column.name for column in declared.table]
    for column in declared.table:
        assert set(batch.labels[column.name]) <= {str(level) for level in column.levels}


@pytest.mark.parametrize("kind", KINDS)
def test_a_replayed_fit_gives_the_same_bytes_and_a_secret_one_does_not(kind):
    one, two, other = (fit(kind, seed=seed).generator.network for seed in (5, 5, None))
    assert one == two != other


@pytest.mark.parametrize("private", [True, False], ids=["private", "open"])
def test_the_callers_random_numbers_and_the_cohort_are_left_alone(private):
    cohort, untouched = kit.cohort(), kit.cohort()
    before = (random.getstate(), np.random.get_state()[1].tolist(), torch.random.get_rng_state().tolist())
    how = {"budget": kit.BUDGET} if private else {"privacy": "none"}
    wg.fit(cohort, family=kit.TINY, **how).generator.images(5)
    after = (random.getstate(), np.random.get_state()[1].tolist(), torch.random.get_rng_state().tolist())
    assert before == after
    assert cohort.digest() == untouched.digest()
    assert cohort.patients.tolist() == untouched.patients.tolist()


def test_p10_every_answer_has_the_noise_that_is_billed(monkeypatch):
    """The noise of each event by itself: the same question with nobody's part in its answer."""
    honest, heard = Records.measure, {}

    def measure(self, name, query):
        class Nobody:
            sensitivity = query.sensitivity

            def over(self, pixels, classes, weights):
                return np.zeros_like(query.over(pixels, classes, weights))

        noise = honest(self, name, Nobody())
        sd = self.ledger.plan.event(name).noise_multiplier * query.sensitivity
        heard.setdefault(name, []).append(noise / sd)
        return query.over(self._pictures.pixels, self._pictures.classes, self._pictures.weights) + noise

    monkeypatch.setattr(Records, "measure", measure)
    for _ in range(6):
        made = fit("masks")
    assert set(heard) == {event.name for event in made.ledger.plan.events if event.mechanism == "gaussian"}
    for name, parts in heard.items():
        noise = np.concatenate(parts)
        room = 5 / np.sqrt(2 * noise.size)
        # One number alone is near 0 now and then.
        least = 0.02 if noise.size > 3 else 0.0005
        assert max(1 - room, least) < np.sqrt(np.mean(noise**2)) < 1 + room, name


def test_p02_the_plan_does_not_hang_on_the_patients():
    plans = [wg.fit(kit.cohort(patients, most=most, seed=most), kit.BUDGET, family=kit.TINY, seed=1).ledger.plan
             for patients, most in ((60, 1), (100, 4))]  # fmt: skip
    assert plans[0] == plans[1] == wg.plan(kit.schema(), kit.BUDGET, family=kit.TINY)


def test_p14_fits_of_the_same_patients_are_added_up(tmp_path):
    """They are known by their names, whatever their images are by now; others are not."""
    book = tmp_path / "ledger.db"
    for cohort in (kit.cohort(), kit.cohort(seed=1)):
        wg.fit(cohort, kit.BUDGET, family=kit.TINY, accounts=book)
    with Accounts.open(book) as accounts:
        (found,) = accounts.show()
        how = [accounts.whose(accounts.patients(cohort)).how for cohort in (kit.cohort(seed=2), kit.cohort(90))]
    assert len(found.entries) == 2
    assert how[0] == "same patients" != how[1]


def test_a_noisy_count_stands_for_a_population_that_is_not_declared():
    declared = kit.schema(population=None)
    made = wg.fit(kit.cohort(declared=declared), wg.Budget(20.0), family=kit.TINY, seed=1)
    assert made.ledger.plan.population is not None
    assert made.ledger.plan.population != 100
    assert {event.name for event in made.ledger.events} >= {"patient count", "discriminator"}

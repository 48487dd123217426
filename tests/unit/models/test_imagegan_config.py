"""Settings of imagegan: what is refused before a patient is read, and what is planned."""

from __future__ import annotations

import math
from dataclasses import fields, replace

import numpy as np
import pytest

import data_kit
import image_family_kit as kit
import wardgan as wg
from wardgan.encode.layout import Layout
from wardgan.errors import PlanError, UsageError, WardganError
from wardgan.models import FAMILIES, auto_family, family_config
from wardgan.models.imagegan.config import CLASSES, DISCRIMINATOR, GRAIN, GREYS, PRODUCTS, SUMS, ImageganConfig
from wardgan.models.imagegan.sizes import TENSOR, TENSORS, check_size
from wardgan.models.planning import check_kind, config_of
from wardgan.privacy.accountant import gaussian_mu
from wardgan.schema.images import ImageFormat
from wardgan.seal.onnx_shapes import IMAGE

WHOLE = {
    "waves": 1, "steps": 1, "steps_per_generator_step": 1, "images_at_once": 1, "width": 1, "noise_inputs": 1,
    "penalty_every": 1, "open_steps": 0, "batch": 2,
}  # fmt: skip
POSITIVE = ("clip_norm", "lr_discriminator", "lr_generator", "lr_open", "penalty", "discriminator", "grain")
BETWEEN = ("ema", "ema_open", "sampling_rate")


@pytest.mark.parametrize("name", WHOLE)
def test_whole_numbers_are_checked(name):
    assert getattr(replace(ImageganConfig(), **{name: WHOLE[name]}), name) == WHOLE[name]
    for wrong in (WHOLE[name] - 1, 2.5, "3", True, math.nan):
        with pytest.raises(UsageError, match=f"{name}="):
            ImageganConfig(**{name: wrong})


@pytest.mark.parametrize("name", POSITIVE)
def test_positive_numbers_are_checked(name):
    ImageganConfig(**{name: 0.01})
    for wrong in (-1, math.inf, math.nan, "1", *([0] if name not in ("discriminator", "grain") else [])):
        with pytest.raises(UsageError, match=f"{name}="):
            ImageganConfig(**{name: wrong})


@pytest.mark.parametrize("name", BETWEEN)
def test_shares_are_checked(name):
    for wrong in (0, 1, -0.1, 1.1, math.nan, "0.5"):
        with pytest.raises(UsageError, match=f"{name}="):
            ImageganConfig(**{name: wrong})


def test_the_radius_is_checked():
    ImageganConfig(radius=1.0)
    for wrong in (0, -0.5, 1.01, math.nan):
        with pytest.raises(PlanError, match=r"radius=.* is not from 0\.001 to 1"):
            ImageganConfig(radius=wrong)


def test_every_setting_is_checked():
    flags = {field.name for field in fields(ImageganConfig) if isinstance(field.default, bool)}
    assert flags == {"augment", "flips"}
    assert {field.name for field in fields(ImageganConfig)} - flags == {*WHOLE, *POSITIVE, *BETWEEN, "radius"}


def layout(**how):
    return Layout.of(kit.schema(**how))


def test_the_waves_and_the_discriminator_share_the_budget():
    found = {share.name: share for share in ImageganConfig(discriminator=0.15).shares(layout(), kit.BUDGET)}
    assert list(found) == [CLASSES, SUMS, PRODUCTS, DISCRIMINATOR]
    assert sum(share.weight for share in found.values()) == pytest.approx(1.15)
    assert (found[DISCRIMINATOR].sampling_rate, found[DISCRIMINATOR].steps) == (0.05, 600)
    assert all(found[name].sampling_rate is None and found[name].steps == 1 for name in (CLASSES, SUMS, PRODUCTS))
    alone = ImageganConfig(discriminator=0).shares(layout(), kit.BUDGET)
    assert [share.name for share in alone] == [CLASSES, SUMS, PRODUCTS]


@pytest.mark.parametrize(("how", "waves", "grain", "asked"), [
    ({"size": (16, 16)}, 12, 0.3, True), ({"size": (16, 8)}, 12, 0.3, True), ({"size": (12, 12)}, 12, 0.3, False),
    ({"size": (16, 16)}, 12, 0, False), ({"size": (16, 16), "mask": True}, 12, 0.3, True),
])  # fmt: skip
def test_grain_is_asked_for_where_images_are_finer_than_the_waves(how, waves, grain, asked):
    found = ImageganConfig(waves=waves, grain=grain).shares(layout(**how), kit.BUDGET)
    wanted = {GRAIN: 0.15, GREYS: 0.15} if asked else {}
    assert {share.name: share.weight for share in found[3:]} == wanted


def test_the_plan_holds_each_event_once_and_fits_the_budget():
    planned = wg.plan(kit.schema(), kit.BUDGET, family=kit.TINY)
    assert [(event.name, event.mechanism, event.steps) for event in planned.events] == [
        *((name, "gaussian", 1) for name in (CLASSES, SUMS, PRODUCTS, GRAIN, GREYS)), (DISCRIMINATOR, "poisson-gaussian", 6),
    ]  # fmt: skip
    assert planned.epsilon() <= kit.BUDGET.epsilon
    assert planned.family == "imagegan"


@pytest.mark.parametrize(("how", "waves", "numbers"), [
    ({"size": (8, 12)}, 3, 9), ({"size": (8, 12), "mask": True}, 3, 18), ({"size": (8, 28)}, 12, 96),
])  # fmt: skip
def test_an_image_has_as_many_numbers_as_waves_fit_into_it(how, waves, numbers):
    assert ImageganConfig(waves=waves).numbers(layout(**how)) == numbers


def test_a_budget_that_leaves_noise_alone_is_refused_and_says_what_would_do():
    config = ImageganConfig(waves=6)
    place = layout(population=100)
    with pytest.raises(
        PlanError, match=r"epsilon=1 is too small for population=100 with 2 classes: .* more epsilon, or"
    ) as error:
        config.check(place, wg.Budget(1.0), 100)
    least = int(str(error.value).split("about ")[1].split(" ")[0].replace(",", ""))
    config.check(place, wg.Budget(1.0), least)
    with pytest.raises(PlanError):
        config.check(place, wg.Budget(1.0), round(0.98 * least))
    config.check(place, wg.Budget(1.0), None)
    config.check(place, wg.Budget(80.0), 100)


def test_the_noise_that_is_refused_is_that_of_a_mean_image():
    """By hand: a pixel's sd is that of the numbers times the square root of how many, over the patients of a class."""
    config, budget, population = ImageganConfig(waves=4, discriminator=0.15), wg.Budget(2.0), 1000
    multiplier = 1 / (gaussian_mu(2.0, budget.delta) * math.sqrt(0.2 / 1.25))
    # An image whose pixels are all 1 has numbers of length 1: lengths are those of a pixel.
    pixel = multiplier * math.sqrt(16) / (population / 2)
    for tried in (population * pixel * 3 * 0.999, population * pixel * 3 * 1.001):
        if tried < population * pixel * 3:
            with pytest.raises(PlanError):
                config.check(layout(), budget, math.floor(tried))
        else:
            config.check(layout(), budget, math.ceil(tried))


def test_tables_have_no_waves():
    tables = data_kit.schema({"age": {"kind": "integer", "low": 0, "high": 9}}, population=1000)
    with pytest.raises(PlanError, match="draws images; the schema declares none"):
        ImageganConfig().numbers(Layout.of(tables))
    with pytest.raises(PlanError, match="family='imagegan' cannot draw tables and visits"):
        wg.plan(tables, kit.BUDGET, family="imagegan")
    cohort = data_kit.generator(tables).draw(50, seed=1)
    with pytest.raises(PlanError, match="take copula, marginal, tabgan, acgan"):
        wg.fit(cohort, family="imagegan", privacy="none")


@pytest.mark.parametrize("family", [name for name in FAMILIES if name != "imagegan"])
def test_families_of_tables_refuse_images(family):
    with pytest.raises(
        PlanError, match=f"family={family!r} cannot draw images, which the schema declares; take imagegan"
    ):
        wg.plan(kit.schema(), kit.BUDGET, family=family)
    with pytest.raises(PlanError, match="take imagegan"):
        wg.fit(kit.cohort(20), family=family, privacy="none")
    check_kind(kit.TINY, kit.schema())


def test_auto_takes_imagegan_for_images():
    assert auto_family(kit.schema(), private=True, patients=0) == "imagegan"
    assert auto_family(kit.schema(), private=False, patients=10_000) == "imagegan"
    assert config_of("auto", kit.schema()) == family_config("imagegan") == ImageganConfig()
    assert config_of(kit.TINY, kit.schema()) is kit.TINY


def test_what_is_no_cohort_is_told_how_to_read_one():
    with pytest.raises(UsageError, match=r"wg\.read_images\(source, schema\) for images"):
        wg.fit(np.zeros((3, 1, 8, 8)), kit.BUDGET)


def test_more_patients_than_declared_are_refused():
    with pytest.raises(WardganError, match=f"population={kit.POPULATION}"):
        wg.fit(kit.cohort(140), kit.BUDGET, family=kit.TINY)


def test_a_network_that_no_receiver_would_load_is_refused_before_anything_is_read():
    assert (IMAGE.row, IMAGE.total) == (TENSOR, TENSORS)
    check_size(ImageFormat(256, 256), ImageganConfig().width)
    for width, look in ((40, ImageFormat(256, 256)), (48, ImageFormat(256, 256, mask=True))):
        with pytest.raises(PlanError, match="Take a smaller width or smaller images"):
            check_size(look, width)
    wide = replace(kit.TINY, discriminator=0.15, width=40_000)
    with pytest.raises(PlanError, match="Take a smaller width"):
        wg.fit(kit.cohort(), kit.BUDGET, family=wide)

"""What a choice costs is public, planned with everything else, and refused where there is nothing to choose by."""

from itertools import pairwise

import pytest

import choice_kit
import wardgan as wg
from wardgan.encode.layout import Layout
from wardgan.errors import PlanError, UsageError
from wardgan.models.planning import configured, plan
from wardgan.models.together import check_together
from wardgan.select.choice import CHOICE, WAYS, Choice, check_choice


@pytest.mark.parametrize("steps", [1, 4, 20, 500, 1000, 2501])
@pytest.mark.parametrize("candidates", [2, 3, 10])
def test_candidates_are_spread_over_the_second_half(steps, candidates):
    found = Choice(candidates=candidates).kept_at(steps)
    assert len(found) == candidates
    assert found[-1] == steps
    assert list(found) == sorted(found)
    assert found[0] > steps / 2
    if steps > 4 * candidates:
        gaps = {after - before for before, after in pairwise(found)}
        assert max(gaps) - min(gaps) <= 1


@pytest.mark.parametrize(("how", "runs"), [("noisy-max", 1), ("top-k", 3), ("boosting", 7)])
def test_p05_each_run_of_a_choice_is_planned(how, runs):
    choice = Choice(how, k=3, rounds=7, weight=0.05)
    for family in (wg.TabganConfig, wg.AcganConfig):
        shares = family(choice=choice).shares(choice_kit.LAYOUT, wg.Budget(1.0))
        (found,) = [share for share in shares if share.name == CHOICE]
        assert (found.pure, found.steps, found.weight, found.delta) == (True, runs, 0.05, 0.0)


def test_the_training_pays_for_the_choice():
    schema = wg.Schema.from_dict(choice_kit.SCHEMA.to_dict() | {"population": 6000})
    without, with_it = (
        plan(schema, wg.Budget(3.0), family=wg.TabganConfig(steps=60, choice=one)) for one in (None, Choice())
    )
    noise = [one.event("discriminator").noise_multiplier for one in (without, with_it)]
    assert 1.005 < noise[1] / noise[0] < 1.1
    assert 0.95 * 3.0 < with_it.epsilon() <= 3.0
    assert CHOICE not in {event.name for event in without.events}
    assert (with_it.event(CHOICE).mechanism, with_it.event(CHOICE).steps) == ("pure", 1)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"how": "best"}, "how='best' is not one of noisy-max, top-k, boosting"),
        ({"how": "top-k", "candidates": 3}, "k=5 of candidates=3"),
        ({"candidates": 51}, "candidates=51 are more than 50"),
        ({"candidates": 1}, "candidates=1"),
        ({"k": 0}, "k=0"),
        ({"rounds": 0}, "rounds=0"),
        ({"rounds": 1001}, "rounds=1001 are more than 1,000; each is billed, so take fewer"),
        ({"weight": 0.0}, "weight=0"),
    ],
)
def test_what_makes_no_choice_is_refused(wrong, said):
    with pytest.raises(UsageError, match=said):
        Choice(**wrong)


def test_one_class_leaves_nothing_to_recognise():
    schema = choice_kit.SCHEMA.to_dict()
    schema["table"]["arm"].pop("label")
    layout = Layout.of(wg.Schema.from_dict(schema))
    for how in ("noisy-max", "top-k"):
        with pytest.raises(PlanError, match="label: true, take how='boosting', or leave the choice out"):
            check_choice(Choice(how), layout)
        for family in (wg.TabganConfig, wg.AcganConfig):
            with pytest.raises(PlanError, match="one class only"):
                plan(layout.schema, wg.Budget(40.0), family=family(choice=Choice(how)))
    check_choice(Choice("boosting"), layout)
    check_choice(None, layout)


@pytest.mark.parametrize("family", ["tabgan", "acgan"])
@pytest.mark.parametrize("how", WAYS)
def test_a_choice_can_be_set_by_a_word(family, how):
    assert configured(family, [f"choice={how}"], choice_kit.SCHEMA).choice == Choice(how)


def test_words_that_set_no_choice_are_refused():
    assert configured("tabgan", ["choice=none"], choice_kit.SCHEMA).choice is None
    with pytest.raises(PlanError, match="not one of noisy-max"):
        configured("tabgan", ["choice=best"], choice_kit.SCHEMA)
    with pytest.raises(PlanError, match="sets nothing of marginal"):
        configured("marginal", ["choice=noisy-max"], choice_kit.SCHEMA)


def test_several_hospitals_choose_nothing():
    with pytest.raises(PlanError, match="the newest weights are taken"):
        check_together(wg.TabganConfig(choice=Choice()))


def test_a_thousand_rounds_may_be_billed():
    assert Choice("boosting", rounds=1000).runs == 1000

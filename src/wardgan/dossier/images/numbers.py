"""Which of the numbers about images a gate judges."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from wardgan.dossier.gates import Measured
from wardgan.dossier.gauges import NO_HOLDOUT, attack_numbers, claimed, epsilon_number, group_numbers, unattacked
from wardgan.dossier.images.measure import ImageFindings
from wardgan.estimate import Estimate
from wardgan.evaluate.images import Drawn, Taught
from wardgan.sample.generator import Generator

_APART: Final = 0.55
_NOT_ASKED: Final = {
    "singling out": "An image is not singled out by its values; copies are looked for instead.",
    "linkability": "An image has no two parts that could be linked.",
    "impossible": "A schema of images declares no rules.",
    "survival": "A schema of images declares no time-to-event pair.",
}


def image_numbers(found: ImageFindings, generator: Generator) -> list[Measured]:
    """Gives what the gates of the internal edition judge.

    Args:
        found: What was measured.
        generator: What it claims.
    """
    claim = claimed(generator)
    asked = [one for one in _attacks(found, claim) if one.gate not in _NOT_ASKED]
    if all(one.gate != "attribute" for one in asked):
        asked.append(Measured("attribute", "", None, because="The schema has no labels to guess.", asked=False))
    return [
        epsilon_number(claim),
        *asked,
        *(Measured(gate, "", None, because=because, asked=False) for gate, because in _NOT_ASKED.items()),
        *_utility(found),
        *group_numbers(found.groups),
    ]


def image_warnings(found: ImageFindings) -> list[str]:
    """Says what takes the ground from under all attacks: no hold-out, or one that is not drawn like the training."""
    if found.attacks is None or found.report is None:
        return [f"{NO_HOLDOUT} No attack and no use could be judged; name one with --holdout (holdout=)."]
    told: list[str] = []
    apart = found.detector.holdout if found.detector is not None else None
    if apart is not None and apart.low > _APART:
        told.append(
            "The hold-out is not drawn like the training patients: a classifier tells their images apart (area "
            f"{apart}). So attacks may accuse a safe generator, and clear none; draw both at random from the same "
            "patients (wardgan split)."
        )
    if found.report.shared.value > 0:
        told.append(
            f"{100 * found.report.shared.value:.2g} % of the hold-out images are training images, pixel for pixel: "
            "patients were not kept together, or some images are there twice. The hold-out then proves too little."
        )
    accused = found.report.memory.accused
    if accused:
        told.append(
            f"By {', '.join(accused)} the synthetic images are nearer to training than to hold-out patients: look at "
            "section 6 and at the nearest images in section 7. One of twenty safe generators gets this warning."
        )
    return told


def _attacks(found: ImageFindings, claim: float | None) -> Iterator[Measured]:
    if found.attacks is None:
        yield from unattacked()
    else:
        yield from attack_numbers(found.attacks, found.control, claim)


def _utility(found: ImageFindings) -> Iterator[Measured]:
    report = found.report
    if report is None:
        yield Measured("utility", found.target or "", None, because=NO_HOLDOUT)
        return
    if found.target is None and not found.masks:
        because = "The schema has neither a label nor masks, so nothing is learned from the images."
        yield Measured("utility", "", None, because=because, asked=False)
    if found.target is not None:
        refused = [reason for reason in report.refusals if reason.startswith("taught:")]
        if report.taught is None:
            yield Measured("utility", found.target, None, because=refused[0] if refused else "It was not measured.")
        else:
            yield from _taught(found.target, report.taught)
    if found.masks:
        yield _drawn(report.drawn)


def _taught(target: str, found: Taught) -> Iterator[Measured]:
    about = f"{target}, convolutional network"
    teaches = found.trtr.low > 0.5
    because = "" if teaches else "the real images themselves teach nothing that could be told from chance."
    yield Measured("utility", about, found.share, enough=teaches, because=because)
    if teaches:
        # Guessing alone reaches more than .8 of what is hardly better than guessing.
        beyond = [(end - 0.5) / (found.trtr.value - 0.5) for end in (found.tstr.value, found.tstr.low, found.tstr.high)]
        kept = Estimate(beyond[0], beyond[1], beyond[2], found.tstr.n, "TSTR beyond guessing by TRTR beyond guessing")
        yield Measured("utility", f"{about}, beyond guessing", kept, limit=0.0)


def _drawn(found: Drawn | None) -> Measured:
    if found is None:
        return Measured("utility", "masks", None, because="No network could be taught to draw masks.")
    return Measured("utility", "masks, small U-Net", found.share)

"""Draws docs/images.png: synthetic images, from the grids that `benchmarks/images.py` leaves behind.

    python scripts/make_images_figure.py benchmarks/out/images

Each block is one generator, one row for each class; the vessels are phantoms, drawn by a program and fitted without a
budget. No real image is in it.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from PIL import Image, ImageDraw

TARGET: Final = Path(__file__).parent.parent / "docs" / "images.png"
SHOWN: Final = {
    "Chest, 28 px, epsilon 3: normal, pneumonia": "pneumonia, waves, epsilon 3, 0",
    "Six modalities, 64 px, epsilon 3": "six modalities, waves, epsilon 3, 0",
    "Mammograms, 64 px, epsilon 10": "mammograms, 64 px, waves, epsilon 10, 0",
    "Vessels and masks (phantoms), 64 px, no privacy": "vessels, waves, no privacy, 0",
}
_WIDTH: Final = 900
_MARGIN: Final = 22
_ROWS: Final = 230


def main(folder: Path) -> None:
    """Puts the grids below each other.

    Args:
        folder: Where the benchmark left them, one folder each.
    """
    blocks: list[tuple[str, Image.Image]] = []
    for title, name in SHOWN.items():
        found = Image.open(folder / name / "progress.png").convert("L")
        scale = _WIDTH / found.width
        small = found.resize((_WIDTH, round(found.height * scale)), Image.Resampling.BICUBIC)
        blocks.append((title, small.crop((0, 0, _WIDTH, min(small.height, _ROWS)))))
    sheet = Image.new("L", (_WIDTH, sum(block.height + _MARGIN for _, block in blocks)), 255)
    draw, top = ImageDraw.Draw(sheet), 0
    for title, block in blocks:
        draw.text((2, top + 5), title, fill=0)
        sheet.paste(block, (0, top + _MARGIN))
        top += block.height + _MARGIN
    sheet.save(TARGET, optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

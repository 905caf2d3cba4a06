"""The visible label: an "AI" badge in the top-right corner, composited before marking and signing.

Design after Annex 1 and section 2 of the EU Code of Practice (June 2026): capital "AI", both letters of one height, a
second line that says generated or modified, noticed without interaction, top right, spaced from the edge, legible on
any background. The letters are at least 5 % of the shorter side high (GB 45438-2025, clause on image labels).
"""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from guard.records import RGB8, LabelMode

TEXT_SHARE = 0.06
"""Height of the letters as a share of the shorter side; GB 45438-2025 asks for at least 0.05."""
MARGIN_SHARE = 0.025
"""Distance of the badge from the edges, as a share of the shorter side."""
PAPER, INK = (255, 255, 255), (0, 0, 0)
"""Black on white has contrast 21:1 on any picture (WCAG 2.1 asks for 4.5:1); the border keeps it apart from white."""
_SECOND_LINE = {LabelMode.BASIC: "", LabelMode.GENERATED: "GENERATED", LabelMode.MODIFIED: "MODIFIED"}


class BadgeLabeller:
    """Draws the badge; implements ``Labeller``."""

    def apply(self, pixels: RGB8, *, mode: LabelMode) -> RGB8:
        """Return a labelled copy.

        Args:
            pixels: (H, W, 3) uint8.
            mode: which badge; ``NONE`` returns an unchanged copy.
        """
        if mode is LabelMode.NONE:
            return pixels.copy()
        picture = Image.fromarray(pixels)
        badge = draw_badge(mode, shorter_side=min(picture.size))
        margin = max(2, round(MARGIN_SHARE * min(picture.size)))
        picture.paste(badge, (picture.width - badge.width - margin, margin))
        return np.asarray(picture)


def draw_badge(mode: LabelMode, *, shorter_side: int) -> Image.Image:
    """Return the badge for a picture whose shorter side has that many pixels.

    Args:
        mode: any mode but ``NONE``.
        shorter_side: pixels, >= 32.
    """
    letter_height = max(8, round(TEXT_SHARE * shorter_side))
    first = _font_for_height("AI", letter_height)
    second = _font_for_height("G", max(6, round(letter_height * 0.45)))
    lines = [("AI", first)] + ([(_SECOND_LINE[mode], second)] if _SECOND_LINE[mode] else [])
    boxes = [font.getbbox(text) for text, font in lines]
    gap = max(2, letter_height // 4)
    pad = max(3, letter_height // 2)
    width = max(box[2] - box[0] for box in boxes) + 2 * pad
    height = sum(box[3] - box[1] for box in boxes) + gap * (len(lines) - 1) + 2 * pad
    badge = Image.new("RGB", (round(width), round(height)), PAPER)
    draw = ImageDraw.Draw(badge)
    draw.rectangle((0, 0, badge.width - 1, badge.height - 1), outline=INK, width=max(1, letter_height // 10))
    top = float(pad)
    for (text, font), box in zip(lines, boxes, strict=True):
        draw.text(((width - (box[2] - box[0])) / 2 - box[0], top - box[1]), text, font=font, fill=INK)
        top += box[3] - box[1] + gap
    return badge


def _font_for_height(sample: str, height: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Return Pillow's own typeface (Aileron, CC0) in the smallest size whose capitals reach ``height`` pixels."""
    size = height
    font = ImageFont.load_default(size)
    while font.getbbox(sample)[3] - font.getbbox(sample)[1] < height:
        size += 1
        font = ImageFont.load_default(size)
    return font

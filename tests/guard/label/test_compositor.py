"""The visible label is where it must be, as large as it must be, and legible."""

import numpy as np
import pytest

from guard.label.compositor import BadgeLabeller, draw_badge
from guard.records import LabelMode


@pytest.mark.parametrize("mode", [LabelMode.BASIC, LabelMode.GENERATED, LabelMode.MODIFIED])
@pytest.mark.parametrize("value", [0, 90, 255])
def test_badge_is_top_right_and_nowhere_else(mode: LabelMode, value: int) -> None:
    plain = np.full((300, 500, 3), value, np.uint8)
    labelled = BadgeLabeller().apply(plain, mode=mode)
    rows, columns = np.nonzero((labelled != plain).any(axis=2))
    assert rows.max() < 150
    assert columns.min() > 250
    assert (plain == value).all(), "the input must not change"


@pytest.mark.parametrize("side", [256, 512, 1024])
def test_letters_reach_five_percent_of_the_shorter_side(side: int) -> None:
    badge = np.asarray(draw_badge(LabelMode.BASIC, shorter_side=side).convert("L"))
    inner = badge[side // 60 : -(side // 60), side // 60 : -(side // 60)]
    dark_rows = np.nonzero((inner < 128).any(axis=1))[0]
    assert dark_rows.max() - dark_rows.min() + 1 >= 0.05 * side


def test_badge_has_full_contrast_even_on_black_and_white() -> None:
    for value in (0, 255):
        labelled = BadgeLabeller().apply(np.full((256, 256, 3), value, np.uint8), mode=LabelMode.GENERATED)
        corner = labelled[:80, 150:]
        assert corner.min() < 10
        assert corner.max() > 245


def test_no_label_changes_nothing() -> None:
    plain = np.full((64, 64, 3), 7, np.uint8)
    assert (BadgeLabeller().apply(plain, mode=LabelMode.NONE) == plain).all()

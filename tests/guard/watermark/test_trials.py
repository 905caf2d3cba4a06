"""The trials do to a marked picture what the world does: the same codecs, in the same colour order, at its own size."""

import numpy as np
import pytest

from guard.watermark.trials import PROMISES, PROMISES_SMALL, TRIALS, TRIALS_SMALL
from tests.guard.watermark import pictures as p

PICTURE = p.drawing(3, 256)


def _difference(first: np.ndarray, second: np.ndarray) -> float:
    return float(np.abs(first.astype(np.float64) - second).mean())


def test_promised_jpeg_and_webp_are_those_of_pillow() -> None:
    pairs = [
        (PROMISES[0][0], p.webp(PICTURE, 80)),
        (PROMISES[0][1], p.jpeg(PICTURE, 50)),
        (PROMISES_SMALL[1][0], p.jpeg(PICTURE, 50)),
    ]
    swapped = np.ascontiguousarray(PICTURE[..., ::-1])
    for attack, expected in pairs:
        assert _difference(attack(PICTURE), expected) < 0.2
        assert _difference(attack(swapped)[..., ::-1], expected) > 2 * _difference(attack(PICTURE), expected)


@pytest.mark.parametrize("trial", [*TRIALS, *TRIALS_SMALL])
def test_no_trial_returns_the_picture_as_it_was(trial: object) -> None:
    changed = trial.attack(PICTURE)  # type: ignore[attr-defined]
    assert changed.shape != PICTURE.shape or _difference(changed, PICTURE) > 0.3


@pytest.mark.parametrize("sets", [PROMISES, PROMISES_SMALL])
def test_promises_never_crop_since_the_reader_takes_the_picture_for_whole(sets: tuple) -> None:
    wide = p.photo("coffee", (400, 256))
    for attack in (a for attacks in sets for a in attacks):
        height, width = attack(wide).shape[:2]
        assert abs(width / height - 400 / 256) < 0.01

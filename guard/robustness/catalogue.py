"""Every attack of the suite in one ordered list, and the choices a run can make from it."""

from __future__ import annotations

from collections.abc import Sequence

from guard.errors import RequestError
from guard.robustness import adversarial, analogue_hole, desynchronisation, in_place, localised
from guard.robustness import pixels as px
from guard.robustness.attack import Attack, AttackFamily

ATTACKS: tuple[Attack, ...] = (
    *in_place.ATTACKS,
    *desynchronisation.ATTACKS,
    *analogue_hole.ATTACKS,
    *localised.ATTACKS,
    *adversarial.ATTACKS,
)
"""All attacks on one picture that need neither weights nor the codec."""

_IN, _DESYNC = AttackFamily.IN_PLACE, AttackFamily.DESYNCHRONISATION
SMALL_ATTACKS: tuple[Attack, ...] = (
    Attack(id="none", family=_IN, change=lambda x, _: x, required=0.99),
    Attack(id="JPEG 75", family=_IN, change=lambda x, _: px.jpeg(x, 75), required=0.99),
    Attack(id="resize 0.7", family=_DESYNC, change=lambda x, _: px.resized(x, 0.7), required=0.99),
    Attack(
        id="JPEG 75 + resize 0.7",
        family=_DESYNC,
        change=lambda x, _: px.resized(px.jpeg(x, 75), 0.7),
        required=0.99,
    ),
    Attack(
        id="resize 0.7 + JPEG 75",
        family=_DESYNC,
        change=lambda x, _: px.jpeg(px.resized(x, 0.7), 75),
        required=0.99,
    ),
    Attack(id="JPEG 50", family=_IN, change=lambda x, _: px.jpeg(x, 50), required=0.99),
    Attack(id="resize 0.5", family=_DESYNC, change=lambda x, _: px.resized(x, 0.5), required=0.95),
    Attack(id="crop 0.8 + JPEG 75", family=_DESYNC, change=lambda x, _: px.jpeg(px.cropped(x, 0.8), 75), required=0.95),
    Attack(id="rotate 5 + JPEG 75", family=_DESYNC, change=lambda x, _: px.jpeg(px.rotated(x, 5), 75), required=0.95),
    Attack(id="mirror + JPEG 75", family=_DESYNC, change=lambda x, _: px.jpeg(px.mirrored(x), 75), required=0.95),
)
"""What pictures of 256 px a side are measured with: what messengers and thumbnails do."""


def choose(
    attacks: Sequence[Attack] = ATTACKS, *, quick: bool = False, required: bool = False, only: Sequence[str] = ()
) -> tuple[Attack, ...]:
    """Return a part of a catalogue, in its order.

    Args:
        attacks: from which to choose.
        quick: the quick set.
        required: those with a promised rate.
        only: these ids; empty for no restriction.

    Raises:
        RequestError: an id in ``only`` is unknown, or nothing is left.
    """
    unknown = sorted(set(only) - {attack.id for attack in attacks})
    if unknown:
        raise RequestError(
            f"Unknown attacks: {', '.join(unknown)}.", next_step="Run `signet robustness list` for the names."
        )
    chosen = tuple(
        attack
        for attack in attacks
        if (not quick or attack.quick)
        and (not required or attack.required is not None)
        and (not only or attack.id in only)
    )
    if not chosen:
        raise RequestError("No attack is left after the selection.", next_step="Choose fewer restrictions.")
    return chosen

"""What an attack is: a named, seeded, deterministic function of pixels, in one of the law's own families.

Source of the families: Code of Practice on transparency of AI-generated content, measure 3.3 (in-place,
desynchronisation, analogue hole, localised edits; copying, removal, regeneration and modification as adversarial).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

from guard.records import RGB8

Change: TypeAlias = Callable[[RGB8, int], RGB8]
"""(pixels, seed) -> changed pixels: (H, W, 3) uint8 in, (H', W', 3) uint8 out; the same result for the same seed."""


class AttackFamily(StrEnum):
    """Kinds of processing that the Code of Practice names."""

    IN_PLACE = "in-place"
    DESYNCHRONISATION = "desynchronisation"
    ANALOGUE_HOLE = "analogue hole"
    LOCALISED = "localised"
    ADVERSARIAL = "adversarial"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attack:
    """One attack at one strength.

    Attributes:
        id: stable name, unique in a catalogue, such as ``jpeg 75``.
        family: which of the law's families it belongs to.
        change: what is done to the pixels.
        required: share of pictures that must be read exactly (0 to 1); None where nothing is promised.
        curve: name of the survival curve that this strength is a point of; empty for none.
        strength: place on the curve's axis, in the curve's own unit.
        quick: part of the ``--quick`` set that continuous integration runs.
    """

    id: str
    family: AttackFamily
    change: Change = field(repr=False)
    required: float | None = None
    curve: str = ""
    strength: float = 0.0
    quick: bool = False

    def __call__(self, pixels: RGB8, *, seed: int = 0) -> RGB8:
        """Return the attacked picture; the input is left as it is."""
        return self.change(pixels, seed)


def ladder(
    family: AttackFamily,
    curve: str,
    name: str,
    change: Callable[[RGB8, float, int], RGB8],
    steps: Iterable[tuple[float, float | None]],
    *,
    quick: Iterable[float] = (),
) -> tuple[Attack, ...]:
    """Return one attack for each (strength, required share) of a curve.

    Args:
        family: of all of them.
        curve: axis label of the survival curve, with its unit.
        name: the ids are ``f"{name} {strength:g}"``.
        change: (pixels, strength, seed) -> changed pixels.
        steps: strengths with the share that must survive, None for no promise.
        quick: strengths that belong to the quick set.
    """
    fast = frozenset(quick)

    def fixed(strength: float) -> Change:
        return lambda pixels, seed: change(pixels, strength, seed)

    return tuple(
        Attack(
            id=f"{name} {strength:g}",
            family=family,
            change=fixed(strength),
            required=required,
            curve=curve,
            strength=strength,
            quick=strength in fast,
        )
        for strength, required in steps
    )

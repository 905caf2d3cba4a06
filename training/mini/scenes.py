"""Scenes as values: what a picture of signet-mini contains, sampled from a seed.

Data flow: ``scene_at(seed, index, split=...)`` -> ``Scene`` -> ``drawing.draw`` / ``captions.caption``.
A tenth of all semantic combinations is held out by a hash of ``Scene.combination`` and never drawn for training.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from training.mini.vocabulary import (
    BACKGROUNDS,
    COLOURS,
    COUNT_CENTRES,
    EXTRAS,
    FORBIDDEN,
    PAIR_CENTRES,
    POSITIONS,
    RADII_PX,
    RELATIONS,
    SHAPES,
    TERRAINS,
    TEXTURES,
    TIMES,
)

Kind = Literal["single", "pair", "count", "landscape", "texture"]
Split = Literal["train", "heldout"]

# Share of each kind of scene; pairs carry the hardest task (binding), so they are most.
KIND_SHARES: Final[dict[Kind, float]] = {
    "pair": 0.45,
    "single": 0.25,
    "count": 0.14,
    "landscape": 0.10,
    "texture": 0.06,
}
HELDOUT_PER_256: Final = 26  # one byte of the hash below this value: about 10 % of combinations
JITTER_PX: Final = 7


@dataclass(frozen=True, slots=True)
class Item:
    """One drawn object: ``radius_px`` is that of its circumscribed circle, ``x``/``y`` its centre in pixels."""

    shape: str
    colour: str
    size: str
    x: int
    y: int

    @property
    def radius_px(self) -> int:
        """Radius in pixels of the circle around the object."""
        return RADII_PX[self.size]


@dataclass(frozen=True, slots=True)
class Scene:
    """Everything that decides a picture; ``detail_seed`` feeds the random parts of landscapes.

    ``place`` is a position (single), a relation (pair), a terrain (landscape) or a pattern (texture).
    """

    kind: Kind
    background: str
    items: tuple[Item, ...] = ()
    place: str = ""
    time: str = ""
    extra: str = ""
    colours: tuple[str, ...] = ()
    detail_seed: int = 0

    @property
    def combination(self) -> str:
        """The meaning that the hold-out is decided on: no jitter, no wording, no background for pairs."""
        if self.kind == "pair":
            first, second = self.items
            return f"pair {first.colour} {first.shape} {self.place} {second.colour} {second.shape}"
        if self.kind == "single":
            return f"single {self.items[0].colour} {self.items[0].shape} {self.place} {self.items[0].size}"
        if self.kind == "count":
            return f"count {len(self.items)} {self.items[0].colour} {self.items[0].shape} {self.background}"
        if self.kind == "landscape":
            return f"landscape {self.place} {self.time} {self.extra} {self.detail_seed}"
        return f"texture {self.place} {' '.join(self.colours)} {self.detail_seed}"

    @property
    def heldout(self) -> bool:
        """Whether this combination is kept out of training."""
        return hashlib.sha256(self.combination.encode()).digest()[0] < HELDOUT_PER_256


def default_background(colours: tuple[str, ...]) -> str:
    """Return the background meant when a caption names none: white, or gray behind a white object."""
    return "gray" if "white" in colours else "white"


def _pick(rng: np.random.Generator, names: tuple[str, ...] | list[str]) -> str:
    return names[int(rng.integers(len(names)))]


def _background(rng: np.random.Generator, colours: tuple[str, ...]) -> str:
    if rng.random() < 0.4:
        return default_background(colours)
    allowed = [b for b in BACKGROUNDS if all((c, b) not in FORBIDDEN for c in colours)]
    return _pick(rng, allowed)


def _item(rng: np.random.Generator, shape: str, colour: str, size: str, centre: tuple[int, int]) -> Item:
    dx, dy = rng.integers(-JITTER_PX, JITTER_PX + 1, size=2)
    return Item(shape=shape, colour=colour, size=size, x=int(centre[0] + dx), y=int(centre[1] + dy))


def _single(rng: np.random.Generator) -> Scene:
    shape, colour = _pick(rng, SHAPES), _pick(rng, list(COLOURS))
    size = str(rng.choice(list(RADII_PX), p=(0.25, 0.45, 0.3)))
    place = "center" if rng.random() < 0.3 else _pick(rng, list(POSITIONS))
    item = _item(rng, shape, colour, size, POSITIONS[place])
    return Scene(kind="single", background=_background(rng, (colour,)), items=(item,), place=place)


def _pair(rng: np.random.Generator) -> Scene:
    relation = _pick(rng, RELATIONS)
    first, second = _pick(rng, list(COLOURS)), _pick(rng, list(COLOURS))
    shapes = (_pick(rng, SHAPES), _pick(rng, SHAPES))
    while (first, shapes[0]) == (second, shapes[1]):  # two of a kind are a count, not a relation
        shapes = (_pick(rng, SHAPES), _pick(rng, SHAPES))
    sizes = ["medium", "medium"]
    if rng.random() < 0.35:
        sizes[int(rng.integers(2))] = _pick(rng, ["small", "large"])
    centres = PAIR_CENTRES[relation]
    items = tuple(
        _item(rng, shape, colour, size, centre)
        for shape, colour, size, centre in zip(shapes, (first, second), sizes, centres, strict=True)
    )
    return Scene(kind="pair", background=_background(rng, (first, second)), items=items, place=relation)


def _count(rng: np.random.Generator) -> Scene:
    shape, colour = _pick(rng, SHAPES), _pick(rng, list(COLOURS))
    number = int(rng.integers(2, 5))
    items = tuple(_item(rng, shape, colour, "medium", centre) for centre in COUNT_CENTRES[number])
    return Scene(kind="count", background=_background(rng, (colour,)), items=items)


def _landscape(rng: np.random.Generator) -> Scene:
    terrain, time = _pick(rng, TERRAINS), _pick(rng, TIMES)
    extra = _pick(rng, EXTRAS[terrain])
    return Scene("landscape", "", place=terrain, time=time, extra=extra, detail_seed=int(rng.integers(1 << 31)))


def _texture(rng: np.random.Generator) -> Scene:
    first, second = rng.permutation(list(COLOURS))[:2]
    colours = (str(first), str(second))
    return Scene("texture", "", place=_pick(rng, TEXTURES), colours=colours, detail_seed=int(rng.integers(4)))


_SAMPLERS: Final = {
    "pair": _pair,
    "single": _single,
    "count": _count,
    "landscape": _landscape,
    "texture": _texture,
}


def scene_at(seed: int, index: int, *, split: Split = "train", kind: Kind | None = None) -> Scene:
    """Return scene number ``index`` of the endless list that ``seed`` and ``split`` define.

    Args:
        seed: non-negative seed of the list.
        index: non-negative number of the scene; neighbours are independent.
        split: "train" never yields a held-out combination, "heldout" yields nothing else.
        kind: draw this kind only; by default the kinds are mixed by ``KIND_SHARES``.

    Returns:
        The scene, the same for the same arguments on every machine.
    """
    rng = np.random.default_rng([seed, index, 0 if split == "train" else 1])
    chosen: Kind = kind if kind is not None else rng.choice(list(KIND_SHARES), p=list(KIND_SHARES.values()))
    while True:
        scene = _SAMPLERS[str(chosen)](rng)
        if scene.heldout == (split == "heldout"):
            return scene

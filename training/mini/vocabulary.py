"""The closed world of signet-mini: colours, shapes, sizes, places and the words for them.

Everything that a scene may contain is listed here once; ``scenes`` samples from it, ``drawing`` paints it,
``captions`` names it and ``measure`` looks for it in pictures.

Source: all values are our own choice. Colours are spread so that the two nearest differ by more than 30 units
in CIE L*a*b* (tests/training/test_mini_scenes.py proves it).
"""

from __future__ import annotations

from typing import Final

IMAGE_SIZE_PX: Final = 256

RGB = tuple[int, int, int]

COLOURS: Final[dict[str, RGB]] = {
    "red": (222, 38, 42),
    "orange": (250, 138, 22),
    "yellow": (253, 220, 40),
    "green": (38, 152, 62),
    "blue": (34, 92, 214),
    "purple": (128, 48, 168),
    "pink": (246, 130, 186),
    "brown": (122, 72, 36),
    "black": (26, 26, 30),
    "white": (248, 248, 248),
}

BACKGROUNDS: Final[dict[str, RGB]] = {
    "white": (248, 248, 248),
    "gray": (150, 154, 160),
    "black": (26, 26, 30),
    "beige": (232, 216, 188),
    "light blue": (168, 212, 240),
    "light green": (182, 226, 172),
}

# Pairs too close to tell apart in a small picture.
FORBIDDEN: Final[frozenset[tuple[str, str]]] = frozenset({
    ("white", "white"), ("black", "black"), ("white", "beige"), ("brown", "black"),
})  # fmt: skip

SHAPES: Final = ("circle", "square", "triangle", "star", "diamond", "cross", "ring", "heart")

RADII_PX: Final[dict[str, int]] = {"small": 27, "medium": 42, "large": 60}

# Centre of a lone object, in pixels (x right, y down).
POSITIONS: Final[dict[str, tuple[int, int]]] = {
    "top left": (70, 70),
    "top": (128, 70),
    "top right": (186, 70),
    "left": (70, 128),
    "center": (128, 128),
    "right": (186, 128),
    "bottom left": (70, 186),
    "bottom": (128, 186),
    "bottom right": (186, 186),
}

RELATIONS: Final = ("left of", "above")
INVERSE: Final[dict[str, str]] = {"left of": "right of", "above": "below"}

# Centres of the two objects of a pair and of 2-4 objects of one kind.
PAIR_CENTRES: Final[dict[str, tuple[tuple[int, int], tuple[int, int]]]] = {
    "left of": ((68, 128), (188, 128)),
    "above": ((128, 68), (128, 188)),
}
COUNT_CENTRES: Final[dict[int, tuple[tuple[int, int], ...]]] = {
    2: ((72, 128), (184, 128)),
    3: ((128, 70), (68, 180), (188, 180)),
    4: ((72, 72), (184, 72), (72, 184), (184, 184)),
}

TERRAINS: Final = ("mountains", "sea", "hills", "desert")
TIMES: Final = ("day", "sunset", "night")
EXTRAS: Final[dict[str, tuple[str, ...]]] = {
    "mountains": ("", "trees", "house"),
    "sea": ("", "boat"),
    "hills": ("", "trees", "house"),
    "desert": ("", "cactus"),
}
TEXTURES: Final = ("vertical stripes", "horizontal stripes", "checkerboard", "dots", "gradient")

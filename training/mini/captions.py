"""Name a scene in words, in one of several wordings.

Data flow: ``Scene`` + random generator -> caption. A caption states everything that the scene fixes, apart from
what it leaves at its default: the background (white, or gray behind white objects), the size "medium", the centre.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from training.mini.scenes import Item, Scene, default_background
from training.mini.vocabulary import INVERSE

OPENINGS: Final = ("", "", "", "a picture of ", "an image of ", "a drawing of ")
RELATION_WORDS: Final[dict[str, tuple[str, ...]]] = {
    "left of": ("to the left of", "left of", "on the left of", "on the left side of"),
    "right of": ("to the right of", "right of", "on the right of", "on the right side of"),
    "above": ("above", "over", "on top of"),
    "below": ("below", "under", "beneath"),
}
NUMBER_WORDS: Final = {2: ("two", "two", "2"), 3: ("three", "three", "3"), 4: ("four", "four", "4")}
SIZE_WORDS: Final = {"small": ("small", "small", "little", "tiny"), "large": ("large", "large", "big")}
TIME_WORDS: Final[dict[str, tuple[str, ...]]] = {
    "day": ("during the day", "by day", "under the sun", "on a sunny day", ""),
    "sunset": ("at sunset", "at dusk", "under a setting sun", "in the evening"),
    "night": ("at night", "by night", "under the moon", "in the moonlight"),
}
TERRAIN_WORDS: Final[dict[str, tuple[str, ...]]] = {
    "mountains": ("mountains", "snowy mountains", "a mountain landscape"),
    "sea": ("the sea", "the ocean", "a sea landscape"),
    "hills": ("green hills", "hills", "a landscape with hills"),
    "desert": ("a desert", "the desert", "sand dunes"),
}
EXTRA_WORDS: Final[dict[str, tuple[str, ...]]] = {
    "trees": ("trees", "three trees"),
    "house": ("a house", "a small house"),
    "boat": ("a boat", "a sailing boat", "a ship"),
    "cactus": ("a cactus",),
}


def _pick(rng: np.random.Generator, words: tuple[str, ...]) -> str:
    return words[int(rng.integers(len(words)))]


def _article(phrase: str) -> str:
    return ("an " if phrase[0] in "aeiou" else "a ") + phrase


def _spelling(rng: np.random.Generator, name: str) -> str:
    return name.replace("gray", _pick(rng, ("gray", "grey")))


def _noun(rng: np.random.Generator, item: Item, *, article: bool, plural: bool = False) -> str:
    size = _pick(rng, SIZE_WORDS[item.size]) + " " if item.size in SIZE_WORDS else ""
    shape = item.shape
    if plural:
        shape += "es" if shape.endswith("s") else "s"
    phrase = f"{size}{item.colour} {shape}"
    return _article(phrase) if article else phrase


def _background(rng: np.random.Generator, scene: Scene) -> str:
    colours = tuple(item.colour for item in scene.items)
    if scene.background == default_background(colours) and rng.random() < 0.6:
        return ""
    name = _spelling(rng, scene.background)
    return _pick(rng, (f" on a {name} background", f", {name} background", f" on {name}", f" with a {name} background"))


def _pair(rng: np.random.Generator, scene: Scene) -> str:
    first, second = scene.items
    relation = scene.place
    article = bool(rng.random() < 0.75)
    if scene.place == "left of" and rng.random() < 0.12:
        return f"{_noun(rng, first, article=article)} and {_noun(rng, second, article=article)}"
    if rng.random() < 0.5:
        first, second, relation = second, first, INVERSE[relation]
    words = _pick(rng, RELATION_WORDS[relation])
    return f"{_noun(rng, first, article=article)} {words} {_noun(rng, second, article=article)}"


def _single(rng: np.random.Generator, scene: Scene) -> str:
    noun = _noun(rng, scene.items[0], article=bool(rng.random() < 0.75))
    place = scene.place
    if place == "center":
        middle = _pick(rng, ("center", "centre", "middle"))
        return noun if rng.random() < 0.6 else f"{noun} in the {middle}"
    if place in ("left", "right"):
        return f"{noun} {_pick(rng, ('on the ' + place, 'on the ' + place + ' side', 'at the ' + place))}"
    if place in ("top", "bottom"):
        return f"{noun} {_pick(rng, ('at the ' + place, 'on the ' + place, 'near the ' + place))}"
    forms = (f"in the {place}", f"in the {place} corner", f"at the {place}", f"in the {place.replace(' ', '-')} corner")
    return f"{noun} {_pick(rng, forms)}"


def _count(rng: np.random.Generator, scene: Scene) -> str:
    number = _pick(rng, NUMBER_WORDS[len(scene.items)])
    return f"{number} {_noun(rng, scene.items[0], article=False, plural=True)}"


def _landscape(rng: np.random.Generator, scene: Scene) -> str:
    terrain, time = _pick(rng, TERRAIN_WORDS[scene.place]), _pick(rng, TIME_WORDS[scene.time])
    if not scene.extra:
        return f"{terrain} {time}".strip()
    extra = _pick(rng, EXTRA_WORDS[scene.extra])
    link = {"mountains": "in front of", "sea": "on", "hills": "on", "desert": "in"}[scene.place]
    text = f"{extra} {link} {terrain}" if rng.random() < 0.6 else f"{terrain} with {extra}"
    return f"{text} {time}".strip()


def _texture(rng: np.random.Generator, scene: Scene) -> str:
    first, second = scene.colours
    wide = "wide " if scene.detail_seed % 2 else ""
    if scene.place == "gradient":
        return _pick(rng, (f"a gradient from {first} to {second}", f"a {first} to {second} gradient"))
    if scene.place == "dots":
        size = "large " if scene.detail_seed % 2 else ""
        return _pick(rng, (f"{size}{first} dots on {second}", f"{size}{first} polka dots on a {second} background"))
    if scene.place == "checkerboard":
        return _pick(rng, (f"a {wide}{first} and {second} checkerboard", f"{wide}checkerboard in {first} and {second}"))
    return f"{wide}{first} and {second} {scene.place}"


def caption(scene: Scene, rng: np.random.Generator) -> str:
    """Return one wording of ``scene``.

    Args:
        scene: the scene to name.
        rng: chooses the wording; consumed.

    Returns:
        Lower-case text of at most 32 words without a final stop.
    """
    if scene.kind == "landscape":
        return _pick(rng, OPENINGS) + _landscape(rng, scene)
    if scene.kind == "texture":
        return _pick(rng, OPENINGS) + _texture(rng, scene)
    body = {"pair": _pair, "single": _single, "count": _count}[scene.kind](rng, scene)
    return _pick(rng, OPENINGS) + body + _background(rng, scene)

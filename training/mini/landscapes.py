"""Paint the simple landscapes of signet-mini: a sky, a sun or moon, one terrain, perhaps one thing in it.

Data flow: ``Scene`` (terrain, time, extra, detail_seed) -> float canvas (256, 256, 3).
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from training.mini.scenes import Scene
from training.mini.vocabulary import IMAGE_SIZE_PX, RGB

Canvas = NDArray[np.float32]  # (H, W, 3) in [0, 255]
Field = NDArray[np.float32]  # (H, W)

SKY: Final[dict[str, tuple[RGB, RGB]]] = {  # colour at the top, colour at the horizon
    "day": ((92, 170, 236), (206, 234, 250)),
    "sunset": ((120, 70, 150), (255, 170, 84)),
    "night": ((12, 16, 48), (46, 60, 112)),
}
DIMMING: Final[dict[str, float]] = {"day": 1.0, "sunset": 0.78, "night": 0.42}
TERRAIN: Final[dict[str, tuple[RGB, RGB]]] = {  # far colour, near colour
    "mountains": ((128, 138, 164), (84, 104, 96)),
    "sea": ((44, 128, 186), (24, 84, 150)),
    "hills": ((122, 186, 90), (72, 148, 66)),
    "desert": ((238, 204, 136), (214, 168, 96)),
}
HORIZON_PX: Final = 150


def _grid() -> tuple[Field, Field]:
    ys, xs = np.mgrid[0:IMAGE_SIZE_PX, 0:IMAGE_SIZE_PX].astype(np.float32)
    return xs, ys


def _blend(canvas: Canvas, mask: Field, colour: RGB | Canvas) -> None:
    alpha = np.clip(mask, 0.0, 1.0)[..., None]
    canvas[:] = canvas * (1.0 - alpha) + np.asarray(colour, np.float32) * alpha


def _dim(colour: RGB, time: str) -> RGB:
    factor = DIMMING[time]
    return (int(colour[0] * factor), int(colour[1] * factor), int(colour[2] * (factor + (1 - factor) * 0.35)))


def _disc(canvas: Canvas, x: float, y: float, radius: float, colour: RGB) -> None:
    xs, ys = _grid()
    _blend(canvas, 0.5 - (np.hypot(xs - x, ys - y) - radius), colour)


def _triangle(canvas: Canvas, x: float, top: float, bottom: float, half: float, colour: RGB) -> None:
    xs, ys = _grid()
    reach = half * np.clip((ys - top) / (bottom - top), 0.0, 1.0)
    _blend(canvas, np.minimum.reduce([reach - np.abs(xs - x) + 0.5, ys - top + 0.5, bottom - ys + 0.5]), colour)


def _box(canvas: Canvas, x: float, y: float, half_width: float, half_height: float, colour: RGB) -> None:
    xs, ys = _grid()
    _blend(canvas, 0.5 - np.maximum(np.abs(xs - x) - half_width, np.abs(ys - y) - half_height), colour)


def _sky(scene: Scene, rng: np.random.Generator) -> Canvas:
    _, ys = _grid()
    mix = np.clip(ys / 170.0, 0.0, 1.0)[..., None]
    top, low = (np.asarray(colour, np.float32) for colour in SKY[scene.time])
    canvas = top * (1.0 - mix) + low * mix
    x = float(rng.integers(60, 197))
    if scene.time == "night":
        _disc(canvas, x, 54.0, 22.0, (240, 238, 214))
    elif scene.time == "sunset":
        _disc(canvas, x, 112.0, 26.0, (255, 96, 48))
    else:
        _disc(canvas, x, 54.0, 24.0, (255, 222, 64))
    return canvas


def _peaks(scene: Scene, rng: np.random.Generator, canvas: Canvas) -> None:
    far, _ = TERRAIN["mountains"]
    for x in np.array([48.0, 132.0, 214.0]) + rng.uniform(-14, 14, 3):
        top = float(rng.uniform(74, 104))
        _triangle(canvas, float(x), top, 200.0, 92.0, _dim(far, scene.time))
        _triangle(canvas, float(x), top, top + 26.0, 19.0, _dim((246, 248, 252), scene.time))


def _ground(scene: Scene, rng: np.random.Generator, canvas: Canvas) -> None:
    xs, ys = _grid()
    far, near = (_dim(colour, scene.time) for colour in TERRAIN[scene.place])
    if scene.place == "mountains":
        _peaks(scene, rng, canvas)
        _blend(canvas, ys - 186.0 + 0.5, near)
    elif scene.place == "sea":
        _blend(canvas, ys - HORIZON_PX + 0.5, far)
        waves = np.cos(2 * np.pi * (ys - HORIZON_PX) / 26.0) * 0.5 + 0.5
        _blend(canvas, np.where(ys > HORIZON_PX, waves, 0.0).astype(np.float32), near)
    else:
        amplitude = 16.0 if scene.place == "hills" else 9.0
        phases = rng.uniform(0, 2 * np.pi, 2)
        back = HORIZON_PX - 4 + amplitude * np.sin(2 * np.pi * xs / 210.0 + phases[0])
        front = HORIZON_PX + 40 + amplitude * np.sin(2 * np.pi * xs / 300.0 + phases[1])
        _blend(canvas, ys - back + 0.5, far)
        _blend(canvas, ys - front + 0.5, near)


def _trees(scene: Scene, rng: np.random.Generator, canvas: Canvas) -> None:
    for x in np.array([60.0, 128.0, 196.0]) + rng.uniform(-10, 10, 3):
        _box(canvas, float(x), 206.0, 4.0, 14.0, _dim((110, 70, 40), scene.time))
        _triangle(canvas, float(x), 144.0, 196.0, 21.0, _dim((24, 104, 52), scene.time))


def _house(scene: Scene, rng: np.random.Generator, canvas: Canvas) -> None:
    x = float(rng.integers(84, 173))
    _box(canvas, x, 196.0, 30.0, 22.0, _dim((244, 226, 196), scene.time))
    _triangle(canvas, x, 144.0, 176.0, 40.0, _dim((190, 52, 44), scene.time))
    _box(canvas, x, 205.0, 7.0, 13.0, _dim((116, 66, 36), scene.time))


def _boat(scene: Scene, rng: np.random.Generator, canvas: Canvas) -> None:
    x = float(rng.integers(84, 173))
    _triangle(canvas, x, 130.0, 182.0, 24.0, _dim((250, 250, 250), scene.time))
    _box(canvas, x, 192.0, 32.0, 8.0, _dim((186, 54, 44), scene.time))


def _cactus(scene: Scene, rng: np.random.Generator, canvas: Canvas) -> None:
    x = float(rng.integers(84, 173))
    green = _dim((44, 124, 66), scene.time)
    _box(canvas, x, 184.0, 7.0, 38.0, green)
    for side in (-1.0, 1.0):
        _box(canvas, x + side * 12.0, 186.0, 12.0, 5.0, green)
        _box(canvas, x + side * 22.0, 174.0, 5.0, 17.0, green)


_EXTRAS: Final = {"trees": _trees, "house": _house, "boat": _boat, "cactus": _cactus}


def draw_landscape(scene: Scene) -> Canvas:
    """Paint a landscape scene.

    Args:
        scene: a scene of kind "landscape".

    Returns:
        (256, 256, 3) float32 in [0, 255].
    """
    rng = np.random.default_rng(scene.detail_seed)
    canvas = _sky(scene, rng)
    _ground(scene, rng, canvas)
    if scene.extra:
        _EXTRAS[scene.extra](scene, rng, canvas)
    return canvas

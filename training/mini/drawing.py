"""Paint a scene as a 256x256 RGB picture with smooth edges, soft light and a faint shadow.

Data flow: ``Scene`` -> signed distances per object -> coverage masks -> blended uint8 picture.
Landscapes live in ``landscapes``; shapes, counts and textures here.

Source: distance of a polygon and of a heart after I. Quilez, "2D distance functions"
(iquilezles.org/articles/distfunctions2d, MIT); Differs: vectorised over pixels, y axis points down.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from training.mini.landscapes import draw_landscape
from training.mini.scenes import Item, Scene
from training.mini.vocabulary import BACKGROUNDS, COLOURS, IMAGE_SIZE_PX

Field = NDArray[np.float32]  # (H, W)
Canvas = NDArray[np.float32]  # (H, W, 3) in [0, 255]

SHADOW_OPACITY: Final = 0.16
SHADOW_OFFSET_PX: Final = (4.0, 6.0)
SHADOW_BLUR_PX: Final = 9.0
SHADING: Final = 0.10  # relative brightness change from the object's centre to its lit edge


def _polygon_points(shape: str) -> NDArray[np.float32]:
    if shape == "square":
        corners = [(-0.84, -0.84), (0.84, -0.84), (0.84, 0.84), (-0.84, 0.84)]
    elif shape == "triangle":
        corners = [(0.0, -0.98), (0.98, 0.78), (-0.98, 0.78)]
    elif shape == "diamond":
        corners = [(0.0, -1.05), (0.74, 0.0), (0.0, 1.05), (-0.74, 0.0)]
    elif shape == "cross":
        a, b = 0.32, 0.96
        corners = [
            (-a, -b),
            (a, -b),
            (a, -a),
            (b, -a),
            (b, a),
            (a, a),
            (a, b),
            (-a, b),
            (-a, a),
            (-b, a),
            (-b, -a),
            (-a, -a),
        ]
    else:  # star: five points, inner radius 0.45 of the outer
        angles = np.arange(10) * np.pi / 5 - np.pi / 2
        radii = np.where(np.arange(10) % 2 == 0, 1.08, 0.48)
        return np.stack([radii * np.cos(angles), radii * np.sin(angles) + 0.06], axis=1).astype(np.float32)
    return np.asarray(corners, dtype=np.float32)


def _polygon_distance(x: Field, y: Field, points: NDArray[np.float32]) -> Field:
    best = np.full(x.shape, np.inf, dtype=np.float32)
    inside = np.zeros(x.shape, dtype=bool)
    for (ax, ay), (bx, by) in zip(points, np.roll(points, 1, axis=0), strict=True):
        ex, ey = bx - ax, by - ay
        wx, wy = x - ax, y - ay
        along = np.clip((wx * ex + wy * ey) / (ex * ex + ey * ey), 0.0, 1.0)
        best = np.minimum(best, (wx - ex * along) ** 2 + (wy - ey * along) ** 2)
        upward, left = y >= ay, ex * wy > ey * wx
        crosses = (upward & (y < by) & left) | (~upward & (y >= by) & ~left)
        inside ^= crosses
    return np.where(inside, -1.0, 1.0).astype(np.float32) * np.sqrt(best)


def _heart_distance(x: Field, y: Field) -> Field:
    scale = np.float32(0.60)
    px, py = np.abs(x) * scale, np.float32(0.53) - y * scale
    upper = np.sqrt((px - 0.25) ** 2 + (py - 0.75) ** 2) - np.float32(np.sqrt(2) / 4)
    half = 0.5 * np.maximum(px + py, 0.0)
    lower = np.sqrt(np.minimum(px**2 + (py - 1.0) ** 2, (px - half) ** 2 + (py - half) ** 2)) * np.sign(px - py)
    return (np.where(px + py > 1.0, upper, lower) / scale).astype(np.float32)


def shape_distance(shape: str, x: Field, y: Field) -> Field:
    """Return the signed distance to a shape of unit radius.

    Args:
        shape: a name of ``vocabulary.SHAPES``.
        x: (H, W) horizontal coordinates in units of the radius, right is positive.
        y: (H, W) vertical coordinates in units of the radius, down is positive.

    Returns:
        (H, W) float32, negative inside, in units of the radius.
    """
    if shape == "circle":
        return np.sqrt(x * x + y * y) - np.float32(0.96)
    if shape == "ring":
        return np.abs(np.sqrt(x * x + y * y) - np.float32(0.74)) - np.float32(0.23)
    if shape == "heart":
        return _heart_distance(x, y)
    return _polygon_distance(x, y, _polygon_points(shape))


def _window(item: Item) -> tuple[slice, slice, Field, Field]:
    reach = int(item.radius_px * 1.2 + SHADOW_BLUR_PX + max(SHADOW_OFFSET_PX)) + 2
    top, bottom = max(0, item.y - reach), min(IMAGE_SIZE_PX, item.y + reach)
    left, right = max(0, item.x - reach), min(IMAGE_SIZE_PX, item.x + reach)
    ys, xs = np.mgrid[top:bottom, left:right].astype(np.float32)
    return slice(top, bottom), slice(left, right), xs - item.x, ys - item.y


def paint_item(canvas: Canvas, item: Item) -> None:
    """Blend one object, its shadow first, into ``canvas`` in place."""
    rows, columns, x, y = _window(item)
    radius = np.float32(item.radius_px)
    shifted = (
        shape_distance(item.shape, (x - SHADOW_OFFSET_PX[0]) / radius, (y - SHADOW_OFFSET_PX[1]) / radius) * radius
    )
    shadow = np.clip(0.5 - shifted / (2 * SHADOW_BLUR_PX), 0.0, 1.0) * SHADOW_OPACITY
    patch = canvas[rows, columns] * (1.0 - shadow[..., None])
    cover = np.clip(0.5 - shape_distance(item.shape, x / radius, y / radius) * radius, 0.0, 1.0)[..., None]
    light = 1.0 - SHADING * np.clip((x + y) / (1.6 * radius), -1.0, 1.0)
    colour = np.clip(np.asarray(COLOURS[item.colour], np.float32) * light[..., None], 0.0, 255.0)
    canvas[rows, columns] = patch * (1.0 - cover) + colour * cover


def _draw_texture(scene: Scene) -> Canvas:
    ys, xs = np.mgrid[0:IMAGE_SIZE_PX, 0:IMAGE_SIZE_PX].astype(np.float32)
    period = np.float32((32.0, 64.0)[scene.detail_seed % 2])
    wave_x, wave_y = np.cos(2 * np.pi * xs / period), np.cos(2 * np.pi * ys / period)
    if scene.place == "gradient":
        mix = xs / (IMAGE_SIZE_PX - 1)
    elif scene.place == "dots":
        ux, uy = (xs % period) - period / 2, (ys % period) - period / 2
        mix = np.clip(0.5 - (np.sqrt(ux * ux + uy * uy) - 0.3 * period), 0.0, 1.0)
        mix = 1.0 - mix
    else:
        wave = {"vertical stripes": wave_x, "horizontal stripes": wave_y}.get(scene.place, wave_x * wave_y)
        mix = np.clip(0.5 - wave * period / 6.0, 0.0, 1.0)
    first, second = (np.asarray(COLOURS[name], np.float32) for name in scene.colours)
    return first * (1.0 - mix[..., None]) + second * mix[..., None]


def draw(scene: Scene) -> NDArray[np.uint8]:
    """Paint ``scene``.

    Args:
        scene: any scene of ``scenes.scene_at``.

    Returns:
        (256, 256, 3) uint8 RGB, identical for equal scenes.
    """
    if scene.kind == "landscape":
        canvas = draw_landscape(scene)
    elif scene.kind == "texture":
        canvas = _draw_texture(scene)
    else:
        canvas = np.empty((IMAGE_SIZE_PX, IMAGE_SIZE_PX, 3), np.float32)
        canvas[:] = BACKGROUNDS[scene.background]
        for item in scene.items:
            paint_item(canvas, item)
    return np.clip(np.rint(canvas), 0, 255).astype(np.uint8)

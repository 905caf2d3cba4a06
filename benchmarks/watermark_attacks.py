"""Pictures, attacks and measures for the watermark benchmarks; crops are by side (0.5 keeps a quarter of the area)."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

RGB8 = NDArray[np.uint8]
SUFFIXES = {".png", ".jpg", ".jpeg", ".webp"}
SHAPES = (
    (512, 512),
    (768, 512),
    (1024, 1024),
    (576, 1024),
    (640, 896),
    (1024, 768),
    (768, 768),
    (1216, 832),
    (512, 912),
    (1536, 1024),
)
"""(width, height) that are dealt to the pictures in turn: seven aspect ratios, 512 to 1536 px."""


def pictures(folder: Path, *, count: int, least_side: int, seed: int = 1) -> Iterator[tuple[str, Image.Image]]:
    """Yield up to ``count`` pictures of a folder tree in a fixed random order, each at least ``least_side`` px."""
    files = sorted(f for f in folder.rglob("*") if f.suffix.lower() in SUFFIXES)
    np.random.default_rng(seed).shuffle(files)  # type: ignore[arg-type]
    found = 0
    for file in files:
        try:
            with Image.open(file) as image:
                if min(image.size) < least_side:
                    continue
                picture = image.convert("RGB")
        except OSError:
            continue
        yield file.name, picture
        found += 1
        if found == count:
            return


def shaped(image: Image.Image, width: int, height: int) -> RGB8:
    """Return the largest central part of the wanted aspect ratio, resized with Lanczos."""
    have_w, have_h = image.size
    scale = min(have_w / width, have_h / height)
    crop_w, crop_h = scale * width, scale * height
    left, top = (have_w - crop_w) / 2, (have_h - crop_h) / 2
    box = (left, top, left + crop_w, top + crop_h)
    return np.asarray(image.resize((width, height), Image.Resampling.LANCZOS, box=box))


def drawing(seed: int, size: int = 256) -> RGB8:
    """Flat shapes on a plain background, drawn with 4x supersampling."""
    from PIL import ImageDraw

    rng = np.random.default_rng(seed)
    big = size * 4
    colours = [tuple(int(c) for c in rng.integers(0, 256, 3)) for _ in range(4)]
    if seed % 4 == 0:
        colours[0] = (255, 255, 255)
    if seed % 7 == 0:
        colours[0] = (0, 0, 0)
    image = Image.new("RGB", (big, big), colours[0])
    draw = ImageDraw.Draw(image)
    for colour in colours[1 : 1 + int(rng.integers(1, 4))]:
        x, y, w, h = (int(v) for v in rng.integers(big // 8, big // 2, 4))
        kind = int(rng.integers(0, 3))
        if kind == 0:
            draw.ellipse((x, y, x + w, y + w), fill=colour)
        elif kind == 1:
            draw.rectangle((x, y, x + w, y + h), fill=colour)
        else:
            draw.polygon([(x, y + h), (x + w, y + h), (x + w // 2, y)], fill=colour)
    return np.asarray(image.resize((size, size), Image.Resampling.LANCZOS))


def _coded(pixels: RGB8, kind: str, quality: int) -> RGB8:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind, quality=quality)
    return np.asarray(Image.open(buffer).convert("RGB"))


def jpeg(pixels: RGB8, quality: int) -> RGB8:
    """Return the picture after Pillow's JPEG (4:2:0)."""
    return _coded(pixels, "JPEG", quality)


def resized(pixels: RGB8, across: float, down: float | None = None) -> RGB8:
    """Return the picture resized bicubically by factors of its sides."""
    height, width = pixels.shape[:2]
    size = (round(width * across), round(height * (across if down is None else down)))
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC))


def cropped(pixels: RGB8, side: float, *, left: float = 0.5, top: float = 0.5) -> RGB8:
    """Return ``side`` of either side, from a place given as shares of the free room."""
    height, width = pixels.shape[:2]
    rows, columns = round(height * side), round(width * side)
    y, x = round((height - rows) * top), round((width - columns) * left)
    return np.ascontiguousarray(pixels[y : y + rows, x : x + columns])


def rotated(pixels: RGB8, degrees: float) -> RGB8:
    """Return the picture turned inside its own frame, black corners."""
    return np.asarray(Image.fromarray(pixels).rotate(degrees, Image.Resampling.BICUBIC))


def clipped(values: NDArray[np.floating]) -> RGB8:
    """Round and clip to 8 bits."""
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def noisy(pixels: RGB8, sigma: float) -> RGB8:
    """Return the picture plus Gaussian noise, the same for every picture of one shape."""
    return clipped(pixels + np.random.default_rng(0).normal(0, sigma, pixels.shape))


def tilted(pixels: RGB8, share: float) -> RGB8:
    """Return the picture with its upper edge narrowed by ``share`` of the width at either end."""
    height, width = pixels.shape[:2]
    source = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    inward = np.array([[share * width, 0], [-share * width, 0], [0, 0], [0, 0]], np.float32)
    matrix = cv2.getPerspectiveTransform(source, source + inward)
    return np.asarray(cv2.warpPerspective(pixels, matrix, (width, height), flags=cv2.INTER_CUBIC))


REQUIRED: dict[str, tuple[float, Callable[[RGB8], RGB8]]] = {
    "none": (0.99, lambda x: x),
    "JPEG 90": (0.99, lambda x: jpeg(x, 90)),
    "JPEG 75": (0.99, lambda x: jpeg(x, 75)),
    "JPEG 50": (0.99, lambda x: jpeg(x, 50)),
    "resize 0.5": (0.99, lambda x: resized(x, 0.5)),
    "resize 0.75": (0.99, lambda x: resized(x, 0.75)),
    "crop 0.8": (0.99, lambda x: cropped(x, 0.8)),
    "brightness 1.3": (0.99, lambda x: clipped(x.astype(np.float32) * 1.3)),
    "noise 10": (0.99, lambda x: noisy(x, 10)),
    "blur 1.5": (0.99, lambda x: np.asarray(cv2.GaussianBlur(x, (0, 0), 1.5))),
    "WebP 80": (0.99, lambda x: _coded(x, "WEBP", 80)),
    "rotate 5": (0.99, lambda x: rotated(x, 5)),
    "mirror": (0.99, lambda x: np.ascontiguousarray(x[:, ::-1])),
    "screenshot": (0.99, lambda x: jpeg(resized(x, 0.87), 80)),
    "crop 0.5": (0.95, lambda x: cropped(x, 0.5)),
    "crop 0.5 + JPEG 75": (0.95, lambda x: jpeg(cropped(x, 0.5), 75)),
    "crop 0.5 off centre + JPEG 75": (0.95, lambda x: jpeg(cropped(x, 0.5, left=0.17, top=0.62), 75)),
    "JPEG 25": (0.95, lambda x: jpeg(x, 25)),
    "resize 0.5 + JPEG 75": (0.95, lambda x: jpeg(resized(x, 0.5), 75)),
    "rotate 17": (0.98, lambda x: rotated(x, 17)),
    "rotate 45": (0.98, lambda x: rotated(x, 45)),
    "rotate 133": (0.98, lambda x: rotated(x, 133)),
    "rotate 90": (0.98, lambda x: np.ascontiguousarray(np.rot90(x))),
    "aspect 0.75": (0.95, lambda x: resized(x, 0.75, 1.0)),
    "aspect 0.9": (0.95, lambda x: resized(x, 0.9, 1.0)),
    "aspect 1.33": (0.95, lambda x: resized(x, 1.0, 0.75)),
    "perspective 3 %": (0.80, lambda x: tilted(x, 0.03)),
    "crop 0.33": (0.80, lambda x: cropped(x, 0.33)),
    "JPEG 10": (0.60, lambda x: jpeg(x, 10)),
    "crop 0.7 + enlarge 1.3 + JPEG 75": (0.98, lambda x: jpeg(resized(cropped(x, 0.7), 1.3), 75)),
    "reduce 0.8 + rotate 3 + JPEG 70": (0.98, lambda x: jpeg(resized(cropped(rotated(x, 3), 0.85), 0.8), 70)),
}
"""Name -> (share of pictures that must be read exactly, attack)."""
FURTHER: dict[str, Callable[[RGB8], RGB8]] = {
    "resize 0.25": lambda x: resized(x, 0.25),
    "blur 3": lambda x: np.asarray(cv2.GaussianBlur(x, (0, 0), 3)),
    "noise 25": lambda x: noisy(x, 25),
    "contrast 0.6": lambda x: clipped((x.astype(np.float32) - 128) * 0.6 + 128),
    "grey": lambda x: np.repeat(cv2.cvtColor(x, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2),
    "pasted on a canvas twice as wide": lambda x: np.pad(
        x, ((x.shape[0] // 4,) * 2, (x.shape[1] // 4,) * 2, (0, 0)), constant_values=230
    ),
    "aspect 0.8 + crop 0.8": lambda x: cropped(resized(x, 0.8, 1.0), 0.8),
}
SMALL: dict[str, tuple[float, Callable[[RGB8], RGB8]]] = {
    "none": (0.99, lambda x: x),
    "JPEG 75": (0.99, lambda x: jpeg(x, 75)),
    "resize 0.7": (0.99, lambda x: resized(x, 0.7)),
    "JPEG 75 + resize 0.7": (0.99, lambda x: resized(jpeg(x, 75), 0.7)),
    "resize 0.7 + JPEG 75": (0.99, lambda x: jpeg(resized(x, 0.7), 75)),
    "JPEG 50": (0.99, lambda x: jpeg(x, 50)),
    "resize 0.5": (0.95, lambda x: resized(x, 0.5)),
    "crop 0.8 + JPEG 75": (0.95, lambda x: jpeg(cropped(x, 0.8), 75)),
    "rotate 5 + JPEG 75": (0.95, lambda x: jpeg(rotated(x, 5), 75)),
    "mirror + JPEG 75": (0.95, lambda x: jpeg(np.ascontiguousarray(x[:, ::-1]), 75)),
}


def psnr(a: RGB8, b: RGB8) -> float:
    """Peak signal-to-noise ratio in dB."""
    return float(10 * np.log10(255**2 / np.mean((a.astype(np.float64) - b) ** 2)))


def ssim(a: RGB8, b: RGB8) -> float:
    """Structural similarity of luma. Source: Wang et al. 2004 (11 x 11 Gaussian window, sigma 1.5)."""
    x, y = (cv2.cvtColor(p, cv2.COLOR_RGB2GRAY).astype(np.float64) for p in (a, b))

    def mean(z: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(cv2.GaussianBlur(z, (11, 11), 1.5))

    mx, my = mean(x), mean(y)
    vx, vy, cov = mean(x * x) - mx * mx, mean(y * y) - my * my, mean(x * y) - mx * my
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    index = ((2 * mx * my + c1) * (2 * cov + c2)) / ((mx**2 + my**2 + c1) * (vx + vy + c2))
    return float(index[6:-6, 6:-6].mean())

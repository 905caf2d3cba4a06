"""Pictures to measure on: from folders, brought to given sizes, each with its content class; and drawn ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from guard.errors import RequestError
from guard.media import MAX_PIXELS
from guard.records import RGB8
from guard.robustness.quality import flat_areas

SUFFIXES: Final = frozenset({".png", ".jpg", ".jpeg", ".webp"})
SHAPES: Final = (
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
_FLAT_SHARE = 0.5
_TEXTURED_LEVELS = 12.0
_CLOUD_LEVELS, _DETAIL_LEVELS, _COLOUR_LEVELS, _DETAIL_PX = 40.0, 5.0, 12.0, 8.0
"""Of ``clouds``: standard deviations in levels, and the coarsest detail in px; set to the contrasts stated there."""


class ContentClass(StrEnum):
    """What a picture is like, judged from its pixels alone."""

    FLAT = "flat"
    MIXED = "mixed"
    TEXTURED = "textured"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One picture to measure on.

    Attributes:
        source: column of the report: the folder's name, or ``drawings``.
        name: file or drawing, unique within the source.
        index: place in the run; decides shape, id and seeds.
        pixels: (H, W, 3) uint8.
    """

    source: str
    name: str
    index: int
    pixels: RGB8 = field(repr=False)

    @property
    def content(self) -> ContentClass:
        """Return the content class of the pixels."""
        return content_class(self.pixels)


def content_class(pixels: RGB8) -> ContentClass:
    """Return ``flat`` when half of the picture is, ``textured`` when the median local contrast is 12 levels or more."""
    if flat_areas(pixels).mean() >= _FLAT_SHARE:
        return ContentClass.FLAT
    luma = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY).astype(np.float32)
    detail = luma - cv2.GaussianBlur(luma, (0, 0), 4.0)
    contrast = np.sqrt(cv2.GaussianBlur(detail * detail, (0, 0), 4.0))
    return ContentClass.TEXTURED if float(np.median(contrast)) >= _TEXTURED_LEVELS else ContentClass.MIXED


def shaped(image: Image.Image, width: int, height: int) -> RGB8:
    """Return the largest central part of the wanted aspect ratio, resized with Lanczos."""
    have_w, have_h = image.size
    scale = min(have_w / width, have_h / height)
    crop_w, crop_h = scale * width, scale * height
    left, top = max((have_w - crop_w) / 2, 0.0), max((have_h - crop_h) / 2, 0.0)  # rounding can fall below 0
    box = (left, top, min(left + crop_w, have_w), min(top + crop_h, have_h))
    return np.asarray(image.resize((width, height), Image.Resampling.LANCZOS, box=box))


def pictures(
    folder: Path, *, least_side: int, seed: int = 1, groups: Sequence[str] = ()
) -> Iterator[tuple[str, Image.Image]]:
    """Yield (path inside the folder, RGB picture) in a fixed random order.

    Args:
        folder: searched recursively.
        least_side: smaller pictures are left out, as are unreadable ones and those above ``guard.media.MAX_PIXELS``.
        seed: of the order.
        groups: names of direct subfolders to use; empty for all.
    """
    files = sorted(f for f in folder.rglob("*") if f.suffix.lower() in SUFFIXES)
    if groups:
        files = [f for f in files if f.relative_to(folder).parts[0] in groups]
    for place in np.random.default_rng(seed).permutation(len(files)):
        file = files[int(place)]
        try:
            with Image.open(file) as image:
                if min(image.size) < least_side or image.width * image.height > MAX_PIXELS:
                    continue
                picture = image.convert("RGB")
        except OSError:
            continue
        yield file.relative_to(folder).as_posix(), picture


def drawing(seed: int, size: int = 256) -> RGB8:
    """Return flat shapes on a plain background, drawn with 4x supersampling; (size, size, 3) uint8."""
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


def clouds(seed: int, width: int = 512, height: int = 512) -> RGB8:
    """Return smooth colour clouds with detail that is calm here and rough there, (height, width, 3) uint8.

    Plain 1/f noise (Field 1987) is equally rough everywhere, 27 levels of local contrast: harder than nearly every
    photograph. This has 2, 5 and 17 levels at the 10th, 50th and 90th percentile of its area; 40 photographs and 40
    generated pictures have 1, 4 to 5 and 15 to 20 in the median (measured, contrast as in ``content_class``).
    """
    rng = np.random.default_rng(seed)
    shape = (height, width)
    roughness = np.exp(_power_law_noise(rng, shape, 2.0))
    detail = _power_law_noise(rng, shape, 1.0)
    detail -= cv2.GaussianBlur(detail, (0, 0), _DETAIL_PX)
    luma = _CLOUD_LEVELS * _power_law_noise(rng, shape, 2.0)
    luma += _DETAIL_LEVELS * roughness * (detail / detail.std())
    warm, green = (_COLOUR_LEVELS * _power_law_noise(rng, shape, 1.5) for _ in range(2))
    rgb = np.stack([128 + luma + warm, 128 + luma + green, 128 + luma - warm], axis=-1)
    return np.asarray(np.clip(np.rint(rgb), 0, 255), dtype=np.uint8)


def _power_law_noise(rng: np.random.Generator, shape: tuple[int, int], power: float) -> NDArray[np.float64]:
    """Return noise of unit standard deviation whose amplitude falls as 1/f ** power."""
    frequency = np.hypot(np.fft.fftfreq(shape[0])[:, None], np.fft.rfftfreq(shape[1])[None, :])
    frequency[0, 0] = np.inf
    plane = np.fft.irfft2(np.exp(2j * np.pi * rng.random(frequency.shape)) / frequency**power, s=shape)
    return np.asarray(plane / plane.std())


def folder_samples(
    folders: Sequence[Path],
    *,
    count: int,
    least_side: int = 480,
    shapes: Sequence[tuple[int, int]] = SHAPES,
    groups: Sequence[str] = (),
) -> Iterator[Sample]:
    """Return up to ``count`` samples of each folder, the folders in turn, shapes dealt in order.

    Raises:
        RequestError: two folders have one name, by which the report tells them apart.
    """
    streams = {f.resolve().name: pictures(f, least_side=least_side, groups=groups) for f in folders}
    if len(streams) < len(folders):
        raise RequestError(
            "Two folders have the same name, by which the report tells them apart.", next_step="Rename one of them."
        )
    return _dealt(streams, count, shapes)


def _dealt(
    streams: dict[str, Iterator[tuple[str, Image.Image]]], count: int, shapes: Sequence[tuple[int, int]]
) -> Iterator[Sample]:
    """Yield samples of every stream in turn."""
    for index in range(count):
        for source, stream in streams.items():
            entry = next(stream, None)
            if entry is not None:
                pixels = shaped(entry[1], *shapes[index % len(shapes)])
                yield Sample(source=source, name=entry[0], index=index, pixels=pixels)


def drawn_samples(*, count: int, size: int = 512) -> Iterator[Sample]:
    """Yield flat drawings, which need no folder: the hardest content for an invisible mark."""
    for index in range(count):
        yield Sample(source="drawings", name=f"drawing {index}", index=index, pixels=drawing(index, size))


def cloud_samples(*, count: int, shapes: Sequence[tuple[int, int]] = SHAPES) -> Iterator[Sample]:
    """Yield clouds, which need no folder and are textured like photographs: what a run without pictures uses."""
    for index in range(count):
        pixels = clouds(index, *shapes[index % len(shapes)])
        yield Sample(source="clouds", name=f"clouds {index}", index=index, pixels=pixels)

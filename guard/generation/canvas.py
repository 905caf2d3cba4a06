"""Picture geometry around a model that only takes certain sizes: validate, fit, pad, crop, composite.

Pure array work. Image-to-image and inpainting pictures of any size are padded up to the model's multiple by
repeating the border and cropped back afterwards; inpainting works on a window around the mask when the picture is
larger than the model allows, and pastes only the masked pixels back.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from guard.errors import GenerationError, RequestError
from guard.records import RGB8


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Sizes that a loaded model takes.

    Attributes:
        multiple: width and height must be multiples of this many pixels.
        max_side: largest width or height in pixels.
        native: (width, height) used when a request names none.
    """

    multiple: int
    max_side: int
    native: tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Canvas:
    """What the model is given, and how its output goes back into the picture.

    Attributes:
        width, height: size of the model's input and output, multiples of ``Limits.multiple``.
        image: (height, width, 3) uint8 for the model, or None for text-to-image.
        mask: (height, width) uint8 for the model, 255 = repaint, or None.
        crop: (width, height) of the part of the output that is not padding.
        source: the whole source picture of inpainting, or None.
        source_mask: (H, W) uint8 mask of the whole source picture, or None.
        left, top: where ``crop`` lies in the source picture.
    """

    width: int
    height: int
    crop: tuple[int, int]
    image: RGB8 | None = None
    mask: NDArray[np.uint8] | None = None
    source: RGB8 | None = None
    source_mask: NDArray[np.uint8] | None = None
    left: int = 0
    top: int = 0

    def model_image(self) -> Image.Image:
        """Return the picture for the model; raise GenerationError for the canvas of text-to-image."""
        if self.image is None:
            raise GenerationError("The canvas of text-to-image has no source picture.")
        return Image.fromarray(self.image)

    def model_mask(self) -> Image.Image:
        """Return the mask for the model, mode ``L``; raise GenerationError for a canvas without one."""
        if self.mask is None:
            raise GenerationError("Only the canvas of inpainting has a mask.")
        return Image.fromarray(self.mask)

    def finish(self, output: RGB8) -> RGB8:
        """Return the picture for the caller from the model's output.

        Inpainting: pixels whose mask is 0 are exactly the source's; between 0 and 255 the two are mixed linearly.

        Args:
            output: (height, width, 3) uint8, as made by the model.

        Returns:
            (H, W, 3) uint8: the cropped output, or the source with its masked pixels replaced.
        """
        width, height = self.crop
        part = output[:height, :width]
        if self.source is None or self.source_mask is None:
            return np.ascontiguousarray(part)
        picture = self.source.copy()
        region = picture[self.top : self.top + height, self.left : self.left + width]
        weight = self.source_mask[self.top : self.top + height, self.left : self.left + width, None].astype(np.uint32)
        mixed = (region * (255 - weight) + part * weight + 127) // 255
        region[...] = mixed.astype(np.uint8)
        return picture


def text_canvas(width: int | None, height: int | None, limits: Limits) -> Canvas:
    """Return the canvas of text-to-image; missing sides are the model's native ones.

    Raises:
        RequestError: not a multiple, or over the limit.
    """
    wide = _checked("width", limits.native[0] if width is None else width, limits)
    high = _checked("height", limits.native[1] if height is None else height, limits)
    return Canvas(width=wide, height=high, crop=(wide, high))


def image_canvas(source: RGB8, width: int | None, height: int | None, limits: Limits) -> Canvas:
    """Return the canvas of image-to-image.

    With both sides named, the source is scaled and centre-cropped to them. Without, it keeps its size, scaled down
    to ``max_side`` when it is larger.

    Raises:
        RequestError: only one side named, not a multiple, or over the limit.
    """
    if (width is None) != (height is None):
        raise RequestError("Image-to-image takes both width and height, or neither: only one was given.")
    if width is not None and height is not None:
        size = (_checked("width", width, limits), _checked("height", height, limits))
        fitted = np.asarray(ImageOps.fit(Image.fromarray(source), size, Image.Resampling.LANCZOS))
        return Canvas(width=size[0], height=size[1], crop=size, image=fitted)
    largest = limits.max_side - limits.max_side % limits.multiple
    if max(source.shape[:2]) > largest:
        picture = Image.fromarray(source)
        picture.thumbnail((largest, largest), Image.Resampling.LANCZOS, reducing_gap=None)
        source = np.asarray(picture)
    padded = _pad(source, limits.multiple)
    return Canvas(width=padded.shape[1], height=padded.shape[0], crop=(source.shape[1], source.shape[0]), image=padded)


def inpainting_canvas(
    source: RGB8, mask: NDArray[np.uint8], width: int | None, height: int | None, limits: Limits
) -> Canvas:
    """Return the canvas of inpainting; the result always has the size of the source.

    Raises:
        RequestError: the mask has another size or repaints nothing, another size was asked for, or the masked area
            is larger than the model's largest picture.
    """
    high, wide = source.shape[:2]
    if mask.shape != (high, wide):
        raise RequestError(f"The mask has the shape {mask.shape}; expected {(high, wide)}, that of the picture.")
    if not (mask >= 128).any():
        raise RequestError(
            "The mask repaints nothing: none of its values is 128 or more.",
            next_step="Paint the area to be replaced white (255).",
        )
    if (width is not None and width != wide) or (height is not None and height != high):
        raise RequestError(
            f"Inpainting keeps the size of the picture, {wide} x {high}; {width} x {height} was asked for.",
            next_step="Leave width and height out, or scale the picture and the mask first.",
        )
    largest = limits.max_side - limits.max_side % limits.multiple
    left, right = _window(np.any(mask > 0, axis=0), largest, "wide")
    top, bottom = _window(np.any(mask > 0, axis=1), largest, "high")
    return Canvas(
        image=(image := _pad(source[top:bottom, left:right], limits.multiple)),
        mask=_pad_mask(mask[top:bottom, left:right], limits.multiple),
        width=image.shape[1],
        height=image.shape[0],
        crop=(right - left, bottom - top),
        source=source,
        source_mask=mask,
        left=left,
        top=top,
    )


def _checked(name: str, value: int, limits: Limits) -> int:
    """Return a side length that the model takes, or raise RequestError naming the nearest ones."""
    multiple = limits.multiple
    if value > limits.max_side:
        raise RequestError(f"The {name} is {value}; this model makes at most {limits.max_side} pixels a side.")
    if value < multiple or value % multiple:
        lower = max(multiple, value - value % multiple)
        higher = value + -value % multiple
        near = f"{lower}" if higher > limits.max_side or lower >= value else f"{lower} or {higher}"
        raise RequestError(
            f"The {name} is {value}; this model needs a multiple of {multiple} pixels.", next_step=f"Use {near}."
        )
    return value


def _window(used: Any, largest: int, direction: str) -> tuple[int, int]:
    """Return [start, end) of one axis: all of it, or ``largest`` pixels centred on the masked part.

    ``used`` is (length,) bool; typed loosely because numpy types ``any`` along an axis as possibly a scalar.
    """
    length = int(used.size)
    if length <= largest:
        return 0, length
    masked = np.flatnonzero(used)
    first, last = int(masked[0]), int(masked[-1]) + 1
    if last - first > largest:
        raise RequestError(
            f"The masked area is {last - first} pixels {direction}; this model repaints at most {largest} at a time.",
            next_step="Mask a smaller area, or scale the picture down.",
        )
    start = min(max(0, (first + last - largest) // 2), length - largest)
    return start, start + largest


def _pad(pixels: RGB8, multiple: int) -> RGB8:
    """Return (H, W, 3) with the bottom and right borders repeated up to a multiple."""
    high, wide = pixels.shape[:2]
    return np.pad(pixels, ((0, -high % multiple), (0, -wide % multiple), (0, 0)), mode="edge")


def _pad_mask(mask: NDArray[np.uint8], multiple: int) -> NDArray[np.uint8]:
    """Return (H, W) with its borders repeated likewise, so that the padding under a repainted edge is repainted too."""
    high, wide = mask.shape
    return np.pad(mask, ((0, -high % multiple), (0, -wide % multiple)), mode="edge")

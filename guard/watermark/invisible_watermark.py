"""Readers of the ``invisible-watermark`` schemes ``dwtDct`` and ``dwtDctSvd``, which SD, SDXL and FLUX scripts embed.

Written anew from the published method: the Haar approximation of the U channel in 4 x 4 blocks, one bit a block in the
remainder of its largest value (or its largest singular value) modulo 36, bits dealt to the blocks in turn. There is no
synchronisation and little strength: the mark does not survive resizing, cropping or most JPEG files, so "not found"
says nothing. Which payloads are looked for is public, so anyone can write them.

Source: ShieldMnt/invisible-watermark 0.2.0 (MIT), imwatermark/maxDct.py and dwtDctSvd.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import comb, log10
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from guard.records import RGB8
from guard.watermark.foreign import ForeignMark, hex_of

SCALE: Final = 36.0
BLOCK: Final = 4
MIN_AREA: Final = 256 * 256
"""The original refuses smaller pictures (imwatermark/watermark.py)."""
LOG10_CHANCE: Final = -6.0
"""A payload counts when fair random bits would match as well with at most this chance over everything that is tried.
Measured on photographs and other generators' pictures: docs/watermark.md, "Foreign marks"."""
_WAYS: Final = 8
"""Two methods, two channel orders (some callers passed RGB as BGR), two number formats (below)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownPayload:
    """A public payload.

    Attributes:
        writer: whose scripts embed it.
        bits: 0 and 1.
    """

    writer: str
    bits: tuple[int, ...]

    @classmethod
    def of_text(cls, writer: str, text: str) -> KnownPayload:
        """Return the payload of a text: its bytes, most significant bit first."""
        return cls(writer=writer, bits=tuple(int(b) for b in np.unpackbits(np.frombuffer(text.encode(), np.uint8))))

    @classmethod
    def of_binary(cls, writer: str, digits: str) -> KnownPayload:
        """Return the payload of binary digits."""
        return cls(writer=writer, bits=tuple(int(d) for d in digits))


KNOWN_PAYLOADS: Final = (
    KnownPayload.of_text("Stable Diffusion 1.x scripts", "StableDiffusionV1"),
    KnownPayload.of_text("Stable Diffusion 2.x scripts", "SDV2"),
    KnownPayload.of_binary(
        "Stable Diffusion XL (Stability AI generative-models, diffusers)",
        "101100111110110010010000011110111011000110011110",
    ),
    KnownPayload.of_binary("FLUX.1 (Black Forest Labs flux)", "1010101111111010000111100111001111010100101110"),
)
"""Source: CompVis/stable-diffusion and Stability-AI/stablediffusion scripts/txt2img.py; diffusers
pipelines/stable_diffusion_xl/watermark.py; black-forest-labs/flux src/flux/util.py, whose ``bin()`` drops the two
leading zeros of its 48-bit constant, so that 46 bits are embedded."""


class InvisibleWatermarkReader:
    """Looks for known payloads of one method; implements ``guard.watermark.foreign.ForeignMarkReader``.

    Args:
        svd: read ``dwtDctSvd`` instead of the default ``dwtDct``.
        known: payloads to look for.
    """

    def __init__(self, *, svd: bool = False, known: tuple[KnownPayload, ...] = KNOWN_PAYLOADS) -> None:
        self._svd = svd
        self._known = known
        self._tried = max(1, _WAYS * len(known))
        self._allowed = tuple(_most_wrong(len(payload.bits), self._tried) for payload in known)

    @property
    def scheme(self) -> str:
        """Name of the scheme."""
        return "invisible-watermark dwtDctSvd" if self._svd else "invisible-watermark dwtDct"

    def read(self, pixels: RGB8) -> ForeignMark | None:
        """Return the best matching known payload, or None."""
        if pixels.shape[0] * pixels.shape[1] < MIN_AREA:
            return None
        best: ForeignMark | None = None
        for chroma in _chroma_planes(pixels):
            votes = block_votes(chroma, svd=self._svd)
            for payload, allowed in zip(self._known, self._allowed, strict=True):
                bits = voted_bits(votes, len(payload.bits))
                wrong = int((bits != np.array(payload.bits)).sum())
                if wrong > allowed or len(set(bits.tolist())) == 1:
                    continue
                chance = min(0.0, log10(self._tried) + _log10_tail(len(bits), wrong))
                if best is None or chance < best.log10_chance:
                    best = ForeignMark(
                        scheme=self.scheme,
                        writer=payload.writer,
                        payload=hex_of(bits.tolist()),
                        bits=len(bits),
                        wrong_bits=wrong,
                        log10_chance=round(chance, 2),
                    )
        return best


def _chroma_planes(pixels: RGB8) -> Iterator[NDArray[np.float32]]:
    """Yield U as every kind of embedder saw it.

    CompVis scripts embed into uint8 pixels, where OpenCV centres U on 128; diffusers and FLUX into float pixels in
    [0, 255], where it centres U on 0.5: the two quantise differently and are read as they were written.
    """
    rgb = np.ascontiguousarray(pixels)
    for source in (rgb, rgb.astype(np.float32)):
        for order in (cv2.COLOR_RGB2YUV, cv2.COLOR_BGR2YUV):
            yield np.asarray(cv2.cvtColor(source, order)[..., 1], dtype=np.float32)


def block_votes(chroma: NDArray[np.float32], *, svd: bool) -> NDArray[np.bool_]:
    """Return the bit of every block of an (H, W) plane, row by row.

    Args:
        chroma: the U plane.
        svd: of the singular value instead of the largest coefficient.
    """
    rows, columns = (side // 4 * 4 for side in chroma.shape)
    plane = chroma[:rows, :columns].astype(np.float64)
    approximation = (plane[0::2, 0::2] + plane[1::2, 0::2] + plane[0::2, 1::2] + plane[1::2, 1::2]) / 2
    down, across = approximation.shape[0] // BLOCK, approximation.shape[1] // BLOCK
    blocks = approximation[: down * BLOCK, : across * BLOCK].reshape(down, BLOCK, across, BLOCK).swapaxes(1, 2)
    if svd:
        value = np.linalg.svd(blocks, compute_uv=False)[..., 0].reshape(-1)  # the DCT is orthonormal: same values
    else:
        value = np.abs(blocks.reshape(-1, BLOCK * BLOCK))[:, 1:].max(axis=1)
    return np.asarray(value % SCALE > SCALE / 2)


def voted_bits(votes: NDArray[np.bool_], length: int) -> NDArray[np.int64]:
    """Return ``length`` bits, each by the majority of the blocks that carry it; the original's rounding of a draw."""
    place = np.arange(len(votes)) % length
    share = np.bincount(place, votes, length) / np.maximum(np.bincount(place, minlength=length), 1)
    return (share * 255 > 127).astype(np.int64)


def _log10_tail(length: int, wrong: int) -> float:
    """Return log10 of the chance that fair bits differ from a payload in at most ``wrong`` places."""
    return log10(sum(comb(length, i) for i in range(wrong + 1))) - length * log10(2)


def _most_wrong(length: int, tried: int) -> int:
    """Return how many bits may differ; -1 when not even a perfect match is unlikely enough."""
    wrong = -1
    while wrong + 1 < length // 3 and _log10_tail(length, wrong + 1) + log10(tried) <= LOG10_CHANCE:
        wrong += 1
    return wrong

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
_CELL: Final = 2 * BLOCK
"""Pixels a block."""
MIN_AREA: Final = 256 * 256
"""The original refuses smaller pictures (imwatermark/watermark.py)."""
LOG10_CHANCE: Final = -6.0
"""A payload counts when fair random bits would match as well with at most this chance over everything that is tried.
Measured on photographs and other generators' pictures: docs/watermark.md, "Foreign marks"."""
_LAGUERRE_STEPS: Final = 6
_ROUNDING: Final = 1e-15
"""Values of a polynomial with coefficients around 1 that are nothing but rounding."""
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
        for approximation in _approximations(pixels):
            votes = _votes(approximation, svd=self._svd)
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


def _approximations(pixels: RGB8) -> Iterator[NDArray[np.float32]]:
    """Yield the Haar approximation of U as every kind of embedder saw it, (H // 2, W // 2).

    CompVis scripts embed into uint8 pixels, where OpenCV centres U on 128; diffusers and FLUX into float pixels in
    [0, 255], where it centres U on 0.5: the two quantise differently and are read as they were written. In float the
    conversion is linear, so averaging comes first: a quarter of the work.
    """
    rows, columns = (side // _CELL * _CELL for side in pixels.shape[:2])
    if min(rows, columns) == 0:
        return
    rgb = np.ascontiguousarray(pixels[:rows, :columns])
    small = _averaged(rgb.astype(np.float32))
    orders = (cv2.COLOR_RGB2YUV, cv2.COLOR_BGR2YUV)
    for order in orders:
        yield 2 * _averaged(cv2.extractChannel(cv2.cvtColor(rgb, order), 1).astype(np.float32))
    for order in orders:
        yield 2 * cv2.extractChannel(cv2.cvtColor(small, order), 1).astype(np.float32)


def _averaged(plane: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the means of 2 x 2 pixels, half the Haar approximation."""
    size = (plane.shape[1] // 2, plane.shape[0] // 2)
    return np.asarray(cv2.resize(plane, size, interpolation=cv2.INTER_AREA), np.float32)


def block_votes(chroma: NDArray[np.float32], *, svd: bool) -> NDArray[np.bool_]:
    """Return the bit of every block of an (H, W) plane, row by row; none for a plane without a whole block.

    Args:
        chroma: the U plane.
        svd: of the singular value instead of the largest coefficient.
    """
    rows, columns = (side // _CELL * _CELL for side in chroma.shape)
    if min(rows, columns) == 0:
        return np.zeros(0, np.bool_)
    return _votes(2 * _averaged(np.ascontiguousarray(chroma[:rows, :columns])), svd=svd)


def _votes(approximation: NDArray[np.float32], *, svd: bool) -> NDArray[np.bool_]:
    """Return the bits of the blocks of a Haar approximation, both sides multiples of BLOCK."""
    down, across = (side // BLOCK for side in approximation.shape)
    cells = approximation.reshape(down, BLOCK, across, BLOCK).transpose(1, 3, 0, 2).reshape(BLOCK * BLOCK, -1)
    if svd:  # the DCT is orthonormal: same values
        value = largest_singular_values(cells.reshape(BLOCK, BLOCK, -1).astype(np.float64))
    else:
        value = np.abs(cells[1:]).max(axis=0).astype(np.float64)
    return np.asarray(value % SCALE > SCALE / 2)


def largest_singular_values(cells: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (N,) the largest singular values of N matrices, (4, 4, N): all at once, LAPACK takes seven times as long.

    The largest root of the characteristic polynomial of A' A, scaled to trace 1, by Laguerre's method from above, which
    converges monotonically where all roots are real. Measured against LAPACK: relative error below 1e-12, and 4e-4
    where three values agree within 0.1 %.
    """
    gram = np.einsum("kin,kjn->ijn", cells, cells)
    trace = np.einsum("iin->n", gram)
    gram = gram / np.maximum(trace, np.finfo(np.float64).tiny)
    square = np.einsum("ikn,kjn->ijn", gram, gram)
    p2, p3, p4 = (np.einsum("ijn,ijn->n", a, b) for a, b in ((gram, gram), (gram, square), (square, square)))
    e2, e3 = (1 - p2) / 2, (1 - 3 * p2 + 2 * p3) / 6  # Newton's identities, p1 = 1
    e4 = (1 - 6 * p2 + 3 * p2**2 + 8 * p3 - 6 * p4) / 24
    root = np.ones_like(trace)
    for _ in range(_LAGUERRE_STEPS):
        value = (((root - 1) * root + e2) * root - e3) * root + e4
        slope = ((4 * root - 3) * root + 2 * e2) * root - e3
        bend = (12 * root - 6) * root + 2 * e2
        below = slope + np.sqrt(np.maximum(9 * slope**2 - 12 * value * bend, 0))
        root = root - 4 * np.divide(value, below, out=np.zeros_like(value), where=value > _ROUNDING)
    return np.asarray(np.sqrt(np.maximum(root, 0) * trace))


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

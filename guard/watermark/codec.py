"""The embedded default watermark: ``LatticeWatermarker``, a ``Watermarker`` without weights.

::

    codec = LatticeWatermarker(master_key, tenant="local", period="2026-11")
    marked = codec.embed(pixels, ImageID("00112233445566ff"))
    reading = codec.detect(marked)          # reading.image_id == "00112233445566ff", reading.log10_p <= -9

A reading is an *index*, not proof: whoever collects some tens of marked pictures can forge a mark by averaging
(docs/watermark.md, "Limits"). Confirm a hit by comparing the picture with the registered fingerprint.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, Final

import numpy as np

from guard.errors import WatermarkError
from guard.records import RGB8, Geometry, ImageID, MarkReading
from guard.watermark.canonical import luma_of
from guard.watermark.convolutional import TailBitingCode
from guard.watermark.decoding import WordDecoder
from guard.watermark.embedding import Embedder
from guard.watermark.key_schedule import KeyName, KeySchedule
from guard.watermark.lattice import ChipKey, Lattice
from guard.watermark.payload import word_of
from guard.watermark.search import MarkSearch, Sighting
from guard.watermark.statistic import LineReader

ALGORITHM: Final = "org.signet-gateway.lattice.1"
"""Versioned: every change after which an old mark would not be read gets a new number."""
MIN_EMBED_SIDE: Final = 256
"""Shortest side that can be marked, in px. Measured: docs/watermark.md, "Small pictures"."""
MIN_DETECT_SIDE: Final = 32
"""Below this a picture holds less than one period of any line that could have survived; the answer is "no mark"."""


class LatticeWatermarker:
    """Marks pictures with a 64-bit id and finds it again; implements ``guard.interfaces.Watermarker``.

    Immutable after construction (about 30 ms) and safe to share between threads. Deterministic: the same key, picture
    and id give the same marked picture.

    Args:
        master_key: at least 32 random bytes; everything secret is derived from it.
        tenant: whose mark ``embed`` writes.
        period: which of the tenant's keys ``embed`` writes with, any text such as ``2026-11``; change it monthly.
        pool: further keys that ``detect`` reads with; the geometry search is shared, so a key costs only a few ms. The
            false-accept bound is over the whole pool.

    Raises:
        KeyMaterialError: the master key is shorter than 32 bytes.
    """

    algorithm: ClassVar[str] = ALGORITHM
    min_side: ClassVar[int] = MIN_EMBED_SIDE

    def __init__(
        self, master_key: bytes, *, tenant: str = "local", period: str = "1", pool: Iterable[KeyName] = ()
    ) -> None:
        schedule = KeySchedule.from_master(master_key)
        names = dict.fromkeys([KeyName(tenant=tenant, period=period), *pool])
        self._lattice = Lattice.draw(schedule.lattice_stream())
        keys = [ChipKey.derive(schedule, name, self._lattice) for name in names]
        self._key = keys[0]
        self._code = TailBitingCode()
        reader = LineReader(self._lattice)
        self._decoder = WordDecoder(self._lattice, self._code)
        self._embedder = Embedder(self._lattice, reader)
        self._search = MarkSearch(lattice=self._lattice, keys=keys, reader=reader, decoder=self._decoder)

    def embed(self, pixels: RGB8, image_id: ImageID) -> RGB8:
        """Return a marked copy.

        Args:
            pixels: (H, W, 3) uint8, both sides >= MIN_EMBED_SIDE.
            image_id: 16 lower-case hex digits.

        Raises:
            WatermarkError: the array is of another form or too small, or the id is not one.
        """
        _require_rgb8(pixels)
        height, width = pixels.shape[:2]
        if min(height, width) < MIN_EMBED_SIDE:
            raise WatermarkError(
                f"The picture is {width} x {height} pixels; a mark needs at least {MIN_EMBED_SIDE} pixels a side.",
                next_step=f"Generate at {MIN_EMBED_SIDE} x {MIN_EMBED_SIDE} pixels or more.",
            )
        lines = self._key.lines_of(word_of(image_id, self._key.pad), self._lattice, self._code)
        return self._embedder.embed(
            np.ascontiguousarray(pixels),
            lines,
            decodes=lambda values: self._decoder.decode(values, self._key) == image_id,
        )

    def detect(self, pixels: RGB8) -> MarkReading:
        """Return what the mark says; never raises for the content of a picture.

        Args:
            pixels: (H, W, 3) uint8, any size.

        Returns:
            ``image_id`` is set only when the CRC matches and ``log10_p`` <= -9: the proven bound over all trials, all
            keys and the CRC. Without an id ``log10_p`` is the bound of the strongest trial's pilots alone, 0 for none.
            ``geometry``: mirrored left to right, then turned counter-clockwise by ``rotation_deg``; ``scale`` is the
            size of the marked picture's frame over that of this picture's (2.0: the central quarter was cut out).

        Raises:
            WatermarkError: the array is not (H, W, 3) uint8.
        """
        _require_rgb8(pixels)
        if min(pixels.shape[:2]) < MIN_DETECT_SIDE:
            return MarkReading(algorithm=ALGORITHM, image_id=None, log10_p=0.0)
        sighting = self._search.run(luma_of(pixels))
        return MarkReading(
            algorithm=ALGORITHM,
            image_id=sighting.image_id,
            log10_p=sighting.log10_p,
            geometry=None if sighting.image_id is None else _geometry(sighting),
        )


def _require_rgb8(pixels: object) -> None:
    """Raise WatermarkError unless the array is (H, W, 3) uint8."""
    if not isinstance(pixels, np.ndarray) or pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3:
        got = f"{pixels.dtype} {pixels.shape}" if isinstance(pixels, np.ndarray) else type(pixels).__name__
        raise WatermarkError(
            f"The mark works on (height, width, 3) uint8 sRGB pixels, not on {got}.",
            next_step="Decode the picture with guard.media.decode first.",
        )


def _geometry(sighting: Sighting) -> Geometry:
    """Return the geometry in the terms of ``detect``: a top-bottom flip is a left-right flip and a half-turn."""
    found = sighting.hypothesis
    clockwise = np.degrees(found.angle) + (180.0 if sighting.peak.half_turn != found.flipped else 0.0)
    rotation = (-clockwise + 180.0) % 360.0 - 180.0
    return Geometry(scale=round(found.scale, 4), rotation_deg=round(float(rotation), 2) + 0.0, mirrored=found.flipped)

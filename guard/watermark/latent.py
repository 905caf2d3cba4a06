"""A mark in the noise that a picture grows from: the id is in the signs of the initial latent, not in the pixels.

Opt-in, beside the pixel mark, for operators who hold the model: it costs no image quality and lies deeper than pixels,
but reading it means running the model backwards (``latent_inversion.py``), and crops or turns must be undone first.

A keyed half of the signs are pilots, the rest carry the coded word; magnitudes stay free. Over the key every single
latent is exactly standard normal, so one picture shows nothing; pictures of one key share their pad, so many of them,
inverted and averaged, would: change the period, as with the pixel mark.

Source: Yang et al. 2024, "Gaussian Shading" (CVPR). Differs: pilots with a proven bound, convolutional code, CRC-24.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from guard.errors import WatermarkError
from guard.records import ImageID, MarkReading
from guard.watermark.convolutional import RATE, TailBitingCode
from guard.watermark.key_schedule import KeyName, KeySchedule, KeyStream
from guard.watermark.payload import WORD_BITS, Bits, id_of, word_of
from guard.watermark.statistic import MAX_LOG10_FALSE_ACCEPT, log10_bound

ALGORITHM: Final = "org.signet-gateway.latent.1"
PILOT_SHARE: Final = 0.25
MIN_VALUES: Final = 1024
"""Fewer latent values than this cannot carry 352 coded bits twice beside the pilots (4 x 16 x 16, a 128 px picture)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Layout:
    """What every value of a latent of one size says under one key, in the order of the flat array."""

    pilots: NDArray[np.int64]
    data: NDArray[np.int64]
    signs: NDArray[np.float64]
    coded_bit: NDArray[np.int64]
    pad: Bits


class LatentMark:
    """Draws marked initial latents and reads them from recovered ones; immutable.

    Args:
        master_key: at least 32 random bytes, the installation's watermark key; its streams are separate from the
            pixel mark's.
        tenant: whose mark.
        period: which of the tenant's keys.

    Raises:
        KeyMaterialError: the master key is shorter than 32 bytes.
    """

    algorithm = ALGORITHM

    def __init__(self, master_key: bytes, *, tenant: str = "local", period: str = "1") -> None:
        self._schedule = KeySchedule.from_master(master_key)
        self._name = KeyName(tenant=tenant, period=period)
        self._code = TailBitingCode()

    def draw(self, image_id: ImageID, shape: tuple[int, ...], *, seed: int) -> NDArray[np.float32]:
        """Return a standard normal latent that carries an id.

        Args:
            image_id: 16 lower-case hex digits.
            shape: of the latent, for instance (4, 64, 64); at least MIN_VALUES values.
            seed: of the magnitudes; the same id, shape and seed give the same latent.

        Raises:
            WatermarkError: the id is not one, or the latent is too small.
        """
        layout = self._layout(shape)
        values = np.abs(np.random.default_rng(seed).standard_normal(int(np.prod(shape))))
        chips = np.ones(values.size)
        chips[layout.data] = self._code.encode(word_of(image_id, layout.pad))[layout.coded_bit]
        return (values * chips * layout.signs).astype(np.float32).reshape(shape)

    def read(self, latent: NDArray[Any], *, trials: int = 1) -> MarkReading:
        """Return what a recovered latent says.

        Args:
            latent: of the shape it was drawn in; finite.
            trials: how many recoveries of one picture (geometries, prompts) are read in all; the bound pays for them.

        Returns:
            ``image_id`` only when the CRC matches and the bound is at most 1e-9: for signs that are uniform and
            independent of the latent, ``z = sum s x / sqrt(sum x^2)`` exceeds t with probability at most exp(-t^2 / 2)
            (Hoeffding 1963), and the pad makes the CRC an independent factor of 2^-24.

        Raises:
            WatermarkError: the latent is too small.
        """
        layout = self._layout(latent.shape)
        values = np.nan_to_num(np.asarray(latent, dtype=np.float64).reshape(-1))
        soft = np.tanh(values) * layout.signs  # one huge value must not outvote the rest
        pilots = soft[layout.pilots]
        z = float(pilots.sum() / (np.sqrt((pilots**2).sum()) + 1e-12))
        alone = log10_bound(z, trials=trials, with_crc=False)
        joint = log10_bound(z, trials=trials, with_crc=True)
        if joint > MAX_LOG10_FALSE_ACCEPT:
            return MarkReading(algorithm=ALGORITHM, image_id=None, log10_p=alone)
        votes = np.bincount(layout.coded_bit, soft[layout.data], RATE * WORD_BITS)
        image_id = id_of(self._code.decode(votes.astype(np.float32)), layout.pad)
        return MarkReading(algorithm=ALGORITHM, image_id=image_id, log10_p=alone if image_id is None else joint)

    def confirm(self, latent: NDArray[Any], image_id: ImageID, *, trials: int = 1) -> MarkReading:
        """Return whether a recovered latent carries one given id, found by another way (pixel mark, fingerprint).

        All values speak here, not the pilots alone, so a picture that keeps 56 % of the signs is confirmed although no
        id can be read from it blindly. ``image_id`` is set when the bound exp(-z^2 / 2) times ``trials`` is at most
        1e-9.

        Args:
            latent: of the shape it was drawn in; finite.
            image_id: the candidate.
            trials: candidates and recoveries that are tried in all.

        Raises:
            WatermarkError: the latent is too small, or the id is not one.
        """
        layout = self._layout(latent.shape)
        soft = np.tanh(np.nan_to_num(np.asarray(latent, dtype=np.float64).reshape(-1))) * layout.signs
        chips = np.ones(soft.size)
        chips[layout.data] = self._code.encode(word_of(image_id, layout.pad))[layout.coded_bit]
        z = float((soft * chips).sum() / (np.sqrt((soft**2).sum()) + 1e-12))
        bound = log10_bound(z, trials=trials, with_crc=False)
        accepted = bound <= MAX_LOG10_FALSE_ACCEPT
        return MarkReading(algorithm=ALGORITHM, image_id=image_id if accepted else None, log10_p=bound)

    def _layout(self, shape: tuple[int, ...]) -> _Layout:
        """Return the layout of one shape; drawn anew each time (1 ms for 16 384 values), nothing is kept."""
        count = int(np.prod(shape))
        if count < MIN_VALUES:
            raise WatermarkError(
                f"A latent of {count} values cannot carry a mark; at least {MIN_VALUES} are needed.",
                next_step="Generate larger pictures, or leave the latent mark out.",
            )
        name = KeyName(tenant=f"latent/{self._name.tenant}", period=f"{self._name.period}/{'x'.join(map(str, shape))}")
        stream: KeyStream = self._schedule.chip_stream(name)
        order = stream.permutation(count)
        pilots, data = np.split(order, [round(count * PILOT_SHARE)])
        coded = RATE * WORD_BITS
        runs = [stream.permutation(coded) for _ in range(-(-data.size // coded))]
        return _Layout(
            pilots=pilots,
            data=data,
            signs=np.where(stream.bits(count) == 1, -1.0, 1.0),
            coded_bit=np.concatenate(runs)[: data.size],
            pad=stream.bits(WORD_BITS),
        )

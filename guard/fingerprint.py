"""Perceptual fingerprints: PDQ for search, a small luma thumbnail for confirming a crop that a watermark points to.

``fingerprints(pixels)`` is taken of the released picture and registered. Of an upload

- ``pdq_variants(pixels)`` finds whole copies, also mirrored and turned by quarter turns, through the registry's index;
- ``compare(reference, pixels, geometry)`` says whether the upload shows the registered picture, after a watermark gave
  id and geometry: a mark that was lifted from one picture and laid over another reads well and must not be believed.

A crop changes PDQ totally (a cut to 0.8 of the side misses every time), hence the thumbnail. ``compare`` works so:

1. undo the geometry: un-turn, un-mirror, and bring the upload to the thumbnail's pixel scale;
2. flatten both: subtract the local mean, divide by the local spread, so that light, tone and haze do not count;
3. correlate over all offsets at once (masked normalised cross-correlation), whole overlaps only;
4. take the best offset; its correlation and significance decide match, mismatch or undecidable.

Source: PDQ: Facebook, "The TMK+PDQF Video-Hashing Algorithm and the PDQ Image-Hashing Algorithm" (2019).
Masked correlation: Padfield, "Masked Object Registration in the Fourier Domain", IEEE TIP 21(5), 2012, equation 36.
Figures: docs/ledger.md, "Confirming a crop".
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

import cv2
import numpy as np
import pdqhash
from numpy.typing import NDArray

from guard.errors import MediaError, UnsupportedMediaError
from guard.iscc import image_code
from guard.media import luma
from guard.records import RGB8, Fingerprints, Geometry

PDQ_BITS = 256
"""Length of a PDQ hash."""
MIN_QUALITY = 50
"""Below this PDQ quality a hash is not discriminative (PDQ reference, section "quality")."""
SAME_PDQ = 31
"""Hamming distance up to which PDQ calls two pictures the same (PDQ reference; 0 false in 4950 pairs, measured)."""
OTHER_PDQ = 80
"""Distance from which two whole, upright pictures differ: unrelated start at 96, light edits end at 24 (measured)."""
SEARCH_PDQ = 60
"""Distance within which candidates are looked for, to be confirmed by their thumbnails: copies lie within 46 bits, also
mirrored and turned ones, unrelated pictures start at 96 (measured)."""
SEARCH_QUALITY = 10
"""Least PDQ quality of a picture that is searched by look: below, its hash is noise (walls and skies have 4 to 14)."""
VARIANTS = tuple(
    Geometry(rotation_deg=turn, mirrored=mirrored)
    for mirrored, turn in (
        *((False, 0.0), (False, 270.0), (False, 180.0), (False, 90.0)),
        *((True, 180.0), (True, 0.0), (True, 90.0), (True, 270.0)),
    )
)
"""How the searched picture lies relative to the registered one when the hash at this place of ``pdq_variants`` hits."""
THUMBNAIL_SIDE = 64
"""Geometric mean side of the thumbnail in pixels. With 48 the 5th percentile of the significance of a piece of 0.4 of
the side falls from 16 to 8, below that of wrong pairs (measured); 96 takes 2.3 times the bytes."""
MATCH_SIGNIFICANCE = 18.0
"""Least significance of a match: of 49 788 wrong pairs the highest reached 15.0, one in 10 000 reached 13.6."""
MATCH_CORRELATION = 0.5
"""Least correlation of a match: of 3 380 right pairs one stayed below (0.47: pasted on a canvas 1.5 times as wide)."""
MISMATCH_CORRELATION = 0.45
"""Correlation below which a picture with enough texture is another one: no right pair came below (lowest 0.47)."""
MIN_TEXTURE = 200.0
"""Least textured pixels of the overlap, at the thumbnail's scale, for a mismatch: below, chance reaches 0.74."""
_MAX_PDQ_SIDE = 512  # as the reference implementation does before it hashes (facebook/ThreatExchange, pdq)
_BLUR_PX = 0.8  # at the thumbnail's scale: makes the correlation indifferent to where its pixels fell
_LOCAL_PX = 2.0  # radius of "local"
_FLOOR = 4.0  # grey levels added to the local spread, so that noise in flat areas is not blown up
_LEAST_OVERLAP = 0.85  # of the smaller picture: a crop lies inside the original
_WHOLE = 0.1  # |log scale| and radians within which the picture counts as whole and upright
_THUMBNAIL = re.compile(r"([0-9]{1,3})x([0-9]{1,3}):([A-Za-z0-9+/=]+)")

_Plane: TypeAlias = NDArray[np.float32]


class Match(StrEnum):
    """Whether an upload shows a registered picture."""

    CONFIRMED = "confirmed"
    MISMATCH = "mismatch"
    UNDECIDABLE = "undecidable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Result of ``compare``.

    Attributes:
        match: the decision.
        correlation: -1..1 at the best offset; None when only PDQ could be compared.
        significance: atanh(correlation) times the root of the textured pixels; None likewise.
        pdq_distance: 0..256 bits between the un-turned upload and the reference.
        reason: one sentence for people.
    """

    match: Match
    correlation: float | None
    significance: float | None
    pdq_distance: int
    reason: str


def fingerprints(pixels: RGB8) -> Fingerprints:
    """Return the fingerprints of a picture.

    Args:
        pixels: (H, W, 3) uint8 sRGB.

    Raises:
        UnsupportedMediaError: another shape or type.

    Cost: 39 ms at 1024 x 1024, 220 ms at 25 megapixels, on one core (measured).
    """
    _check(pixels)
    pdq, quality = _pdq(pixels)
    return Fingerprints(pdq=pdq, pdq_quality=quality, thumbnail=_thumbnail(pixels), iscc=image_code(pixels).hex())


def pdq_variants(pixels: RGB8) -> tuple[str, ...]:
    """Return the PDQ hashes of a picture and of its seven mirrored and quarter-turned forms, in the order of VARIANTS.

    Raises:
        UnsupportedMediaError: not (H, W, 3) uint8.
    """
    return pdq_search(pixels)[0]


def pdq_search(pixels: RGB8) -> tuple[tuple[str, ...], int]:
    """Return the hashes of ``pdq_variants`` and their PDQ quality, 0..100: what a search needs, without the rest.

    Raises:
        UnsupportedMediaError: not (H, W, 3) uint8.
    """
    _check(pixels)
    hashes, quality = pdqhash.compute_dihedral(_shrunk(pixels))
    return tuple(_hex(bits) for bits in hashes), int(quality)


def pdq_distance(first: str, second: str) -> int:
    """Return the Hamming distance of two PDQ hashes given as 64 hex digits: 0..256 bits."""
    return (int(first, 16) ^ int(second, 16)).bit_count()


def confirm(reference: Fingerprints, pixels: RGB8, geometry: Geometry | None = None) -> Match:
    """Say whether an upload shows the picture with these fingerprints; ``compare`` with the decision only."""
    return compare(reference, pixels, geometry).match


def compare(reference: Fingerprints, pixels: RGB8, geometry: Geometry | None = None) -> Comparison:
    """Compare an upload with the fingerprints of a registered picture.

    Args:
        reference: fingerprints of the registered picture.
        pixels: (H, W, 3) uint8, the upload.
        geometry: how the upload lies relative to the registered picture, as the watermark reading says: mirrored left
            to right, then turned counter-clockwise; ``scale`` = side of the registered frame over that of the upload,
            both as geometric means. None means whole and upright.

    Raises:
        UnsupportedMediaError: ``pixels`` is not (H, W, 3) uint8.
        MediaError: the reference's thumbnail is damaged.
    """
    _check(pixels)
    geometry = geometry or Geometry()
    pdq, quality = _pdq(_upright(pixels, geometry))
    distance = pdq_distance(reference.pdq, pdq)
    discriminative = min(reference.pdq_quality, quality) >= MIN_QUALITY
    if discriminative and distance <= SAME_PDQ:
        return _by_pdq(Match.CONFIRMED, distance)
    whole = abs(np.log(geometry.scale)) < _WHOLE and abs(_tilt_deg(geometry)) < np.degrees(_WHOLE)
    # one picture plain, the other rich: no edit of a copy does that, and the plain one's thumbnail cannot tell
    unlike = max(reference.pdq_quality, quality) >= MIN_QUALITY > 2 * min(reference.pdq_quality, quality)
    if whole and unlike and distance >= OTHER_PDQ:
        return _by_pdq(Match.MISMATCH, distance)
    if not reference.thumbnail:
        other = whole and discriminative and distance >= OTHER_PDQ
        return _by_pdq(Match.MISMATCH if other else Match.UNDECIDABLE, distance)
    correlation, texture = max(
        (_correlate(_parse_thumbnail(reference.thumbnail), view) for view in _views(pixels, geometry, reference)),
        key=lambda found: _significance(*found),
    )
    significance = _significance(correlation, texture)
    if significance >= MATCH_SIGNIFICANCE and correlation >= MATCH_CORRELATION:
        match, reason = Match.CONFIRMED, "The picture shows what the original shows."
    elif correlation < MISMATCH_CORRELATION and texture >= MIN_TEXTURE:
        match, reason = Match.MISMATCH, "The picture does not show what the original shows."
    else:
        match, reason = Match.UNDECIDABLE, "Too little of the picture, or too plain a part, to compare."
    return Comparison(
        match=match,
        correlation=round(correlation, 4),
        significance=round(significance, 2),
        pdq_distance=distance,
        reason=reason,
    )


def _by_pdq(match: Match, distance: int) -> Comparison:
    """Return a decision that rests on PDQ alone."""
    reasons = {
        Match.CONFIRMED: f"The picture looks the same as the original ({distance} of {PDQ_BITS} hash bits differ).",
        Match.MISMATCH: f"The picture looks different from the original ({distance} of {PDQ_BITS} hash bits).",
        Match.UNDECIDABLE: "There is no thumbnail to compare a part or a turned copy with.",
    }
    return Comparison(
        match=match,
        correlation=None,
        significance=None,
        pdq_distance=distance,
        reason=reasons[match],
    )


def _significance(correlation: float, texture: float) -> float:
    """Return Fisher's z of a correlation over ``texture`` samples, in standard deviations of white noise.

    Natural pictures are not white, and the best of all offsets is taken: the threshold is measured, not derived.
    """
    return float(np.arctanh(min(max(correlation, -0.999), 0.999)) * np.sqrt(max(texture, 0.0)))


# --- (1) undo the geometry --------------------------------------------------------------------------------------------


def _tilt_deg(geometry: Geometry) -> float:
    """Return what a rotation has beyond quarter turns: -45..45 degrees."""
    return geometry.rotation_deg - 90 * round(geometry.rotation_deg / 90)


def _upright(pixels: RGB8, geometry: Geometry) -> RGB8:
    """Return the upload un-turned by quarter turns (PDQ bears no others) and un-mirrored."""
    turned = np.rot90(pixels, -round(geometry.rotation_deg / 90))
    return np.ascontiguousarray(turned[:, ::-1] if geometry.mirrored else turned)


def _views(pixels: RGB8, geometry: Geometry, reference: Fingerprints) -> list[tuple[_Plane, _Plane]]:
    """Return the upload at the thumbnail's scale, with its mask; a whole picture of other aspect also un-stretched."""
    views = [_view(pixels, geometry, aspect=1.0)]
    upright = _upright(pixels, geometry)
    height, width = _parse_thumbnail(reference.thumbnail).shape
    stretch = (width / height) / (upright.shape[1] / upright.shape[0])
    if abs(np.log(geometry.scale)) < _WHOLE and abs(np.log(stretch)) > 2 / THUMBNAIL_SIDE:
        tilt = -_tilt_deg(geometry) if geometry.mirrored else _tilt_deg(geometry)
        views.append(_view(upright, Geometry(rotation_deg=tilt), aspect=stretch))
    return views


def _view(pixels: RGB8, geometry: Geometry, *, aspect: float) -> tuple[_Plane, _Plane]:
    """Return (luma, mask), both (h, w): the upload un-turned and un-mirrored at the thumbnail's pixel scale.

    Args:
        pixels: the upload.
        geometry: what to undo.
        aspect: factor by which width over height grows on the way.
    """
    height, width = pixels.shape[:2]
    scale = THUMBNAIL_SIDE / geometry.scale / np.sqrt(height * width)
    wide, high = width * scale * np.sqrt(aspect), height * scale / np.sqrt(aspect)
    if 2 * wide < width or 2 * high < height:  # first to twice the size by areas, then exactly by one affine map
        size = (max(2, round(min(2 * wide, width))), max(2, round(min(2 * high, height))))
        pixels = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)
    grey = luma(pixels)
    factors = np.array([wide / grey.shape[1], high / grey.shape[0]])
    grey = cv2.GaussianBlur(
        grey, (0, 0), sigmaX=max(_BLUR_PX / factors[0], 0.3), sigmaY=max(_BLUR_PX / factors[1], 0.3)
    )
    turn = np.radians(-geometry.rotation_deg)
    matrix = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]]) * factors
    extent = np.abs(matrix) @ np.array([grey.shape[1], grey.shape[0]])
    size = (max(3, round(extent[0])), max(3, round(extent[1])))
    source = np.array([grey.shape[1] - 1, grey.shape[0] - 1]) / 2
    shift = np.array([size[0] - 1, size[1] - 1]) / 2 - matrix @ source
    affine = np.column_stack([matrix, shift])
    inside = cv2.warpAffine(np.ones_like(grey), affine, size, flags=cv2.INTER_LINEAR) > 0.6
    plane = cv2.warpAffine(grey, affine, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    mask = inside.astype(np.float32)
    if geometry.mirrored:
        plane, mask = plane[:, ::-1], mask[:, ::-1]
    return np.ascontiguousarray(plane * mask, np.float32), np.ascontiguousarray(mask)


# --- (2), (3), (4) compare --------------------------------------------------------------------------------------------


def _correlate(thumbnail: _Plane, view: tuple[_Plane, _Plane]) -> tuple[float, float]:
    """Return (correlation, textured pixels of the overlap) at the most significant offset."""
    plane, mask = view
    whole = np.ones_like(thumbnail)
    first, second = _flatten(thumbnail, whole), _flatten(plane, mask)
    correlation, overlap = _masked_correlation(first, whole, second, mask)
    correlation[overlap < _LEAST_OVERLAP * min(whole.sum(), mask.sum())] = -1.0
    best = np.unravel_index(int(correlation.argmax()), correlation.shape)
    texture = float((second**2).sum() / max(float(mask.sum()), 1.0))
    return float(correlation[best]), float(overlap[best]) * texture


def _flatten(plane: _Plane, mask: _Plane) -> _Plane:
    """Subtract the local mean and divide by the local spread, both over the mask only; 0 outside."""

    def local(values: _Plane) -> _Plane:
        return np.asarray(cv2.GaussianBlur(values, (0, 0), _LOCAL_PX, borderType=cv2.BORDER_CONSTANT), np.float32)

    weight = np.maximum(local(mask), 1e-3)
    centred = np.asarray((plane - local(plane * mask) / weight) * mask, np.float32)
    spread = np.sqrt(local(centred * centred) / weight)
    return np.asarray(centred / (spread + _FLOOR) * mask, np.float32)


def _masked_correlation(
    first: _Plane, first_mask: _Plane, second: _Plane, second_mask: _Plane
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return (correlation, overlap in pixels) of the masked pictures for every offset, as two maps.

    Source: Padfield 2012, equation 36.
    """
    shape = [cv2.getOptimalDFTSize(a + b - 1) for a, b in zip(first.shape, second.shape, strict=True)]

    def forward(values: _Plane) -> NDArray[np.complex128]:
        return np.fft.rfft2(values, shape)

    def cross(left: NDArray[np.complex128], right: NDArray[np.complex128]) -> NDArray[np.float64]:
        return np.fft.irfft2(left * np.conj(right), shape)

    values_1, mask_1, squares_1 = forward(first), forward(first_mask), forward(first * first)
    values_2, mask_2, squares_2 = forward(second), forward(second_mask), forward(second * second)
    overlap = np.maximum(cross(mask_1, mask_2), 1e-3)
    sum_1, sum_2 = cross(values_1, mask_2), cross(mask_1, values_2)
    joint = cross(values_1, values_2) - sum_1 * sum_2 / overlap
    spread_1 = np.maximum(cross(squares_1, mask_2) - sum_1**2 / overlap, 0.0)
    spread_2 = np.maximum(cross(mask_1, squares_2) - sum_2**2 / overlap, 0.0)
    spread = np.sqrt(spread_1 * spread_2)
    # flat against anything: rounding over rounding; a picture without texture correlates with nothing
    return np.where(spread > 1e-2, joint / np.maximum(spread, 1e-2), 0.0), overlap


# --- encoding ---------------------------------------------------------------------------------------------------------


def _thumbnail(pixels: RGB8) -> str:
    """Return the thumbnail as text: ``<width>x<height>:<base64 of the luma bytes, row by row>``."""
    plane, _ = _view(pixels, Geometry(), aspect=1.0)
    height, width = plane.shape
    raw = np.clip(np.rint(plane), 0, 255).astype(np.uint8).tobytes()
    return f"{width}x{height}:{base64.b64encode(raw).decode()}"


def _parse_thumbnail(text: str) -> _Plane:
    """Return the luma of a thumbnail.

    Raises:
        MediaError: malformed.
    """
    match = _THUMBNAIL.fullmatch(text)
    try:
        width, height, raw = int(match[1]), int(match[2]), base64.b64decode(match[3], validate=True)  # type: ignore[index]
        plane = np.frombuffer(raw, np.uint8).reshape(height, width)
    except (TypeError, ValueError, binascii.Error) as exc:
        raise MediaError("Fingerprint: the registered thumbnail is damaged.", next_step="Audit the ledger.") from exc
    return plane.astype(np.float32)


def _pdq(pixels: RGB8) -> tuple[str, int]:
    """Return the PDQ hash and its quality."""
    bits, quality = pdqhash.compute(_shrunk(pixels))
    return _hex(bits), int(quality)


def _hex(bits: NDArray[np.uint8]) -> str:
    """Return 256 bits, most significant first, as 64 hex digits."""
    return np.packbits(bits).tobytes().hex()


def _shrunk(pixels: RGB8) -> RGB8:
    """Return the picture with its longer side at most _MAX_PDQ_SIDE."""
    height, width = pixels.shape[:2]
    factor = _MAX_PDQ_SIDE / max(height, width)
    if factor >= 1:
        return np.ascontiguousarray(pixels)
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)


def _check(pixels: RGB8) -> None:
    """Refuse anything but (H, W, 3) uint8."""
    if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != np.uint8 or 0 in pixels.shape:
        raise UnsupportedMediaError(
            f"Fingerprint: got an array of shape {pixels.shape} and type {pixels.dtype}, expected (H, W, 3) uint8.",
            next_step="Decode the picture with guard.media.decode.",
        )

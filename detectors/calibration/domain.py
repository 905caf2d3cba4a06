"""Is this picture one that the calibration speaks about? If not, the detector says so instead of guessing."""

from __future__ import annotations

import io
import warnings

import numpy as np
from PIL import Image

from detectors.calibration.card import Domain
from detectors.crops import Crop
from detectors.upload import Upload

_ANNEX_K_SUM = 3688
"""Sum of the 64 luma steps of ISO/IEC 10918-1 table K.1; libjpeg scales all of them by one factor."""


def outside_domain(upload: Upload, crops: tuple[Crop, ...], domain: Domain) -> str | None:
    """Return why a picture is outside the domain, or None when it is inside.

    Args:
        upload: the picture; its bytes tell the compression.
        crops: what the detector would look at; empty when the picture is too small.
        domain: from the detector's calibration card.
    """
    smallest = min(upload.pixels.shape[:2])
    if smallest < domain.min_side_px or not crops:
        return f"Too small for this detector: {smallest} px on the shorter side, at least {domain.min_side_px} needed."
    quality = jpeg_quality(upload.data) if upload.media_type == "image/jpeg" else None
    if quality is not None and quality < domain.min_jpeg_quality:
        return f"Too compressed for this detector: JPEG quality {quality}, at least {domain.min_jpeg_quality} needed."
    if float(np.median([texture(crop) for crop in crops])) < domain.min_texture:
        return "Too smooth for this detector: no fine detail to examine, as in drawings, blank areas or strong blur."
    return None


def jpeg_quality(data: bytes) -> int | None:
    """Return the libjpeg quality 1..100 nearest to a file's luma table, or None when there is no readable table."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(data), formats=("JPEG",)) as image:
                tables = getattr(image, "quantization", {})
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):  # Pillow's errors on damaged files
        return None
    if not tables:
        return None
    percent = 100.0 * sum(tables[min(tables)]) / _ANNEX_K_SUM
    return int(max(1, min(100, round((200 - percent) / 2 if percent <= 100 else 5000 / percent))))


def texture(crop: Crop) -> float:
    """Return the mean absolute step between horizontal neighbours of the green channel, in grey levels."""
    green = crop.pixels[..., 1].astype(np.int16)
    return float(np.abs(np.diff(green, axis=1)).mean())

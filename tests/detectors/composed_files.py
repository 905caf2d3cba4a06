"""Files for the verdict table: six origins, each put through what happens to files on their way to a moderator."""

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from skimage import data

from guard.library import Signet
from guard.media import decode
from guard.records import RGB8
from guard.watermark.invisible_watermark import KNOWN_PAYLOADS
from tests.detectors.metadata.writers import xmp
from tests.guard.provenance.support import png_chunks, png_from
from tests.guard.watermark.test_foreign import write

SIDE = 320
INFOTEXT = "a castle at dusk\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 42, Size: 512x512, Version: v1.10.1"
SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/"
SDXL = next(known for known in KNOWN_PAYLOADS if "XL" in known.writer)


@dataclass(frozen=True)
class Origins:
    """Files as they left their makers, and the pixels of each."""

    files: dict[str, bytes]
    pixels: dict[str, RGB8]
    store: bytes
    residual: np.ndarray


def middle(picture: np.ndarray, side: int = SIDE) -> RGB8:
    """The middle of a picture, brought to ``side`` when it is smaller."""
    height, width = picture.shape[:2]
    edge = min(height, width, side)
    top, left = (height - edge) // 2, (width - edge) // 2
    part = np.ascontiguousarray(picture[top : top + edge, left : left + edge])
    return part if edge == side else np.asarray(cv2.resize(part, (side, side), interpolation=cv2.INTER_CUBIC), np.uint8)


def camera_jpeg(pixels: RGB8) -> bytes:
    """A JPEG that names a camera."""
    exif = Image.Exif()
    exif[0x010F], exif[0x0110] = "Canon", "Canon EOS R6"
    return saved(pixels, "JPEG", quality=92, exif=exif.tobytes())


def saved(pixels: RGB8, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind, **options)
    return buffer.getvalue()


def build_origins(ours: Path, theirs: Path) -> Origins:
    """Release, sign and photograph; two installations that do not know one another."""
    person, cat = middle(data.astronaut()), middle(data.chelsea(), 300)
    with Signet(home=str(ours)) as signet:
        png = signet.sign(person, model="signet-mini", image_format="png").data
        jpeg = signet.sign(np.ascontiguousarray(person[:, ::-1]), model="signet-mini", image_format="jpeg").data
        imported = signet.sign(camera_jpeg(cat)).data
    with Signet(home=str(theirs)) as signet:
        stranger = signet.sign(cat, model="other-model", image_format="png").data
    files = {
        "released": png,
        "released as JPEG": jpeg,
        "imported": imported,
        "stranger's": stranger,
        "camera": camera_jpeg(cat),
        "plain": saved(cat),
    }
    pixels = {name: decode(coded).rgb for name, coded in files.items()}
    store = next(body for kind, body in png_chunks(png) if kind == b"caBX")
    return Origins(files=files, pixels=pixels, store=store, residual=pixels["released"].astype(np.int16) - person)


def with_text(pixels: RGB8, key: str, text: str) -> bytes:
    info = PngInfo()
    info.add_itxt(key, text)
    return saved(pixels, pnginfo=info)


def with_store(pixels: RGB8, store: bytes) -> bytes:
    """Pixels under somebody else's credentials."""
    chunks = png_chunks(saved(pixels))
    return png_from([chunks[0], (b"caBX", store), *chunks[1:]])


def cropped(pixels: RGB8) -> RGB8:
    margin = pixels.shape[0] // 12
    return np.ascontiguousarray(pixels[margin:-margin, margin:-margin])


def smaller(pixels: RGB8) -> RGB8:
    size = (round(0.75 * pixels.shape[1]), round(0.75 * pixels.shape[0]))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)


def claiming(pixels: RGB8, source_type: str) -> bytes:
    packet = xmp(f"<Iptc4xmpExt:DigitalSourceType>{SOURCE_TYPE}{source_type}</Iptc4xmpExt:DigitalSourceType>")
    return with_text(pixels, "XML:com.adobe.xmp", packet)


TREATMENTS: dict[str, Callable[[Origins, str], bytes]] = {
    "as it is": lambda o, n: o.files[n],
    "stripped": lambda o, n: saved(o.pixels[n]),
    "JPEG 75": lambda o, n: saved(o.pixels[n], "JPEG", quality=75),
    "smaller WebP": lambda o, n: saved(smaller(o.pixels[n]), "WEBP", quality=88),
    "mirrored": lambda o, n: saved(np.ascontiguousarray(o.pixels[n][:, ::-1])),
    "cropped": lambda o, n: saved(cropped(o.pixels[n])),
    "infotext": lambda o, n: with_text(o.pixels[n], "parameters", INFOTEXT),
    "says AI": lambda o, n: claiming(o.pixels[n], "trainedAlgorithmicMedia"),
    "says camera": lambda o, n: claiming(o.pixels[n], "digitalCapture"),
    "SDXL mark": lambda o, n: saved(write(o.pixels[n], SDXL.bits, svd=True, as_float=True)),
    "others' credentials": lambda o, n: with_store(np.ascontiguousarray(o.pixels[n][::-1]), o.store),
}

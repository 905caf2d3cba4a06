"""One door into all readers: ``read_embedded_fields(data)`` chooses by the leading bytes and never raises."""

from __future__ import annotations

from detectors.metadata.fields import EmbeddedFields, FieldCollector
from detectors.metadata.readers.exif import read_exif
from detectors.metadata.readers.gif import read_gif
from detectors.metadata.readers.isobmff import read_isobmff
from detectors.metadata.readers.jpeg import read_jpeg
from detectors.metadata.readers.png import SIGNATURE, read_png
from detectors.metadata.readers.webp import read_webp


def read_embedded_fields(data: bytes) -> EmbeddedFields:
    """Return every text of a file's metadata; formats without a reader give an empty result."""
    out = FieldCollector()
    if data.startswith(SIGNATURE):
        read_png(data, out)
    elif data.startswith(b"\xff\xd8\xff"):
        read_jpeg(data, out)
    elif data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        read_webp(data, out)
    elif data[:4] in (b"II*\x00", b"MM\x00*"):
        read_exif(data, "TIFF", out)
    elif data[:6] in (b"GIF87a", b"GIF89a"):
        read_gif(data, out)
    elif data[4:8] == b"ftyp":
        read_isobmff(data, out)
    return out.result()

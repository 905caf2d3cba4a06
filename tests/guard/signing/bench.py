"""One small installation for the tests of signing and recovery: real keys, mark, ledger and reader, no workers."""

import functools
import io
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from skimage import data as pictures

from guard.label.compositor import BadgeLabeller
from guard.ledger.sqlite_store import SQLiteLedger
from guard.media import encode
from guard.provenance.manifest import ManifestKind
from guard.provenance.read import C2PACredentialReader
from guard.records import RGB8, ImageFormat
from guard.recovery import ManifestRecovery
from guard.signing.flow import FileSigner
from guard.signing.request import SignedFile, SigningParts, SigningRequest
from guard.watermark.codec import LatticeWatermarker
from tests.fakes import FixedClock
from tests.guard.provenance.support import Identity

SIDE = 320


@functools.cache
def photo(name: str = "astronaut", side: int = SIDE) -> RGB8:
    """A shipped photograph, cut to a square of ``side`` pixels."""
    whole = getattr(pictures, name)()
    least = min(whole.shape[:2])
    top, left = (whole.shape[0] - least) // 2, (whole.shape[1] - least) // 2
    square = whole[top : top + least, left : left + least]
    return np.asarray(Image.fromarray(np.ascontiguousarray(square)).resize((side, side), Image.Resampling.LANCZOS))


@functools.cache
def file(name: str = "astronaut", image_format: ImageFormat = ImageFormat.PNG) -> bytes:
    """A photograph as a file without metadata."""
    return encode(photo(name), image_format)


@dataclass
class Bench:
    """Everything that signing and recovery need."""

    identity: Identity
    marker: LatticeWatermarker
    reader: C2PACredentialReader
    ledger: SQLiteLedger
    path: Path

    @classmethod
    def make(cls, folder: Path) -> "Bench":
        identity = Identity.make(folder / "keys")
        ledger = SQLiteLedger(
            folder / "ledger.sqlite3",
            signing_key=identity.keys.ledger_private_key,
            origin="example.org/signing",
            clock=FixedClock(),
        )
        marker = LatticeWatermarker(identity.keys.watermark_master_key)
        return cls(identity, marker, identity.reader(None), ledger, folder)

    def parts(self, **changes: Any) -> SigningParts:
        usual: dict[str, Any] = {
            "watermarker": self.marker,
            "labeller": BadgeLabeller(),
            "signer": self.identity.signer,
            "reader": self.reader,
            "ledger": self.ledger,
            "clock": FixedClock(),
        }
        return SigningParts(**(usual | changes))

    def sign(self, data: bytes, kind: ManifestKind = ManifestKind.IMPORTED, **fields: Any) -> SignedFile:
        signer = FileSigner(self.parts(), random_bytes=secrets.token_bytes)
        return signer.sign(SigningRequest(data=data, kind=kind, **fields))

    @property
    def recovery(self) -> ManifestRecovery:
        return ManifestRecovery(watermarker=self.marker, ledger=self.ledger, reader=self.reader)


def stripped(data: bytes, *, scale: float = 0.7, quality: int = 75) -> RGB8:
    """A typical copy: reduced, saved as JPEG, no metadata."""
    image = Image.open(io.BytesIO(data)).convert("RGB")
    image = image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer))

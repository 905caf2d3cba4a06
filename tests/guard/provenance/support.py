"""Keys, pictures and surgery on signed files for the tests of content credentials."""

import functools
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from skimage import data as pictures

from guard.credentials import CredentialReport
from guard.isolation import WorkerPool
from guard.media import encode
from guard.provenance.certificates import signing_chain
from guard.provenance.dev_ca import init_development_keys
from guard.provenance.issuing import issue_leaf
from guard.provenance.key_source import PEMKeySource
from guard.provenance.keys_folder import KeyFolder
from guard.provenance.manifest import ManifestFacts, ManifestKind
from guard.provenance.read import C2PACredentialReader
from guard.provenance.sign import C2PACredentialSigner, ClaimGenerator
from guard.records import RGB8, ImageFormat, LabelMode

IMAGE_ID = "0123456789abcdef"
ALGORITHM = "org.example.mark.1"
GENERATOR = ClaimGenerator(provider="Example Provider", name="Signet", version="9.8.7")


@functools.cache
def picture(side: int = 128) -> RGB8:
    """A photograph, square."""
    return np.ascontiguousarray(pictures.astronaut()[64 : 64 + side, 180 : 180 + side])


@functools.cache
def encoded(image_format: ImageFormat, side: int = 128) -> bytes:
    return encode(picture(side), image_format)


def facts(kind: ManifestKind = ManifestKind.GENERATED, **changes: Any) -> ManifestFacts:
    usual = ManifestFacts(
        kind=kind,
        image_id=IMAGE_ID,
        provider=GENERATOR.provider,
        system_name=GENERATOR.name,
        system_version=GENERATOR.version,
        created_at=datetime(2026, 11, 22, 12, 0, tzinfo=UTC),
        model_name="tiny-model",
        model_revision="abc123",
        model_id="example/tiny-model",
        watermark_algorithm=ALGORITHM,
        label=LabelMode.NONE,
    )
    return replace(usual, **changes)


@dataclass(frozen=True)
class Identity:
    """One key folder with its signer."""

    keys: KeyFolder
    signer: C2PACredentialSigner

    @classmethod
    def make(cls, folder: Path) -> "Identity":
        now = datetime.now(UTC)
        init_development_keys(folder, now=now)
        keys = KeyFolder.load(folder, now=now)
        return cls(keys, C2PACredentialSigner(keys.signer, claim_generator=GENERATOR))

    def signed(self, image_format: ImageFormat = ImageFormat.PNG, **changes: Any) -> bytes:
        """A generated picture."""
        return self.signer.sign_bytes(facts(**changes), encoded(image_format), image_format.media_type).data

    def edited(self, parent: bytes, image_format: ImageFormat = ImageFormat.PNG) -> bytes:
        """A picture that was made from ``parent``."""
        return self.signer.sign_bytes(
            facts(ManifestKind.EDITED), encoded(image_format), image_format.media_type, parent=parent
        ).data

    def reader(self, pool: WorkerPool | None) -> C2PACredentialReader:
        """A reader that trusts this identity's root."""
        return C2PACredentialReader(self.keys.anchors, pool=pool, deadline_s=20)

    def chain_for(self, key: ec.EllipticCurvePublicKey, lifetime: timedelta = timedelta(days=1)) -> str:
        """A chain of this CA for a further key."""
        ca = self.keys.path / "ca"
        issuer = x509.load_pem_x509_certificate((ca / "intermediate.pem").read_bytes())
        issuer_key = serialization.load_pem_private_key((ca / "intermediate.key.pem").read_bytes(), None)
        assert isinstance(issuer_key, ec.EllipticCurvePrivateKey)
        now = datetime.now(UTC)
        leaf = issue_leaf(
            key,
            common_name="further",
            issuer=issuer,
            issuer_key=issuer_key,
            not_before=now - timedelta(minutes=5),
            not_after=now + lifetime,
        )
        return "".join(c.public_bytes(serialization.Encoding.PEM).decode() for c in (leaf, issuer))

    def short_lived(self, lifetime: timedelta) -> PEMKeySource:
        """A further leaf of this CA that expires soon."""
        key = ec.generate_private_key(ec.SECP256R1())
        return PEMKeySource(
            key=key, chain=signing_chain(self.chain_for(key.public_key(), lifetime), now=datetime.now(UTC))
        )


def essentials(report: CredentialReport) -> tuple[object, ...]:
    """What a report claims about the picture: must not change without the state changing."""
    return (report.signer, report.issuer, report.source_types, report.soft_bindings, report.software_agents)


class BrokenPool(WorkerPool):
    """A pool whose calls fail in a scripted way."""

    def __init__(self, error: Exception) -> None:
        super().__init__(size=1)
        self._error = error

    def run(self, function: object, /, *args: object, deadline_s: float, **kwargs: object) -> Any:  # type: ignore[override]
        raise self._error


# --- PNG surgery -----------------------------------------------------------------------------------------------------


def png_chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    """(type, content) of each chunk."""
    at, found = 8, []
    while at < len(data):
        (size,) = struct.unpack(">I", data[at : at + 4])
        found.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + size]))
        at += 12 + size
    return found


def png_from(chunks: list[tuple[bytes, bytes]]) -> bytes:
    parts = (
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def store_span(data: bytes) -> tuple[int, int]:
    """Start and end of the manifest store in a file with one contiguous store; found by its JUMBF header."""
    start = data.index(b"jumb") - 4
    (size,) = struct.unpack(">I", data[start : start + 4])
    return start, start + size


def flipped(data: bytes, at: int, bit: int = 0) -> bytes:
    changed = bytearray(data)
    changed[at] ^= 1 << bit
    return bytes(changed)


def flip_after(data: bytes, marker: bytes, offset: int = 0) -> bytes:
    """Flip a bit ``offset`` bytes after the first ``marker``."""
    return flipped(data, data.index(marker) + len(marker) + offset)


Change = Callable[[bytes], bytes]

"""Entries and registrations for the ledger's tests: every one valid, every one different."""

import hashlib
from pathlib import Path
from typing import Any

from guard.interfaces import Registration
from guard.ledger.entry import registration_digest
from guard.ledger.sqlite_store import SQLiteLedger
from guard.records import Fingerprints, ImageID
from tests.fakes import FixedClock

SEED = bytes(range(32))
OTHER_SEED = bytes(range(1, 33))
ORIGIN = "example.org/test-ledger"


def open_ledger(path: Path, *, seed: bytes = SEED, origin: str = ORIGIN) -> SQLiteLedger:
    return SQLiteLedger(path, signing_key=seed, origin=origin, clock=FixedClock())


def image_id(number: int) -> ImageID:
    return ImageID(f"{number:016x}")


def registration(
    number: int, *, data: bytes | None = None, pdq: str | None = None, thumbnail: str = ""
) -> Registration:
    content = data if data is not None else f"bytes of image {number}".encode()
    return Registration(
        image_id=image_id(number),
        sha256=hashlib.sha256(content).hexdigest(),
        media_type="image/png",
        manifest=f"manifest {number}".encode(),
        manifest_label=f"urn:c2pa:{number:032x}",
        fingerprints=Fingerprints(
            pdq=pdq or hashlib.sha256(b"pdq%d" % number).hexdigest(), pdq_quality=100, thumbnail=thumbnail
        ),
        tenant="local",
    )


def release(number: int, registered: Registration | None = None) -> dict[str, Any]:
    row = registered or registration(number)
    return {
        "v": 1,
        "kind": "release",
        "at": "2026-11-22T12:00:00.000Z",
        "request_id": f"{number:032x}",
        "tenant": "local",
        "policy": {"id": "default", "digest": "sha256:00"},
        "image_id": row.image_id,
        "operation": "text-to-image",
        "image": {
            "sha256": row.sha256,
            "media_type": row.media_type,
            "width": 64,
            "height": 48,
            "label": "none",
        },
        "manifest": {"sha256": hashlib.sha256(row.manifest).hexdigest(), "label": row.manifest_label},
        "registration_sha256": registration_digest(row),
        "watermark": {"algorithm": "signet.lattice.1", "log10_p": -30.5},
        "model": {
            "model_id": "mini",
            "name": "Mini Model",
            "revision": "1",
            "pipeline": "MiniPipeline",
            "digest": "sha256:11",
            "licence": "Apache-2.0",
        },
        "verdicts": [{"stage": "prompt", "action": "allow", "category": None, "rules": [], "findings": []}],
        "timings_ms": {"generation": 1200},
    }


def refusal(number: int) -> dict[str, Any]:
    return {
        "v": 1,
        "kind": "refusal",
        "at": "2026-11-22T12:00:01.000Z",
        "request_id": f"{number:032x}",
        "tenant": "local",
        "policy": {"id": "default", "digest": "sha256:00"},
        "image_id": None,
        "stage": "prompt",
        "appeal_id": f"{number:016x}",
        "verdict": {
            "stage": "prompt",
            "action": "block",
            "category": "violence",
            "rules": ["violence.block"],
            "findings": [
                {"checker": "prompt.terms", "category": "violence", "score": 0.97, "severity": 6, "hard": False}
            ],
        },
        "model": None,
        "timings_ms": {},
    }


def append_release(ledger: SQLiteLedger, number: int) -> None:
    row = registration(number)
    ledger.append(release(number, row), registration=row)


def fill(path: Path, count: int) -> None:
    """Make a ledger of ``count`` entries; every third one is a refusal."""
    ledger = open_ledger(path)
    for number in range(count):
        if number % 3 == 2:
            ledger.append(refusal(number))
        else:
            append_release(ledger, number)
    ledger.close()

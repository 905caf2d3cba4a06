"""Short ways to make evidence, uploads and originals for tests."""

import numpy as np

from detectors.evidence import Direction, Evidence, Failed, Family, Grade, Observation, Skipped, Technique
from detectors.interfaces import Original
from detectors.policy import FusionPolicy
from detectors.upload import Upload, load_upload
from guard.credentials import CredentialReport, CredentialState
from guard.media import encode
from guard.records import Fingerprints, ImageFormat, ImageID

POLICY = FusionPolicy(
    likely_llr_nats=2.303,
    undetermined_llr_nats=1.0,
    family_caps_nats=dict.fromkeys(Family, 4.605),
)


def evidence(
    grade: Grade = Grade.NEUTRAL,
    direction: Direction = Direction.NONE,
    *,
    id: str = "metadata.some",
    family: Family = Family.METADATA,
    llr: float | None = None,
    generator: str | None = None,
    reason: str = "A reason.",
    observations: tuple[Observation, ...] = (),
) -> Evidence:
    return Evidence(
        id=id,
        version="1",
        family=family,
        technique=Technique.METADATA,
        grade=grade,
        direction=direction,
        reason=reason,
        llr_nats=llr,
        generator=generator,
        observations=observations,
    )


def failed(id: str = "metadata.broken") -> Failed:
    return Failed(id=id, version="1", family=Family.METADATA, technique=Technique.METADATA, reason="no answer")


def skipped(id: str = "statistical.shy") -> Skipped:
    return Skipped(id=id, version="1", family=Family.STATISTICAL, technique=Technique.FORENSIC, reason="too small")


def picture(seed: int = 0, side: int = 256) -> np.ndarray:
    """A textured picture whose perceptual hash is discriminative."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:side, 0:side] / side
    waves = sum(rng.normal() * np.sin(2 * np.pi * (rng.integers(1, 9) * x + rng.integers(1, 9) * y)) for _ in range(12))
    grey = np.clip(128 + 40 * waves, 0, 255)
    return np.repeat(grey[..., None], 3, axis=2).astype(np.uint8)


def upload(pixels: np.ndarray | None = None, *, name: str | None = "upload.png") -> Upload:
    return load_upload(encode(picture() if pixels is None else pixels, ImageFormat.PNG), name=name)


def original(fingerprints: Fingerprints, *, image_id: str = "00112233445566ff", sha256: str = "0" * 64) -> Original:
    return Original(
        image_id=ImageID(image_id),
        sha256=sha256,
        manifest_label="urn:c2pa:original",
        fingerprints=fingerprints,
        credential=CredentialReport(
            state=CredentialState.TRUSTED, ai_origin=True, signer="Our signer", software_agents=("signet-mini 1",)
        ),
    )

"""What is said when an upload is recognised as a copy of a released image; shared by the families that can do so."""

from __future__ import annotations

from detectors.evidence import Direction, Evidence, Grade, Observation
from detectors.interfaces import Detector, Original


def original_observations(original: Original, *, where: str) -> tuple[Observation, ...]:
    """List what the registry knows of an original, most telling first.

    Args:
        original: the registered release.
        where: how it was found, e.g. ``registry, by watermark``.
    """
    credential = original.credential
    rows = [
        ("original image", original.image_id),
        ("original manifest", original.manifest_label),
        ("original signer", credential.signer),
        ("original signed at", credential.signed_at),
        ("original made with", ", ".join(credential.software_agents) or credential.generator),
        ("original source type", ", ".join(uri.rsplit("/", 1)[-1] for uri in credential.source_types)),
        ("original file SHA-256", original.sha256),
    ]
    return tuple(Observation(name=name, value=value, where=where) for name, value in rows if value)


def original_generator(original: Original) -> str | None:
    """Return the model named by the original's manifest, or its claim generator."""
    credential = original.credential
    return credential.software_agents[0] if credential.software_agents else credential.generator


def graded(
    detector: Detector,
    grade: Grade,
    direction: Direction,
    reason: str,
    *,
    generator: str | None = None,
    observations: tuple[Observation, ...] = (),
) -> Evidence:
    """Return uncalibrated evidence under a detector's own id, version, family and technique."""
    return Evidence(
        id=detector.id,
        version=detector.version,
        family=detector.family,
        technique=detector.technique,
        grade=grade,
        direction=direction,
        reason=reason,
        generator=generator,
        observations=observations,
    )

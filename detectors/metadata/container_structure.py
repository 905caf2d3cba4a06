"""Evidence from the container itself: how the file was put together and whether the camera's statements fit it.

Always neutral: structure tells which software wrote the file last, not how the picture came to be. It is shown because
a person can judge it together with the rest.
"""

from __future__ import annotations

from detectors.evidence import Direction, Evidence, Family, Grade, Observation, Skipped, Technique
from detectors.metadata.camera_consistency import compare_camera
from detectors.metadata.fields import EmbeddedFields, Layer
from detectors.metadata.jpeg_history import find_history
from detectors.metadata.jpeg_structure import describe, read_structure
from detectors.metadata.png_structure import describe_png
from detectors.metadata.quantisation import Table
from detectors.metadata.readers.container import read_embedded_fields
from detectors.metadata.readers.webp import walk_riff
from detectors.upload import Upload

_SOCIAL = "FBMD"
"""Facebook and Instagram put a tracking text of this beginning into IPTC Special Instructions. Source: files from both
platforms since November 2014, as described in public analyses."""
_READ = ("image/jpeg", "image/png", "image/webp")


class ContainerStructureDetector:
    """Describes the container: marker or chunk order, tables, encoder and platform traces, camera consistency."""

    id = "metadata.container"
    version = "1"
    family = Family.METADATA
    technique = Technique.METADATA
    time_budget_s = 3.0

    def examine(self, upload: Upload) -> Evidence | Skipped:
        """Return neutral evidence with what was seen, or Skipped for other formats than JPEG, PNG and WebP."""
        if upload.media_type not in _READ:
            return Skipped(
                id=self.id,
                version=self.version,
                family=self.family,
                technique=self.technique,
                reason=f"The structure of {upload.media_type} is not examined.",
            )
        observations = observe_container(upload.data, upload.image.stored_size)
        observations += observe_history(upload)
        return Evidence(
            id=self.id,
            version=self.version,
            family=self.family,
            technique=self.technique,
            grade=Grade.NEUTRAL,
            direction=Direction.NONE,
            reason=_reason(observations),
            observations=tuple(observations),
        )


def observe_container(data: bytes, size: tuple[int, int]) -> list[Observation]:
    """Return what the structure of a JPEG, PNG or WebP file shows.

    Args:
        data: the file.
        size: stored (width, height) in pixels.
    """
    fields = read_embedded_fields(data)
    facts = read_structure(data) if data.startswith(b"\xff\xd8") else None
    if facts is not None:
        lines = describe(facts)
    elif data[:4] == b"RIFF":
        lines = _describe_webp(data)
    else:
        lines = describe_png(data)
    if _passed_social(fields):
        lines.append(Observation(name="platform", value="passed through Facebook or Instagram"))
    return lines + compare_camera(fields, size, facts)


def observe_history(upload: Upload) -> list[Observation]:
    """Return the trace of an earlier JPEG in the pixels, when there is one and the pixels lie as they are stored."""
    orientation = read_embedded_fields(upload.data).get(Layer.EXIF, "Orientation")
    if orientation is not None and orientation.text != "1":
        return []
    if upload.image.decoded is None or upload.image.notes:
        return []
    present: Table | None = None
    if upload.media_type == "image/jpeg":
        facts = read_structure(upload.data)
        present = facts.tables.get(facts.components[0][0]) if facts.components else None
        if present is None:
            return []
    history = find_history(upload.pixels, current=present)
    if history is None:
        return []
    text = f"the pixels were once a JPEG of about quality {history.quality} on the same grid"
    if present is not None:
        text = f"the pixels were once a coarser JPEG (about quality {history.quality}) and were saved again"
    return [Observation(name="earlier JPEG", value=text, where="pixels")]


def _describe_webp(data: bytes) -> list[Observation]:
    """Return chunk order and coding of a WebP file."""
    kinds = [kind if kind.isascii() and kind.isprintable() else "????" for kind, _, _ in walk_riff(data)][:40]
    coding = "lossless" if "VP8L" in kinds else "lossy" if "VP8 " in kinds else "unknown"
    return [
        Observation(name="chunk order", value=" ".join(kind.strip() for kind in kinds)),
        Observation(name="coding", value=coding),
    ]


def _passed_social(fields: EmbeddedFields) -> bool:
    """Return whether the file carries the tracking text of Facebook or Instagram."""
    found = fields.get(Layer.IPTC, "SpecialInstructions")
    return found is not None and found.text.startswith(_SOCIAL)


def _reason(observations: list[Observation]) -> str:
    """Return the one sentence for the verdict."""
    if any(line.name.startswith("camera statements,") for line in observations):
        return "The file was written again after the camera that it names; by itself this says nothing about AI."
    return "The file's structure tells which software wrote it last; it says nothing about how the picture was made."

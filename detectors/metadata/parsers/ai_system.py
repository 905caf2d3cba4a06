"""IPTC Photo Metadata 2025.1: the fields that disclose an AI system, its version and the prompt.

Source: IPTC Photo Metadata Standard 2025.1, "AI System Used", "AI System Version Used", "AI Prompt Information",
"AI Prompt Writer Name".
"""

from __future__ import annotations

from detectors.metadata.fields import EmbeddedFields, Layer
from detectors.metadata.parsers.claim import Claim


def parse_ai_system(fields: EmbeddedFields) -> Claim | None:
    """Return what the IPTC AI fields say, or None when no system is named."""
    system = fields.get(Layer.XMP, "Iptc4xmpExt:AISystemUsed")
    if system is None or not system.text.strip():
        return None
    version = fields.get(Layer.XMP, "Iptc4xmpExt:AISystemVersionUsed")
    prompt = fields.get(Layer.XMP, "Iptc4xmpExt:AIPromptInformation")
    return Claim(
        tool=system.text.strip()[:100],
        where=system.where,
        model=version.text.strip() if version is not None else None,
        prompt=prompt.text.strip() if prompt is not None else None,
    )

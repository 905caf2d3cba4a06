"""Which pictures train, calibrate and test: one JSON line a picture, split by source and by licence.

Each line has ``file``, ``label`` (real or generated), ``source_group``, ``repo``, ``license`` and, for generated
pictures, ``generator``. What a licence field does not allow to train on is still allowed to judge us: those sources
are the calibration and test sets, so that nothing that is reported was ever trained on.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

PERMISSIVE = ("cc0", "mit", "apache", "bsd", "cc-by", "creativeml openrail")
"""Beginnings of licence fields that allow training without a condition on the result (attribution: the card)."""
RESTRICTED = ("-nc", "-sa", "-nd", "non-commercial", "research use", "academic", "scraped", "(code)", "unstated (")
"""Words that take the permission back, or say that it covers something other than the pictures."""
CALIBRATION_SHARE = 2
"""One repository in two of those that do not train goes to calibration, by the digest of its name.

With one in three, eight real sources fixed the thresholds, and a nominal 5 % became 15 % on the others (measured).
"""
ONE_SIDE = {
    "jiny2001/dcscn-super-resolution": "BIDS/BSDS500",
    "jbhuang0604/SelfExSR": "BIDS/BSDS500",
}
"""Repositories that hold the same pictures as another one share its side of the split."""
FAMILIES = ("sd1-2", "sdxl", "dit", "openai", "google", "midjourney", "other")
"""Generator families; a family without training pictures is never named by the model."""
_FAMILY_OF = (
    (("sd-1", "sd-2", "sd-turbo", "novelai"), "sd1-2"),
    (("sdxl", "kolors", "playground"), "sdxl"),
    (("sd-3", "flux", "pixart", "hunyuan", "qwen", "z-image", "sana", "omnigen", "wan-"), "dit"),
    (("dall-e", "gpt-"), "openai"),
    (("gemini", "imagen"), "google"),
    (("midjourney",), "midjourney"),
)


class Part(StrEnum):
    """What a picture may be used for."""

    TRAIN = "train"
    CALIBRATION = "calibration"
    TEST = "test"


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """One labelled file."""

    file: Path
    sha256: str
    generated: bool
    group: str
    repo: str
    generator: str | None
    licence: str
    grid: int

    @property
    def part(self) -> Part:
        """Return what the picture may be used for."""
        if licence_allows(self.licence):
            return Part.TRAIN
        name = ONE_SIDE.get(self.repo, self.repo)
        share = hashlib.sha256(name.encode()).digest()[0] % CALIBRATION_SHARE
        return Part.CALIBRATION if share == 0 else Part.TEST

    @property
    def family(self) -> str | None:
        """Return the generator family, or None for real pictures and unnamed generators."""
        if not self.generator or "unknown" in self.generator or "-or-" in self.generator:
            return None
        for beginnings, family in _FAMILY_OF:
            if self.generator.startswith(beginnings):
                return family
        return "other"


def licence_allows(licence: str) -> bool:
    """Return whether a licence field allows a shipped model to be trained on the pictures."""
    text = licence.lower()
    return text.startswith(PERMISSIVE) and not any(word in text for word in RESTRICTED)


def read_pictures(manifests: Iterable[Path]) -> list[Picture]:
    """Return the pictures of some manifests, each file once, in a fixed order."""
    found: dict[str, Picture] = {}
    for manifest in manifests:
        for line in manifest.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            layout = row.get("layout") or ""
            picture = Picture(
                file=manifest.parent / row["file"],
                sha256=row["sha256"],
                generated=row["label"] == "generated",
                group=row["source_group"],
                repo=row["repo"],
                generator=row.get("generator"),
                licence=row["license"],
                grid=int(layout[0]) if "-grid" in layout else 1,
            )
            found.setdefault(picture.sha256, picture)
    return [found[digest] for digest in sorted(found)]

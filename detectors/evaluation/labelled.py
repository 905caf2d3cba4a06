"""Labelled pictures: a manifest of JSON lines, or a folder ``real/GROUP/...`` and ``generated/GROUP/...``."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from guard.errors import RequestError

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".jfif", ".webp", ".avif", ".tif", ".tiff", ".bmp", ".gif"})
LABELS = ("real", "generated")


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    """One picture with its truth.

    Attributes:
        path: the file.
        generated: the truth.
        group: source (site, camera, data set); the unit by which sets are split and intervals drawn.
        generator: name for the table by generator, or None for real pictures.
    """

    path: Path
    generated: bool
    group: str
    generator: str | None = None


class _Row(BaseModel):
    """One line of a manifest; further keys are allowed and ignored."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    file: str
    label: Literal["real", "generated"]
    source_group: Annotated[str, Field(min_length=1)]
    generator: str | None = None


def read_labelled(path: Path) -> list[Labelled]:
    """Return the pictures of a folder or manifest, in a fixed order.

    Args:
        path: a ``.jsonl`` file whose lines have ``file`` (relative to it), ``label``, ``source_group`` and, for
            generated pictures, ``generator``; or a folder with ``real`` and ``generated`` in it.

    Raises:
        RequestError: not there, a bad line, or one of the two labels is missing.
    """
    found = _from_folder(path) if path.is_dir() else _from_manifest(path)
    for label in LABELS:
        if not any(item.generated == (label == "generated") for item in found):
            raise RequestError(
                f"{path} has no picture labelled {label}.",
                next_step="Give both classes: real/GROUP/*.jpg and generated/GROUP/*.png, or a manifest with both.",
            )
    return found


def _from_manifest(path: Path) -> list[Labelled]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as exc:
        raise RequestError(f"The manifest {path} cannot be read.", next_step="Give a .jsonl file or a folder.") from exc
    found = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = _Row.model_validate(json.loads(line))
        except (ValueError, ValidationError) as exc:
            raise RequestError(
                f"{path}, line {number}: not a row with file, label (real or generated) and source_group.",
                next_step="See docs/detection.md, section on labelled pictures.",
            ) from exc
        found.append(
            Labelled(
                path=path.parent / row.file,
                generated=row.label == "generated",
                group=row.source_group,
                generator=(row.generator or row.source_group) if row.label == "generated" else None,
            )
        )
    return found


def _from_folder(path: Path) -> list[Labelled]:
    found = []
    for label in LABELS:
        top = path / label
        for file in sorted(p for p in top.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file()):
            parts = file.relative_to(top).parts
            group = parts[0] if len(parts) > 1 else label
            generated = label == "generated"
            found.append(Labelled(path=file, generated=generated, group=group, generator=group if generated else None))
    return found

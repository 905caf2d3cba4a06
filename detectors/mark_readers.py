"""Readers of other makers' marks with the operator's weights: one detector each, enabled by a detection policy."""

from __future__ import annotations

from pathlib import Path

from detectors.interfaces import Detector
from detectors.policy import DetectionPolicy
from detectors.pretrained.assembly import detector_id
from detectors.pretrained.catalogue import Entry, Kind
from detectors.pretrained.installed import Installed, find_installed, verify_installed
from detectors.watermark.meta_seal import DEADLINE_S, MetaSealReader
from detectors.watermark.open_marks import OpenMarksDetector
from guard.errors import PolicyError
from guard.watermark.foreign import ForeignMarkReader
from guard.watermark.invisible_watermark import KnownPayload
from guard.watermark.rivagan import RivaGANReader
from guard.watermark.trustmark import TrustMarkReader
from guard.weights import WeightSpec

_STARTING_S = 15.0
"""Beyond its own deadline a reader in a worker needs time for the worker's start."""


def operator_mark_detectors(home: Path, policy: DetectionPolicy) -> list[Detector]:
    """Return the installed readers that a policy lists, each as a detector of its own.

    Args:
        home: of the installation.
        policy: what is enabled, and which messages are looked for.

    Raises:
        WeightsError: a listed reader's file is missing, changed, or no such reader.
        PolicyError: a reader needs messages to look for and the policy gives none, or of another length.
    """
    found: list[Detector] = []
    for one in find_installed(home).values():
        name = detector_id(one)
        if one.kind is Kind.MARK_READER and one.entry is not None and name in policy.detectors:
            verify_installed(one)
            known = tuple(
                KnownPayload.of_binary(mark.writer, f"{int(mark.bits, 16):0{4 * len(mark.bits)}b}")
                for mark in policy.marks
                if mark.detector == name
            )
            reader = _reader(one, one.entry, known)
            found.append(
                OpenMarksDetector(
                    [reader], id=name, version=f"1+{one.digest[:12]}", time_budget_s=DEADLINE_S + _STARTING_S
                )
            )
    return found


def _reader(one: Installed, entry: Entry, known: tuple[KnownPayload, ...]) -> ForeignMarkReader:
    path = one.folder / entry.file
    pinned = one.record.files[entry.file]
    spec = WeightSpec(
        id=entry.id,
        revision=one.record.revision or "-",
        sha256=pinned.sha256,
        size_bytes=pinned.bytes,
        licence=entry.licence,
        source_url=one.record.origin,
    )
    if entry.variant:
        return TrustMarkReader(path, spec, variant=entry.variant)
    _require_messages(entry, known)
    if entry.id == "rivagan":
        return RivaGANReader(path, spec, known=known)
    return MetaSealReader(path, spec, known=known)


def _require_messages(entry: Entry, known: tuple[KnownPayload, ...]) -> None:
    """Raise PolicyError unless messages of the reader's length are listed, and only such."""
    lengths = {len(payload.bits) for payload in known}
    if lengths != {entry.message_bits}:
        raise PolicyError(
            f"watermark.{entry.id} looks for messages of {entry.message_bits} bits; the policy lists "
            f"{', '.join(f'some of {length}' for length in sorted(lengths)) or 'none'}.",
            next_step="List them under `marks` of the detection policy: detector, writer, bits (hex digits).",
        )

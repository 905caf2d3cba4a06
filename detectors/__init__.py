"""Explained verdicts on uploads: provenance, metadata, watermarks, ledger.

::

    from detectors import build_detection_engine, load_upload

    examination = build_detection_engine().judge(load_upload(Path("suspect.jpg").read_bytes()))
    print(examination.verdict.headline)
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_PUBLIC = {
    "DetectionEngine": "detectors.engine",
    "Evidence": "detectors.evidence",
    "Examination": "detectors.engine",
    "Upload": "detectors.upload",
    "Verdict": "detectors.verdict",
    "VerdictLevel": "detectors.verdict",
    "build_detection_engine": "detectors.assembly",
    "load_upload": "detectors.upload",
}

__all__ = sorted(_PUBLIC)


def __getattr__(name: str) -> Any:
    """Import a public name on first use (PEP 562), so that ``import detectors`` stays light."""
    if name in _PUBLIC:
        return getattr(import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module 'detectors' has no attribute {name!r}")

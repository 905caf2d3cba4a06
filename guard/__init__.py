"""Guarded generation: prompt safety, diffusion, image safety, label, watermark, C2PA credential, ledger.

::

    from guard import GenerationRequest, build_gateway, load_settings, released

    gateway = build_gateway(load_settings())
    result = gateway.generate(GenerationRequest(prompt="a red circle above a blue square"))
    for image in released(result):
        Path(f"{image.image_id}.png").write_bytes(image.signed.data)
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_PUBLIC = {
    "Failure": "guard.records",
    "Gateway": "guard.pipeline",
    "GenerationRequest": "guard.records",
    "GuardError": "guard.errors",
    "RecordedImage": "guard.records",
    "Refusal": "guard.records",
    "Settings": "guard.settings",
    "build_gateway": "guard.assembly",
    "load_settings": "guard.settings",
    "released": "guard.pipeline",
}

__all__ = sorted(_PUBLIC)


def __getattr__(name: str) -> Any:
    """Import a public name on first use (PEP 562), so that ``import guard`` stays light."""
    if name in _PUBLIC:
        return getattr(import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module 'guard' has no attribute {name!r}")

"""Guarded generation: prompt safety, diffusion, image safety, label, watermark, C2PA credential, ledger.

Mark and sign the pictures of an existing pipeline, and verify any file::

    from guard import sign, verify

    sign(pipeline("a lighthouse").images[0], model="stabilityai/sd-turbo").save("lighthouse.png")
    print(verify("lighthouse.png").state)

Or let Signet guard the whole generation::

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
    "Signet": "guard.library",
    "build_gateway": "guard.assembly",
    "load_settings": "guard.settings",
    "recover": "guard.library",
    "released": "guard.pipeline",
    "sign": "guard.library",
    "verify": "guard.library",
}

__all__ = sorted(_PUBLIC)


def __getattr__(name: str) -> Any:
    """Import a public name on first use (PEP 562), so that ``import guard`` stays light."""
    if name in _PUBLIC:
        return getattr(import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module 'guard' has no attribute {name!r}")

"""Generation scripts that sign in EXIF: Black Forest Labs' FLUX scripts and forks, and UNO.

FLUX: Software ``AI generated;txt2img;flux``, Make ``Black Forest Labs``, Model, prompt as ImageDescription.
UNO: Make ``UNO``, Model, ImageDescription ``prompt='...', seed=1, width=512, height=512, guidance=4, num_steps=25``.
Source: black-forest-labs/flux src/flux/util.py save_image; handed files of bytedance/UNO (measured).
"""

from __future__ import annotations

import re

from detectors.metadata.fields import EmbeddedFields, Layer
from detectors.metadata.parsers.claim import Claim

_CALL = re.compile(r"prompt=(['\"])(.*)\1, seed=(\d{1,20}), width=(\d{1,6}), height=(\d{1,6})(.*)", re.DOTALL)
_SETTING = re.compile(r"(guidance|num_steps)=([0-9.]{1,12})")
_FAMILIES = {"flux": "FLUX (Black Forest Labs)"}


def parse_exif_scripts(fields: EmbeddedFields) -> Claim | None:
    """Return the record of a generation script in EXIF, or None."""
    software = fields.get(Layer.EXIF, "Software")
    model = fields.get(Layer.EXIF, "Model")
    description = fields.get(Layer.EXIF, "ImageDescription")
    if software is not None and software.text.startswith("AI generated;"):
        parts = software.text[:200].split(";")
        maker = fields.get(Layer.EXIF, "Make")
        family = parts[2].strip() if len(parts) > 2 else ""
        return Claim(
            tool=_FAMILIES.get(family.casefold()) or family or "AI generated",
            where=software.where,
            model=model.text if model is not None else None,
            prompt=description.text if description is not None else None,
            extra=(
                ("operation", parts[1] if len(parts) > 1 else ""),
                *((("maker", maker.text),) if maker is not None else ()),
            ),
        )
    call = _CALL.fullmatch(description.text[:50_000]) if description is not None else None
    if description is None or call is None:
        return None
    maker = fields.get(Layer.EXIF, "Make")
    settings = dict(_SETTING.findall(call[6]))
    return Claim(
        tool="UNO (FLUX)" if maker is not None and maker.text == "UNO" else "diffusion script",
        where=description.where,
        model=model.text if model is not None else None,
        prompt=call[2],
        seed=call[3],
        steps=settings.get("num_steps"),
        cfg=settings.get("guidance"),
        size=f"{call[4]}x{call[5]}",
    )

"""Generators that only leave their name: in fields whose purpose is to name software or credit a service.

Captions and titles are never searched: a photograph *of* a Midjourney exhibition is not made by Midjourney. Credit and
maker fields name people, agencies and factories too, so there only a whole, unmistakable name counts.
``credential_names`` uses the same table on names inside an unverified content credential.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from detectors.metadata.fields import EmbeddedFields, Layer, MetadataField
from detectors.metadata.parsers.claim import Claim

_SOFTWARE_SLOTS = (
    (Layer.EXIF, "Software"),
    (Layer.EXIF, "ProcessingSoftware"),
    (Layer.EXIF, "ImageEditingSoftware"),
    (Layer.XMP, "xmp:CreatorTool"),
    (Layer.XMP, "tiff:Software"),
    (Layer.XMP, "stEvt:softwareAgent"),
    (Layer.IPTC, "OriginatingProgram"),
    (Layer.TEXT_CHUNK, "Software"),
    (Layer.TEXT_CHUNK, "Generator"),
    (Layer.HIDDEN, "Software"),
)
_CREDIT_SLOTS = ((Layer.XMP, "photoshop:Credit"), (Layer.IPTC, "Credit"), (Layer.EXIF, "Make"))
_CREDENTIAL_SLOTS = tuple((Layer.CREDENTIAL, key) for key in ("softwareAgent", "name", "claim_generator"))
_DESCRIPTION_SLOTS = ((Layer.CREDENTIAL, "description"),)

GENERATORS: tuple[tuple[str, str], ...] = (
    (r"made with google ai", "Google AI (Gemini or Imagen)"),
    (r"edited with google ai", "Google AI (edited)"),
    (
        r"(?:google )?(?:imagen|gemini)[ -]\d.*|google (?:imagen|gemini|generative ai)\b.*|nano banana\b.*",
        "Google AI (Gemini or Imagen)",
    ),
    (r"(?:openai[ -]?)?gpt-image.*|gpt-4o.*", "OpenAI gpt-image"),
    (r"chatgpt\b.*|openai-api|openai media service api", "OpenAI (ChatGPT or API)"),
    (r"dall[\u00b7\u2022-]?e\b.*", "DALL-E (OpenAI)"),
    (r"(?:openai )?sora\b.*", "Sora (OpenAI)"),
    (r"adobe firefly\b.*", "Adobe Firefly"),
    (r"bing image creator\b.*|microsoft (?:designer|copilot|responsible ai)\b.*", "Microsoft (Designer or Copilot)"),
    (r"midjourney\b.*", "Midjourney"),
    (r"apple image playground\b.*|image playground", "Apple Image Playground"),
    (r"imagined with (?:meta )?ai|(?:made|edited) with meta ai|meta ai\b.*", "Meta AI"),
    (r"stable ?diffusion\b.*|stability\.?ai\b.*|dreamstudio\b.*|stable image\b.*", "Stable Diffusion (Stability AI)"),
    (r"black forest labs\b.*|flux\.[12]\b.*|flux[ -](?:dev|schnell|pro)\b.*", "FLUX (Black Forest Labs)"),
    (r"comfyui\b.*", "ComfyUI"),
    (r"invoke ?ai\b.*", "InvokeAI"),
    (r"ruinedfooocus\b.*", "RuinedFooocus"),
    (r"fooocus\b.*", "Fooocus"),
    (r"novelai\b.*", "NovelAI"),
    (r"swarmui\b.*|stableswarmui\b.*", "SwarmUI"),
    (r"sd\.next\b.*", "SD.Next"),
    (r"draw things\b.*", "Draw Things"),
    (r"easy diffusion\b.*", "Easy Diffusion"),
    (r"mochi diffusion\b.*", "Mochi Diffusion"),
    (r"diffusionbee\b.*", "DiffusionBee"),
    (r"ideogram(?:\.ai)?(?: .*)?", "Ideogram"),
    (r"leonardo\.?ai\b.*", "Leonardo.Ai"),
    (r"recraft(?:\.ai)?\b.*", "Recraft"),
    (r"krea(?:\.ai| ai)\b.*", "Krea"),
    (r"civitai\b.*", "Civitai"),
    (r"tensor\.?art\b.*", "Tensor.Art"),
    (r"playground ?ai\b.*", "Playground AI"),
    (r"nightcafe\b.*", "NightCafe"),
    (r"seedream\b.*|jimeng\b.*|dreamina\b.*|doubao\b.*", "ByteDance (Seedream or Jimeng)"),
    (r"qwen[ -]?image\b.*|tongyi wanxiang\b.*", "Alibaba (Qwen-Image or Wan)"),
    (r"hunyuan(?:image|dit)?\b.*", "Tencent Hunyuan"),
    (r"kling ai\b.*", "Kling AI"),
    (r"signet[- ]mini\b.*", "Signet mini"),
)
"""Whole-value patterns, letter case ignored -> generator. Source: the vendors' files and their published claim
generator names, underscores read as spaces; anchored at both ends so that longer captions never match by accident.
Google's C2PA library is not listed: Pixel cameras sign photographs with the same name."""
CREDITS: tuple[tuple[str, str], ...] = (
    (r"(?:made|edited|created|generated|imagined) (?:with|using) (\S+(?: ai| [\d.]+)?)", ""),
    (r"dall[\u00b7\u2022-]?e(?: [23])?", "DALL-E (OpenAI)"),
    (r"(?:openai )?gpt-image(?:[ -][\d.]+)?|openai sora|chatgpt", "OpenAI"),
    (r"adobe firefly", "Adobe Firefly"),
    (r"bing image creator|microsoft designer", "Microsoft (Designer or Copilot)"),
    (r"midjourney(?: v?\d[\d.]*)?", "Midjourney"),
    (r"apple image playground", "Apple Image Playground"),
    (r"stable ?diffusion(?: (?:xl|v?\d[\d.]*))?|stability ?ai", "Stable Diffusion (Stability AI)"),
    (r"black forest labs|flux\.[12](?:[ -](?:dev|schnell|pro))?", "FLUX (Black Forest Labs)"),
    (r"novelai", "NovelAI"),
    (r"leonardo\.ai", "Leonardo.Ai"),
    (r"ideogram\.ai|ideogram ai", "Ideogram"),
)
"""Whole credits and makers. Names that people, places and companies also have (Sora, Gemini, Imagen, Recraft, Ideogram,
Hunyuan ...) are missing: "Sora Tanaka" is a photographer. The first row stands for a name of GENERATORS after
a verb."""
_COMPILED = tuple((re.compile(pattern, re.IGNORECASE), name) for pattern, name in GENERATORS)
_COMPILED_CREDITS = tuple((re.compile(pattern, re.IGNORECASE), name) for pattern, name in CREDITS)
MAX_NAME = 200
"""Characters of a software name examined; the longest of 1,230 handed photos has 58."""


def generator_name(text: str) -> str | None:
    """Return the generator that a software name stands for, or None."""
    name = text.strip()[:MAX_NAME].replace("_", " ")
    return next((tool for pattern, tool in _COMPILED if pattern.fullmatch(name)), None)


def credited_name(text: str) -> str | None:
    """Return the generator that a whole credit or maker field names beyond doubt, or None."""
    name = text.strip()[:MAX_NAME].replace("_", " ")
    for pattern, tool in _COMPILED_CREDITS:
        match = pattern.fullmatch(name)
        if match is not None:
            return tool or generator_name(name) or generator_name(match[1])
    return None


def described_name(text: str) -> str | None:
    """Return the generator that the description of an action names in the one sentence that Google writes, or None."""
    return "Google AI (Gemini or Imagen)" if text.strip().rstrip(".") == "Created by Google Generative AI" else None


def parse_named_software(fields: EmbeddedFields) -> Claim | None:
    """Return the first generator named in a software field, else in a credit or maker field, or None."""
    return _first(fields.select(_SOFTWARE_SLOTS)) or _first(fields.select(_CREDIT_SLOTS), credited_name)


def parse_credential_names(fields: EmbeddedFields) -> Claim | None:
    """Return the first generator named inside a content credential, whose signature is not checked here, or None."""
    return _first(fields.select(_CREDENTIAL_SLOTS)) or _first(fields.select(_DESCRIPTION_SLOTS), described_name)


def _first(candidates: list[MetadataField], name_in: Callable[[str], str | None] = generator_name) -> Claim | None:
    """Return the claim of the first text in which ``name_in`` sees a generator, or None."""
    for found in candidates:
        tool = name_in(found.text)
        if tool is not None:
            return Claim(tool=tool, where=found.where, extra=(("as written", found.text.strip()[:MAX_NAME]),))
    return None

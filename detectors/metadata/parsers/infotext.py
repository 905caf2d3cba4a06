"""Infotext: the ``parameters`` text of AUTOMATIC1111 and of the many tools that write the same form.

Grammar: prompt lines; optionally a line ``Negative prompt: ...`` and its continuation; last a settings line
``Key: value, Key: value`` where a value may be a JSON string, object or array that itself holds commas.
Found in PNG text, EXIF UserComment (JPEG, WebP, AVIF), JPEG and GIF comments, and pixels (stealth).
Source: AUTOMATIC1111 stable-diffusion-webui modules/infotext_utils.py (grammar only); Forge, SD.Next, Civitai and
stable-diffusion.cpp write their names into ``Version``, ``App`` or ``Civitai resources``.
"""

from __future__ import annotations

import re
from itertools import islice

from detectors.metadata.fields import EmbeddedFields, Layer, MetadataField
from detectors.metadata.json_values import MAX_EXTRA, as_list, as_object, first_text, parse_json
from detectors.metadata.parsers.claim import Claim

MAX_INFOTEXT = 200_000
"""Characters examined: prompts with regional syntax reach about 20,000."""
MAX_SETTINGS = 400
"""Settings per line, stray commas included: a WebUI with every extension on writes about 100."""

SLOTS = (
    (Layer.TEXT_CHUNK, "parameters"),
    (Layer.HIDDEN, "parameters"),
    (Layer.EXIF, "UserComment"),
    (Layer.XMP, "exif:UserComment"),
    (Layer.COMMENT, "Comment"),
    (Layer.TEXT_CHUNK, "Comment"),
    (Layer.TEXT_CHUNK, "UserComment"),
    (Layer.EXIF, "ImageDescription"),
    (Layer.XMP, "dc:description"),
    (Layer.EXIF, "XPComment"),
)
ORIGINATOR = "AUTOMATIC1111 Stable Diffusion WebUI"
"""Who made the form, named when the text names nobody."""
MAX_ANCHORS = 8
"""Places tried as the beginning of the settings."""
_STEPS = re.compile(r"(?:\n|(?<![A-Za-z]))Steps: \d{1,6}(?=,|\s|$)")
_NEGATIVE = re.compile(r"(?:^|\n|(?<=\s))Negative prompt:[ ]?")
_KEY = re.compile(r"\s*([A-Za-z0-9][\w \-/.+]{0,60}):[ ]?")
_CLOSERS = {"{": "}", "[": "]"}
_OPENERS = ('"', "{", "[")
_TOKENS = re.compile(r'\\.|["{}\[\]]', re.DOTALL)
_PLAIN_END = re.compile(r"[,\n]")
_CORE = frozenset({"Sampler", "Seed", "CFG scale", "Size", "Model", "Model hash", "Version"})
_TAKEN = frozenset({"Steps", "Sampler", "Seed", "CFG scale", "Guidance Scale", "Size", "Model"})


def parse_infotext(fields: EmbeddedFields) -> Claim | None:
    """Return the claim of the first text in infotext form, or None."""
    for found in fields.select(SLOTS):
        claim = read_infotext(found)
        if claim is not None:
            return claim
    return None


def read_infotext(found: MetadataField) -> Claim | None:
    """Return what an infotext says, or None when the text has not that form.

    A settings line counts when it has ``Steps`` and at least two of the settings every such tool writes, so that a
    caption that happens to say "Steps: 3" is not one.
    """
    if found.record is not None:
        return None  # a record of its own that may quote an infotext
    text = found.text[:MAX_INFOTEXT]
    start, settings = _settings_line(text)
    if not settings:
        return None
    prompt, negative = _split_prompts(text[:start])
    resources = [as_object(item) for item in as_list(parse_json(settings.get("Civitai resources", "")))]
    checkpoint = next((item for item in resources if item.get("type") == "checkpoint"), {})
    model = settings.get("Model") or settings.get("Unet") or first_text(checkpoint, "modelName")
    extra = tuple((key, value) for key, value in settings.items() if key not in _TAKEN)[:MAX_EXTRA]
    tool = _tool(settings)
    if tool is None:
        extra = (("tool", "not named; other tools write the same form"), *extra)
    return Claim(
        tool=tool or ORIGINATOR,
        where=found.where,
        model=model,
        prompt=prompt or None,
        negative_prompt=negative or None,
        seed=settings.get("Seed"),
        steps=settings.get("Steps"),
        sampler=settings.get("Sampler"),
        cfg=settings.get("CFG scale") or settings.get("Guidance Scale"),
        size=settings.get("Size"),
        extra=extra,
    )


def _settings_line(text: str) -> tuple[int, dict[str, str]]:
    """Return where the settings begin and what they are; (0, {}) without a line that counts.

    The last line that begins with ``Steps`` is tried first, then the places inside a line from the left, for texts
    whose line breaks were lost; so "Hires Steps: 5" never cuts a line in two.
    """
    anchors = list(islice(_STEPS.finditer(text), MAX_ANCHORS))
    lines = [anchor for anchor in anchors if anchor.start() == 0 or text[anchor.start()] == "\n"]
    inner = [anchor for anchor in anchors if anchor not in lines]
    for anchor in (*reversed(lines), *inner):
        settings = split_settings(text[anchor.start() :])
        if len(_CORE & settings.keys()) >= 2:
            return anchor.start(), settings
    return 0, {}


def _split_prompts(head: str) -> tuple[str, str]:
    """Return (prompt, negative prompt) of the text before the settings line."""
    match = _NEGATIVE.search(head)
    if match is None:
        return head.strip(), ""
    return head[: match.start()].strip(), head[match.end() :].strip()


def split_settings(line: str) -> dict[str, str]:
    """Return the settings of ``Key: value, Key: "quoted, value", Key: {...}``; the first of equal keys wins.

    Linear in the text: once a quote or bracket has not closed, no later value may hold commas either.
    """
    settings: dict[str, str] = {}
    at, nesting = 0, True
    for _ in range(MAX_SETTINGS):
        match = _KEY.match(line, at)
        if match is None:
            comma = line.find(",", at)
            if comma < 0:
                break
            at = comma + 1
            continue
        end = _nested_end(line, match.end()) if nesting and line[match.end() : match.end() + 1] in _OPENERS else None
        if end is None:
            nesting = nesting and line[match.end() : match.end() + 1] not in _OPENERS
            plain = _PLAIN_END.search(line, match.end())
            end = plain.start() if plain else len(line)
        settings.setdefault(match[1].strip(), line[match.end() : end].strip().strip('"'))
        at = end + 1
        if at > len(line):
            break
    return settings


def _nested_end(line: str, start: int) -> int | None:
    """Return where a value that opens with a quote or bracket ends: its closing one, or None when it never closes."""
    waiting: list[str] = []
    quoted = False
    for token in _TOKENS.finditer(line, start):
        char = token.group()
        if quoted:
            quoted = char != '"'
        elif char == '"':
            quoted = True
        elif char in _CLOSERS:
            waiting.append(_CLOSERS[char])
        elif waiting and char == waiting[-1]:
            waiting.pop()
        if not quoted and not waiting:
            return token.end()
    return None


def _tool(settings: dict[str, str]) -> str | None:
    """Return the tool that the settings name, or None."""
    version, app = settings.get("Version", ""), settings.get("App", "")
    lowered = f"{app} {version}".casefold()
    if "sd.next" in lowered or "vlad" in lowered:
        return "SD.Next"
    if "stable-diffusion.cpp" in lowered or "sd.cpp" in lowered:
        return "stable-diffusion.cpp"
    for mark, tool in _NAMED.items():
        if mark in lowered:
            return tool
    if re.match(r"f\d", version):
        return "Stable Diffusion WebUI Forge"
    if version == "neo":
        return "Stable Diffusion WebUI Forge Neo"
    if "Guidance Scale" in settings and "Seed Mode" in settings:
        return "Draw Things"
    if "Civitai resources" in settings or "Civitai metadata" in settings:
        return "Civitai"
    return ORIGINATOR if re.match(r"v?\d+\.\d+", version) else None


_NAMED = {
    "comfyui": "ComfyUI",
    "ruinedfooocus": "RuinedFooocus",
    "fooocus": "Fooocus",
    "forge": "Stable Diffusion WebUI Forge",
    "easy diffusion": "Easy Diffusion",
    "invokeai": "InvokeAI",
    "tensorart": "Tensor.Art",
    "draw things": "Draw Things",
}
"""Names that tools put into ``Version`` or ``App``. Source: their own writers, format only."""

"""The built-in trace parsers in the order in which their claims are weighed: a full record before a bare name."""

from __future__ import annotations

from detectors.metadata.parsers.ai_system import parse_ai_system
from detectors.metadata.parsers.claim import TraceParser
from detectors.metadata.parsers.comfyui import parse_comfyui
from detectors.metadata.parsers.draw_things import parse_draw_things
from detectors.metadata.parsers.easy_diffusion import parse_easy_diffusion
from detectors.metadata.parsers.exif_scripts import parse_exif_scripts
from detectors.metadata.parsers.fooocus import parse_fooocus
from detectors.metadata.parsers.grok import parse_grok
from detectors.metadata.parsers.infotext import parse_infotext
from detectors.metadata.parsers.invokeai import parse_invokeai
from detectors.metadata.parsers.midjourney import parse_midjourney
from detectors.metadata.parsers.mochi import parse_mochi
from detectors.metadata.parsers.named_software import parse_credential_names, parse_named_software
from detectors.metadata.parsers.novelai import parse_novelai
from detectors.metadata.parsers.openai import parse_openai_labs
from detectors.metadata.parsers.swarmui import parse_swarmui

DEFAULT_PARSERS: tuple[TraceParser, ...] = (
    parse_comfyui,
    parse_invokeai,
    parse_fooocus,
    parse_novelai,
    parse_swarmui,
    parse_draw_things,
    parse_easy_diffusion,
    parse_mochi,
    parse_infotext,
    parse_midjourney,
    parse_openai_labs,
    parse_exif_scripts,
    parse_grok,
    parse_ai_system,
    parse_named_software,
    parse_credential_names,
)

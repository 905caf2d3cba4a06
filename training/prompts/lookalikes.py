"""Harmless texts full of words that look risky: idioms, professions, history, care, sport, food, animals, protest.

Written for this project because every public source lacks them and filters over-refuse exactly here (XSTest, OVERT:
docs/safety.md). Templates with ``{slots}`` expand to all combinations, then a seeded sample takes part in training.
No text of the test files is in here; kinds of harmlessness follow XSTest (Roettger et al. 2024, table 1).
"""

from __future__ import annotations

import itertools
import random
import re
from pathlib import Path

TEMPLATES = Path(__file__).with_name("lookalikes.txt")
_SLOT = re.compile(r"\{(\w+)\}")


def read_templates() -> tuple[dict[str, list[str]], list[str]]:
    """Return (slots, templates) of ``lookalikes.txt``."""
    return read_slots(TEMPLATES)


def read_slots(path: Path) -> tuple[dict[str, list[str]], list[str]]:
    """Return (slots, templates) of a file: ``@name = a | b`` lines, comments, templates."""
    slots: dict[str, list[str]] = {}
    templates = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("@"):
            name, _, values = line[1:].partition("=")
            slots[name.strip()] = [value.strip() for value in values.split("|")]
        elif line and not line.startswith("#"):
            templates.append(line)
    return slots, templates


def fill(template: str, values: dict[str, str]) -> str:
    """Return a template with one value for each slot."""
    return _SLOT.sub(lambda match: values[match[1]], template)


def expand(template: str, slots: dict[str, list[str]]) -> list[str]:
    """Return all texts of a template; slots may hold slots."""
    names = _SLOT.findall(template)
    if not names:
        return [template]
    found = []
    for values in itertools.product(*(slots[name] for name in names)):
        parts = iter(values)
        found += expand(_SLOT.sub(lambda _, parts=parts: next(parts), template), slots)  # type: ignore[misc]
    return found


def lookalikes(*, seed: int, per_template: int = 16) -> dict[str, list[str]]:
    """Return seeded samples of the templates of odd and of even rank, so that one half can be held out.

    Each template gives up to ``per_template`` texts (those with the campaign slot more), styles mixed in.
    """
    rng = random.Random(seed)
    slots, templates = read_templates()
    found: dict[str, set[str]] = {"one": set(), "two": set()}
    for rank, template in enumerate(templates):
        texts = expand(template, slots)
        side = "one" if rank % 2 else "two"
        for text in rng.sample(texts, min(len(texts), per_template * (12 if template == "{campaign}" else 1))):
            for style in rng.sample(slots["style"], 3):
                found[side].add(f"{text}, {style}" if style else text)
    return {side: sorted(texts) for side, texts in found.items()}

"""The labelled prompts, their weights, and the split by source.

A row is one JSON line with ``text``, ``label`` (1 = violating), ``categories``, ``source``, ``source_license`` and
``language``. Rows derived from another source (``derived_from``) always stay on the same side of a split as it.
"""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

CATEGORIES = (
    "sexual",
    "violence_gore",
    "hate",
    "harassment",
    "self_harm",
    "illegal_activity",
    "extremism",
    "fraud_forgery",
    "political_deception",
    "likeness",
    "shocking",
)
"""Heads of the model, in order; ``sexual_minors`` is never learnt (hard rules), ``trademark_style`` has no data."""
_RENAMED = {"likeness_real_person": "likeness", "fraud_impersonation": "fraud_forgery"}

FOLDS: dict[str, frozenset[str]] = {
    "one": frozenset(
        {"t2vsafetybench", "i2p", "strongreject", "harmbench", "hatecheck", "imagereward_refl", "geneval"}
        | {
            "flow_grpo_ocr",
            "t2i_compbench",
            "hrs_bench",
            "gpt4o_cases",
            "flickr8k_arabic",
            "own_lookalikes_one",
            "own_contrasts_one",
        }
    ),
    "two": frozenset(
        {"adversarial_nibbler", "vidprom_toxic", "safree_t2v_safesora", "t2isafety_toxic_subset", "advbench"}
        | {"malicious_instruct", "dancegrpo_video_prompts", "artist_prompts", "nano_banana_prompts", "coco_30k"}
        | {"gpt4o_image_prompts", "own_templates", "own_lookalikes_two", "own_contrasts_two"}
    ),
}
"""Sources that are held out together; the other sources are always trained on."""
TEXT_TO_IMAGE_RISKY = frozenset(
    {"t2vsafetybench", "t2isafety_toxic_subset", "adversarial_nibbler", "vidprom_toxic", "i2p", "safree_t2v_safesora"}
)
"""Violating prompts that people wrote for image or video models, used for the reported figures."""
NATURAL_BENIGN = frozenset(
    {"imagereward_refl", "dancegrpo_video_prompts", "artist_prompts", "t2i_compbench", "geneval", "coco_30k"}
    | {"gpt4o_cases", "gpt4o_image_prompts", "nano_banana_prompts", "hrs_bench"}
)
"""Harmless prompts and captions, used for the reported figures."""
TEXT_LABELLED = frozenset({"t2isafety_toxic_subset", "vidprom_toxic", "safree_t2v_safesora"})
"""Violating prompts labelled from their own text, by people or text classifiers; the others of TEXT_TO_IMAGE_RISKY are
labelled from pictures, or as whole collections, and many are harmless as text."""
UNREAD = frozenset({"imagereward_refl", "dancegrpo_video_prompts"})
"""Harmless sources that are users' prompts after a word list took some out; nobody read the rest."""
JOINED_WEIGHT = 0.7
"""Weight of joined texts, which also tells them apart from all others."""
MADE_WEIGHT = 0.6
"""Weight of token soups and telegraphic texts, which also tells them apart from all others."""
OWN_WEIGHT = 2.5
"""Weight of the project's own look-alikes and contrasts: few rows, and over-refusal is what they are to prevent."""
NON_COMMERCIAL = frozenset({"alpaca_harmless", "vidprom_toxic", "safree_t2v_safesora"})
"""Sources whose licence forbids commercial use (CC-BY-NC-4.0 upstream)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One labelled text."""

    text: str
    label: int
    categories: tuple[str, ...]
    source: str
    licence: str
    language: str
    adversarial: bool
    weight: float
    pair: int | None
    domain: str = "image"
    noisy: bool = False

    @property
    def headed(self) -> tuple[int, ...]:
        """Return the indices of the model's heads that apply."""
        return tuple(CATEGORIES.index(c) for c in self.categories if c in CATEGORIES)


def row_weight(raw: dict[str, object]) -> float:
    """Return how much a row counts: noisy labels count less.

    Source: the label notes of each source; the factors were chosen once, not tuned.
    """
    weight = 1.0
    if raw.get("label_quality") == "weak":
        weight *= 0.5
    if raw.get("domain") in ("llm", "text"):
        weight *= 0.5
    return weight


def read_rows(path: Path) -> list[Row]:
    """Read all rows of a gzipped JSON-lines file."""
    rows = []
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            raw = json.loads(line)
            rows.append(
                Row(
                    text=raw["text"],
                    label=int(raw["label"]),
                    categories=tuple(_RENAMED.get(c, c) for c in raw["categories"]),
                    source=raw.get("derived_from") or raw["source"],
                    licence=raw["source_license"],
                    language=raw["language"],
                    adversarial=bool(raw.get("adversarial")),
                    weight=row_weight(raw),
                    pair=raw.get("pair"),
                    domain=raw.get("domain") or "image",
                    noisy=str(raw.get("noise", "")).startswith(("unlabelled", "image-derived")),
                )
            )
    return rows


def capped(rows: Sequence[Row], *, cap: int, seed: int) -> list[Row]:
    """Return a sample: at most ``cap`` rows of each source and label, and five times as many pairs of one source.

    Violating text-to-image prompts are all kept: they are few, and what the model is for.
    """
    rng = random.Random(seed)
    kept = []
    for source, group in sorted(_by_source(rows).items()):
        pairs = sorted({row.pair for row in group if row.pair is not None})
        chosen = set(pairs if len(pairs) <= 5 * cap else rng.sample(pairs, 5 * cap))
        kept += [row for row in group if row.pair in chosen]
        for label in (0, 1):
            plain = [row for row in group if row.label == label and row.pair is None]
            whole = len(plain) <= cap or (label == 1 and source in TEXT_TO_IMAGE_RISKY)
            kept += plain if whole else rng.sample(plain, cap)
    return kept


def _by_source(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """Return the rows of each source."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row.source, []).append(row)
    return found


def held_out(rows: Sequence[Row], fold: str) -> list[bool]:
    """Return for each row whether the fold holds it out."""
    return [row.source in FOLDS[fold] for row in rows]

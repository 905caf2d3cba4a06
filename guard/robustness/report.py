"""From outcomes to a report: rates at the proven bound with 95 % intervals, worst class beside the mean, quality, time.

Pure: outcomes in, a JSON-ready mapping out. ``report_html.py`` renders it, ``envelope.py`` signs it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Final

import numpy as np

from guard.errors import RequestError
from guard.robustness.attack import Attack
from guard.robustness.measure import MAX_LOG10_FALSE_ACCEPT, Outcome, PictureOutcome

REPORT_VERSION: Final = 1
_Z95: Final = 1.959964
_SMALL_SIDE, _LARGE_SIDE = 512, 1024
_LEAST_CLASS: Final = 5
"""Classes with fewer pictures are shown but not named as the worst: one picture would be 20 % or more."""


def wilson(hits: int, trials: int) -> tuple[float, float]:
    """Return the 95 % Wilson score interval of a rate; (0, 1) without trials.

    Source: Wilson 1927; recommended for small samples by Brown, Cai and DasGupta 2001.
    """
    if trials == 0:
        return 0.0, 1.0
    rate, square = hits / trials, _Z95**2
    middle = (rate + square / (2 * trials)) / (1 + square / trials)
    half = _Z95 * np.sqrt(rate * (1 - rate) / trials + square / (4 * trials**2)) / (1 + square / trials)
    low = 0.0 if hits == 0 else max(0.0, float(middle - half))
    return low, 1.0 if hits == trials else min(1.0, float(middle + half))


def size_class(width: int, height: int) -> str:
    """Return the class of a picture's shorter side: ``below 512``, ``512 to 1023`` or ``1024 and more`` px."""
    side = min(width, height)
    if side < _SMALL_SIDE:
        return f"below {_SMALL_SIDE} px"
    return f"{_SMALL_SIDE} to {_LARGE_SIDE - 1} px" if side < _LARGE_SIDE else f"{_LARGE_SIDE} px and more"


def build_report(
    pictures: Sequence[PictureOutcome], attacks: Sequence[Attack], *, codec: str, version: str, made_at: datetime
) -> dict[str, Any]:
    """Return the whole report.

    Args:
        pictures: what was measured, at least one.
        attacks: the catalogue they were measured with, in the order of the report.
        codec: algorithm id.
        version: of Signet.
        made_at: timezone-aware.

    Raises:
        RequestError: nothing was measured.
    """
    if not pictures:
        raise RequestError("There are no results to report.", next_step="Run `signet robustness run` first.")
    by_attack = {
        attack.id: [(p, o) for p in pictures for o in p.outcomes if o.attack == attack.id] for attack in attacks
    }
    return {
        "version": REPORT_VERSION,
        "codec": codec,
        "signet": version,
        "made_at": made_at.isoformat(timespec="seconds"),
        "log10_false_accept": MAX_LOG10_FALSE_ACCEPT,
        "protocol": "A cell counts pictures whose 64-bit id was read exactly and accepted at the proven bound; "
        "95 % Wilson intervals; thresholds are part of the codec and were fixed before the run. Bit accuracy counts "
        "half of the bits of an unread picture as right: the codec gives out no bits that it does not vouch for.",
        "pictures": {
            source: sum(p.source == source for p in pictures) for source in _names(pictures, lambda p: p.source)
        },
        "quality": _groups(pictures, lambda p: p.source, _quality),
        "quality_by_content": _groups(pictures, lambda p: p.content, _quality),
        "quality_by_size": _groups(pictures, lambda p: size_class(p.width, p.height), _quality),
        "seconds": _seconds(pictures),
        "wrong_ids": sum(o.wrong for p in pictures for o in p.outcomes),
        "attacks": [_row(attack, by_attack[attack.id]) for attack in attacks if by_attack[attack.id]],
    }


def unmet(report: dict[str, Any]) -> list[str]:
    """Return the attacks whose overall rate is below what is required."""
    return [
        row["id"] for row in report["attacks"] if row["required"] is not None and row["all"]["rate"] < row["required"]
    ]


def class_names(report: dict[str, Any]) -> list[str]:
    """Return the names of the content and size classes that a report has pictures of."""
    return [*report["quality_by_content"], *report["quality_by_size"]]


def class_rates(row: dict[str, Any], names: Sequence[str]) -> list[str]:
    """Return the rates of one attack by content and size class as text, empty without pictures."""
    cells = {**row["by"]["content"], **row["by"]["size"]}
    return [f"{cells[name]['rate']:.1%}" if name in cells else "" for name in names]


def _row(attack: Attack, entries: list[tuple[PictureOutcome, Outcome]]) -> dict[str, Any]:
    """Return one attack's line of the report."""
    cells = {
        "source": _rates(entries, lambda p: p.source),
        "content": _rates(entries, lambda p: p.content),
        "size": _rates(entries, lambda p: size_class(p.width, p.height)),
    }
    classes = [
        (cell["rate"], f"{kind}: {name}")
        for kind, group in cells.items()
        for name, cell in group.items()
        if cell["pictures"] >= _LEAST_CLASS
    ]
    worst = min(classes, default=None)
    return {
        "id": attack.id,
        "family": attack.family.value,
        "curve": attack.curve,
        "strength": attack.strength,
        "required": attack.required,
        "all": _cell([outcome for _, outcome in entries]),
        "bit_accuracy": round(float(np.mean([outcome.bit_accuracy for _, outcome in entries])), 4),
        "worst": None if worst is None else {"class": worst[1], "rate": worst[0]},
        "by": cells,
        "median_log10_p": round(float(np.median([outcome.log10_p for _, outcome in entries])), 1),
    }


def _cell(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Return count, rate and interval."""
    hits = sum(outcome.exact for outcome in outcomes)
    low, high = wilson(hits, len(outcomes))
    return {
        "pictures": len(outcomes),
        "exact": hits,
        "rate": round(hits / len(outcomes), 4),
        "low": round(low, 4),
        "high": round(high, 4),
    }


def _rates(
    entries: Sequence[tuple[PictureOutcome, Outcome]], key: Callable[[PictureOutcome], str]
) -> dict[str, dict[str, Any]]:
    """Return a cell for each class."""
    names = sorted({key(picture) for picture, _ in entries})
    return {name: _cell([outcome for picture, outcome in entries if key(picture) == name]) for name in names}


def _names(pictures: Sequence[PictureOutcome], key: Callable[[PictureOutcome], str]) -> list[str]:
    return sorted({key(picture) for picture in pictures})


def _groups(
    pictures: Sequence[PictureOutcome],
    key: Callable[[PictureOutcome], str],
    figure: Callable[[Sequence[PictureOutcome]], dict[str, Any]],
) -> dict[str, dict[str, Any]]:
    """Return a figure for each class."""
    return {name: figure([p for p in pictures if key(p) == name]) for name in _names(pictures, key)}


def _quality(pictures: Sequence[PictureOutcome]) -> dict[str, Any]:
    """Return mean and worst of every quality figure."""
    rows: dict[str, Any] = {"pictures": len(pictures)}
    for name, worst in (("psnr_db", min), ("ssim", min), ("delta_e", max), ("delta_e_p99", max), ("delta_e_flat", max)):
        values = [getattr(p.quality, name) for p in pictures]
        rows[name] = {"mean": round(float(np.mean(values)), 4), "worst": round(worst(values), 4)}
    return rows


def _seconds(pictures: Sequence[PictureOutcome]) -> dict[str, float]:
    """Return median processor seconds."""
    detect = [o.detect_s for p in pictures for o in p.outcomes]
    return {
        "embed_median": round(float(np.median([p.embed_s for p in pictures])), 4),
        "detect_median": round(float(np.median(detect)), 4),
        "detect_p95": round(float(np.percentile(detect, 95)), 4),
    }

"""Labelled prompts from JSON Lines (plain or gzip), whatever set they come from.

A row needs ``text`` (or ``prompt``) and ``label``: 1, true, "violating", "unsafe" or 0, false, "harmless", "safe",
"benign". Optional: ``language`` ("en" when absent), ``source`` (the file's stem when absent), ``attack`` (name of the
attack that made the text; ``adversarial: true`` counts as one), ``look_alike`` (harmless, but built to look risky).
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from guard.errors import RequestError

MAX_ROWS = 2_000_000
"""More than any public set of prompts holds; a wrong file ends here, not in memory."""
_VIOLATING = frozenset({"1", "true", "violating", "unsafe", "harmful", "toxic"})
_HARMLESS = frozenset({"0", "false", "harmless", "safe", "benign", "natural"})


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledPrompt:
    """One row.

    Attributes:
        text: the prompt.
        violating: its label.
        language: code, "en" where the file says nothing.
        source: name of the set; rows of one source are compared with one another.
        attack: name of the attack, or empty.
        look_alike: harmless on purpose in risky words; never part of the natural harmless prompts.
    """

    text: str
    violating: bool
    language: str
    source: str
    attack: str
    look_alike: bool


def read_labelled(paths: Sequence[Path], *, look_alikes: Collection[str] = ()) -> list[LabelledPrompt]:
    """Read all rows of some files.

    Args:
        paths: JSON Lines files, ``.gz`` or plain.
        look_alikes: names of sources whose harmless rows are look-alikes, besides rows that say so themselves.

    Raises:
        RequestError: a file cannot be read, a line is no labelled prompt, or there is no row.
    """
    rows = [row for path in paths for row in _read_file(path, look_alikes)]
    if not rows:
        raise RequestError("The files hold no labelled prompt.", next_step="See `signet evaluate safety --help`.")
    return rows


def _read_file(path: Path, look_alikes: Collection[str]) -> Iterator[LabelledPrompt]:
    """Yield the rows of one file."""
    try:
        with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, start=1):
                if number > MAX_ROWS:
                    raise RequestError(f"{path} has more than {MAX_ROWS} lines.")
                if line.strip():
                    yield _row(line, path, number, look_alikes)
    except (OSError, UnicodeDecodeError, EOFError) as exc:
        raise RequestError(f"{path} cannot be read as JSON Lines: {exc}.") from exc


def _row(line: str, path: Path, number: int, look_alikes: Collection[str]) -> LabelledPrompt:
    """Return one row."""
    try:
        raw = json.loads(line)
    except ValueError as exc:
        raise RequestError(f"{path} line {number} is not JSON.") from exc
    text = (raw.get("text") or raw.get("prompt")) if isinstance(raw, dict) else None
    if not isinstance(text, str) or not text.strip():
        raise RequestError(f"{path} line {number} has no `text`.")
    violating = _label(raw.get("label"))
    if violating is None:
        raise RequestError(f"{path} line {number} has the label {raw.get('label')!r}; expected 0 or 1.")
    source = str(raw.get("derived_from") or raw.get("source") or path.name.split(".")[0])
    attack = raw.get("attack") or ("adversarial" if raw.get("adversarial") is True else "")
    return LabelledPrompt(
        text=text,
        violating=violating,
        language=str(raw.get("language") or "en"),
        source=source,
        attack=str(attack),
        look_alike=not violating and (raw.get("look_alike") is True or source in look_alikes),
    )


def _label(value: Any) -> bool | None:
    """Return what a label means, or None."""
    name = str(value).strip().lower()
    return True if name in _VIOLATING else False if name in _HARMLESS else None

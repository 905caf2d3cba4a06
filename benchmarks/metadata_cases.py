"""How many handed files name the right tool and fields, and how many camera files name one by mistake.

    python benchmarks/metadata_cases.py --cases FOLDER [--cases ...] --real FOLDER [--real ...] [--json OUT]

A folder of cases holds ``manifest.jsonl`` with ``file`` and ``metadata_kinds``; ``none`` (or no kind) means that plain
metadata names nothing. A folder of real pictures holds ``manifest.jsonl`` with ``file``. Expected values are read by
Pillow, not by our readers: every setting that a claim shows must occur in the text that Pillow finds.
"""

from __future__ import annotations

import argparse
import io
import json
import statistics
import sys
import time
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
from PIL import Image

from detectors.evidence import Direction
from detectors.metadata.embedded_fields import EmbeddedFieldsDetector
from detectors.metadata.fields import EmbeddedFields, FieldCollector, Layer
from detectors.metadata.generator_traces import find_claims
from detectors.metadata.parsers.claim import Claim
from detectors.metadata.readers.container import read_embedded_fields
from detectors.metadata.readers.stealth import read_stealth

EXPECTED: dict[str, tuple[str, tuple[str, ...]]] = {
    "a1111-parameters": ("AUTOMATIC1111 Stable Diffusion WebUI", ("prompt", "seed", "steps", "sampler", "cfg", "size")),
    "comfyui-prompt": ("ComfyUI", ("prompt", "model", "seed", "steps", "sampler")),
    "invokeai-metadata": ("InvokeAI", ("prompt", "negative_prompt", "model", "seed", "steps", "size")),
    "invokeai-sd-metadata": ("InvokeAI", ("prompt", "model", "seed", "steps", "sampler", "cfg", "size")),
    "invokeai-dream": ("InvokeAI", ("prompt", "seed", "steps", "sampler", "cfg", "size")),
    "fooocus": ("Fooocus", ("prompt", "model", "seed", "steps", "sampler", "size")),
    "novelai": ("NovelAI", ("prompt", "negative_prompt", "model", "seed", "steps", "sampler", "cfg")),
    "midjourney-png-text": ("Midjourney", ("prompt", "model")),
    "openai-labs-exif": ("DALL-E 2 (OpenAI Labs)", ()),
    "prompt-imagedescription": ("UNO (FLUX)", ("prompt", "model", "seed", "steps", "size")),
    "c2pa": ("DALL-E (OpenAI)", ()),
}
"""Kind in the manifest -> tool and the settings that such a record always has."""


def examine(data: bytes) -> tuple[EmbeddedFields, tuple[Claim, ...], float]:
    """Return fields with hidden text, the claims, and the seconds for both (decoding not counted)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        image = Image.open(io.BytesIO(data))
        alpha = "A" in image.mode
        pixels = np.asarray(image.convert("RGBA"))
    start = time.perf_counter()
    fields = read_embedded_fields(data)
    hidden = FieldCollector()
    read_stealth(pixels[:, :, :3], pixels[:, :, 3] if alpha else None, hidden)
    extra = hidden.result()
    both = EmbeddedFields(fields=fields.fields + extra.fields, unreadable=fields.unreadable + extra.unreadable)
    claims = find_claims(both)
    return both, claims, time.perf_counter() - start


def pillow_texts(data: bytes) -> str:
    """Return every text Pillow finds, JSON escapes resolved, as one searchable string."""
    found: list[str] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        image = Image.open(io.BytesIO(data))
        exif = image.getexif()
        values = [*image.info.values(), *exif.values(), *exif.get_ifd(0x8769).values()]
    for value in values:
        text = value.decode("utf-8", "replace").replace("\0", "") if isinstance(value, bytes) else str(value)
        found.append(text)
        try:
            found.extend(_strings(json.loads(text)))
        except (ValueError, RecursionError):
            continue
    return "\n".join(found)


def _strings(value: object) -> list[str]:
    """Return the texts and numbers of a JSON value."""
    if isinstance(value, dict):
        return [text for item in value.values() for text in _strings(item)]
    if isinstance(value, list):
        return [text for item in value for text in _strings(item)]
    return [f"{value:g}" if isinstance(value, float) else str(value)]


def judge(row: dict[str, object], folder: Path) -> tuple[str, float]:
    """Return ``right`` or what is wrong with one case, and the seconds it took."""
    data = (folder / str(row["file"])).read_bytes()
    fields, claims, seconds = examine(data)
    kinds = [str(kind) for kind in row.get("metadata_kinds") or []]  # type: ignore[attr-defined]
    expected = next((EXPECTED[kind] for kind in kinds if kind in EXPECTED), None)
    hidden = any(found.layer is Layer.HIDDEN for found in fields.fields)
    if expected is None:
        return ("right" if not claims or hidden else f"named {claims[0].tool} without a record", seconds)
    if not claims or claims[0].tool != expected[0]:
        return f"named {claims[0].tool if claims else 'nothing'}, not {expected[0]}", seconds
    texts = pillow_texts(data)
    for name in expected[1]:
        value = getattr(claims[0], name)
        if not value:
            return f"{name} is missing", seconds
        parts = value.split("x") if name == "size" else [value.removeprefix("Midjourney v")]
        if not all(part in texts for part in parts):
            return f"{name} is not in the file: {value[:60]!r}", seconds
    return "right", seconds


def rows(folder: Path) -> list[dict[str, object]]:
    """Return the rows of a folder's manifest."""
    return [json.loads(line) for line in (folder / "manifest.jsonl").read_text().splitlines() if line.strip()]


def run_cases(folders: list[Path]) -> dict[str, object]:
    """Judge every case of every folder."""
    outcomes: Counter[str] = Counter()
    wrong: list[str] = []
    for folder in folders:
        for row in rows(folder):
            if not row.get("metadata_kinds") or row["metadata_kinds"] in (["exif"], ["exif", "xmp"]):
                continue
            outcome, _ = judge(row, folder)
            outcomes["right" if outcome == "right" else "wrong"] += 1
            if outcome != "right":
                wrong.append(f"{row['file']}: {outcome}")
    total = sum(outcomes.values())
    return {"cases": total, "right": outcomes["right"], "share": outcomes["right"] / max(total, 1), "wrong": wrong}


def run_real(folders: list[Path]) -> dict[str, object]:
    """Count tool names and AI declarations in pictures that have none."""
    detector = EmbeddedFieldsDetector()
    named: list[str] = []
    seconds: list[float] = []
    cameras = declared = 0
    for folder in folders:
        for row in rows(folder):
            fields, claims, took = examine((folder / str(row["file"])).read_bytes())
            evidence = detector.weigh(fields)
            seconds.append(took)
            cameras += any(line.name == "camera named" for line in evidence.observations)
            declared += evidence.direction is Direction.AI
            if claims:
                named.append(f"{row['file']}: {claims[0].tool}")
    return {
        "files": len(seconds),
        "with_camera": cameras,
        "false_tool_names": named,
        "false_declarations": declared,
        "median_ms": 1000 * statistics.median(seconds) if seconds else None,
        "max_ms": 1000 * max(seconds, default=0),
    }


def main() -> int:
    """Run both measurements; exit code 1 when a case is wrong or a real picture names a tool."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=Path, action="append", default=[])
    parser.add_argument("--real", type=Path, action="append", default=[])
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    result = {"cases": run_cases(arguments.cases), "real": run_real(arguments.real)}
    text = json.dumps(result, indent=2)
    print(text)
    if arguments.json:
        arguments.json.write_text(text + "\n")
    return 1 if result["cases"]["wrong"] or result["real"]["false_tool_names"] else 0


if __name__ == "__main__":
    sys.exit(main())

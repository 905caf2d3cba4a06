"""How often an earlier JPEG is found in pixels, with which quality, and how often where there was none.

    python benchmarks/metadata_history.py --real FOLDER --lossless FOLDER [--limit N]

``--real`` holds ``manifest.jsonl`` with ``file``, ``format``, ``jpeg_std_tables`` and ``jpeg_quality_estimate``;
``--lossless`` one whose PNG files were never JPEG.
"""

from __future__ import annotations

import argparse
import io
import json
import sys
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
from PIL import Image

from detectors.metadata.jpeg_history import find_history
from detectors.metadata.jpeg_structure import read_structure
from guard.records import RGB8

PAIRS = ((None, 60), (None, 75), (None, 90), (None, 95), (60, 90), (75, 85), (80, 92), (60, 75), (90, 75))
"""(earlier, present) qualities of pictures that are scaled to 2/3 first; None = saved once."""


def pixels(image: Image.Image) -> RGB8:
    """Return (H, W, 3) uint8."""
    return np.asarray(image.convert("RGB"))


def rows(folder: Path) -> list[dict[str, object]]:
    """Return the rows of a folder's manifest in a fixed shuffled order."""
    found = [json.loads(line) for line in (folder / "manifest.jsonl").read_text().splitlines() if line.strip()]
    np.random.default_rng(0).shuffle(found)
    return found


def decoded_jpegs(folder: Path, limit: int) -> dict[str, int]:
    """Take the pixels of JPEG files as if they were lossless; their own quality is the truth."""
    counts: Counter[str] = Counter()
    usable = (r for r in rows(folder) if r["format"] == "JPEG" and r.get("jpeg_std_tables") and not r.get("crop"))
    for row in list(usable)[:limit]:
        quality = int(str(row["jpeg_quality_estimate"]))
        band = "below 90" if quality < 90 else "90-96" if quality <= 96 else "above 96"
        found = find_history(pixels(Image.open(folder / str(row["file"]))))
        counts[f"{band}: files"] += 1
        counts[f"{band}: found"] += found is not None
        counts[f"{band}: exact"] += found is not None and found.quality == quality
    return dict(counts)


def lossless(folder: Path) -> dict[str, int]:
    """Count histories in files that have none."""
    files = [folder / str(row["file"]) for row in rows(folder) if str(row["format"]).lower() == "png"]
    return {"files": len(files), "found": sum(find_history(pixels(Image.open(path))) is not None for path in files)}


def saved_twice(folder: Path, limit: int) -> dict[str, str]:
    """Save scaled photos once or twice and count what is found beside the present tables."""
    counts: Counter[tuple[object, str]] = Counter()
    for row in rows(folder)[:limit]:
        image = Image.open(folder / str(row["file"])).convert("RGB")
        if min(image.size) < 300:
            continue
        image = image.resize((image.width * 2 // 3, image.height * 2 // 3), Image.Resampling.LANCZOS)
        for pair in PAIRS:
            data = b""
            current = image
            for quality in pair:
                if quality is not None:
                    buffer = io.BytesIO()
                    current.save(buffer, "JPEG", quality=quality)
                    data = buffer.getvalue()
                    current = Image.open(io.BytesIO(data)).convert("RGB")
            facts = read_structure(data)
            found = find_history(pixels(current), current=facts.tables[facts.components[0][0]])
            counts[pair, "files"] += 1
            counts[pair, "found"] += found is not None
    return {str(pair): f"{counts[pair, 'found']} of {counts[pair, 'files']}" for pair in PAIRS}


def main() -> int:
    """Print the three measurements as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--real", type=Path, required=True)
    parser.add_argument("--lossless", type=Path, required=True)
    parser.add_argument("--limit", type=int, default=300)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    result = {
        "decoded_jpegs": decoded_jpegs(arguments.real, arguments.limit),
        "lossless": lossless(arguments.lossless),
        "saved_twice": saved_twice(arguments.real, arguments.limit // 2),
    }
    print(json.dumps(result, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""The main job measured: 100 outputs in a row, their stripped copies, and pictures that were never marked.

``python -m benchmarks.main_job --count 100 --unmarked FOLDER`` prints one JSON document: how many outputs were released
with both marks, how many copies (resized to 0.7, JPEG 75, metadata gone) were found again under the right id, and how
many false marks were seen in the pictures of FOLDER (recursed; each with crops, until ``--tries`` is reached).
"""

import argparse
import io
import json
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from PIL import Image
from rich.progress import track

from gateway.runtime import Runtime
from guard.credentials import CredentialState
from guard.errors import MediaError
from guard.media import decode
from guard.pipeline import released
from guard.provenance.dev_ca import init_development_keys
from guard.records import RGB8, GenerationRequest
from guard.settings import load_settings

COLOURS = ("red", "green", "blue", "yellow", "orange", "purple")
SHAPES = ("circle", "square", "triangle", "star")
RELATIONS = ("above", "below", "to the left of", "to the right of")


def prompts(count: int) -> list[str]:
    """Return ``count`` different prompts, seeded."""
    rng = np.random.default_rng(20261122)
    found: list[str] = []
    while len(found) < count:
        first, second = rng.choice(COLOURS, 2, replace=False)
        text = f"a {first} {rng.choice(SHAPES)} {rng.choice(RELATIONS)} a {second} {rng.choice(SHAPES)}"
        if text not in found:
            found.append(text)
    return found


def stripped(data: bytes) -> bytes:
    """Return a copy as an ordinary upload makes it: 0.7 of the size, JPEG 75, no metadata."""
    picture = Image.open(io.BytesIO(data)).convert("RGB")
    size = (round(picture.width * 0.7), round(picture.height * 0.7))
    buffer = io.BytesIO()
    picture.resize(size, Image.Resampling.LANCZOS).save(buffer, "JPEG", quality=75)
    return buffer.getvalue()


def outputs(opened: Runtime, count: int) -> dict[str, object]:
    """Generate, and look for every stripped copy."""
    marks = trusted = found = proven = 0
    seconds = []
    for number, prompt in enumerate(track(prompts(count), "Outputs")):
        started = time.perf_counter()
        for image in released(opened.gateway.generate(GenerationRequest(prompt=prompt, seed=number))):
            seconds.append(time.perf_counter() - started)
            marks += image.signed.marked.reading.image_id == image.image_id
            trusted += opened.core.reader.read(image.signed.data).state is CredentialState.TRUSTED
            report, _ = opened.examine(stripped(image.signed.data), name=None)
            ids = {o.value for row in report.evidence for o in row.observations if o.name == "watermark id"}
            found += image.image_id in ids
            proven += report.verdict.value == "PROVEN_AI"
    return {
        "asked": count,
        "marked": marks,
        "trusted": trusted,
        "copies_found_under_the_right_id": found,
        "copies_proven": proven,
        "seconds_per_image_median": round(float(np.median(seconds)), 3),
    }


def views(pixels: RGB8, rng: np.random.Generator) -> list[RGB8]:
    """Return a picture and crops of it, none smaller than 256 pixels."""
    height, width = pixels.shape[:2]
    found = [pixels]
    for _ in range(3):
        if min(height, width) >= 320:
            h, w = (int(side * rng.uniform(0.8, 1.0)) for side in (height, width))
            top, left = rng.integers(0, height - h + 1), rng.integers(0, width - w + 1)
            found.append(np.ascontiguousarray(pixels[top : top + h, left : left + w]))
    return found


def false_marks(opened: Runtime, folder: Path, tries: int) -> dict[str, object]:
    """Look for marks in pictures that were never marked."""
    rng = np.random.default_rng(1)
    looked, hits, lowest = 0, 0, 0.0
    for path in track(sorted(p for p in folder.rglob("*") if p.is_file()), "Unmarked"):
        try:
            pixels = decode(path.read_bytes()).rgb
        except MediaError:
            continue
        for view in views(pixels, rng):
            if looked >= tries:
                return {"looked": looked, "false_marks": hits, "lowest_log10_p": round(lowest, 2)}
            reading = opened.core.watermarker.detect(view)
            looked += 1
            hits += reading.image_id is not None
            lowest = min(lowest, reading.log10_p)
    return {"looked": looked, "false_marks": hits, "lowest_log10_p": round(lowest, 2)}


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--unmarked", type=Path)
    parser.add_argument("--tries", type=int, default=1000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        init_development_keys(Path(home) / "keys", now=datetime.now(UTC))
        opened = Runtime(load_settings(home=Path(home)))
        result: dict[str, object] = {"outputs": outputs(opened, arguments.count)}
        if arguments.unmarked is not None:
            result["unmarked"] = false_marks(opened, arguments.unmarked, arguments.tries)
        opened.close()
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()

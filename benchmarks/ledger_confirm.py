"""Measure how surely a registered picture is confirmed, and never another one: true and false rates for each edit.

    python -m benchmarks.ledger_confirm FOLDER [--pictures 200] [--wrong 10] [--seed 1] [--json FILE]

Every picture is edited in the ways below and compared with its own fingerprints and with those of ``--wrong`` pictures
from other sub-folders (pictures of one sub-folder may be variants of one scene). The geometry that a watermark reading
would give is blurred by 0.3 % of scale and 0.15 degrees, the precision of the codec. Prints one JSON object.
"""

import argparse
import collections
import io
import json
import random
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from guard.errors import MediaError
from guard.fingerprint import Match, compare, fingerprints
from guard.media import decode
from guard.records import RGB8, Geometry

MAX_SIDE = 768


def jpeg(pixels: RGB8, quality: int) -> RGB8:
    """Return a JPEG copy."""
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer))


def cut(side: float, *, mirrored: bool = False) -> Callable[[RGB8, random.Random], tuple[RGB8, Geometry]]:
    """Return an edit that cuts out a piece anywhere and saves it at quality 60."""

    def edit(pixels: RGB8, chance: random.Random) -> tuple[RGB8, Geometry]:
        height, width = pixels.shape[:2]
        high, wide = int(height * side), int(width * side)
        y, x = chance.randint(0, height - high), chance.randint(0, width - wide)
        piece = jpeg(pixels[y : y + high, x : x + wide], 60)
        scale = float(np.sqrt(height * width / (high * wide)))
        return (piece[:, ::-1] if mirrored else piece), Geometry(scale=scale, mirrored=mirrored)

    return edit


def turned(degrees: float, *, keep: float = 1.0) -> Callable[[RGB8, random.Random], tuple[RGB8, Geometry]]:
    """Return an edit that turns the picture and keeps the middle part."""

    def edit(pixels: RGB8, _: random.Random) -> tuple[RGB8, Geometry]:
        height, width = pixels.shape[:2]
        matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), degrees, 1.0)
        whole = np.asarray(cv2.warpAffine(pixels, matrix, (width, height)))
        y, x = int(height * (1 - keep) / 2), int(width * (1 - keep) / 2)
        piece = whole[y : height - y, x : width - x]
        scale = float(np.sqrt(height * width / (piece.shape[0] * piece.shape[1])))
        return piece, Geometry(scale=scale, rotation_deg=degrees)

    return edit


def canvas(pixels: RGB8, _: random.Random) -> tuple[RGB8, Geometry]:
    """Paste onto white, 1.5 times as wide and high."""
    height, width = pixels.shape[:2]
    sheet = np.full((height * 3 // 2, width * 3 // 2, 3), 255, np.uint8)
    sheet[height // 4 : height // 4 + height, width // 6 : width // 6 + width] = pixels
    return sheet, Geometry(scale=2 / 3)


EDITS: dict[str, Callable[[RGB8, random.Random], tuple[RGB8, Geometry]]] = {
    "JPEG 25": lambda p, _: (jpeg(p, 25), Geometry()),
    "resize 0.4": lambda p, _: (cv2.resize(p, None, fx=0.4, fy=0.4, interpolation=cv2.INTER_AREA), Geometry()),
    "brightness 1.35": lambda p, _: (np.clip(p * np.float32(1.35) + 10, 0, 255).astype(np.uint8), Geometry()),
    "stretch 1.25": lambda p, _: (cv2.resize(p, (p.shape[1] * 5 // 4, p.shape[0])), Geometry()),
    "mirror": lambda p, _: (p[:, ::-1], Geometry(mirrored=True)),
    "quarter turn": lambda p, _: (np.rot90(p), Geometry(rotation_deg=90.0)),
    "turn 5": turned(5.0),
    "turn 7, middle 0.6": turned(7.0, keep=0.6),
    "cut 0.7": cut(0.7),
    "cut 0.5": cut(0.5),
    "cut 0.5, mirrored": cut(0.5, mirrored=True),
    "cut 0.4": cut(0.4),
    "cut 0.33": cut(0.33),
    "on a canvas": canvas,
}


def load(folder: Path, count: int, chance: random.Random) -> list[tuple[str, RGB8]]:
    """Return up to ``count`` (sub-folder, picture) pairs, drawn at random, at most MAX_SIDE wide."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    chance.shuffle(files)
    found: list[tuple[str, RGB8]] = []
    for path in files:
        try:
            pixels = decode(path.read_bytes()).rgb
        except MediaError:
            continue
        if min(pixels.shape[:2]) < 256:
            continue
        factor = min(1.0, MAX_SIDE / max(pixels.shape[:2]))
        size = (round(pixels.shape[1] * factor), round(pixels.shape[0] * factor))
        found.append((path.parent.name, np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA))))
        if len(found) == count:
            break
    return found


def main() -> None:
    """Parse the options, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pictures", type=int, default=200)
    parser.add_argument("--wrong", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    chance = random.Random(options.seed)
    pictures = load(options.folder, options.pictures, chance)
    references = [fingerprints(pixels) for _, pixels in pictures]
    rows: dict[str, dict[str, float]] = {}
    highest = 0.0
    for name, edit in EDITS.items():
        right: collections.Counter[Match] = collections.Counter()
        wrong: collections.Counter[Match] = collections.Counter()
        spent = 0.0
        for number, (source, pixels) in enumerate(pictures):
            copy, exact = edit(pixels, chance)
            scale, turn = exact.scale * (1 + chance.gauss(0, 0.003)), exact.rotation_deg + chance.gauss(0, 0.15)
            geometry = replace(exact, scale=scale, rotation_deg=turn)
            began = time.process_time()
            right[compare(references[number], copy, geometry).match] += 1
            spent += time.process_time() - began
            for other in chance.sample(range(len(pictures)), options.wrong):
                if pictures[other][0] != source:
                    found = compare(references[other], copy, geometry)
                    wrong[found.match] += 1
                    highest = max(highest, found.significance or 0.0)
        rows[name] = {
            "confirmed": round(right[Match.CONFIRMED] / right.total(), 4),
            "right_called_mismatch": right[Match.MISMATCH],
            "wrong_pairs": wrong.total(),
            "wrong_confirmed": wrong[Match.CONFIRMED],
            "wrong_called_mismatch": round(wrong[Match.MISMATCH] / max(wrong.total(), 1), 4),
            "cpu_ms": round(1000 * spent / len(pictures), 1),
        }
    summary = {"pictures": len(pictures), "highest_wrong_significance": round(highest, 2), "edits": rows}
    text = json.dumps(summary, indent=2)
    print(text)
    if options.json:
        options.json.write_text(text + "\n")


if __name__ == "__main__":
    main()

"""How well ``image.text`` reads, finds and leaves alone: ``python -m benchmarks.image_text [--pictures FOLDER]``.

Draws the everyday prompts and the multilingual violating prompts of the test data (English and those in Latin
letters that the default font has) on sample photos at several letter heights, and prints as JSON

- ``words_read``: share of words read exactly as drawn, by height in pixels of a 1024 px picture;
- ``withheld``: of the violating prompts that the rules withhold as prompts, the share withheld as pictures;
- ``everyday_withheld``: pictures with everyday prompts that are withheld;
- ``pictures``: of a folder of pictures of your own, how many are withheld because of their text, and the time.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import yaml
from PIL import Image, ImageDraw, ImageFont
from skimage import data

from guard.image_check.image_text import ImageTextChecker
from guard.image_check.text_reader import TextReader
from guard.policy.load import load_named
from guard.policy.schema import TermsEntry
from guard.prompt_check.term_rules import TermChecker
from guard.records import RGB8

ROOT = Path(__file__).resolve().parents[1]
TEXTS = ROOT / "tests" / "guard" / "prompt_check" / "data"
SIDE = 1024
HEIGHTS = (10, 12, 16, 24, 40)
LATIN = ("de", "fr", "es", "it", "pt")


def drawn(text: str, *, height: int, rng: np.random.Generator) -> RGB8:
    """Return a sample photo with a text in white letters with a dark rim, wrapped, at a random place."""
    photos = (data.coffee, data.astronaut, data.chelsea, data.rocket)
    photo = Image.fromarray(photos[int(rng.integers(len(photos)))]()).convert("RGB").resize((SIDE, SIDE))
    font = ImageFont.load_default(size=height)
    lines, line = [], ""
    for word in text.split():
        longer = f"{line} {word}".strip()
        if font.getlength(longer) > 0.8 * SIDE and line:
            lines.append(line)
            longer = word
        line = longer
    block = "\n".join([*lines, line])
    place = (int(rng.integers(20, SIDE // 8)), int(rng.integers(20, SIDE // 2)))
    ImageDraw.Draw(photo).multiline_text(place, block, font=font, fill="white", stroke_width=1, stroke_fill="black")
    return np.asarray(photo)


def words_read(reader: TextReader, texts: Sequence[str], *, height: int, rng: np.random.Generator) -> float:
    """Return the share of words that are read exactly, without regard to case and punctuation."""
    hits = total = 0
    for text in texts:
        seen = " ".join(line.text for line in reader.read(drawn(text, height=height, rng=rng))).casefold()
        read = {word.strip(".,:;!?") for word in seen.split()}
        wanted = [word.strip(".,:;!?").casefold() for word in text.split()]
        hits += sum(word in read for word in wanted)
        total += len(wanted)
    return round(hits / total, 3)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--texts", type=int, default=25, help="texts for each figure")
    parser.add_argument("--pictures", type=Path, help="folder of harmless pictures of your own")
    parser.add_argument("--most", type=int, default=300, help="most pictures of that folder")
    options = parser.parse_args()
    policy = load_named(ROOT / "policies", "default")
    (entry,) = [e for e in policy.document.checkers.prompt if isinstance(e, TermsEntry)]
    rules = TermChecker(folder=ROOT / "policies" / "terms", lists=entry.lists)
    reader = TextReader()
    checker = ImageTextChecker(reader, rules=[rules])
    rng = np.random.default_rng(0)

    def withheld(pixels: RGB8) -> bool:
        return not policy.decide(checker.check(pixels), stage="image").releases

    everyday = yaml.safe_load((TEXTS / "everyday.yaml").read_text(encoding="utf-8"))
    everyday = [everyday[i] for i in rng.permutation(len(everyday))[: options.texts]]
    listed = yaml.safe_load((TEXTS / "multilingual.yaml").read_text(encoding="utf-8"))
    risky = [text for language in LATIN for text in listed[language]["violating"]]
    risky = [text for text in risky if not policy.decide(rules.check_texts([("prompt", text)]), stage="image").releases]
    result: dict[str, object] = {
        "words_read": {height: words_read(reader, everyday, height=height, rng=rng) for height in HEIGHTS},
        "withheld": {
            height: f"{sum(withheld(drawn(t, height=height, rng=rng)) for t in risky)} of {len(risky)}"
            for height in (12, 24)
        },
        "everyday_withheld": f"{sum(withheld(drawn(t, height=24, rng=rng)) for t in everyday)} of {len(everyday)}",
    }
    if options.pictures is not None:
        result["pictures"] = own_pictures(checker, options.pictures, most=options.most, withheld=withheld)
    print(json.dumps(result, indent=1))


def own_pictures(checker: ImageTextChecker, folder: Path, *, most: int, withheld: object) -> dict[str, object]:
    """Return how many pictures of a folder are withheld because of text, and the time for one."""
    assert callable(withheld)
    files = sorted(p for p in folder.rglob("*") if p.suffix.lower() in {".jpg", ".jpeg", ".png", ".webp"})
    files = [files[i] for i in np.random.default_rng(1).permutation(len(files))[:most]]
    stopped, took = [], []
    for path in files:
        with Image.open(path) as opened:
            pixels = np.asarray(opened.convert("RGB"))
        started = time.process_time()
        if withheld(pixels):
            stopped.append(path.name)
        took.append((time.process_time() - started) * 1e3)
    times = {"p50_ms": round(float(np.median(took)), 1), "p95_ms": round(float(np.quantile(took, 0.95)), 1)}
    return {"pictures": len(files), "withheld": stopped, **times}


if __name__ == "__main__":
    main()

"""Time of the prompt and image checks on one core: ``python -m benchmarks.prompt_latency [--image]``.

Prints medians and 95th percentiles in milliseconds as JSON. Prompts are the harmless ones of the test data.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import yaml
from PIL import Image

from guard.image_check.nudity import DETECTOR, INPUT_PX, NudityChecker, detector_file, to_input
from guard.image_check.views import scalings
from guard.image_check.views import views as image_views
from guard.inference import open_onnx
from guard.policy.load import load_named
from guard.policy.schema import NudityEntry, TermsEntry
from guard.prompt_check.hashed_ngrams import blocks
from guard.prompt_check.normalise import views
from guard.prompt_check.report import examine_text
from guard.prompt_check.term_rules import TermChecker
from guard.prompt_check.text_classifier import TextClassifier
from guard.weights import verify_file

ROOT = Path(__file__).resolve().parents[1]
PROMPTS = ROOT / "tests" / "guard" / "prompt_check" / "data" / "everyday.yaml"


def timed(work: Callable[[str], object], texts: Sequence[str], rounds: int) -> dict[str, float]:
    """Return {p50, p95} in ms over all texts and rounds, process time of one thread."""
    found = []
    for _ in range(rounds):
        for text in texts:
            started = time.process_time()
            work(text)
            found.append((time.process_time() - started) * 1e3)
    return {"p50_ms": round(float(np.median(found)), 3), "p95_ms": round(float(np.quantile(found, 0.95)), 3)}


def image_times(rounds: int) -> dict[str, object]:
    """Return the nudity check's times on one 1024 x 1024 photo, beside the detector alone.

    ``ratio`` is the check (scaling, detector, reading, findings) to the bare detector on the same ready-made inputs,
    ``ratio_five_views`` to the bare detector on the whole picture and four squares. Runs alternate, so that what else
    the machine does falls on all of them.
    """
    from skimage import data

    policy = load_named(ROOT / "policies", "default")
    (entry,) = [e for e in policy.document.checkers.image if isinstance(e, NudityEntry)]
    checker = NudityChecker(classes=entry.classes)
    picture = np.asarray(Image.fromarray(data.astronaut()).resize((1024, 1024)))
    session = open_onnx(verify_file(detector_file(), DETECTOR), name="The nudity detector")
    same = [to_input(smaller) for smaller, _ in scalings(picture, input_px=INPUT_PX)]
    squares = [to_input(view.pixels[:INPUT_PX, :INPUT_PX]) for view in image_views(picture, input_px=INPUT_PX)]
    works: dict[str, Callable[[], object]] = {
        "check": lambda: checker.check(picture),
        "detector alone": lambda: [session.run(None, {"images": batch}) for batch in same],
        "detector alone, five views": lambda: [session.run(None, {"images": batch}) for batch in squares],
    }
    found: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(max(rounds, 5)):
        for name, work in works.items():
            started = time.process_time()
            work()
            found[name].append((time.process_time() - started) * 1e3)
    middle = {name: float(np.median(times)) for name, times in found.items()}
    return {
        **{f"{name}, ms": round(value, 1) for name, value in middle.items()},
        "ratio": round(middle["check"] / middle["detector alone"], 3),
        "ratio_five_views": round(middle["check"] / middle["detector alone, five views"], 3),
    }


def main() -> None:
    """Measure and print."""
    cv2.setNumThreads(1)
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--image", action="store_true", help="also time the nudity detector")
    options = parser.parse_args()
    policy = load_named(ROOT / "policies", "default")
    (entry,) = [e for e in policy.document.checkers.prompt if isinstance(e, TermsEntry)]
    terms = TermChecker(folder=ROOT / "policies" / "terms", lists=entry.lists)
    classifier = TextClassifier(report_above=0.2)
    texts = yaml.safe_load(PROMPTS.read_text(encoding="utf-8"))
    result: dict[str, object] = {
        "texts": len(texts),
        "mean_characters": round(float(np.mean([len(t) for t in texts])), 1),
        "normalise": timed(views, texts, options.rounds),
        "features": timed(blocks, texts, options.rounds),
        "prompt.terms": timed(lambda t: terms.check_texts([("prompt", t)]), texts, options.rounds),
        "prompt.classifier": timed(classifier.score, texts, options.rounds),
        "both_and_decision": timed(
            lambda t: examine_text(t, checkers=[terms, classifier], policy=policy), texts, options.rounds
        ),
    }
    if options.image:
        result["image.nudity 1024x1024"] = image_times(options.rounds)
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()

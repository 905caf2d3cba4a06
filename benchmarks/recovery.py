"""Recovery of manifests from stripped copies: by mark, by look, with transplanted marks, and among strangers.

::

    python -m benchmarks.recovery --signed 200 --others 1000 --out recovery.json FOLDER [FOLDER ...]

Each sub-folder of a FOLDER counts as one source; every other source gives the pictures that are signed, the rest the
strangers, so no source is on both sides. Signed pictures are cut to five aspect ratios in turn, brought to ``--side``
(geometric mean), and signed with real keys into a registry of their own. Protocol:

1. ``mark``: credentials stripped, resized to 0.7, JPEG 75; must lead to its own manifest.
2. ``look``: edits of values and size, read by a codec that finds no mark; must lead to its own manifest.
3. ``transplant``: marked picture minus original, laid over another picture of the shape; must be a mismatch.
4. ``strangers``: pictures that were never signed, searched by look (also mirrored and turned); must lead nowhere.
"""

from __future__ import annotations

import argparse
import json
import secrets
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

from guard.assembly import SystemClock
from guard.errors import GuardError
from guard.fingerprint import SEARCH_QUALITY, Match, fingerprints
from guard.label.compositor import BadgeLabeller
from guard.ledger.sqlite_store import SQLiteLedger
from guard.media import decode, encode
from guard.provenance.dev_ca import init_development_keys
from guard.provenance.keys_folder import KeyFolder
from guard.provenance.manifest import ManifestKind
from guard.provenance.read import C2PACredentialReader
from guard.provenance.sign import C2PACredentialSigner, ClaimGenerator
from guard.records import RGB8, ImageFormat, ImageID, MarkReading
from guard.recovery import ManifestRecovery, Route
from guard.signing.flow import FileSigner
from guard.signing.request import SigningParts, SigningRequest
from guard.watermark.codec import LatticeWatermarker

ASPECTS = (1.0, 4 / 3, 3 / 4, 16 / 9, 9 / 16)
SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp"})


def jpeg(pixels: RGB8, quality: int) -> RGB8:
    """Return a picture as JPEG leaves it."""
    return decode(encode(pixels, ImageFormat.JPEG, quality=quality)).rgb


def resized(pixels: RGB8, factor: float) -> RGB8:
    """Return a picture of ``factor`` times the side."""
    kind = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(pixels, None, fx=factor, fy=factor, interpolation=kind), np.uint8)


def scaled(pixels: RGB8, gain: float, offset: float) -> RGB8:
    """Return values times ``gain`` plus ``offset``, clipped."""
    return np.clip(pixels.astype(np.float32) * gain + offset, 0, 255).astype(np.uint8)


def noisy(pixels: RGB8) -> RGB8:
    """Return a picture with Gaussian noise of 10 grey levels."""
    noise = np.random.default_rng(pixels.shape[1]).normal(0, 10, pixels.shape)
    return np.clip(pixels + noise, 0, 255).astype(np.uint8)


def webp(pixels: RGB8) -> RGB8:
    """Return a picture as WebP 60 leaves it."""
    return decode(encode(pixels, ImageFormat.WEBP, quality=60)).rgb


def grey(pixels: RGB8) -> RGB8:
    """Return a picture without colour."""
    return np.repeat(np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY))[..., None], 3, axis=2)


EDITS: dict[str, Callable[[RGB8], RGB8]] = {
    "JPEG 75, resize 0.7": lambda p: jpeg(resized(p, 0.7), 75),
    "JPEG 30": lambda p: jpeg(p, 30),
    "WebP 60": webp,
    "resize 0.4": lambda p: resized(p, 0.4),
    "brightness x 1.2": lambda p: scaled(p, 1.2, 0),
    "brightness x 0.7": lambda p: scaled(p, 0.7, 0),
    "contrast x 0.7": lambda p: scaled(p, 0.7, 38),
    "noise 10": noisy,
    "blur 2": lambda p: np.asarray(cv2.GaussianBlur(p, (0, 0), 2)),
    "greyscale": grey,
    "mirrored": lambda p: np.ascontiguousarray(p[:, ::-1]),
    "quarter turn": lambda p: np.ascontiguousarray(np.rot90(p)),
}


class Blind:
    """A codec that finds nothing: the mark was destroyed."""

    algorithm = "org.example.blind.1"

    def embed(self, pixels: RGB8, image_id: ImageID) -> RGB8:
        """Return the picture as it is."""
        return pixels

    def detect(self, pixels: RGB8) -> MarkReading:
        """Return no reading."""
        return MarkReading(algorithm=self.algorithm, image_id=None, log10_p=0.0)


def pictures(folders: list[Path], *, signed_side: bool, count: int, seed: int) -> Iterator[tuple[str, RGB8]]:
    """Yield (name, pixels) of one side of the split, sources in turn, at random within each source."""
    sources = sorted(path for folder in folders for path in folder.iterdir() if path.is_dir())
    chosen = sources[::2] if signed_side else sources[1::2]
    random = np.random.default_rng(seed)
    queues = []
    for source in chosen:
        files = sorted(path for path in source.rglob("*") if path.suffix.lower() in SUFFIXES)
        queues.append([files[i] for i in random.permutation(len(files))])
    while count and any(queues):
        for queue in queues:
            if queue and count:
                path = queue.pop()
                try:
                    pixels = decode(path.read_bytes()).rgb
                except GuardError:
                    continue
                if min(pixels.shape[:2]) >= 256:
                    count -= 1
                    yield f"{path.parent.name}/{path.name}", pixels


def shaped(pixels: RGB8, aspect: float, side: float) -> RGB8:
    """Return the middle of a picture, cut to an aspect ratio, of the given mean side."""
    height, width = pixels.shape[:2]
    wide = min(width, round(height * aspect))
    high = min(height, round(wide / aspect))
    top, left = (height - high) // 2, (width - wide) // 2
    size = (round(side * aspect**0.5), round(side / aspect**0.5))
    return np.asarray(
        Image.fromarray(pixels[top : top + high, left : left + wide]).resize(size, Image.Resampling.LANCZOS)
    )


class Tally:
    """Counts right answers, and names the wrong ones."""

    def __init__(self) -> None:
        self._right: dict[str, int] = {}
        self._all: dict[str, int] = {}
        self.wrong: dict[str, list[str]] = {}

    def add(self, test: str, name: str, *, right: bool) -> None:
        """Count one answer."""
        self._all[test] = self._all.get(test, 0) + 1
        self._right[test] = self._right.get(test, 0) + right
        if not right:
            self.wrong.setdefault(test, []).append(name)

    def rows(self) -> dict[str, dict[str, Any]]:
        """Return per test: right, of, share, and the 95 % Wilson interval of the share."""
        return {test: interval(self._right[test], count) for test, count in self._all.items()}


def interval(right: int, count: int) -> dict[str, Any]:
    """Return a share with its 95 % interval. Source: Wilson 1927, z = 1.96."""
    share, z = right / count, 1.96
    middle = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = z * (share * (1 - share) / count + z * z / (4 * count * count)) ** 0.5 / (1 + z * z / count)
    bounds = [round(middle - half, 4), round(min(1.0, middle + half), 4)]
    return {"right": right, "of": count, "share": round(share, 4), "interval": bounds}


def main() -> None:
    """Run the benchmark and write its figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--signed", type=int, default=200)
    parser.add_argument("--others", type=int, default=1000)
    parser.add_argument("--side", type=float, default=640)
    parser.add_argument("--seed", type=int, default=20261122)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as folder:
        figures = run(given, Path(folder))
    given.out.write_text(json.dumps(figures, indent=2) + "\n")
    print(json.dumps({key: figures[key] for key in ("tests", "strangers", "seconds")}, indent=2))


def run(given: argparse.Namespace, home: Path) -> dict[str, Any]:
    """Sign, attack, search; return all figures."""
    now = datetime.now(UTC)
    init_development_keys(home / "keys", now=now)
    keys = KeyFolder.load(home / "keys", now=now)
    ledger = SQLiteLedger(
        home / "ledger.sqlite3", signing_key=keys.ledger_private_key, origin="benchmark", clock=SystemClock()
    )
    marker = LatticeWatermarker(keys.watermark_master_key)
    reader = C2PACredentialReader(keys.anchors, pool=None)
    parts = SigningParts(
        watermarker=marker,
        labeller=BadgeLabeller(),
        signer=C2PACredentialSigner(keys.signer, claim_generator=ClaimGenerator(provider="benchmark")),
        reader=reader,
        ledger=ledger,
        clock=SystemClock(),
    )
    signer = FileSigner(parts, random_bytes=secrets.token_bytes)
    by_mark = ManifestRecovery(watermarker=marker, ledger=ledger, reader=reader)
    by_look = ManifestRecovery(watermarker=Blind(), ledger=ledger, reader=reader)
    originals = [
        (name, shaped(pixels, ASPECTS[number % len(ASPECTS)], given.side))
        for number, (name, pixels) in enumerate(
            pictures(given.folders, signed_side=True, count=given.signed, seed=given.seed)
        )
    ]
    seconds: dict[str, list[float]] = {"sign": [], "by mark": [], "by look": []}
    released = []
    for _, pixels in originals:
        started = time.process_time()
        signed = signer.sign(
            SigningRequest(data=encode(pixels, ImageFormat.PNG), kind=ManifestKind.GENERATED, model_name="benchmark")
        )
        seconds["sign"].append(time.process_time() - started)
        released.append((signed.image_id, decode(signed.data).rgb))
    tally, unreadable = attack(originals, released, by_mark, by_look, seconds)
    strangers = search(given, by_look, seconds)
    ledger.close()
    return {
        "tests": tally.rows(),
        "wrong": tally.wrong,
        "transplants whose mark did not read": unreadable,
        "strangers": strangers,
        "seconds": {name: round(float(np.median(times)), 3) for name, times in seconds.items() if times},
        "settings": {"side": given.side, "seed": given.seed, "aspects": [round(a, 3) for a in ASPECTS]},
    }


def attack(
    originals: list[tuple[str, RGB8]],
    released: list[tuple[ImageID, RGB8]],
    by_mark: ManifestRecovery,
    by_look: ManifestRecovery,
    seconds: dict[str, list[float]],
) -> tuple[Tally, int]:
    """Run tests 1 to 3; return the tally and how many forgeries carry no readable mark."""
    tally, unreadable = Tally(), 0
    for number, ((name, pixels), (image_id, marked)) in enumerate(zip(originals, released, strict=True)):
        copy = EDITS["JPEG 75, resize 0.7"](marked)
        started = time.process_time()
        found = by_mark.recover(copy)
        seconds["by mark"].append(time.process_time() - started)
        tally.add("mark: JPEG 75, resize 0.7, any route", name, right=found.recovered and found.image_id == image_id)
        tally.add("mark: the same, by the mark alone", name, right=found.recovered and found.route is Route.WATERMARK)
        if fingerprints(marked).pdq_quality >= SEARCH_QUALITY:
            for edit, change in EDITS.items():
                started = time.process_time()
                seen = by_look.recover(change(marked))
                seconds["by look"].append(time.process_time() - started)
                tally.add(f"look: {edit}", name, right=seen.recovered and seen.image_id == image_id)
        else:
            tally.add("look: too plain to search", name, right=False)
        other_name, other = originals[(number + len(ASPECTS)) % len(originals)]  # of the same shape
        residue = marked.astype(np.float32) - pixels if other.shape == pixels.shape else 0
        forged = np.clip(other + residue, 0, 255).astype(np.uint8)
        answer = by_mark.recover(forged)
        if answer.route is not Route.WATERMARK:
            unreadable += 1
        else:
            tally.add("transplant: not recovered", other_name, right=not answer.recovered)
            tally.add("transplant: called a mismatch", other_name, right=answer.match is Match.MISMATCH)
    return tally, unreadable


def search(given: argparse.Namespace, by_look: ManifestRecovery, seconds: dict[str, list[float]]) -> dict[str, Any]:
    """Run test 4."""
    count, false = 0, []
    for name, pixels in pictures(given.folders, signed_side=False, count=given.others, seed=given.seed + 1):
        factor = min(1.0, given.side / (pixels.shape[0] * pixels.shape[1]) ** 0.5)
        started = time.process_time()
        found = by_look.recover(resized(pixels, factor) if factor < 1 else pixels)
        seconds["by look"].append(time.process_time() - started)
        count += 1
        if found.recovered:
            false.append(name)
    return {"searched": count, "false matches": len(false), "which": false}


if __name__ == "__main__":
    main()

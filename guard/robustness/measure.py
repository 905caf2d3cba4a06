"""Marks pictures, attacks the copies, reads them back; one JSON line a picture, so that a run can stop and go on.

::

    run = RobustnessRun(codec, attacks, results=Path("run.jsonl"))
    for done in run.measure(samples):      # skips what the file already holds
        ...
    outcomes = read_outcomes(Path("run.jsonl"), run.digest)
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from guard.errors import RequestError
from guard.interfaces import Watermarker
from guard.records import RGB8, ImageID
from guard.robustness.attack import Attack
from guard.robustness.quality import Quality, measure_quality
from guard.robustness.samples import Sample
from guard.version import __version__

MAX_LOG10_FALSE_ACCEPT: Final = -9.0
"""A reading counts only with an id *and* a bound of at most 1e-9: what the gateway itself accepts."""
_ID_SEED = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one attack did to the mark of one picture.

    Attributes:
        exact: the right 64-bit id was read and accepted.
        wrong: another id was accepted: worse than a miss.
        log10_p: the reading's bound.
        detect_s: processor seconds.
        bits: share of the 64 bits that are right, 0.5 where no id was accepted: what guessing gets; None in files of
            versions that did not measure it.
    """

    attack: str
    exact: bool
    wrong: bool
    log10_p: float
    detect_s: float
    bits: float | None = None

    @property
    def bit_accuracy(self) -> float:
        """Return ``bits``; without them all bits of an exact reading, else what guessing gets."""
        return self.bits if self.bits is not None else 1.0 if self.exact else 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureOutcome:
    """Everything measured on one picture."""

    source: str
    name: str
    index: int
    width: int
    height: int
    content: str
    embed_s: float
    quality: Quality
    outcomes: tuple[Outcome, ...] = field(repr=False)


def image_id_for(index: int) -> ImageID:
    """Return the id that a picture of this place in the run is marked with; fixed, so that runs can be repeated."""
    return ImageID(f"{np.random.default_rng(_ID_SEED + index).integers(0, 2**63):016x}")


class RobustnessRun:
    """One codec against one list of attacks; results go to a JSON-lines file that a later call continues.

    Args:
        codec: what is measured.
        attacks: in the order of the report.
        results: the file; a new one starts with a header that names codec, version and attacks.

    Raises:
        RequestError: the file holds results of another codec or other attacks, or cannot be written.
    """

    def __init__(self, codec: Watermarker, attacks: Sequence[Attack], *, results: Path) -> None:
        self._codec = codec
        self._attacks = tuple(attacks)
        self._results = results
        names = [attack.id for attack in self._attacks]
        self.header: dict[str, Any] = {"version": 1, "codec": codec.algorithm, "signet": __version__, "attacks": names}
        self.digest = hashlib.sha256(json.dumps([codec.algorithm, names]).encode()).hexdigest()
        self._done = self._opened()

    def _opened(self) -> set[tuple[str, str]]:
        """Return what is done already; start the file when there is none."""
        try:
            if not self._results.exists():
                self._results.parent.mkdir(parents=True, exist_ok=True)
                self._results.write_text(json.dumps({"header": self.header, "digest": self.digest}) + "\n")
                return set()
            done = {(done.source, done.name) for done in read_outcomes(self._results, self.digest)}
            _end_line(self._results)
        except OSError as exc:
            raise RequestError(
                f"The results file {self._results} cannot be used: {exc.strerror}.", next_step="Name another folder."
            ) from exc
        return done

    def measure(self, samples: Iterable[Sample]) -> Iterator[PictureOutcome]:
        """Yield each new picture's outcome once it is safely in the file."""
        for sample in samples:
            if (sample.source, sample.name) in self._done:
                continue
            outcome = self._one(sample)
            with self._results.open("a") as out:
                out.write(json.dumps(asdict(outcome)) + "\n")
            self._done.add((sample.source, sample.name))
            yield outcome

    def _one(self, sample: Sample) -> PictureOutcome:
        """Mark one picture, attack it in every way, and read every copy."""
        image_id = image_id_for(sample.index)
        start = time.process_time()
        marked = self._codec.embed(sample.pixels, image_id)
        embed_s = time.process_time() - start
        height, width = sample.pixels.shape[:2]
        return PictureOutcome(
            source=sample.source,
            name=sample.name,
            index=sample.index,
            width=width,
            height=height,
            content=sample.content.value,
            embed_s=round(embed_s, 4),
            quality=_rounded(measure_quality(sample.pixels, marked)),
            outcomes=tuple(self._attacked(attack, marked, image_id, sample.index) for attack in self._attacks),
        )

    def _attacked(self, attack: Attack, marked: RGB8, image_id: ImageID, seed: int) -> Outcome:
        """Return what one attack leaves of the mark."""
        pixels = attack(marked, seed=seed)
        start = time.process_time()
        reading = self._codec.detect(pixels)
        took = time.process_time() - start
        accepted = reading.image_id is not None and reading.log10_p <= MAX_LOG10_FALSE_ACCEPT
        return Outcome(
            attack=attack.id,
            exact=accepted and reading.image_id == image_id,
            wrong=accepted and reading.image_id != image_id,
            log10_p=round(reading.log10_p, 2),
            detect_s=round(took, 4),
            bits=_bits_right(reading.image_id, image_id) if accepted else 0.5,
        )


def _bits_right(seen: ImageID | None, true: ImageID) -> float:
    """Return the share of the 64 bits in which an id that was read agrees."""
    return 0.5 if seen is None else 1 - (int(seen, 16) ^ int(true, 16)).bit_count() / 64


def _end_line(results: Path) -> None:
    """End a last line that a crash cut short, so that the next result does not become a part of it."""
    with results.open("r+b") as file:
        if file.seek(0, 2) > 0:
            file.seek(-1, 2)
            if file.read(1) != b"\n":
                file.write(b"\n")


def read_outcomes(results: Path, digest: str) -> list[PictureOutcome]:
    """Return what a results file holds; a last line cut short by a crash is left out.

    Raises:
        RequestError: not such a file, or of another codec or other attacks.
    """
    lines = results.read_text(encoding="utf-8").splitlines()
    try:
        found = json.loads(lines[0])["digest"] if lines else None
    except (ValueError, KeyError, TypeError) as exc:
        raise RequestError(f"{results} holds no robustness results.", next_step="Name another file.") from exc
    if found != digest:
        raise RequestError(
            f"{results} holds results of another codec or other attacks.", next_step="Name another place for this run."
        )
    return [row for line in lines[1:] if (row := _parsed(line)) is not None]


def _parsed(line: str) -> PictureOutcome | None:
    """Return one line's outcome, or None for a line that a crash cut short."""
    try:
        row = json.loads(line)
    except ValueError:
        return None
    try:
        row["quality"] = Quality(**row["quality"])
        row["outcomes"] = tuple(Outcome(**outcome) for outcome in row["outcomes"])
        return PictureOutcome(**row)
    except (KeyError, TypeError) as exc:
        raise RequestError(
            f"A line of the results file has another form: {line[:60]!r}.", next_step="Start anew in another folder."
        ) from exc


def _rounded(quality: Quality) -> Quality:
    """Return the figures to four decimals; an unchanged picture's infinite PSNR becomes 99 dB, for JSON."""
    values = {name: round(min(value, 99.0), 4) for name, value in asdict(quality).items()}
    return Quality(**values)

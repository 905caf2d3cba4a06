"""The honest protocol: labelled pictures x treatments -> one row each; resumable, in as many processes as wanted.

(1) every picture is treated alike, whatever its class (``degradations``)
(2) the detectors judge the treated pixels; a picture outside their domain is a row with its reason, not a score
(3) ``summary`` turns the rows into figures: thresholds come from other sources than those they are applied to
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from detectors.evaluation.degradations import Mode, apply_mode
from detectors.evaluation.labelled import Labelled
from detectors.upload import Upload, load_upload, still_image
from guard.errors import MediaError
from guard.media import DecodedImage, sha256_hex
from guard.suspect_media import SuspectImage

SEED = 20_261_122


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What came of one picture in one mode.

    Attributes:
        llr_nats: the detectors' joined answer, or None with ``reason``.
        media_type, width, height, bytes: of the file as handed in, for the control.
    """

    path: str
    sha256: str
    generated: bool
    group: str
    generator: str | None
    mode: str
    llr_nats: float | None
    reason: str | None
    media_type: str
    width: int
    height: int
    bytes: int


Judge = Callable[[Upload], float | str]
"""A picture -> its joined log-likelihood ratio in nats, or why there is none."""


def rows_of(item: Labelled, modes: Sequence[Mode], judge: Judge) -> list[Row]:
    """Return the rows of one picture, one a mode."""
    try:
        data = item.path.read_bytes()
        upload = load_upload(data, name=item.path.name, decoder=still_image)
    except (OSError, MediaError) as exc:
        reason = f"cannot be read: {exc.strerror}" if isinstance(exc, OSError) else str(exc)
        return [_row(item, mode, None, reason=reason) for mode in modes]
    return [_row(item, mode, upload, answer=judge(treated(upload, mode))) for mode in modes]


def treated(upload: Upload, mode: Mode) -> Upload:
    """Return the upload after a treatment; the seed depends on the file and the mode only."""
    if mode is Mode.NAIVE:
        return upload
    seed = int(hashlib.sha256(f"{SEED}/{upload.sha256}/{mode}".encode()).hexdigest()[:16], 16)
    lossless = upload.media_type != "image/jpeg"
    pixels = np.ascontiguousarray(apply_mode(upload.pixels, mode, np.random.default_rng(seed), lossless=lossless))
    image = DecodedImage(
        rgb=pixels, alpha=None, media_type="image/bmp", stored_size=(pixels.shape[1], pixels.shape[0])
    )  # fmt: skip
    return Upload(data=b"", sha256=sha256_hex(pixels.tobytes()), image=SuspectImage.of(image))


def run_protocol(
    items: Sequence[Labelled],
    evaluate: Callable[[Iterable[Labelled]], Iterable[list[Row]]],
    *,
    journal: Path,
    modes: Sequence[Mode],
) -> Iterator[list[Row]]:
    """Yield the rows of every picture, reading finished ones from the journal and appending the others to it.

    Args:
        items: the pictures.
        evaluate: turns the remaining pictures into rows, in order, in this process or in others.
        journal: JSON lines; a run that was stopped goes on where it was.
        modes: those asked for now; a journal that lacks one of them for a picture does that picture again.
    """
    done = _finished(journal, modes)
    for item in items:
        if str(item.path) in done:
            yield done[str(item.path)]
    rest = [item for item in items if str(item.path) not in done]
    journal.parent.mkdir(parents=True, exist_ok=True)
    with journal.open("a", encoding="utf-8") as stream:
        for rows in evaluate(rest):
            stream.writelines(json.dumps(asdict(row)) + "\n" for row in rows)
            stream.flush()
            yield rows


def _finished(journal: Path, modes: Sequence[Mode]) -> dict[str, list[Row]]:
    if not journal.exists():
        return {}
    found: dict[str, dict[str, Row]] = {}
    for line in journal.read_text(encoding="utf-8").splitlines():
        try:
            row = Row(**json.loads(line))
        except (ValueError, TypeError):  # the last line of a run that was killed may be cut
            continue
        found.setdefault(row.path, {})[row.mode] = row
    wanted = [mode.value for mode in modes]
    return {path: [rows[m] for m in wanted] for path, rows in found.items() if all(m in rows for m in wanted)}


def _row(
    item: Labelled, mode: Mode, upload: Upload | None, *, answer: float | str | None = None, reason: str | None = None
) -> Row:
    return Row(
        path=str(item.path),
        sha256=upload.sha256 if upload else "",
        generated=item.generated,
        group=item.group,
        generator=item.generator,
        mode=mode.value,
        llr_nats=answer if isinstance(answer, float) else None,
        reason=answer if isinstance(answer, str) else reason,
        media_type=upload.media_type if upload else "",
        width=upload.pixels.shape[1] if upload else 0,
        height=upload.pixels.shape[0] if upload else 0,
        bytes=len(upload.data) if upload else 0,
    )

"""Meta's Video Seal and Pixel Seal marks, read with the operator's TorchScript file in a killable worker.

TorchScript is a program, not only numbers. The file is therefore loaded only when its SHA-256 is the pinned one, never
in this process, and in a worker that is killed when it takes too long. The network answers bits for every picture, so
a reading counts only when it is close to a message that the operator lists (``marks`` of the detection policy).

Source: facebookresearch/videoseal, docs/torchscript.md: ``detect`` takes RGB in [0, 1] of any size and answers a mask
value and one value a bit, positive for 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from math import comb, log10
from pathlib import Path
from typing import Any, Final

import numpy as np

from guard.errors import ConfigError, WeightsError
from guard.isolation import WorkerPool
from guard.records import RGB8
from guard.watermark.foreign import ForeignMark, hex_of
from guard.watermark.invisible_watermark import KnownPayload
from guard.weights import WeightSpec, require_digest, sha256_file

LOG10_CHANCE: Final = -6.0
"""A message counts when fair random bits would come as close to any listed one with at most this chance."""
DEADLINE_S: Final = 45.0
"""The first picture pays for loading 200 MB."""
MEMORY_BYTES: Final = 16 * 1024**3
"""Address space of the worker; torch alone maps several GB."""


def log10_chance(bits: int, wrong: int, messages: int) -> float:
    """Return log10 of the chance that ``bits`` fair random bits are within ``wrong`` of one of ``messages`` messages.

    The binomial tail is exact; over several messages it is multiplied, which is at least the true chance.
    """
    tail = sum(comb(bits, i) for i in range(wrong + 1))
    return min(0.0, log10(messages) + log10(tail) - bits * log10(2))


class MetaSealReader:
    """Looks for listed messages; implements ``ForeignMarkReader``.

    Args:
        path: the TorchScript file.
        spec: its pinned digest and size.
        known: messages that the operator wants to recognise, of one length.
        deadline_s: longest reading of one picture; the worker is killed then.

    Raises:
        ConfigError: no message is listed.
    """

    scheme = "meta seal (TorchScript)"

    def __init__(
        self, path: Path, spec: WeightSpec, *, known: tuple[KnownPayload, ...], deadline_s: float = DEADLINE_S
    ) -> None:
        if not known:
            raise ConfigError("A Meta Seal reader needs messages to look for; the detection policy lists none for it.")
        self._path = str(path)
        self._sha256 = spec.sha256
        self._known = known
        self._deadline_s = deadline_s
        self._pool = WorkerPool(size=1, memory_bytes=MEMORY_BYTES, preload=("torch",))

    def read(self, pixels: RGB8) -> ForeignMark | None:
        """Return the listed message that the picture carries, or None.

        Raises:
            DeadlineError, WorkerError: the worker was stopped or died; WeightsError: the file is not the pinned one.
        """
        answers = self._pool.run(bit_values, self._path, self._sha256, pixels, deadline_s=self._deadline_s)
        return match(answers, self._known, scheme=self.scheme)


def match(answers: Sequence[float], known: tuple[KnownPayload, ...], *, scheme: str) -> ForeignMark | None:
    """Return the nearest listed message as a mark, or None when chance would explain it or an answer is not finite."""
    values = np.asarray(answers, np.float64)
    fitting = [message for message in known if len(message.bits) == len(values)]
    if not fitting or not np.isfinite(values).all():
        return None
    bits = (values > 0).astype(np.int64)
    wrong, nearest = min(
        ((int((bits != np.array(message.bits)).sum()), message) for message in fitting), key=lambda pair: pair[0]
    )
    chance = log10_chance(len(bits), wrong, len(fitting))
    if chance > LOG10_CHANCE:
        return None
    return ForeignMark(
        scheme=scheme,
        writer=nearest.writer,
        payload=hex_of(bits.tolist()),
        bits=len(bits),
        wrong_bits=wrong,
        log10_chance=round(chance, 2),
    )


def bit_values(path: str, sha256: str, pixels: RGB8) -> list[float]:
    """Return the network's value of every bit; runs in the worker.

    Raises:
        WeightsError: the file is not the pinned one, does not load, or answers something else than bits.
    """
    import torch

    given = torch.from_numpy(pixels.astype(np.float32) / 255).permute(2, 0, 1)[None]
    with torch.inference_mode():
        answer = _loaded(path, sha256).detect(given)
    if not isinstance(answer, torch.Tensor) or answer.ndim < 2 or answer.shape[0] != 1 or answer.shape[1] < 2:
        raise WeightsError(f"{path} does not answer one value a bit.", next_step="Use Meta's TorchScript export.")
    found: list[float] = answer[0, 1:].flatten(1).mean(dim=1).tolist() if answer.ndim > 2 else answer[0, 1:].tolist()
    return found


@lru_cache(maxsize=1)
def _loaded(path: str, sha256: str) -> Any:
    """Load the file once a worker, after its digest was checked."""
    import torch

    require_digest(sha256_file(Path(path)), sha256, what=f"The TorchScript file {path}")
    try:
        return torch.jit.load(path, map_location="cpu").eval()
    except RuntimeError as exc:
        raise WeightsError(f"{path} is not a TorchScript file.") from exc

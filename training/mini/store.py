"""Where the jobs keep their work, and how they write it so that a killed job loses minutes only.

Data flow: a job calls ``save_checkpoint`` every few minutes; on the next start ``load_checkpoint`` gives it back.
Everything lies under ``.cache/mini`` (git-ignored); only ``export`` writes into the repository.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final

import torch

ROOT: Final = Path(__file__).resolve().parents[2]
CACHE: Final = ROOT / ".cache" / "mini"
MODEL_DIR: Final = ROOT / "guard" / "models" / "signet-mini"
SEED: Final = 20261122
THREADS: Final = 2
CHECKPOINT_EVERY_S: Final = 90.0


def save_checkpoint(name: str, state: dict[str, Any]) -> Path:
    """Write ``state`` as ``.cache/mini/<name>.pt`` in one atomic step and return the path."""
    CACHE.mkdir(parents=True, exist_ok=True)
    path = CACHE / f"{name}.pt"
    temporary = path.with_suffix(".pt.part")
    torch.save(state, temporary)
    os.replace(temporary, path)
    return path


def load_checkpoint(name: str) -> dict[str, Any] | None:
    """Return the state of ``save_checkpoint(name, ...)``, or None where none was written.

    The file is our own and is read with ``weights_only``, so that it cannot run code.
    """
    path = CACHE / f"{name}.pt"
    if not path.exists():
        return None
    state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    return state


def prepare_torch(seed: int) -> None:
    """Fix the seed and the number of threads, so that a run on one machine repeats itself."""
    torch.manual_seed(seed)
    torch.set_num_threads(THREADS)

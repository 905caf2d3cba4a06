"""All texts as one sparse matrix of hashed n-gram counts, cached so that a second run starts at once."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import sparse

from guard.prompt_check.hashed_ngrams import CHAR_BITS, FEATURES_VERSION, WORD_BITS, blocks

IDF_STEP = 1.0 / 16.0
"""Resolution of the stored inverse document frequencies (uint8): at most 15.9, ln of 155 000 documents is 12."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Sublinear counts of both blocks: (rows, 2^CHAR_BITS) and (rows, 2^WORD_BITS) CSR float32."""

    characters: sparse.csr_matrix
    words: sparse.csr_matrix

    def take(self, keep: np.ndarray) -> Counts:
        """Return some of the rows."""
        return Counts(characters=self.characters[keep], words=self.words[keep])


def count(texts: Sequence[str], cache: Path) -> Counts:
    """Featurise all texts; read or write the cache folder."""
    key = hashlib.sha256(f"{FEATURES_VERSION}\0".encode() + "\0".join(texts).encode("utf-8", "surrogatepass"))
    stem = cache / f"counts-{key.hexdigest()[:16]}"
    files = [stem.with_suffix(f".{name}.npz") for name in ("characters", "words")]
    if all(file.exists() for file in files):
        return Counts(characters=sparse.load_npz(files[0]), words=sparse.load_npz(files[1]))
    started = time.monotonic()
    found = []
    for index, text in enumerate(texts):
        found.append(blocks(text))
        if index % 20_000 == 19_999:
            print(f"features: {index + 1}/{len(texts)} rows, {time.monotonic() - started:.0f} s", flush=True)
    matrices = []
    for block, bits in ((0, CHAR_BITS), (1, WORD_BITS)):
        starts = np.concatenate(([0], np.cumsum([len(pair[block].slots) for pair in found])))
        slots = np.concatenate([pair[block].slots for pair in found]).astype(np.int32)
        values = np.concatenate([pair[block].weights for pair in found])
        matrices.append(sparse.csr_matrix((values, slots, starts), shape=(len(texts), 1 << bits)))
    cache.mkdir(parents=True, exist_ok=True)
    for file, matrix in zip(files, matrices, strict=True):
        sparse.save_npz(file, matrix, compressed=False)
    return Counts(characters=matrices[0], words=matrices[1])


def inverse_document_frequency(matrix: sparse.csr_matrix) -> np.ndarray:
    """Return (slots,) uint8 in units of IDF_STEP: ln((1 + n) / (1 + df)) + 1, as scikit-learn's smooth idf."""
    frequency = np.bincount(matrix.indices, minlength=matrix.shape[1])
    values = np.log((1 + matrix.shape[0]) / (1 + frequency)) + 1.0
    return np.clip(np.round(values / IDF_STEP), 1, 255).astype(np.uint8)


def scale(matrix: sparse.csr_matrix, idf: np.ndarray) -> sparse.csr_matrix:
    """Return the TF-IDF matrix with rows of length 1; zero rows stay zero."""
    values = matrix.data * (idf[matrix.indices] * np.float32(IDF_STEP))
    lengths = np.sqrt(np.add.reduceat(np.append(values**2, 0.0), matrix.indptr[:-1]) * (np.diff(matrix.indptr) > 0))
    lengths = np.maximum(lengths, 1e-6)
    values = (values / np.repeat(lengths, np.diff(matrix.indptr))).astype(np.float32)
    return sparse.csr_matrix((values, matrix.indices, matrix.indptr), shape=matrix.shape)

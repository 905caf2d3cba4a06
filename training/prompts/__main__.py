"""Train, evaluate and write the prompt model.

Example::

    python -m training.prompts --data train.jsonl.gz --encoder all-MiniLM-L6-v2 --work .cache/prompts

Steps, each cached under ``--work`` so that an interrupted run goes on where it was: (1) features, (2) word-piece
vectors, (3) scores of held-out sources, fold by fold, (4) the calibrated sum and its figures, (5) the final fit on all
shipped sources, (6) ``model.onnx``, ``vocab.txt``, ``README.md`` and ``digests.json`` in ``--out``.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from guard.prompt_check.wordpiece import pieces
from training.prompts import meaning
from training.prompts.card import write_card
from training.prompts.data import FOLDS, NON_COMMERCIAL, Row, capped, held_out, joined, own_rows, read_rows
from training.prompts.distil import distil, read_vocabulary
from training.prompts.evaluate import calibration_error, figures
from training.prompts.export import export
from training.prompts.fit import Fitted, Stack, fit, stack
from training.prompts.matrix import Counts, count

SHIPPED = Path(__file__).resolve().parents[2] / "guard" / "models" / "prompt"


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """Everything that the fits read, row by row."""

    rows: list[Row]
    counts: Counts
    ids: list[np.ndarray]
    vectors: np.ndarray

    def fit(self, keep: np.ndarray, *, seed: int) -> tuple[Fitted, meaning.MeaningNet]:
        """Fit both views on the rows of a mask."""
        chosen = np.flatnonzero(keep)
        rows = [self.rows[i] for i in chosen]
        fitted = fit(rows, self.counts.take(chosen), seed=seed)
        return fitted, meaning.train(rows, [self.ids[i] for i in chosen], self.vectors, seed=seed)


def held_out_scores(inputs: Inputs, allowed: np.ndarray, work: Path, *, seed: int) -> np.ndarray:
    """Return (rows, 2) logits of both views for rows whose sources were held out, NaN for the others.

    Each fold is cached as soon as it is done.
    """
    scores = np.full((len(inputs.rows), 2), np.nan)
    for fold in FOLDS:
        hidden = np.array(held_out(inputs.rows, fold))
        key = hashlib.sha256(np.packbits(allowed & ~hidden).tobytes() + str(seed).encode()).hexdigest()[:16]
        file = work / f"fold-{fold}-{key}.npy"
        where = np.flatnonzero(hidden)
        if not file.exists():
            started = time.monotonic()
            fitted, net = inputs.fit(allowed & ~hidden, seed=seed)
            found = meaning.logits(net, [inputs.ids[i] for i in where])[:, 0]
            np.save(file, np.c_[fitted.logits(inputs.counts.take(where)), found])
            print(f"fold {fold}: {time.monotonic() - started:.0f} s", flush=True)
        scores[where] = np.load(file)
    return scores


def read_inputs(data: Path, encoder: Path, work: Path, *, cap: int, seed: int) -> Inputs:
    """Read rows, add the project's own, and compute or load their features."""
    rows = capped(read_rows(data), cap=cap, seed=seed) + own_rows(seed=seed)
    rows += joined(rows, count=len(rows) // 12, seed=seed)
    vocabulary = {piece: number for number, piece in enumerate(read_vocabulary(encoder))}
    return Inputs(
        rows=rows,
        counts=count([row.text for row in rows], work),
        ids=[pieces(row.text, vocabulary) for row in rows],
        vectors=distil(encoder, work),
    )


def evaluate(inputs: Inputs, scores: np.ndarray, *, seed: int) -> tuple[Stack, dict[str, object]]:
    """Return the calibrated sum and the figures of both views and of the sum."""
    known = np.isfinite(scores).all(axis=1)
    label = np.array([row.label for row in inputs.rows])
    weight = np.array([row.weight for row in inputs.rows])
    summed = stack(scores[known, 0], scores[known, 1], label[known], weight[known])
    total = summed.logits(scores[:, 0], scores[:, 1])
    probability = 1.0 / (1.0 + np.exp(-total[known]))
    return summed, {
        "sum": figures(inputs.rows, total, seed=seed),
        "spelling": figures(inputs.rows, scores[:, 0], seed=seed),
        "meaning": figures(inputs.rows, scores[:, 1], seed=seed),
        "calibration_error": calibration_error(probability, label[known], weight[known]),
        "stack": [summed.spelling, summed.meaning, summed.intercept],
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Run all steps."""
    parser = argparse.ArgumentParser(prog="python -m training.prompts", description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="gzipped JSON lines of labelled prompts")
    parser.add_argument("--encoder", type=Path, required=True, help="folder of all-MiniLM-L6-v2")
    parser.add_argument("--work", type=Path, default=Path(".cache/prompts"), help="folder for caches")
    parser.add_argument("--out", type=Path, default=SHIPPED, help="model folder to write")
    parser.add_argument("--cap", type=int, default=100_000, help="most rows of one source and label, for quick runs")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--with-non-commercial", action="store_true", help="also train on CC-BY-NC sources; report only"
    )
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    options.work.mkdir(parents=True, exist_ok=True)
    inputs = read_inputs(options.data, options.encoder, options.work, cap=options.cap, seed=options.seed)
    excluded = frozenset() if options.with_non_commercial else NON_COMMERCIAL
    allowed = np.array([row.source not in excluded for row in inputs.rows])
    scores = held_out_scores(inputs, allowed, options.work, seed=options.seed)
    summed, report = evaluate(inputs, scores, seed=options.seed)
    name = "all" if options.with_non_commercial else "shipped"
    (options.work / f"figures-{name}.json").write_text(json.dumps(report, indent=1), encoding="utf-8")
    print(json.dumps(report["sum"]), flush=True)
    if options.with_non_commercial:
        return
    fitted, net = inputs.fit(allowed, seed=options.seed)
    export(fitted, net, summed, options.out / "model.onnx")
    vocabulary = "\n".join(read_vocabulary(options.encoder)) + "\n"
    (options.out / "vocab.txt").write_text(vocabulary, encoding="utf-8")
    trained = [row for row, keep in zip(inputs.rows, allowed, strict=True) if keep]
    write_card(options.out, trained, options.work, data=options.data)


if __name__ == "__main__":
    main()

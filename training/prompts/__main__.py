"""Train, evaluate and write the prompt model.

Example::

    python -m training.prompts --data train.jsonl.gz --encoder all-MiniLM-L6-v2 --work .cache/prompts

Steps, each cached under ``--work`` so that an interrupted run goes on where it was: (1) features, word-piece vectors,
sentence vectors, (2) doubtful labels, (3) scores of held-out sources, fold by fold, ours and the baseline's, (4) the
calibrated sum and its figures, (5) the final fit on all shipped sources, (6) ``model.onnx``, ``vocab.txt``,
``README.md`` and ``digests.json`` in ``--out``.
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

from guard.prompt_check.glosses import read_glosses
from guard.prompt_check.wordpiece import pieces
from training.prompts import meaning
from training.prompts.augment import joined, own_rows, soups, telegraphic
from training.prompts.baseline import baseline_logits
from training.prompts.card import write_card
from training.prompts.clean import cleaned, doubts
from training.prompts.data import FOLDS, NON_COMMERCIAL, Row, capped, held_out, read_rows
from training.prompts.distil import distil, read_vocabulary
from training.prompts.evaluate import calibration_error, figures
from training.prompts.export import export, shipped_pieces
from training.prompts.fit import Fitted, Stack, fit, stack
from training.prompts.matrix import Counts, count
from training.prompts.rules import rule_probabilities
from training.prompts.sentences import sentence_vectors

SHIPPED = Path(__file__).resolve().parents[2] / "guard" / "models" / "prompt"


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """Everything that the fits read, row by row; ``rows`` have their cleaned weights."""

    original: list[Row]
    rows: list[Row]
    counts: Counts
    ids: list[np.ndarray]
    vectors: np.ndarray
    sentences: np.ndarray

    def fit(self, keep: np.ndarray, *, seed: int) -> tuple[Fitted, meaning.MeaningNet]:
        """Fit both views on the rows of a mask that count at all."""
        chosen = np.flatnonzero(keep & np.array([row.weight > 0 for row in self.rows]))
        rows = [self.rows[i] for i in chosen]
        fitted = fit(rows, self.counts.take(chosen), seed=seed)
        ids = [self.ids[i] for i in chosen]
        return fitted, meaning.train(rows, ids, self.vectors, seed=seed, sentences=self.sentences[chosen])


def held_out_scores(inputs: Inputs, allowed: np.ndarray, work: Path, *, seed: int) -> np.ndarray:
    """Return (rows, 3) logits - spelling, meaning, baseline - of rows whose sources were held out, NaN for the others.

    Each fold is cached as soon as it is done.
    """
    scores = np.full((len(inputs.rows), 3), np.nan)
    for fold in FOLDS:
        hidden = np.array(held_out(inputs.rows, fold))
        key = hashlib.sha256(np.packbits(allowed & ~hidden).tobytes() + str(seed).encode()).hexdigest()[:16]
        file = work / f"fold-{fold}-{key}.npy"
        where = np.flatnonzero(hidden)
        base = baseline_logits(inputs.original, allowed, hidden, work / f"baseline-{fold}-{key}.npy")
        if not file.exists():
            started = time.monotonic()
            fitted, net = inputs.fit(allowed & ~hidden, seed=seed)
            found = meaning.logits(net, [inputs.ids[i] for i in where])[:, 0]
            np.save(file, np.c_[fitted.logits(inputs.counts.take(where)), found])
            print(f"fold {fold}: {time.monotonic() - started:.0f} s", flush=True)
        scores[where] = np.c_[np.load(file), base]
    return scores


def read_inputs(data: Path, encoder: Path, work: Path, *, cap: int, seed: int, excluded: frozenset[str]) -> Inputs:
    """Read rows, add those made from others, and compute or load their features."""
    vocabulary = read_vocabulary(encoder)
    rows = capped(read_rows(data), cap=cap, seed=seed) + own_rows(seed=seed)
    vectors = distil(encoder, work)
    made = joined(rows, count=len(rows) // 14, seed=seed)
    made += soups(rows, vocabulary, vectors, count=len(rows) // 16, seed=seed)
    rows += made + telegraphic(rows, count=len(rows) // 14, seed=seed)
    glosses = read_glosses()
    readings = [glosses.read(row.text) for row in rows]
    numbers = {piece: number for number, piece in enumerate(vocabulary)}
    counts = count(readings, work)
    allowed = np.array([row.source not in excluded for row in rows])
    return Inputs(
        original=rows,
        rows=cleaned(rows, doubts(rows, counts, allowed, work, seed=seed)),
        counts=counts,
        ids=[pieces(reading, numbers) for reading in readings],
        vectors=vectors,
        sentences=sentence_vectors(rows, encoder, work),
    )


def evaluate(inputs: Inputs, scores: np.ndarray, *, seed: int) -> tuple[Stack, dict[str, object]]:
    """Return the calibrated sum, and the figures of it with the rules, of it, its views and the baseline, fold by fold.

    The sum is fitted on English image prompts of both folds; every fold has its own threshold, because its scores come
    from a model of its own.
    """
    rows = inputs.rows
    label, weight = np.array([row.label for row in rows]), np.array([row.weight for row in rows])
    known = np.isfinite(scores).all(axis=1) & (weight > 0)
    known &= np.array([row.language == "en" and row.domain == "image" for row in rows])
    summed = stack(scores[known, 0], scores[known, 1], label[known], weight[known])
    total = summed.logits(scores[:, 0], scores[:, 1])
    probability = 1.0 / (1.0 + np.exp(-total[known]))
    report: dict[str, object] = {
        "calibration_error": calibration_error(probability, label[known], weight[known]),
        "violating_share": round(float(np.average(label[known], weights=weight[known])), 4),
        "stack": [summed.spelling, summed.meaning, summed.intercept],
    }
    rules = rule_probabilities(inputs.original, np.isfinite(total))
    views = {
        "with rules": 1.0 - (1.0 - rules) / (1.0 + np.exp(total)),
        "sum": total,
        "spelling": scores[:, 0],
        "meaning": scores[:, 1],
        "baseline": scores[:, 2],
    }
    for fold in FOLDS:
        hidden = np.array(held_out(rows, fold))
        report[fold] = {
            name: figures(inputs.original, np.where(hidden, values, np.nan), seed=seed)
            for name, values in views.items()
        }
    return summed, report


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
    excluded = frozenset() if options.with_non_commercial else NON_COMMERCIAL
    inputs = read_inputs(
        options.data, options.encoder, options.work, cap=options.cap, seed=options.seed, excluded=excluded
    )
    allowed = np.array([row.source not in excluded for row in inputs.rows])
    scores = held_out_scores(inputs, allowed, options.work, seed=options.seed)
    summed, report = evaluate(inputs, scores, seed=options.seed)
    name = "all" if options.with_non_commercial else "shipped"
    (options.work / f"figures-{name}.json").write_text(json.dumps(report, indent=1), encoding="utf-8")
    print(json.dumps({fold: report[fold] for fold in FOLDS}), flush=True)
    if options.with_non_commercial:
        return
    fitted, net = inputs.fit(allowed, seed=options.seed)
    vocabulary = read_vocabulary(options.encoder)
    keep = shipped_pieces(vocabulary)
    export(fitted, net, summed, options.out / "model.onnx", keep=keep)
    (options.out / "vocab.txt").write_text("\n".join(vocabulary[n] for n in keep) + "\n", encoding="utf-8")
    trained = [row for row, keep in zip(inputs.rows, allowed, strict=True) if keep]
    write_card(options.out, trained, options.work, data=options.data)


if __name__ == "__main__":
    main()

"""The training code on a toy problem: does it learn, calibrate, export what it learnt, and repeat itself?"""

import numpy as np
import pytest

from guard.prompt_check.wordpiece import pieces
from training.prompts import meaning
from training.prompts.data import CATEGORIES, Row
from training.prompts.evaluate import calibration_error, share_above, threshold_at, wilson
from training.prompts.export import export
from training.prompts.fit import Stack, fit, stack
from training.prompts.matrix import count

WORDS = "[UNK] a red blue boat cat hill angry broken wolf on the ##s ,".split()  # noqa: SIM905
VOCABULARY = {word: number for number, word in enumerate(WORDS)}


def toy_rows() -> list[Row]:
    rows = []
    for index in range(160):
        bad = index % 2
        colour, thing = ("red", "blue")[index // 2 % 2], ("boat", "cat", "hill")[index % 3]
        text = f"a {'angry ' if bad else ''}{colour} {thing} on the hill, {index % 7}"
        rows.append(
            Row(
                text=text,
                label=bad,
                categories=("hate",) if bad and colour == "red" else ("sexual",) if bad else (),
                source="toy",
                licence="own",
                language="en",
                adversarial=False,
                weight=1.0,
                pair=index // 2,
            )
        )
    return rows


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    rows = toy_rows()
    counts = count([row.text for row in rows], tmp_path_factory.mktemp("cache"))
    ids = [pieces(row.text, VOCABULARY) for row in rows]
    vectors = np.random.default_rng(0).normal(size=(len(WORDS), 8)).astype(np.float32)
    fitted = fit(rows, counts, seed=0)
    net = meaning.train(rows * 50, ids * 50, vectors, seed=0)
    return {"rows": rows, "counts": counts, "ids": ids, "fitted": fitted, "net": net, "vectors": vectors}


def test_both_views_learn(trained: dict[str, object]) -> None:
    label = np.array([row.label for row in trained["rows"]])  # type: ignore[attr-defined]
    spelling = trained["fitted"].logits(trained["counts"])  # type: ignore[attr-defined]
    found = meaning.logits(trained["net"], trained["ids"])[:, 0]  # type: ignore[arg-type]
    assert spelling[label == 1].min() > spelling[label == 0].max()
    assert found[label == 1].mean() > found[label == 0].mean() + 2


def test_training_repeats_itself(trained: dict[str, object]) -> None:
    rows, ids = trained["rows"], trained["ids"]
    again = meaning.train(rows * 50, ids * 50, trained["vectors"], seed=0)  # type: ignore[operator, arg-type]
    first = meaning.logits(trained["net"], ids)  # type: ignore[arg-type]
    assert np.array_equal(meaning.logits(again, ids), first)  # type: ignore[arg-type]


def test_the_exported_graph_says_the_same(trained: dict[str, object], tmp_path_factory: pytest.TempPathFactory) -> None:
    import onnxruntime

    from guard.prompt_check.hashed_ngrams import blocks

    summed = Stack(spelling=0.7, meaning=0.4, intercept=-0.3)
    path = tmp_path_factory.mktemp("model") / "model.onnx"
    export(trained["fitted"], trained["net"], summed, path, keep=np.arange(len(WORDS)))  # type: ignore[arg-type]
    session = onnxruntime.InferenceSession(str(path))
    found = meaning.logits(trained["net"], trained["ids"])  # type: ignore[arg-type]
    spelling = trained["fitted"].logits(trained["counts"])  # type: ignore[attr-defined]
    for index, row in enumerate(trained["rows"][:20]):  # type: ignore[index]
        characters, words = blocks(row.text)
        inputs = {
            "character_slots": characters.slots,
            "character_weights": characters.weights,
            "word_slots": words.slots,
            "word_weights": words.weights,
            "pieces": trained["ids"][index],  # type: ignore[index]
        }
        violating, categories = session.run(["violating", "categories"], inputs)
        logit = summed.logits(spelling[index], found[index, 0])
        assert violating[0, 0] == pytest.approx(1 / (1 + np.exp(-logit)), abs=0.02)
        assert categories[0] == pytest.approx(1 / (1 + np.exp(-found[index, 1:])), abs=0.03)
        assert len(categories[0]) == len(CATEGORIES)


def test_the_calibrated_sum_is_calibrated() -> None:
    rng = np.random.default_rng(1)
    truth = rng.normal(size=4000) * 2
    label = (rng.uniform(size=4000) < 1 / (1 + np.exp(-truth))).astype(int)
    summed = stack(truth * 3 + 1, rng.normal(size=4000), label, np.ones(4000))
    probability = 1 / (1 + np.exp(-summed.logits(truth * 3 + 1, np.zeros(4000))))
    assert summed.spelling == pytest.approx(1 / 3, abs=0.05)
    assert calibration_error(probability, label, np.ones(4000)) < 0.03


def test_shares_and_thresholds() -> None:
    negative = np.arange(1000) / 1000
    threshold = threshold_at(negative, 0.01)
    assert (negative > threshold).mean() <= 0.01
    assert share_above(np.array([0.5, 0.995]), threshold)["share"] == 0.5
    low, high = wilson(5, 10)
    assert (low, high) == (pytest.approx(0.2366, abs=1e-3), pytest.approx(0.7634, abs=1e-3))


def test_sentence_vectors_of_a_larger_encoder_are_imitated(trained: dict[str, object]) -> None:
    """Two groups of texts with opposite vectors: the hidden layer must learn to tell them; NaN rows are left out."""
    import torch

    rows, ids = trained["rows"] * 30, trained["ids"] * 30  # type: ignore[operator]
    wanted = np.ones((len(rows), meaning.SENTENCE_SIZE), np.float16)
    wanted[[i for i, row in enumerate(rows) if "red" in row.text]] *= -1
    wanted[::7] = np.nan
    net = meaning.train(rows, ids, trained["vectors"], seed=0, sentences=wanted)  # type: ignore[arg-type]
    with torch.no_grad():
        told = net.imitation(net.features(meaning.pad(ids[:160], net.padding))).mean(dim=1).numpy()
    red = np.array(["red" in row.text for row in rows[:160]])
    assert told[red].max() < told[~red].min()
    assert np.isfinite(meaning.logits(net, ids[:10])).all()

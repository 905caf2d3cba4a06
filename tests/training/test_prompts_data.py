import gzip
import json
import random
from pathlib import Path

import numpy as np
import pytest

from training.prompts.augment import FUNCTION_WORDS, Neighbours, contrasts, joined, own_rows, soups, telegraphic
from training.prompts.clean import cleaned, factor
from training.prompts.data import (
    CATEGORIES,
    FOLDS,
    MADE_WEIGHT,
    NON_COMMERCIAL,
    Row,
    capped,
    held_out,
    read_rows,
    row_weight,
)
from training.prompts.lookalikes import lookalikes, read_templates


def row(text: str, *, label: int = 0, source: str = "coco_30k", pair: int | None = None) -> Row:
    return Row(
        text=text,
        label=label,
        categories=("violence_gore",) if label else (),
        source=source,
        licence="test",
        language="en",
        adversarial=False,
        weight=1.0,
        pair=pair,
    )


def test_rows_are_read_renamed_and_follow_their_origin(tmp_path: Path) -> None:
    raw = {
        "text": "x",
        "label": 1,
        "categories": ["fraud_impersonation", "other"],
        "source": "own_obfuscation",
        "derived_from": "i2p",
        "source_license": "MIT",
        "language": "en",
        "label_quality": "weak",
        "domain": "llm",
    }
    path = tmp_path / "rows.jsonl.gz"
    path.write_bytes(gzip.compress(json.dumps(raw).encode() + b"\n"))
    (found,) = read_rows(path)
    assert found.source == "i2p"
    assert found.headed == (CATEGORIES.index("fraud_forgery"),)
    assert found.weight == row_weight(raw) == 0.25


def test_no_source_is_held_out_twice() -> None:
    assert not FOLDS["one"] & FOLDS["two"]
    assert held_out([row("a"), row("b", source="i2p")], "two") == [True, False]


def test_non_commercial_sources_are_named() -> None:
    assert {"vidprom_toxic", "safree_t2v_safesora", "alpaca_harmless"} == NON_COMMERCIAL


def test_capping_keeps_pairs_whole_and_risky_prompts_all() -> None:
    rows = [row(f"h{i}") for i in range(50)] + [row(f"v{i}", label=1, source="i2p") for i in range(17)]
    rows += [row(f"p{i // 2}{i % 2}", label=i % 2, source="coprov2", pair=i // 2) for i in range(120)]
    kept = capped(rows, cap=10, seed=0)
    assert sum(r.source == "coco_30k" for r in kept) == 10
    assert sum(r.source == "i2p" for r in kept) == 17
    pairs = [r.pair for r in kept if r.pair is not None]
    assert len(pairs) == 100
    assert all(pairs.count(pair) == 2 for pair in set(pairs))
    assert kept == capped(rows, cap=10, seed=0)


def test_joined_texts_keep_the_violation_and_its_side() -> None:
    rows = [row(f"harmless {i}") for i in range(20)] + [row(f"bad {i}", label=1, source="i2p") for i in range(20)]
    rows += [row(f"other {i}", source="i2p") for i in range(20)]
    rows += [row(f"worse {i}", label=1) for i in range(20)]
    for found in joined(rows, count=40, seed=1):
        assert ("bad" in found.text or "worse" in found.text) == bool(found.label)
        if "bad" in found.text:
            assert found.source == "i2p"
            assert "harmless" not in found.text


def test_look_alikes_are_seeded_and_their_halves_disjoint() -> None:
    one, again = lookalikes(seed=3), lookalikes(seed=3)
    assert one == again
    assert not set(one["one"]) & set(one["two"])
    assert len(one["one"]) + len(one["two"]) > 1500
    assert all("{" not in text for texts in one.values() for text in texts)


def test_look_alikes_leave_the_test_prompts_alone() -> None:
    import yaml

    tests = Path(__file__).resolve().parents[1]
    held = yaml.safe_load((tests / "guard/prompt_check/data/everyday.yaml").read_text(encoding="utf-8"))
    for name in ("everyday_prompts", "everyday_held_out", "prompt_bypass"):
        groups = yaml.safe_load((tests / f"vectors/{name}.yaml").read_text(encoding="utf-8"))
        held += [x if isinstance(x, str) else x["prompt"] for group in groups.values() for x in group]
    _, templates = read_templates()
    trained = {text.lower() for text in templates} | {row.text.lower() for row in own_rows(seed=0)}
    assert not {text.lower() for text in held} & trained


@pytest.mark.parametrize("side", ["one", "two"])
def test_each_half_stays_clear_of_the_hard_rules(side: str) -> None:
    from guard.prompt_check.term_rules import TermChecker

    checker = TermChecker(folder=Path("unused"), lists=[])
    assert [text for text in lookalikes(seed=0)[side] if checker.check_texts([("prompt", text)])] == []


def test_contrasts_are_pairs_of_one_scene_and_leave_minors_alone() -> None:
    from guard.prompt_check.term_rules import TermChecker

    rows = contrasts(seed=1, count=4)
    assert rows == contrasts(seed=1, count=4)
    assert all("{" not in r.text and "|||" not in r.text for r in rows)
    by_pair: dict[int | None, list[Row]] = {}
    for r in rows:
        by_pair.setdefault(r.pair, []).append(r)
    assert len(by_pair) > 200
    assert all([r.label for r in pair] == [0, 1] and len({r.source for r in pair}) == 1 for pair in by_pair.values())
    assert {r.categories[0] for r in rows if r.label} == set(CATEGORIES)
    checker = TermChecker(folder=Path("unused"), lists=[])
    hard = [r.text for r in rows for f in checker.check_texts([("prompt", r.text)]) if f.category == "sexual_minors"]
    assert hard == []


VOCABULARY = ["##zorp", "quux", "[UNK]", "123", "lake", "pond", *(f"far{letter * 3}" for letter in "abcdefgh")]
VECTORS = np.array([[0.0, 1.0]] * 4 + [[1.0, 0.0], [0.99, 0.05]] + [[0.1, -1.0]] * 8, np.float32)


def test_token_soups_hold_words_of_their_text_and_noise() -> None:
    rows = [row("a bloody severed head", label=1, source="i2p"), row("a calm pier at dawn")]
    found = soups(rows, VOCABULARY, VECTORS, count=30, seed=0)
    assert sum(r.label for r in found) == 25
    for r in found:
        words = set(r.text.split())
        assert r.weight == MADE_WEIGHT
        assert any(w.startswith(("bloody", "severed", "head") if r.label else ("calm", "pier", "dawn")) for w in words)
        assert any("zorp" in w or "quux" in w or "far" in w or "lake" in w or "pond" in w for w in words)


def test_a_word_is_replaced_by_a_near_one_and_an_unknown_word_stays() -> None:
    near = Neighbours(VOCABULARY, VECTORS)
    rng = random.Random(0)
    drawn = {near.draw("lake", rng) for _ in range(200)}
    assert "pond" in drawn
    assert "lake" not in drawn
    assert near.draw("chateau", rng) == "chateau"


def test_telegraphic_texts_have_no_function_words() -> None:
    rows = [row("the head of a man is on the table", label=1), row("a boat on the lake in the morning")]
    found = telegraphic(rows, count=20, seed=0)
    assert len(found) > 10
    assert not {word for r in found for word in r.text.split()} & FUNCTION_WORDS


def test_only_noisy_labels_that_are_contradicted_lose_weight() -> None:
    rows = [row("a"), row("b"), row("c", label=1)]
    assert [r.weight for r in cleaned(rows, np.array([np.nan, 3.0, -3.0]))] == [1.0, 0.0, 0.3]
    assert factor(0, -5.0) == factor(1, 5.0) == 1.0
    assert factor(0, 1.0) < 1.0 > factor(1, 0.0)

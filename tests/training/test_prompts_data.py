import gzip
import json
from pathlib import Path

import pytest

from training.prompts.data import (
    CATEGORIES,
    FOLDS,
    NON_COMMERCIAL,
    Row,
    capped,
    held_out,
    joined,
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

    data = Path(__file__).resolve().parents[1] / "guard" / "prompt_check" / "data" / "everyday.yaml"
    everyday = {text.lower() for text in yaml.safe_load(data.read_text(encoding="utf-8"))}
    _, templates = read_templates()
    assert not everyday & {text.lower() for text in templates}


@pytest.mark.parametrize("side", ["one", "two"])
def test_each_half_stays_clear_of_the_hard_rules(side: str) -> None:
    from guard.prompt_check.term_rules import TermChecker

    checker = TermChecker(folder=Path("unused"), lists=[])
    assert [text for text in lookalikes(seed=0)[side] if checker.check_texts([("prompt", text)])] == []

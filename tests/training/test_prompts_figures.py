"""The reported figures: which rows stand on which side, and what the rules add."""

import numpy as np

from tests.training.test_prompts_data import row
from training.prompts.evaluate import figures
from training.prompts.rules import rule_probabilities


def test_rules_answer_for_wanted_rows_only() -> None:
    rows = [row("a lighthouse at dawn"), row("a beheaded corpse, gore, entrails", label=1), row("gore and entrails")]
    found = rule_probabilities(rows, np.array([True, True, False]))
    assert found[0] == 0.0
    assert found[1] > 0.5
    assert np.isnan(found[2])


def test_every_part_has_its_own_sides_and_threshold() -> None:
    rows = [row("x", label=1, source="i2p")] * 40 + [row("y", label=1, source="vidprom_toxic")] * 40
    rows += [row("z", source="coco_30k")] * 200 + [row("u", source="imagereward_refl")] * 200
    # text-labelled rows score above every source that was read; the unread source holds rows as high as they are
    scores = np.r_[np.full(40, 0.2), np.full(40, 0.8), np.linspace(0.0, 0.3, 200), np.linspace(0.0, 0.9, 200)]
    found = figures(rows, scores, seed=0)
    assert (found["risky"], found["benign"]) == (80, 400)
    parts = {name: found[name] for name in ("read", "text_labelled", "text_labelled_all")}
    assert {name: (p["risky"], p["benign"]) for name, p in parts.items()} == {  # type: ignore[index]
        "read": (80, 200),
        "text_labelled": (40, 200),
        "text_labelled_all": (40, 400),
    }
    assert parts["text_labelled"]["recall_1"]["share"] == 1.0  # type: ignore[index]
    assert parts["text_labelled_all"]["recall_1"]["share"] == 0.0  # type: ignore[index]
    assert parts["read"]["recall_1"]["share"] == 0.5  # type: ignore[index]

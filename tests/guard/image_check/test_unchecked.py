import json
from pathlib import Path

import numpy as np

from guard.image_check.unchecked import UnsafeUncheckedImages
from guard.policy.decide import Policy
from guard.policy.load import load_named
from guard.policy.schema import UNCHECKED, PolicyDocument
from guard.records import Action

POLICIES = Path(__file__).resolve().parents[3] / "policies"


def test_what_nobody_looked_at_is_flagged_by_the_policy_that_says_so() -> None:
    checker = UnsafeUncheckedImages()
    assert checker.id == UNCHECKED
    raw = load_named(POLICIES, "default").document.model_dump(mode="json")
    raw["checkers"]["image"] = [{"id": checker.id, "because": "all pictures are looked at by people"}]
    policy = Policy(document=PolicyDocument.model_validate_json(json.dumps(raw)), digest="0" * 64)
    decision = policy.decide(checker.check(np.zeros((64, 64, 3), np.uint8)), stage="image")
    assert decision.action is Action.FLAG
    assert "not examined" in decision.reason

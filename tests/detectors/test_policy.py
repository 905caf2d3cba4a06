"""Detection policies are read strictly: a wrong file says where it is wrong."""

from pathlib import Path

import pytest

from detectors.policy import load_detection_policy
from guard.errors import PolicyError

BUNDLED = Path(__file__).resolve().parents[2] / "policies" / "detection.default.yaml"


def test_the_bundled_policy_loads_and_its_digest_covers_every_byte(tmp_path: Path) -> None:
    policy, digest = load_detection_policy(BUNDLED)
    assert policy.id == "detection.default"
    changed = tmp_path / "detection.default.yaml"
    changed.write_bytes(BUNDLED.read_bytes() + b"\n# a comment\n")
    assert load_detection_policy(changed)[1] != digest


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("version: 1", "version: 2", "version"),
        ("id: detection.default", "id: 'Not An Id'", "id"),
        ("likely_llr_nats: 2.303", "likely_llr_nats: .nan", "NaN"),
        ("likely_llr_nats: 2.303", "likely_llr_nats: 0.5", "undetermined_llr_nats"),
        ("  pdq_max_distance: 31", "  pdq_max_distance: 200", "pdq_max_distance"),
        ("  pdq_min_quality: 50", "  pdq_min_quality: 50\n  surprise: 1", "surprise"),
        ("    learned: 4.605", "", "learned"),
        ("  - metadata.ledger_match", "  - metadata.credentials", "twice"),
    ],
)
def test_a_wrong_policy_is_refused_and_says_where(tmp_path: Path, old: str, new: str, said: str) -> None:
    text = BUNDLED.read_text()
    assert old in text
    path = tmp_path / "detection.broken.yaml"
    path.write_text(text.replace(old, new))
    with pytest.raises(PolicyError, match=said):
        load_detection_policy(path)


def test_missing_and_unreadable_files(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match="cannot be read"):
        load_detection_policy(tmp_path / "none.yaml")
    broken = tmp_path / "broken.yaml"
    broken.write_text("a: [")
    with pytest.raises(PolicyError, match="YAML"):
        load_detection_policy(broken)

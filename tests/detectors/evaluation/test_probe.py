"""Probes: split by source, calibrated on other sources, and what is written is what was fitted."""

from pathlib import Path

import numpy as np
import pytest

from detectors.evaluation.labelled import Labelled
from detectors.evaluation.probe import PARTS, Embedded, fit_probe, split_sources, write_probe
from detectors.scoring import ScoringModel
from guard.errors import RequestError, WeightsError

WIDTH = 12


def pictures(*, sources: int = 5, each: int = 12, shift: float = 1.2) -> list[Embedded]:
    rng = np.random.default_rng(4)
    found = []
    for generated in (False, True):
        for source in range(sources):
            group = f"{'made' if generated else 'real'}-{source}"
            for number in range(each):
                features = rng.normal(shift * generated, 1.0, WIDTH).astype(np.float32)
                item = Labelled(
                    path=Path(f"{group}-{number}"),
                    generated=generated,
                    group=group,
                    generator=group if generated else None,
                )
                found.append(Embedded(item=item, sha256=f"{len(found):064x}", features=features))
    return found


def test_no_source_is_on_two_sides() -> None:
    parts = split_sources(pictures())
    sides = [{p.item.group for p in parts[name]} for name in PARTS]
    assert not (sides[0] & sides[1] | sides[0] & sides[2] | sides[1] & sides[2])
    assert all({p.item.generated for p in parts[name]} == {False, True} for name in PARTS)
    assert sum(map(len, parts.values())) == len(pictures())


def test_two_sources_a_class_are_too_few() -> None:
    with pytest.raises(RequestError, match="2 sources of real"):
        split_sources(pictures(sources=2))


def test_a_probe_separates_what_can_be_separated(tmp_path: Path) -> None:
    parts = split_sources(pictures())
    model, make_card = fit_probe(parts)
    card = write_probe(tmp_path / "ours", model, make_card, detector="learned.probe.ours", date="2026-11-22")
    assert card.measured[0].auc > 0.9
    assert card.mapping.slope > 0
    assert card.measured[0].cllr < 0.6
    opened = ScoringModel(tmp_path / "ours", "probe")
    features = np.stack([p.features for p in parts["test"]])
    scores = opened.run({"texture": features})[0].ravel()
    assert np.allclose(scores, model.scores(features), atol=1e-4)
    assert opened.version.startswith("2026-11-22+")


def test_pictures_without_a_difference_give_no_evidence(tmp_path: Path) -> None:
    _, make_card = fit_probe(split_sources(pictures(shift=0.0)))
    card = make_card("learned.probe.nothing", "0" * 64, "2026-11-22")
    assert abs(card.llr_nats(3.0)) < 1.2
    assert card.measured[0].auc < 0.7


def test_a_changed_file_does_not_load(tmp_path: Path) -> None:
    model, make_card = fit_probe(split_sources(pictures()))
    write_probe(tmp_path / "p", model, make_card, detector="learned.probe.p", date="2026-11-22")
    path = tmp_path / "p" / "probe.onnx"
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(WeightsError, match="SHA-256"):
        ScoringModel(tmp_path / "p", "probe")


def test_a_card_of_another_model_does_not_load(tmp_path: Path) -> None:
    model, make_card = fit_probe(split_sources(pictures()))
    write_probe(
        tmp_path / "p", model, lambda d, _, date: make_card(d, "ab" * 32, date), detector="x", date="2026-11-22"
    )
    with pytest.raises(WeightsError, match="calibrates the model"):
        ScoringModel(tmp_path / "p", "probe")

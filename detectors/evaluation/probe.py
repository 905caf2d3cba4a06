"""Fit a linear probe on a team's own labelled pictures, calibrate it on other sources, write it with its card.

(1) sources, not pictures, are split into training, calibration and test
(2) every picture is treated as in the protocol's ``history`` mode, so that formats cannot be learned
(3) training: logistic regression on texture statistics; calibration: its score -> ratio; test: the card's figures
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from detectors.calibration.card import CalibrationCard, Dataset, Domain
from detectors.crops import Crop, choose_crops
from detectors.evaluation.calibrate import dataset, false_positive_table, fit_mappings, frozen_thresholds, measure
from detectors.evaluation.degradations import Mode
from detectors.evaluation.labelled import Labelled
from detectors.evaluation.logistic import CLIP, LinearModel, Matrix, balanced_weights, fit_linear
from detectors.evaluation.metrics import Labels, Scores
from detectors.evaluation.protocol import treated
from detectors.upload import load_upload, still_image
from guard.errors import ConfigError, MediaError, RequestError
from guard.weights import sha256_file

PENALTY = 0.05
"""Strength of the prior on the weights; about 3,000 features and a few hundred pictures need much of it."""
MIN_SOURCES = 3
"""Sources a class: one each for training, calibration and test."""
PARTS = ("training", "calibration", "test")
_SHARES = (0.5, 0.25, 0.25)
DOMAIN = Domain(min_side_px=160, min_jpeg_quality=40, min_texture=1.0)
"""What cards fitted on one's own pictures cover: the domain of the models in the box."""

Embedder = Callable[[tuple[Crop, ...]], NDArray[np.float32]]
"""Crops -> (N, D) texture statistics."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Embedded:
    """The features of one labelled picture, averaged over its crops."""

    item: Labelled
    sha256: str
    features: NDArray[np.float32]


def embed(items: Sequence[Labelled], embedder: Embedder, *, progress: Callable[[], None]) -> list[Embedded]:
    """Return the features of every picture that can be examined; others are left out."""
    found = []
    for item in items:
        try:
            upload = load_upload(item.path.read_bytes(), decoder=still_image)
        except (OSError, MediaError):  # a damaged file in a folder of thousands must not end the training
            progress()
            continue
        crops = choose_crops(treated(upload, Mode.HISTORY).pixels)
        if crops:
            features = embedder(crops).mean(axis=0).astype(np.float32)
            found.append(Embedded(item=item, sha256=upload.sha256, features=features))
        progress()
    return found


def split_sources(pictures: Sequence[Embedded]) -> dict[str, list[Embedded]]:
    """Return the pictures by part; every source is in one part, and every part has both classes.

    Raises:
        RequestError: a class has fewer than MIN_SOURCES sources.
    """
    part_of: dict[str, str] = {}
    for generated in (False, True):
        sizes: dict[str, int] = {}
        for picture in pictures:
            if picture.item.generated == generated:
                sizes[picture.item.group] = sizes.get(picture.item.group, 0) + 1
        if len(sizes) < MIN_SOURCES:
            label = "generated" if generated else "real"
            raise RequestError(
                f"There are {len(sizes)} sources of {label} pictures; a probe needs {MIN_SOURCES} of each class.",
                next_step="Sort the pictures by where they come from: real/SITE-A, real/CAMERA-B, generated/TOOL-C.",
            )
        load = dict.fromkeys(PARTS, 0.0)
        for name, size in sorted(sizes.items(), key=lambda pair: (-pair[1], pair[0])):
            part = min(PARTS, key=lambda p: load[p])
            part_of[name] = part
            load[part] += size / _SHARES[PARTS.index(part)]
    return {part: [p for p in pictures if part_of[p.item.group] == part] for part in PARTS}


def fit_probe(parts: dict[str, list[Embedded]]) -> tuple[LinearModel, Callable[[str, str, str], CalibrationCard]]:
    """Return the model and what makes its card from (detector id, model digest, date)."""
    features, labels, groups = _columns(parts["training"])
    model = fit_linear(features, labels, balanced_weights(labels, groups), penalty=PENALTY)
    return model, calibrated_card(
        model.scores, parts["calibration"], parts["test"], domain=DOMAIN, training=_described(parts["training"])
    )


def calibrated_card(
    score: Callable[[Matrix], Scores],
    calibration: Sequence[Embedded],
    test: Sequence[Embedded],
    *,
    domain: Domain,
    training: Dataset,
    notes: tuple[str, ...] = (),
) -> Callable[[str, str, str], CalibrationCard]:
    """Fix mapping and thresholds on some sources, measure on others, and return what makes the card.

    Args:
        score: (N, D) features -> (N,) scores.
        calibration: pictures that fix mapping and thresholds.
        test: pictures of other sources.
        domain: what the detector looks at.
        training: what the detector was trained on, as far as it is known.
        notes: for the card.

    Returns:
        A function of (detector id, model digest, date).
    """
    features, labels, groups = _columns(calibration)
    mapping = fit_mappings(score(features)[:, None].astype(np.float32), labels, groups)[0]

    def ratios(features: Matrix) -> Scores:
        return np.clip(mapping.slope * score(features) + mapping.offset, mapping.lowest, mapping.highest)

    thresholds = frozen_thresholds(labels, ratios(features))
    shown, truth, sources = _columns(test)
    generators = [p.item.generator for p in test]
    measured = measure(Mode.HISTORY.value, truth, ratios(shown), sources, generators, thresholds=thresholds)

    def card(detector: str, model_sha256: str, date: str) -> CalibrationCard:
        return CalibrationCard(
            version=1,
            detector=detector,
            model_sha256=model_sha256,
            date=date,
            domain=domain,
            mapping=mapping,
            false_positive_rates=false_positive_table(labels, ratios(features)),
            training=training,
            calibration=_described(calibration),
            test=_described(test),
            measured=(measured,),
            notes=notes,
        )

    return card


def write_probe(
    folder: Path, model: LinearModel, card: Callable[[str, str, str], CalibrationCard], *, detector: str, date: str
) -> CalibrationCard:
    """Write ``probe.onnx``, ``probe.card.json`` and ``digests.json`` and return the card.

    Raises:
        ConfigError: the onnx package is not installed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "probe.onnx"
    path.write_bytes(_as_onnx(model))
    made = card(detector, sha256_file(path), date)
    described = folder / "probe.card.json"
    described.write_text(made.model_dump_json(indent=1) + "\n", encoding="utf-8")
    digests = {file.name: sha256_file(file) for file in (path, described)}
    (folder / "digests.json").write_text(json.dumps(digests, indent=1) + "\n", encoding="utf-8")
    return made


def _columns(pictures: Sequence[Embedded]) -> tuple[Matrix, Labels, list[str]]:
    return (
        np.stack([p.features for p in pictures]),
        np.array([p.item.generated for p in pictures], bool),
        [p.item.group for p in pictures],
    )


def _described(pictures: Sequence[Embedded]) -> Dataset:
    _, labels, groups = _columns(pictures)
    return dataset([p.sha256 for p in pictures], labels, groups, ["own files"] * len(groups))


def _as_onnx(model: LinearModel) -> bytes:
    """Return standardise, cut, weigh, add as an ONNX graph: texture (N, D) -> score (N, 1)."""
    try:
        import onnx
        from onnx import TensorProto, helper, numpy_helper
    except ImportError as exc:
        raise ConfigError("Writing a probe needs onnx.", next_step='pip install "signet-gateway[train]"') from exc
    width = len(model.weights)
    values = {
        "mean": model.mean.astype(np.float32),
        "scale": model.scale.astype(np.float32),
        "low": np.array(-CLIP, np.float32),
        "high": np.array(CLIP, np.float32),
        "weights": model.weights.astype(np.float32)[:, None],
        "bias": np.array([model.bias], np.float32),
    }
    nodes = [
        helper.make_node("Sub", ["texture", "mean"], ["centred"]),
        helper.make_node("Div", ["centred", "scale"], ["standard"]),
        helper.make_node("Clip", ["standard", "low", "high"], ["cut"]),
        helper.make_node("MatMul", ["cut", "weights"], ["weighed"]),
        helper.make_node("Add", ["weighed", "bias"], ["score"]),
    ]
    graph = helper.make_graph(
        nodes,
        "probe",
        [helper.make_tensor_value_info("texture", TensorProto.FLOAT, ["n", width])],
        [helper.make_tensor_value_info("score", TensorProto.FLOAT, ["n", 1])],
        [numpy_helper.from_array(value, name) for name, value in values.items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(made)
    return bytes(made.SerializeToString())

"""The second face detector, with a small model of YuNet's shape: it calls bright places faces."""

import hashlib
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from guard.errors import CheckError, WeightsError
from guard.image_check.faces import FaceDetector

STRIDES = (8, 16, 32)


def yunet_like(*, broken: bool = False) -> bytes:
    """An ONNX file with YuNet's twelve outputs; the score of a cell is its brightness, its box is one cell."""
    nodes, outputs = [], []
    shapes = {"cls": 1, "obj": 1, "bbox": 4, "kps": 10}
    constants = [numpy_helper.from_array(np.float32([1 / 255]), "unit"), numpy_helper.from_array(np.float32([0]), "no")]
    constants.append(numpy_helper.from_array(np.float32([np.nan]), "nan"))
    for stride in STRIDES:
        pooled = f"pooled_{stride}"
        nodes.append(
            helper.make_node("AveragePool", ["input"], [pooled], kernel_shape=[stride] * 2, strides=[stride] * 2)
        )
        for name, width in shapes.items():
            out = f"{name}_{stride}"
            kernel = numpy_helper.from_array(np.full((width, 3, 1, 1), 1 / 3, np.float32), f"{out}_kernel")
            shape = numpy_helper.from_array(np.int64([1, -1, width]), f"{out}_shape")
            constants += [kernel, shape]
            factor = "unit" if stride == 8 and name in ("cls", "obj") else "nan" if broken and name == "bbox" else "no"
            nodes += [
                helper.make_node("Conv", [pooled, f"{out}_kernel"], [f"{out}_a"], kernel_shape=[1, 1]),
                helper.make_node("Mul", [f"{out}_a", factor], [f"{out}_b"]),
                helper.make_node("Transpose", [f"{out}_b"], [f"{out}_c"], perm=[0, 2, 3, 1]),
                helper.make_node("Reshape", [f"{out}_c", f"{out}_shape"], [out]),
            ]
            outputs.append(helper.make_tensor_value_info(out, TensorProto.FLOAT, [1, None, width]))
    image = helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, 3, 640, 640])
    graph = helper.make_graph(nodes, "bright", [image], outputs, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)])
    model.ir_version = 7
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def written(folder: Path, content: bytes) -> tuple[Path, str]:
    file = folder / "faces.onnx"
    file.write_bytes(content)
    return file, hashlib.sha256(content).hexdigest()


def test_places_are_given_in_pixels_of_the_whole_picture(tmp_path: Path) -> None:
    file, digest = written(tmp_path, yunet_like())
    detector = FaceDetector(file, digest=digest, min_score=0.8)
    picture = np.zeros((320, 1280, 3), np.uint8)
    assert detector.detect(picture) == []
    picture[160:176, 960:976] = 255  # one cell of 8 px at half size
    (face,) = detector.detect(picture)
    assert 0.9 < face.score <= 1.0  # the edge of the place is blurred when the picture is made smaller
    assert abs(face.region.x - 960) <= 8
    assert abs(face.region.y - 160) <= 8
    assert (face.region.width, face.region.height) == (16, 16)
    assert detector.digest == digest


def test_another_file_than_the_pinned_one_is_refused(tmp_path: Path) -> None:
    file, _ = written(tmp_path, yunet_like())
    with pytest.raises(WeightsError, match="the policy pins"):
        FaceDetector(file, digest="0" * 64, min_score=0.8)
    with pytest.raises(WeightsError, match="cannot be read"):
        FaceDetector(tmp_path / "missing.onnx", digest="0" * 64, min_score=0.8)
    junk, digest = written(tmp_path, b"no model at all")
    with pytest.raises(WeightsError, match="no face detector"):
        FaceDetector(junk, digest=digest, min_score=0.8)


def test_an_answer_that_is_no_number_clears_nothing(tmp_path: Path) -> None:
    file, digest = written(tmp_path, yunet_like(broken=True))
    detector = FaceDetector(file, digest=digest, min_score=0.8)
    with pytest.raises(CheckError):
        detector.detect(np.full((64, 64, 3), 255, np.uint8))

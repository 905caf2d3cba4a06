"""TrustMark packets against the reference's own words, the BCH code's promises, and readers on tiny ONNX models."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guard.errors import WeightsError
from guard.watermark.bch import BCHCode
from guard.watermark.invisible_watermark import KnownPayload
from guard.watermark.rivagan import RivaGANReader
from guard.watermark.trustmark import PACKET_BITS, SCHEMAS, TrustMarkReader, decode_packet, encode_packet
from guard.weights import WeightSpec

VECTORS = {
    0: ("e07ff66e50", "e07ff66e5056d5b560c2eb650"),
    1: ("46bddd479ea41d18", "46bddd479ea41d1a87baceaf1"),
    2: ("eaba5da77944944d3", "eaba5da77944944d322cbde52"),
    3: ("3c57b18c6a571593458", "3c57b18c6a571593459ec2f43"),
}
"""Payload and packet by schema, written by adobe/trustmark's datalayer.py @0227423 for random payloads."""


def bits_of(digits: str, count: int) -> list[int]:
    return [int(b) for b in f"{int(digits, 16):0{4 * len(digits)}b}"][:count]


@pytest.mark.parametrize("version", SCHEMAS)
def test_packets_equal_the_reference(version: int) -> None:
    payload, packet = VECTORS[version]
    data = bits_of(payload, SCHEMAS[version].data_bits)
    wanted = bits_of(packet, PACKET_BITS)
    assert list(encode_packet(data, version)) == wanted
    found = decode_packet(wanted)
    assert found is not None
    assert (list(found.data), found.corrected, found.schema) == (data, 0, SCHEMAS[version])


@given(version=st.sampled_from(sorted(SCHEMAS)), seed=st.integers(0, 2**32 - 1), share=st.floats(0, 1))
@settings(max_examples=60, deadline=None)
def test_up_to_t_wrong_bits_are_corrected(version: int, seed: int, share: float) -> None:
    schema, rng = SCHEMAS[version], np.random.default_rng(seed)
    data = [int(b) for b in rng.integers(0, 2, schema.data_bits)]
    packet = list(encode_packet(data, version))
    wrong = round(share * schema.t)
    for place in rng.permutation(schema.data_bits + BCHCode(schema.t).check_bits)[:wrong]:
        packet[place] ^= 1
    found = decode_packet(packet)
    assert found is not None
    assert (list(found.data), found.corrected) == (data, wrong)


@pytest.mark.parametrize(("version", "least", "most"), [(0, 0.0, 0.0005), (1, 0.0005, 0.005), (3, 0.03, 0.12)])
def test_random_words_decode_as_often_as_the_documentation_says(version: int, least: float, most: float) -> None:
    rng = np.random.default_rng(7)
    tail = [int(b) for b in f"{version:04b}"]
    words = rng.integers(0, 2, (4000, PACKET_BITS - 4))
    decoded = [decode_packet([*map(int, word), *tail]) for word in words]
    assert least <= np.mean([d is not None for d in decoded]) <= most


def test_fewer_corrections_are_less_likely_by_chance() -> None:
    packet = list(encode_packet([0] * 40, 0))
    chances = []
    for flips in range(9):
        word = packet.copy()
        for i in range(flips):
            word[i] ^= 1
        found = decode_packet(word)
        assert found is not None
        chances.append(found.log10_chance)
    assert chances == sorted(chances)
    assert chances[0] == pytest.approx(-56 * np.log10(2), abs=0.01)
    assert chances[8] == pytest.approx(-5.7, abs=0.1)


def test_wrong_payload_lengths_and_schemas_are_refused() -> None:
    with pytest.raises(ValueError, match="does not take 39 bits"):
        encode_packet([0] * 39, 0)
    with pytest.raises(ValueError, match="schema 4"):
        encode_packet([0] * 40, 4)


def constant_model(path: Path, answer: list[float], *, shape: list[Any], name: str) -> WeightSpec:
    """An ONNX model that answers the same for every picture: 0 times the picture's mean, plus a constant."""
    onnx = pytest.importorskip("onnx")
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    nodes = [
        helper.make_node("ReduceMean", [name], ["mean"], keepdims=0),
        helper.make_node("Mul", ["mean", "zero"], ["nothing"]),
        helper.make_node("Add", ["nothing", "answer"], ["out"]),
    ]
    constants = [
        helper.make_tensor("zero", kind, [1], [0.0]),
        helper.make_tensor("answer", kind, [1, len(answer)], answer),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info(name, kind, shape)],
        [helper.make_tensor_value_info("out", kind, [1, len(answer)])],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
    model.ir_version = 8
    onnx.save(model, str(path))
    data = path.read_bytes()
    return WeightSpec(
        id="tiny",
        revision="1",
        sha256=hashlib.sha256(data).hexdigest(),
        size_bytes=len(data),
        licence="Apache-2.0",
        source_url="https://example.org",
    )


PICTURE = np.random.default_rng(0).integers(0, 256, (90, 200, 3), np.uint8)


def test_a_signpost_is_read_through_the_operators_decoder(tmp_path: Path) -> None:
    data = bits_of("0da021c0b1", 40)
    logits = [2.0 * bit - 1.0 for bit in encode_packet(data, 0)]
    spec = constant_model(tmp_path / "q.onnx", logits, shape=[1, 3, 16, 16], name="image")
    reader = TrustMarkReader(tmp_path / "q.onnx", spec, variant="Q")
    found = reader.read(PICTURE)
    assert found is not None
    assert (found.scheme, found.payload) == ("com.adobe.trustmark.Q (BCH_SUPER)", "0da021c0b1")
    assert found.writer is None


def test_a_word_that_chance_explains_is_not_reported(tmp_path: Path) -> None:
    packet = list(encode_packet([1] * 75, 3))
    for place in (3, 40, 70):  # three corrections of BCH_3: 7 % of random words do as well
        packet[place] ^= 1
    spec = constant_model(tmp_path / "c.onnx", [2.0 * b - 1 for b in packet], shape=[1, 3, 16, 16], name="image")
    assert TrustMarkReader(tmp_path / "c.onnx", spec, variant="C").read(PICTURE) is None


def test_changed_weights_and_other_networks_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "p.onnx"
    spec = constant_model(path, [0.0] * 100, shape=[1, 3, 16, 12], name="image")
    with pytest.raises(WeightsError, match="expected \\(1, 3, N, N\\)"):
        TrustMarkReader(path, spec, variant="P")
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(WeightsError, match="SHA-256"):
        TrustMarkReader(path, spec, variant="P")


def test_rivagan_counts_only_listed_payloads(tmp_path: Path) -> None:
    bits = bits_of("53445632", 32)
    answer = [0.9 if bit else 0.1 for bit in bits]
    answer[4] = 1.0 - answer[4]
    spec = constant_model(tmp_path / "r.onnx", answer, shape=[1, 3, 1, "h", "w"], name="frame")
    listed = KnownPayload(writer="us", bits=tuple(bits))
    found = RivaGANReader(tmp_path / "r.onnx", spec, known=(listed,)).read(PICTURE)
    assert found is not None
    assert (found.writer, found.wrong_bits) == ("us", 1)
    other = KnownPayload(writer="them", bits=tuple(1 - b for b in bits))
    assert RivaGANReader(tmp_path / "r.onnx", spec, known=(other,)).read(PICTURE) is None
    assert RivaGANReader(tmp_path / "r.onnx", spec, known=()).read(PICTURE) is None

"""ISCC Image-Code: bit for bit what iscc-core 1.5 computes, stable under edits, and read from soft bindings."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from skimage import data

from guard.errors import RequestError
from guard.iscc import SAME_ISCC, code_text, image_code, image_codes_of, sequence, soft_hash

GOLDEN = {
    # iscc_core.gen_image_code_v0(..., bits=256) of the pictures that scikit-image ships, normalised as iscc-sdk does
    "astronaut": "ISCC:EED4FESMKUZL3X6I2Z3J6DYISCYZXTEUNOSZYSVVMMKQUNPK6NMRVLI",
    "coffee": "ISCC:EED3XAZAG5WA6NRXEDGB54XRIM6M64U3GIZWBGJTO7BCOSIOZ63DYPA",
    "chelsea": "ISCC:EED3CX7GIZISCF26VT5NWIRRJDRNTJHJKI33QPK5IIIWLWXKZFDAO3Y",
    "rocket": "ISCC:EED4ANY35QN6KETH3FTZMIG7EFPKDHAD7QJ6YE7ELN7IC7UBPID7ADY",
    "camera": "ISCC:EED374OBYBBU5DF4PCBRUZ74TTMCGM3YMEZZPDKLFYTXPU4YRAHROXA",
}


def load(name: str) -> np.ndarray:
    picture = getattr(data, name)()
    return np.stack([picture] * 3, axis=-1) if picture.ndim == 2 else picture


def distance(first: bytes, second: bytes) -> int:
    return (int.from_bytes(first) ^ int.from_bytes(second)).bit_count()


@pytest.mark.parametrize("name", GOLDEN)
def test_codes_are_those_of_the_reference(name: str) -> None:
    assert code_text(image_code(load(name))) == GOLDEN[name]


def test_a_matrix_hashes_as_in_the_reference() -> None:
    grey = ((np.arange(1024, dtype=np.int64) * 7919 + 13) ** 2 % 251).astype(np.uint8).reshape(32, 32)
    # iscc_core.soft_hash_image_v0(grey.ravel().tolist(), bits=256)
    expected = "fd618800cfe6d566d468bb7b036a4317bd678d7ad4518a60737a3d80ab70cb19"
    assert soft_hash(grey).hex() == expected


@pytest.mark.parametrize("name", GOLDEN)
def test_edits_stay_near_and_other_pictures_far(name: str) -> None:
    code = image_code(load(name))
    small = Image.fromarray(load(name)).resize((200, 150))
    assert distance(code, image_code(np.asarray(small))) <= SAME_ISCC
    others = [image_code(load(other)) for other in GOLDEN if other != name]
    assert min(distance(code, other) for other in others) > 2 * SAME_ISCC


def test_a_uniform_border_does_not_count() -> None:
    framed = np.full((400, 500, 3), 255, np.uint8)
    framed[40:340, 30:430] = load("coffee")[:300, :400]
    assert image_code(framed) == image_code(np.ascontiguousarray(load("coffee")[:300, :400]))


def test_a_uniform_picture_has_a_code() -> None:
    assert len(image_code(np.full((64, 64, 3), 9, np.uint8))) == 32


def test_a_value_may_hold_other_units() -> None:
    code = image_code(load("coffee"))
    data_code = bytes.fromhex("3007") + bytes(32)
    short_image_code = bytes.fromhex("2101") + bytes(8)
    assert image_codes_of(data_code + sequence(code) + short_image_code) == [code]
    assert image_codes_of(b"") == []


@pytest.mark.parametrize(
    "value",
    ["2107", "21", "200800" + "00" * 36, "5005" + "00" * 24, "3000000000", "30000000000000"],
)
def test_malformed_values_are_refused(value: str) -> None:
    with pytest.raises(RequestError, match="IEP-0020"):
        image_codes_of(bytes.fromhex(value))


@given(st.binary(max_size=80))
def test_any_bytes_are_units_or_an_error(value: bytes) -> None:
    try:
        found = image_codes_of(value)
    except RequestError:
        return
    assert all(len(code) == 32 for code in found)


@given(st.binary(min_size=32, max_size=32))
def test_sequences_read_back(digest: bytes) -> None:
    assert image_codes_of(sequence(digest)) == [digest]

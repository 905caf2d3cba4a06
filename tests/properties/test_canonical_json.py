"""Canonical JSON against the examples of RFC 8785, and its round-trip properties."""

import json
import math
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guard.errors import LedgerError
from guard.ledger.canonical_json import MAX_DEPTH, MAX_SAFE_INTEGER, canonical_bytes, format_number, parse_canonical

APPENDIX_B = [
    ("0000000000000000", "0"),
    ("8000000000000000", "0"),
    ("0000000000000001", "5e-324"),
    ("8000000000000001", "-5e-324"),
    ("7fefffffffffffff", "1.7976931348623157e+308"),
    ("ffefffffffffffff", "-1.7976931348623157e+308"),
    ("4340000000000000", "9007199254740992"),
    ("c340000000000000", "-9007199254740992"),
    ("4430000000000000", "295147905179352830000"),
    ("44b52d02c7e14af5", "9.999999999999997e+22"),
    ("44b52d02c7e14af6", "1e+23"),
    ("44b52d02c7e14af7", "1.0000000000000001e+23"),
    ("444b1ae4d6e2ef4e", "999999999999999700000"),
    ("444b1ae4d6e2ef4f", "999999999999999900000"),
    ("444b1ae4d6e2ef50", "1e+21"),
    ("3eb0c6f7a0b5ed8c", "9.999999999999997e-7"),
    ("3eb0c6f7a0b5ed8d", "0.000001"),
    ("41b3de4355555553", "333333333.3333332"),
    ("41b3de4355555554", "333333333.33333325"),
    ("41b3de4355555555", "333333333.3333333"),
    ("41b3de4355555556", "333333333.3333334"),
    ("41b3de4355555557", "333333333.33333343"),
    ("becbf647612f3696", "-0.0000033333333333333333"),
    ("43143ff3c1cb0959", "1424953923781206.2"),
]


@pytest.mark.parametrize(("bits", "text"), APPENDIX_B)
def test_numbers_of_appendix_b(bits: str, text: str) -> None:
    value = struct.unpack(">d", bytes.fromhex(bits))[0]
    assert format_number(value) == text
    assert parse_canonical(text.encode()) == value


def test_the_example_of_section_3_2_2() -> None:
    value = {
        "numbers": [333333333.33333329, 1e30, 4.50, 2e-3, 0.000000000000000000000000001],
        "string": "\u20ac$\u000f\u000aA'\u0042\u0022\u005c\\\"/",
        "literals": [None, True, False],
    }
    expected = (
        '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],'
        '"string":"\u20ac$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}'
    )
    assert canonical_bytes(value) == expected.encode()


def test_the_key_order_of_section_3_2_3() -> None:
    value = {
        "\u20ac": "Euro Sign",
        "\r": "Carriage Return",
        "\ufb33": "Hebrew Letter Dalet With Dagesh",
        "1": "One",
        "\U0001f600": "Emoji: Grinning Face",
        "\u0080": "Control",
        "\u00f6": "Latin Small Letter O With Diaeresis",
    }
    assert list(json.loads(canonical_bytes(value)).values()) == [
        "Carriage Return",
        "One",
        "Control",
        "Latin Small Letter O With Diaeresis",
        "Euro Sign",
        "Emoji: Grinning Face",
        "Hebrew Letter Dalet With Dagesh",
    ]


def test_control_characters_are_escaped_in_the_short_form_where_there_is_one() -> None:
    text = "".join(map(chr, range(0x20))) + "\x7f\u2028"
    expected = (
        '"\\u0000\\u0001\\u0002\\u0003\\u0004\\u0005\\u0006\\u0007\\b\\t\\n\\u000b\\f\\r\\u000e\\u000f'
        "\\u0010\\u0011\\u0012\\u0013\\u0014\\u0015\\u0016\\u0017\\u0018\\u0019\\u001a\\u001b\\u001c\\u001d\\u001e\\u001f"
        '\x7f\u2028"'
    )
    assert canonical_bytes(text) == expected.encode()


@pytest.mark.parametrize(
    "value",
    [
        math.nan,
        math.inf,
        -math.inf,
        MAX_SAFE_INTEGER + 1,
        -MAX_SAFE_INTEGER - 1,
        "\ud800",
        {"\udfff": 1},
        {1: "number as key"},
        {None: 1},
        b"bytes",
        {1, 2},
        object(),
        [float("nan")],
    ],
)
def test_what_json_cannot_say_is_refused(value: object) -> None:
    with pytest.raises(LedgerError):
        canonical_bytes(value)


def test_nesting_is_limited() -> None:
    nested: object = 0
    for _ in range(MAX_DEPTH):
        nested = [nested]
    assert canonical_bytes(nested) == b"[" * MAX_DEPTH + b"0" + b"]" * MAX_DEPTH
    with pytest.raises(LedgerError, match="nested deeper"):
        canonical_bytes([nested])
    with pytest.raises(LedgerError):
        parse_canonical(b"[" * 100_000)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b'{"a":1,"a":1}',
        b'{"b":1,"a":1}',
        b'{"a": 1}',
        b"1.0",
        b"-0",
        b"1e3",
        b"01",
        b"NaN",
        b"Infinity",
        b'"\\u0041"',
        b'"\\/"',
        b'"\xff"',
        b'"\\ud800"',
        b"9007199254740993",
        b"9" * 5000,
        b"[1]\n",
        b"\xef\xbb\xbf[]",
    ],
)
def test_everything_but_the_canonical_form_is_refused(data: bytes) -> None:
    with pytest.raises(LedgerError):
        parse_canonical(data)


TEXT = st.text(st.characters(exclude_categories=["Cs"]))
NUMBERS = st.integers(-MAX_SAFE_INTEGER, MAX_SAFE_INTEGER) | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)


@settings(deadline=None)  # a busy machine is not a failure
@given(value=VALUES)
def test_writing_and_reading_are_inverse(value: object) -> None:
    data = canonical_bytes(value)
    assert parse_canonical(data) == value == json.loads(data, parse_int=float)
    assert canonical_bytes(parse_canonical(data)) == data


@settings(deadline=None)  # a busy machine is not a failure
@given(value=st.dictionaries(TEXT, NUMBERS, min_size=2, max_size=6), seed=st.randoms())
def test_insertion_order_does_not_matter(value: dict[str, float], seed: object) -> None:
    items = list(value.items())
    seed.shuffle(items)  # type: ignore[attr-defined]
    assert canonical_bytes(dict(items)) == canonical_bytes(value)


@settings(deadline=None)  # a busy machine is not a failure
@given(value=st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_round_trip_and_have_the_shape_of_ecmascript(value: float) -> None:
    text = format_number(value)
    assert float(text) == value
    digits = text.lstrip("-").split("e")[0].replace(".", "")
    assert len(digits.strip("0")) <= 17
    assert ("e" in text) == (value != 0 and not 1e-6 <= abs(value) < 1e21)

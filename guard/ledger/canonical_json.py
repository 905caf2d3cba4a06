"""RFC 8785 canonical JSON: one byte string per value, so that a digest of it means the value.

``canonical_bytes(value)`` writes; ``parse_canonical(data)`` reads and refuses every byte string that
``canonical_bytes`` would not have written (duplicate keys, other key order, white space, other number forms).

>>> canonical_bytes({"b": 1.0, "a": [True, None]})
b'{"a":[true,null],"b":1}'

Source: RFC 8785 (JSON Canonicalization Scheme); numbers: ECMA-262 section 6.1.6.1.20 (Number::toString).
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from json.encoder import encode_basestring
from typing import Any

from guard.errors import LedgerError

MAX_SAFE_INTEGER = 2**53
"""Largest magnitude of an integer: beyond it neighbouring integers share a double (RFC 8785 section 3.2.2.3)."""
MAX_DEPTH = 32
"""Deepest nesting that is written or read; a ledger entry needs 4, the margin is for later versions."""
_NEXT = "Pass only null, booleans, finite numbers, text without lone surrogates, lists, and mappings with text keys."


def canonical_bytes(value: Any) -> bytes:
    """Return the RFC 8785 form of a JSON value.

    Args:
        value: None, bool, int within +-2**53, finite float, str, list or tuple, mapping with str keys; nested.

    Returns:
        UTF-8 bytes without white space; equal values give equal bytes (1 and 1.0 are the same JSON number).

    Raises:
        LedgerError: NaN or infinity, an integer beyond 2**53, a lone surrogate, a key that is not text, another
            type, or nesting deeper than MAX_DEPTH.
    """
    parts: list[str] = []
    _write(value, parts, depth=0)
    try:
        return "".join(parts).encode("utf-8")
    except UnicodeEncodeError as exc:
        raise LedgerError(f"Canonical JSON: a string holds a lone surrogate ({exc.reason}).", next_step=_NEXT) from exc


def parse_canonical(data: bytes) -> Any:
    """Return the value whose canonical form is exactly ``data``.

    Raises:
        LedgerError: ``data`` is not JSON, or not in canonical form.
    """
    try:
        value = json.loads(
            data.decode("utf-8"),
            object_pairs_hook=_unique_pairs,
            parse_int=_integer,
            parse_constant=_refuse_constant,
        )
        canonical = canonical_bytes(value)
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as exc:
        raise LedgerError("Canonical JSON: the bytes are not JSON.", next_step="Restore the bytes.") from exc
    if canonical != data:
        raise LedgerError("Canonical JSON: the bytes are JSON, but not in RFC 8785 form.", next_step=_NEXT)
    return value


def format_number(value: float) -> str:
    """Return a finite double as ECMAScript prints it: shortest digits that round-trip, exponent from 1e21 and 1e-7.

    Python's ``repr`` yields the same shortest digits (David Gay's algorithm, as ECMA-262 note 2 asks), in another
    layout; only the layout is redone here.

    Raises:
        LedgerError: NaN or infinity.
    """
    if not math.isfinite(value):
        raise LedgerError(f"Canonical JSON: got {value}, expected a finite number.", next_step=_NEXT)
    if value == 0:
        return "0"  # also -0.0 (RFC 8785 appendix B)
    mantissa, _, exponent = repr(abs(value)).partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    point = len(whole) + int(exponent or 0) - (len(whole + fraction) - len(digits))
    digits = digits.rstrip("0")
    sign = "-" if value < 0 else ""
    if len(digits) <= point <= 21:
        return sign + digits + "0" * (point - len(digits))
    if 0 < point <= 21:
        return f"{sign}{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    tail = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{sign}{digits[0]}{tail}e{'+' if point > 0 else '-'}{abs(point - 1)}"


def _write(value: Any, parts: list[str], *, depth: int) -> None:
    """Append the canonical text of ``value`` to ``parts``."""
    if depth > MAX_DEPTH:
        raise LedgerError(f"Canonical JSON: nested deeper than {MAX_DEPTH} levels.", next_step=_NEXT)
    if value is None:
        parts.append("null")
    elif isinstance(value, bool):
        parts.append("true" if value else "false")
    elif isinstance(value, str):
        parts.append(_text(value))
    elif isinstance(value, int):
        if abs(value) > MAX_SAFE_INTEGER:
            raise LedgerError("Canonical JSON: an integer is beyond 2**53.", next_step="Write it as text.")
        parts.append(str(int(value)))
    elif isinstance(value, float):
        parts.append(format_number(value))
    elif isinstance(value, Mapping):
        _write_mapping(value, parts, depth=depth)
    elif isinstance(value, list | tuple):
        parts.append("[")
        for position, item in enumerate(value):
            if position:
                parts.append(",")
            _write(item, parts, depth=depth + 1)
        parts.append("]")
    else:
        raise LedgerError(f"Canonical JSON: got {type(value).__name__}, which JSON does not have.", next_step=_NEXT)


def _write_mapping(value: Mapping[Any, Any], parts: list[str], *, depth: int) -> None:
    """Append an object, keys in the order of their UTF-16 code units (RFC 8785 section 3.2.3)."""
    for key in value:
        if not isinstance(key, str):
            raise LedgerError(f"Canonical JSON: a key is {type(key).__name__}, expected text.", next_step=_NEXT)
    parts.append("{")
    for position, key in enumerate(sorted(value, key=_utf16)):
        parts.append(f"{',' if position else ''}{_text(key)}:")
        _write(value[key], parts, depth=depth + 1)
    parts.append("}")


def _text(value: str) -> str:
    """Return a JSON string; this encoder escapes just what RFC 8785 section 3.2.2.2 asks for."""
    return encode_basestring(value)


def _utf16(key: str) -> bytes:
    """Return the sort key of an object key: big-endian UTF-16 compares like its code units."""
    return key.encode("utf-16-be", errors="surrogatepass")  # surrogates are refused later, with their own message


def _unique_pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Build a dict, refusing duplicate keys (RFC 7493 section 2.3)."""
    result = dict(pairs)
    if len(result) != len(pairs):
        raise LedgerError("Canonical JSON: an object has the same key twice.", next_step="Restore the bytes.")
    return result


def _integer(text: str) -> int | float:
    """Return an integer, or beyond 2**53 the double that the digits stand for (doubles print as integers to 1e21)."""
    value = float(text)
    return int(text) if abs(value) <= MAX_SAFE_INTEGER else value


def _refuse_constant(name: str) -> Any:
    """Refuse NaN and Infinity, which Python's parser would accept."""
    raise LedgerError(f"Canonical JSON: {name} is not JSON.", next_step=_NEXT)

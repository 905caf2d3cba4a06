r"""Decode the parts of a text that are written in code: escapes, hexadecimal, base64, ROT13, backwards, upside down.

``written_out(text)`` returns the text with such parts decoded, and that once more for each cipher it may be in, with
the range of the original that every character came from; both the term rules and the learned model read all of them
beside the original. Only what decodes to letters counts as code, so words, file names and digests stay what they are::

    "&#110;", "%6e", "\u006e", "6e75 6465", "bnVkZQ..."    each in its place
    "n jbzna va gur ubhfr", "esuoh eht ni namow a"           the whole text, when it holds marker words of that cipher
"""

# ruff: noqa: RUF001 - look-alike characters are what a part of this file is about
from __future__ import annotations

import base64
import binascii
import codecs
import re
from types import MappingProxyType
from typing import Final, TypeAlias

Pieces: TypeAlias = list[tuple[str, int, int]]
"""(character, start, end): half-open ranges of the original text."""
Written: TypeAlias = tuple[str, tuple[tuple[int, int], ...]]
"""A text, and the range of the original behind each of its characters."""
_PERCENT = r"(?:%[0-9a-fA-F]{2})+"
_CODE_POINT = r"&#[xX]?[0-9a-fA-F]{1,6};|\\u[0-9a-fA-F]{4}|\\x[0-9a-fA-F]{2}|\b[uU]\+[0-9a-fA-F]{4,5}\s?"
_HEX = r"(?<![0-9a-fA-F])[0-9a-fA-F]{2}(?:[\s:,-]?[0-9a-fA-F]{2}){4,}(?![0-9a-fA-F])"
_BASE64 = r"(?<![\w+/=-])[A-Za-z0-9+/_-]{6,}={0,2}(?![\w+/=])"
_CODED = re.compile(f"(?P<percent>{_PERCENT})|(?P<point>{_CODE_POINT})|(?P<hex>{_HEX})|(?P<base64>{_BASE64})")
_READABLE_SHARE = 0.85
"""Smallest share of letters and spaces in what a code stands for. Random bytes are letters or spaces in one of five."""
_ROT13_MARKERS: Final = frozenset(
    ("gur", "jvgu", "naq", "sebz", "jbzna", "jbzra", "gjb", "crefba", "crbcyr", "cubgb", "cvpgher", "cnvagvat")
)
_BACKWARDS_MARKERS: Final = frozenset(
    ("eht", "htiw", "morf", "namow", "nemow", "nosrep", "elpoep", "otohp", "erutcip", "gnitniap")
)
"""Frequent words of prompts in code that are no words themselves; "dna" (and) and "owt" are."""
_UPSIDE_DOWN: Final = MappingProxyType(
    dict(zip("ɐqɔpǝɟƃɓɥᴉıɾʞlɯuodbɹsʇnʌʍxʎz", "abcdefgghiijklmnopqrstuvwxyz", strict=True))
)
_TURNED: Final = frozenset("ɐɔǝɟƃɥᴉɾʞɯɹʇʌʍʎ")
"""Letters that are written upside down only; two of them make a text one to be turned."""
_WORD = re.compile(r"[^\W\d_]+")
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z][a-z])")


def written_out(text: str) -> list[Written]:
    """Return the text with everything in code decoded, plain and out of every cipher that it may be in; [] for none.

    Every cipher is tried whatever else was found: a word of one must not hide what is written in another.
    """
    pieces: Pieces = []
    last = 0
    for match in _CODED.finditer(text):
        meaning = _meaning(match)
        if meaning:
            pieces += [(text[i], i, i + 1) for i in range(last, match.start())]
            pieces += _spread(meaning, *match.span())
            last = match.end()
    pieces += [(text[i], i, i + 1) for i in range(last, len(text))]
    found = ([pieces] if last else []) + _deciphered(pieces)
    return [("".join(p[0] for p in one), tuple((p[1], p[2]) for p in one)) for one in found]


def _spread(meaning: str, start: int, end: int) -> Pieces:
    """Return what a code stands for, its characters spread evenly over the code: rules ask what stands near what."""
    size, count = end - start, len(meaning)
    return [
        (c, start + i * size // count, max(start + (i + 1) * size // count, start + i * size // count + 1))
        for i, c in enumerate(meaning)
    ]


def camel_split(text: str) -> Written | None:
    """Return the text with a space where a capital starts a word inside a word ("RedHouse"); None without any."""
    cuts = {match.start() for match in _CAMEL.finditer(text)}
    if not cuts:
        return None
    pieces = [piece for i, c in enumerate(text) for piece in ([(" ", i), (c, i)] if i in cuts else [(c, i)])]
    return "".join(c for c, _ in pieces), tuple((i, i + 1) for _, i in pieces)


def _meaning(match: re.Match[str]) -> str | None:
    """Return what one piece of code stands for, or None when it is none."""
    code = match[0]
    try:
        if match.lastgroup == "point":
            digits = code.strip("&#;\\uU+ \n\t")
            hexadecimal = not code.startswith("&#") or digits[0] in "xX"
            character = chr(int(digits.lstrip("xX"), 16 if hexadecimal else 10))
            return character if character.isprintable() else None
        if match.lastgroup == "percent":
            decoded = bytes.fromhex(code.replace("%", "")).decode()
            return decoded if decoded.isprintable() else None
        if match.lastgroup == "hex":
            return _readable(bytes.fromhex(re.sub(r"[^0-9a-fA-F]", "", code)))
        plain = code.rstrip("=").replace("-", "+").replace("_", "/")
        return _readable(base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True))
    except (ValueError, OverflowError, binascii.Error):  # a number, a name or a word, not code
        return None


def _readable(data: bytes) -> str | None:
    """Return bytes as text when they are UTF-8 and nearly all letters and spaces."""
    decoded = data.decode()
    letters = sum(c.isalpha() or c == " " for c in decoded)
    return decoded if letters >= max(4, _READABLE_SHARE * len(decoded)) else None


def _deciphered(pieces: Pieces) -> list[Pieces]:
    """Return the pieces of a text in plain, once for each cipher that it holds words or letters of."""
    text = "".join(piece[0] for piece in pieces).lower()
    words = set(_WORD.findall(text))
    found = []
    if words & _ROT13_MARKERS:
        found.append([(codecs.encode(c, "rot13"), start, end) for c, start, end in pieces])
    if words & _BACKWARDS_MARKERS:
        found.append(pieces[::-1])
    if sum(c in _TURNED for c in text) >= 2:
        found.append([(_UPSIDE_DOWN.get(c.lower(), c), start, end) for c, start, end in reversed(pieces)])
    return found

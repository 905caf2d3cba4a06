"""Where a text may name a person: two or three capitalised words in a row, in a text that is not written in title case.

No list of people is ever complete, so rules may use the set ``name_shaped`` besides lists of names. It is a hint only:
places, films and brands look the same. Names after "by", "in the style of" and the like are artists, not subjects.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

SET_NAME = "name_shaped"
"""Name of the set; declared without terms in ``hard_rules.yaml`` so that rules of any list can use it."""
TITLE_CASE_SHARE = 0.6
"""A text in which this share of the words is capitalised is a title, where capitals mean nothing."""
_NAME = re.compile(
    r"\b[A-Z][a-z\u00df-\u00ff'\u2019-]+(?:\s(?:de|da|del|van|von|der|bin|al|la|el|O')){0,2}"
    r"(?:\s[A-Z][a-z\u00df-\u00ff'\u2019-]+){1,2}\b"
)
_WORD = re.compile(r"[^\W\d_]+")
_ARTIST = re.compile(
    r"\b(?:by|and|style of|art of|works? of|after|inspired by|&|,)\s+(?:the artist\s+)?$", re.IGNORECASE
)
_NOT_PEOPLE = re.compile(
    r"\b(?:Art|Nouveau|Deco|Street|City|Beach|River|Lake|Mount|Mountains?|Park|Museum|Studio|Engine|Portra|Kodak|Canon|"
    r"Nikon|Fuji|Octane|Unreal|Blender|North|South|East|West|New|Old|Los|San|Saint|Las|Great|United|Middle|World|War|"
    r"Ages?|Christmas|Eve|Halloween|Day|Night|Renaissance|Baroque|Greek|Roman|Egyptian|Venus|Milo|Costa|Cote|Bridge)\b"
)


def name_shaped(text: str) -> Iterator[tuple[int, int]]:
    """Yield (start, end) of what may be a person's name in an original (not folded) text."""
    words = _WORD.findall(text)
    if not words or sum(word[0].isupper() for word in words) >= TITLE_CASE_SHARE * len(words):
        return
    for match in _NAME.finditer(text):
        if not _NOT_PEOPLE.search(match[0]) and not _ARTIST.search(text[: match.start()]):
            yield match.start(), match.end()

"""Characters that are written to be read as others: look-alike letters, digits for letters, emoji for words.

Source: the Latin look-alikes of Unicode TR 39 "confusables" that occur on common keyboards, in Lisu, in Cherokee and in
"fancy text" generators (compatibility forms - full-width, mathematical, circled - are not listed: NFKC folds them);
leetspeak: https://en.wikipedia.org/wiki/Leet. Each row: the Latin letter, then its look-alikes.
"""

# ruff: noqa: RUF001 - look-alike characters are what this file is about
from __future__ import annotations

from types import MappingProxyType
from typing import Final

_LOOKALIKES: Final = {
    "a": "аαɑɐᴀꭺӑӓåⱥꓮᎪ",
    "b": "ЬьƅɓʙᏏвβϐꓐᏴᏼ",
    "c": "сϲᴄɔƈⅽꓚᏟꮯ",
    "d": "ԁɖɗᴅđꭰꓓᎠ",
    "e": "еєҽɘɛəǝᴇεєꬲꓰᎬꭼ",
    "f": "ƒꜰғϝꓝ",
    "g": "ɡɠɢցԍꓖᏀꮐᏻᏻ",
    "h": "һнʜհɦħᏂꓧᎻꮋ",
    "i": "іıɪɩιɨӏᴉїꙇꓲᎥꭵ",
    "j": "јʝᴊϳꓙᎫꭻ",
    "k": "кκᴋҝқƙʞꓗᏦꮶ",
    "l": "ʟłɭⅼℓןǀꓡᏞꮮ",
    "m": "мᴍɱɯʍꓟᎷꮇ",
    "n": "ոռпɴɲηƞꓠ",
    "o": "оοσօᴏøɵөѳꓳ",
    "p": "рρᴘƥþꓑᏢꮲ",
    "q": "ԛզգ",
    "r": "гᴦʀɾяɹꭇꓣᎡꭱᏒꮢ",
    "s": "ѕꜱʂƨꓢᏚꮪ",
    "t": "тτᴛʈŧʇꓔᎢꭲ",
    "u": "υսᴜʉʋцꓴ",
    "v": "ѵνᴠʌꓦᏙꮩ",
    "w": "ԝѡшщωᴡɯաꓪᎳꮃᏔꮤ",
    "x": "хχҳ×ꓫ",
    "y": "уүγʏƴყʎұꓬᎩꭹ",
    "z": "ʐᴢʒƶꓜᏃꮓ",
}
LATIN_OF: Final = MappingProxyType({other: latin for latin, others in _LOOKALIKES.items() for other in others})
"""Look-alike -> Latin letter; applied to whole words only, so that ordinary Russian or Greek stays readable."""

LEET: Final = MappingProxyType(
    {"0": "o", "1": "i", "3": "e", "4": "a", "5": "s", "7": "t", "8": "b", "9": "g", "@": "a", "$": "s", "!": "i"}
    | {"|": "i", "€": "e", "£": "l", "¡": "i", "§": "s", "¢": "c", "2": "z", "6": "g", "+": "t"}
)
"""Digit or symbol -> letter, in words that also hold letters."""
LEET_L: Final = MappingProxyType(dict(LEET) | {"1": "l", "|": "l", "!": "l"})
"""The same with the other reading of 1, | and !."""

LEET_SHAPES: Final = MappingProxyType(
    {"()": "o", "[]": "o", "<>": "o", "|>": "p", "|)": "d", "|<": "k", "|3": "b", "><": "x", "}{": "h", "|-|": "h"}
    | {"/\\": "a", "\\/": "v", "|\\|": "n", "/\\/": "n", "|_|": "u", "(_)": "u", "|\\/|": "m", "\\/\\/": "w", "|2": "r"}
)
"""Several characters drawn as one letter; read so only where they touch a letter."""

EMOJI_WORDS: Final = MappingProxyType(
    {
        "🔞": "nsfw",
        "🍆": "emojieggplant",
        "🍑": "emojipeach",
        "💦": "emojidrops",
        "👅": "emojitongue",
        "🍒": "emojicherries",
        "🔫": "gun",
        "🔪": "knife",
        "🩸": "blood",
        "💣": "bomb",
        "💉": "syringe",
        "⚰": "coffin",
        "👶": "baby",
        "🍼": "baby",
        "🧒": "child",
        "👧": "child",
        "👦": "child",
        "🚸": "child",
        "👙": "bikini",
    }
)
"""Emoji that stand for words; those with a double meaning get a token of their own, which only term lists use."""
ENCLOSED_LETTERS: Final = MappingProxyType(
    {chr(0x1F130 + i): chr(97 + i) for i in range(26)}
    | {chr(0x1F150 + i): chr(97 + i) for i in range(26)}
    | {chr(0x1F170 + i): chr(97 + i) for i in range(26)}
    | {chr(0x1F1E6 + i): chr(97 + i) for i in range(26)}
)
"""Squared, negative circled, negative squared and regional-indicator letters, which NFKC does not fold."""

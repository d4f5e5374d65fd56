"""Characters that disguise others, and the plain ASCII text that they stand for. Pure.

Fullwidth and other digits and letters, kinds of spaces, dashes and dots, marks that are drawn on a letter, characters
that are not drawn at all.
"""

import unicodedata
from functools import lru_cache

_UNSEEN = "\u115f\u1160\u3164\uffa0\u2800"  # fillers and an empty braille cell: letters without ink
_NO_INK = frozenset({"Cf", "Mn", "Me", "Cc"})
_SPACES = {"Pd": "-", "Zs": " ", "Zl": "\n", "Zp": "\n"}
_LIKE = str.maketrans(
    dict.fromkeys("\u2212\u02d7\u2043\u30fc\uff70", "-")
    | dict.fromkeys("\u00b7\u2022\u2027\u2219\u22c5\u3002\uff61\u2024\u06d4", ".")
    | dict.fromkeys("\u2044\u2215\u29f8", "/")
    | dict.fromkeys("\u2236\u02d0\ua789", ":")
)
"""Characters that look like a separator, and are not compatible with it in Unicode."""
_RANGES = """
    80-a0 aa ad b2-b3 b7 b9-ba 132-133 17f 1c7-1cc 1f1-1f3 2b0-37e 483-489 58a-5c7 600-61c 64b-670 6d4-74a 7a6-7c9
    7eb-82d 859-85b 890-89f 8ca-902 93a-981 9bc-a02 a3c-a82 abc-b01 b3c-b82 bc0-c04 c3c-c81 cbc-d01 d3b-d81 dca-def
    e31-e59 eb1-ed9 f18-f39 f71-fc6 102d-109d 115f-1160 135d-1371 1400 1680 1712-1773 17b4-1819 1885-1886 18a9
    1920-194f 19d0-19da 1a17-1a1b 1a56-1ace 1b00-1b03 1b34-1bb9 1be6-1bf1 1c2c-1c59 1cd0-1cf9 1d2c-1d65 1d9c-1dff
    1fef-2015 2022 2024-20a8 20d0-217f 2212-2236 22c5 2460-24ff 2776-2792 2800 29f8 2a74-2a76 2c7c-2c7d 2cef-2cf1
    2d7f 2de0-2e5d 3000 3002 301c 302a-302d 3030 3099-309a 30a0 30fc 3164 3250-325f 32b1-32cf 3371-33dd 33ff
    a620-a629 a66f-a69f a6f0-a6f1 a789 a7f2-a82c a8c4-a951 a980-a982 a9b3-a9f9 aa29-aa59 aa7c aab0-aac1 aaec-aaf6
    abe5-abf9 fb00-fb29 fe00-fe6b feff-ff70 ffa0 fff9-fffb 101fd 102e0 10376-1037a 104a0-104a9 107a5 10a01-10a0f
    10a38-10a43 10ae5-10ae6 10d24-10d39 10e60-10e68 10eab-10ead 10f46-10f50 10f82-10f85 11001 11038-11081
    110b3-110cd 110f0-11102 11127-1113f 11173-11181 111b6-111d9 1122f-1123e 112df-11301 1133b-11340 11366-11374
    11438-1145e 114b3-114d9 115b2-115dd 11633-11659 116ab-116c9 1171d-11739 1182f-1183a 118e0-118e9 1193b-11959
    119d4-11a0a 11a33-11a5b 11a8a-11a99 11c30-11c59 11c92-11cb6 11d31-11d59 11d90-11da9 11ef3-11ef4 13430-13438
    16a60-16a69 16ac0-16ac9 16af0-16af4 16b30-16b59 16f4f 16f8f-16f92 16fe4 1bc9d-1bca3 1cf00-1cf46 1d167-1d1ad
    1d242-1d244 1d400-1d6a3 1d7ce-1d7ff 1da00-1daaf 1e000-1e02a 1e130-1e149 1e2ae 1e2ec-1e2f9 1e8d0-1e8d6
    1e944-1e959 1f100-1f16c 1f190 1fbf0-1fbf9 e0001-e007f e0100-e01ef
"""
"""The ranges of all characters that may stand for others."""


_LETTERS = """
    aa b2-b3 b9-ba 132-133 17f 1c7-1cc 1f1-1f3 2b0-2b8 2e1-2e3 660-669 6f0-6f9 7c0-7c9 966-96f 9e6-9ef a66-a6f
    ae6-aef b66-b6f be6-bef c66-c6f ce6-cef d66-d6f de6-def e50-e59 ed0-ed9 f20-f29 1040-1049 1090-1099 1369-1371
    17e0-17e9 1810-1819 1946-194f 19d0-19da 1a80-1a99 1b50-1b59 1bb0-1bb9 1c40-1c59 1d2c-1d65 1d9c-1da0 1dbb
    2070-207a 207f-208a 2090-209c 20a8 2100-213b 2145-2149 2160-217f 2460-24ea 24f5-24ff 2776-2792 2c7c-2c7d
    3250-325f 32b1-32bf 32cc-32cf 3371-33dd 33ff a620-a629 a7f2-a7f4 a8d0-a8d9 a900-a909 a9d0-a9d9 a9f0-a9f9
    aa50-aa59 abf0-abf9 fb00-fb06 fe62 fe6b ff0b ff10-ff19 ff20-ff3a ff41-ff5a 104a0-104a9 107a5 10a40-10a43 10d30-10d39
    10e60-10e68 11052-1105a 11066-1106f 110f0-110f9 11136-1113f 111d0-111d9 112f0-112f9 11450-11459 114d0-114d9
    11650-11659 116c0-116c9 11730-11739 118e0-118e9 11950-11959 11c50-11c59 11d50-11d59 11da0-11da9 16a60-16a69
    16ac0-16ac9 16b50-16b59 1d400-1d6a3 1d7ce-1d7ff 1e140-1e149 1e2f0-1e2f9 1e950-1e959 1f100-1f14f 1f16a-1f16c
    1f190 1fbf0-1fbf9
"""
"""The ranges of characters that stand for letters, digits, + and @."""


def _class(ranges: str) -> str:
    spans = (span.partition("-")[::2] for span in ranges.split())
    return "".join(rf"\x{{{first}}}-\x{{{last or first}}}" for first, last in spans)


_CODE = r"\\u[0-9A-Fa-f]{4}"
_ANY = rf"[\x00-\x08\x0e-\x1f\x7f{_class(_RANGES)}]|\\[nrt]"
_MORE = rf"(?: ?(?:{_ANY}|{_CODE}))*"
DISGUISED = rf"(?:[{_class(_LETTERS)}]|{_CODE}){_MORE}|[!-~] ?(?:{_ANY}){_MORE}"
"""RE2's pattern of characters that may stand for others, also of such that JSON escapes within a text.

Those that stand for no letter or digit count after a visible character only, which is part of the match.
"""
DIGIT_LIKE = rf"[0-9@]|[{_class(_LETTERS)}]|{_CODE}"
"""RE2's pattern of characters that findings have."""


@lru_cache(maxsize=8192)
def plain(char: str) -> str:
    """Return the ASCII text that a character stands for, or the character itself; empty if it is not drawn."""
    kind = unicodedata.category(char)
    if char in "\t\n\r\f\v":
        return char
    if kind in _NO_INK or char in _UNSEEN:
        return ""
    digit = unicodedata.digit(char, None)
    if digit is not None:
        return str(digit)
    shown = char.translate(_LIKE)
    if shown == char and not char.isascii():
        shown = _SPACES.get(kind) or unicodedata.normalize("NFKC", char)
    return shown if shown.isascii() else char

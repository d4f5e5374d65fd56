"""Readable text of any number of tokens. Pure; built once, at import, and cut for each answer."""

_SENTENCES = (
    "the cargo waits on the quay until a crew takes it over "
    "and the manifest shows where every crate goes before evening "
    "when the last ship leaves the harbour with all that was promised "
    "a clerk counts twice and writes the number down once "
    "so that nobody has to ask where the missing barrel went "
)
_MOST_WORDS = 4096
_STARTS = (0, 11, 21, 34)
_REPEATED = (_SENTENCES * (_MOST_WORDS // len(_SENTENCES.split()) + 2)).split()
_TEXTS = [" ".join(_REPEATED[start : start + _MOST_WORDS]) for start in _STARTS]
_ENDS = [[i for i, letter in enumerate(text) if letter == " "] for text in _TEXTS]


def text_of(tokens: int, chance: float) -> str:
    """Return `tokens` words of readable text, at most 4096; `chance` in [0, 1) picks the sentence it starts with."""
    number = int(chance * len(_TEXTS))
    ends = _ENDS[number]
    return _TEXTS[number][: ends[tokens - 1]] if tokens <= len(ends) else _TEXTS[number]

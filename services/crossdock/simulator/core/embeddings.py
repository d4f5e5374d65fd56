"""Vectors that depend only on the input. Pure."""

import base64
import json
import struct
from collections.abc import Sequence
from hashlib import blake2b

DIMENSIONS = 256
_BLOCK = 64  # bytes of one blake2b digest, one number each


def embeddings(
    inputs: Sequence[object], model: str, prompt: int | None, *, dimensions: int, is_packed: bool
) -> bytes:
    """Return OpenAI's list of embeddings; `is_packed` is encoding_format base64 (little-endian floats).

    Without a `prompt` count there is no usage.
    """
    data = [
        {"object": "embedding", "index": index, "embedding": _shown(item, dimensions, is_packed)}
        for index, item in enumerate(inputs)
    ]
    answer: dict[str, object] = {"object": "list", "data": data, "model": model}
    if prompt is not None:
        answer["usage"] = {"prompt_tokens": prompt, "total_tokens": prompt}
    return json.dumps(answer).encode()


def _shown(item: object, dimensions: int, is_packed: bool) -> str | list[float]:
    vector = vector_of(item, dimensions)
    if is_packed:
        return base64.b64encode(struct.pack(f"<{dimensions}f", *vector)).decode()
    return vector


def vector_of(item: object, dimensions: int) -> list[float]:
    """Return a vector of length 1."""
    text = json.dumps(item)
    blocks = range(-(-dimensions // _BLOCK))
    raw = b"".join(
        blake2b(f"{block}|{text}".encode(), digest_size=_BLOCK).digest() for block in blocks
    )
    values = [value - 127.5 for value in raw[:dimensions]]
    norm = sum(value * value for value in values) ** 0.5
    return [round(value / norm, 8) for value in values]

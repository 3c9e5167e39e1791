"""Embeddings made of words: texts that share words are near each other."""

from __future__ import annotations

import hashlib
import math
import re
from functools import lru_cache

_WORD = re.compile(r"\w+")


def embed_text(text: str, dimensions: int) -> list[float]:
    """A vector of length one; the same text always has the same."""
    words = _WORD.findall(text.lower()) or [text]
    sums = [0.0] * dimensions
    for word in words:
        for index, part in enumerate(_word_vector(word, dimensions)):
            sums[index] += part
    length = math.sqrt(sum(part * part for part in sums)) or 1.0
    return [round(part / length, 8) for part in sums]


@lru_cache(maxsize=512)
def _word_vector(word: str, dimensions: int) -> tuple[float, ...]:
    digest = hashlib.shake_256(word.encode("utf-8", "replace")).digest(dimensions)
    return tuple(byte - 127.5 for byte in digest)

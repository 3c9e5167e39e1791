"""Which OpenAI models know the role `developer`."""

import re
from typing import Final

# OpenAI's guide to reasoning models: `developer` replaces `system` from o1 on, without its previews. GPT-4o and later
# take either.
_KNOWS_DEVELOPER: Final = re.compile(r"(?:ft:)?(?:o1(?!-mini|-preview)|o[2-9]|gpt-4o|gpt-4\.1|gpt-[5-9]|chatgpt-)")


def knows_developer(model: str) -> bool:
    """Whether instructions may be sent to this model of OpenAI's in the role `developer`."""
    return _KNOWS_DEVELOPER.match(model) is not None

"""How a refused prompt file is put into words."""

from typing import Any

from dipeo.domain.errors import PromptRefusedError

_MAX_SHOWN_CHARS = 200


def shown(text: str) -> str:
    """The text in quotation marks, cut after 200 characters, with nothing in it that a terminal obeys."""
    quoted = repr(text[:_MAX_SHOWN_CHARS])
    is_whole = len(text) <= _MAX_SHOWN_CHARS and len(quoted) <= _MAX_SHOWN_CHARS + 2
    return quoted if is_whole else f"{quoted[:_MAX_SHOWN_CHARS]}...{quoted[0]}"


def refusal(name: str, reason: str, *, suggestion: str | None = None, key: str | None = None) -> PromptRefusedError:
    """The error for a prompt that `reason` (a predicate, such as "is empty") speaks of; `key` is of its front matter.

    Neither the content of a file nor what lies outside the base directory belongs into the reason.
    """
    facts: dict[str, Any] = {} if key is None else {"key": key}
    return PromptRefusedError(
        f"The prompt file {shown(name)} {reason}.", field="prompt_file", suggestion=suggestion, **facts
    )

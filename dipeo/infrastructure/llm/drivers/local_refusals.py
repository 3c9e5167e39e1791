"""What dipeo refuses itself, before anything is sent."""

from typing import Final

from dipeo.domain.errors import (
    ConfigurationError,
    DipeoError,
    InvalidRequestError,
    MalformedAPIKeyError,
    MissingAPIKeyError,
)

_LOCAL_REFUSALS: Final = (InvalidRequestError, ConfigurationError, MissingAPIKeyError, MalformedAPIKeyError)


def is_local_refusal(error: DipeoError) -> bool:
    """Whether no attempt was made: the same error from a provider carries its HTTP status, or says that it was sent."""
    return error.status is None and error.context.get("sent") is not True and isinstance(error, _LOCAL_REFUSALS)

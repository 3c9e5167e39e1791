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
    """Whether no attempt was made: the same error from a provider carries its HTTP status."""
    return error.status is None and isinstance(error, _LOCAL_REFUSALS)

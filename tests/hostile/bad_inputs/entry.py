"""One bad input and the safe behaviour that answers it."""

from collections.abc import Mapping
from typing import Final

from attrs import frozen

from dipeo.domain.errors import (
    ConfigurationError,
    DipeoError,
    MalformedAPIKeyError,
    PromptRefusedError,
    UnknownServiceError,
    UnsupportedParameterError,
    ValidationError,
)

ERRORS: Final[Mapping[str, type[DipeoError]]] = {
    "validation": ValidationError,
    "prompt": PromptRefusedError,
    "configuration": ConfigurationError,
    "service": UnknownServiceError,
    "key": MalformedAPIKeyError,
    "unsupported": UnsupportedParameterError,
}


@frozen
class BadInput:
    """A value; `id` is the number of the attack, `field` what the error names, `error` its class in short."""

    id: str
    what: str
    value: object
    field: str | None
    error: str = "validation"

    def __str__(self) -> str:
        return f"{self.id} {self.what}"

    def check(self, caught: DipeoError) -> None:
        """The error is the one that was expected, names the field, and is short and printable."""
        assert isinstance(caught, ERRORS[self.error]), repr(caught)
        assert caught.field == self.field, f"{caught.field!r}: {caught}"
        assert caught.message.isprintable()
        assert len(caught.message) < 1_500
        caught.to_dict()

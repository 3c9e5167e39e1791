"""What could not be sent as asked."""

from dipeo.domain.completion import Adaptation, AdaptationAction, CompletionRequest
from dipeo.domain.errors import UnsupportedParameterError


class Adaptations:
    """Collects the adaptations of one request; where the request is strict, each is an error instead."""

    __slots__ = ("_is_strict", "made")

    def __init__(self, request: CompletionRequest) -> None:
        self._is_strict = request.is_strict
        self.made: tuple[Adaptation, ...] = ()
        """What was recorded, in order."""

    def note(self, parameter: str, action: AdaptationAction, reason: str) -> None:
        """Records one. Raises `UnsupportedParameterError` naming the parameter when strict."""
        if self._is_strict:
            raise UnsupportedParameterError(
                f"{parameter!r} cannot be sent as asked: {reason}",
                field=parameter,
                suggestion="Leave it out, choose another model, or allow adaptations with strict=False.",
            )
        self.made += (Adaptation(parameter=parameter, action=action, reason=reason),)

    def dropped(self, parameter: str, reason: str) -> None:
        """Records that a parameter is not sent."""
        self.note(parameter, AdaptationAction.DROPPED, reason)

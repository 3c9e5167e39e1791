"""How closely a picture is to be looked at, in a provider's words."""

from collections.abc import Set
from typing import Final

from dipeo.domain.completion import AdaptationAction
from dipeo.domain.parts import ImageDetail, ImagePart
from dipeo.infrastructure.llm.drivers.adaptation import Adaptations

NO_DETAILS: Final[Set[ImageDetail]] = frozenset()
LOW_TO_HIGH: Final[Set[ImageDetail]] = frozenset({ImageDetail.AUTO, ImageDetail.LOW, ImageDetail.HIGH})
EVERY_DETAIL: Final[Set[ImageDetail]] = frozenset(ImageDetail)


def encode_detail(
    part: ImagePart, where: str, adaptations: Adaptations, *, taken: Set[ImageDetail] = NO_DETAILS
) -> str | None:
    """The level to send, of those that are taken; one that cannot be sent is left out or replaced, and recorded."""
    detail = part.detail
    if detail is None or detail in taken:
        return detail and detail.value
    if detail is ImageDetail.ORIGINAL and ImageDetail.HIGH in taken:
        reason = "the closest look that the provider can be asked for is high."
        adaptations.note(f"{where}.detail", AdaptationAction.SUBSTITUTED, reason)
        return ImageDetail.HIGH.value
    if detail is not ImageDetail.AUTO:
        # To leave it to the provider is what every provider does unasked.
        adaptations.dropped(f"{where}.detail", "the provider decides itself how closely it looks.")
    return None

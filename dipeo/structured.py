"""Answers of a given shape.

from dipeo.structured import StructuredOutput
"""

from dipeo.application.shapes.describing import shape_of
from dipeo.application.shapes.shape import Shape
from dipeo.application.structured_output import (
    AskedAgain,
    PartialAnswer,
    StructuredAnswer,
    StructuredEnd,
    StructuredOutput,
    StructuredStream,
)
from dipeo.infrastructure.sync_structured_output import SyncStructuredOutput, SyncStructuredStream

__all__ = [
    "AskedAgain",
    "PartialAnswer",
    "Shape",
    "StructuredAnswer",
    "StructuredEnd",
    "StructuredOutput",
    "StructuredStream",
    "SyncStructuredOutput",
    "SyncStructuredStream",
    "shape_of",
]

"""The calls of Gemini's interface that Google's clients have methods for which give the answer as it is."""

import re
from typing import Final

from attrs import frozen

PLACEHOLDER_KEY: Final = "-"
"""For an endpoint without a key: the clients demand one."""

_PATH: Final = re.compile(
    r"/(?P<version>v\d\w*)/(?P<model>.+):(?P<action>generateContent|streamGenerateContent)(?:\?alt=sse)?"
)


@frozen
class GoogleCall:
    """A model, as it stands in the path, and the version of the interface."""

    version: str
    model: str


def read_path(path: str) -> GoogleCall | None:
    """The call that a path stands for, or None for one of another kind."""
    found = _PATH.fullmatch(path)
    return GoogleCall(found["version"], found["model"]) if found else None

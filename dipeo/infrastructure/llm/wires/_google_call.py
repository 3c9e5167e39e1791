"""The calls of Gemini's interface that Google's clients have methods for."""

import re
from enum import Enum
from typing import Final
from urllib.parse import unquote

from attrs import frozen

PLACEHOLDER_KEY: Final = "-"
"""For an endpoint without a key: the clients demand one."""


class GoogleAction(Enum):
    """What is asked of a model, as it stands in the path."""

    GENERATE = "generateContent"
    STREAM = "streamGenerateContent"
    EMBED = "batchEmbedContents"
    COUNT = "countTokens"


_CALL: Final = re.compile(
    rf"/(?P<version>v\d\w*)/(?P<model>.+):(?P<action>{'|'.join(each.value for each in GoogleAction)})(?:\?alt=sse)?"
)
_GENERATING: Final = frozenset({GoogleAction.GENERATE, GoogleAction.STREAM})
_LIST: Final = re.compile(r"/(?P<version>v\d\w*)/models\?pageSize=(?P<size>\d+)(?:&pageToken=(?P<token>[^&]+))?")


@frozen
class GoogleCall:
    """A model, as it stands in the path, what is asked of it, and the version of the interface."""

    version: str
    model: str
    action: GoogleAction


@frozen
class GoogleList:
    """A page of the list of models; `token` stands for the page, None for the first."""

    version: str
    size: int
    token: str | None


def read_path(path: str) -> GoogleCall | None:
    """The call to generate that a path stands for, or None for one of another kind."""
    call = read_call(path)
    return call if call is not None and call.action in _GENERATING else None


def read_call(path: str) -> GoogleCall | None:
    """The call that a path stands for, or None for one of another kind."""
    found = _CALL.fullmatch(path)
    return GoogleCall(found["version"], found["model"], GoogleAction(found["action"])) if found else None


def read_list(path: str) -> GoogleList | None:
    """The page that a path stands for, or None for a path of another kind."""
    found = _LIST.fullmatch(path)
    return GoogleList(found["version"], int(found["size"]), unquote(found["token"] or "") or None) if found else None

"""Which names may be looked for at all."""

import os
import re
from pathlib import PurePosixPath

from dipeo.infrastructure.prompts.refusal import refusal

_MAX_NAME_CHARS = 1024
_MAX_COMPONENT_BYTES = 255
_DRIVE = re.compile(r"[A-Za-z]:")


def path_below(base: str, name: str) -> str:
    """The path of a prompt relative to the absolute directory `base`, by the look of its name alone.

    An absolute name counts when it lies inside the base directory. Raises `PromptRefusedError` for a name that could
    lead elsewhere, or that no file can have; no file is touched to find out.
    """
    _check_characters(name)
    _check_components(name)
    path = PurePosixPath(name)
    if path.is_absolute():
        bases = [folder for folder in (base, os.path.realpath(base)) if path.is_relative_to(folder)]
        if not bases:
            raise refusal(name, "lies outside the base directory")
        path = path.relative_to(bases[0])
    if not path.parts:
        raise refusal(name, "is the base directory itself, no file in it")
    return str(path)


def _check_characters(name: str) -> None:
    if not name:
        raise refusal(name, "has no name")
    if len(name) > _MAX_NAME_CHARS:
        raise refusal(name, f"has a name of more than {_MAX_NAME_CHARS:,} characters")
    if "\0" in name or "\\" in name:
        raise refusal(name, "has a NUL character or a backslash in its name", suggestion="Separate folders with '/'.")
    if _DRIVE.match(name):
        raise refusal(name, "is named with a drive letter", suggestion="Name it relative to the base directory.")


def _check_components(name: str) -> None:
    components = name.split("/")
    if ".." in components:
        raise refusal(name, "has '..' in its name", suggestion="Name it relative to the base directory.")
    try:
        longest = max(len(os.fsencode(component)) for component in components)
    except UnicodeEncodeError:
        raise refusal(name, "has characters in its name that no file name has") from None
    if longest > _MAX_COMPONENT_BYTES:
        raise refusal(name, f"has a part of more than {_MAX_COMPONENT_BYTES} bytes in its name")

"""Files and functions that are named on the command line."""

import importlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from dipeo.domain.errors import ValidationError
from dipeo.domain.json_value import JsonObject
from dipeo.infrastructure.documents.media_file import MAX_FILE_BYTES
from dipeo.infrastructure.documents.regular_file import read_regular_file


def read_schema(path: str, *, option: str) -> JsonObject:
    """The JSON schema in a file. Raises `ValidationError` naming the option for anything else."""
    try:
        schema = json.loads(read_regular_file(path, max_bytes=MAX_FILE_BYTES, field=option))
    except (ValueError, RecursionError):
        schema = None
    if not isinstance(schema, dict):
        raise ValidationError(f"{path!r} holds no JSON schema, which is a JSON object.", field=option)
    return schema


def load_functions(names: Sequence[str], *, option: str) -> list[object]:
    """The functions that `module:function` names, from the working directory too.

    Their modules are run, as by any import. Raises `ValidationError` naming the option for what is not there.
    """
    here = str(Path.cwd())
    sys.path.insert(0, here)
    try:
        return [_load(name, option=option) for name in names]
    finally:
        sys.path.remove(here)


def _load(name: str, *, option: str) -> object:
    module_name, colon, function_name = name.partition(":")
    if not (colon and module_name and function_name):
        raise ValidationError(f"{name!r} must be written as module:function.", field=option)
    try:
        module = importlib.import_module(module_name)
    except ImportError as problem:
        raise ValidationError(f"The module {module_name!r} cannot be imported: {problem}.", field=option) from None
    function = getattr(module, function_name, None)
    if not callable(function):
        raise ValidationError(f"The module {module_name!r} has no function {function_name!r}.", field=option)
    return function

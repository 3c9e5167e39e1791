"""Runs the blocks of a page in order and in one namespace; `await` may stand at the top, as in `python -m asyncio`."""

import ast
import asyncio
import inspect
import json
import sys
from collections.abc import Coroutine
from types import CodeType, FunctionType
from typing import Any


def run(page: str, blocks: list[tuple[int, str]]) -> None:
    """Runs the blocks; each is the line it begins at, and its text."""
    namespace: dict[str, Any] = {"__name__": "__main__"}
    with asyncio.Runner() as runner:
        for line, text in blocks:
            # Line numbers in a traceback are those of the page.
            source = "\n" * (line - 1) + text
            code = compile(source, page, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
            result = _evaluate(code, namespace)
            if result is not None:
                runner.run(result)


def _evaluate(code: CodeType, namespace: dict[str, Any]) -> Coroutine[Any, Any, None] | None:
    if code.co_flags & inspect.CO_COROUTINE:
        coroutine: Coroutine[Any, Any, None] = FunctionType(code, namespace)()
        return coroutine
    exec(code, namespace)
    return None


if __name__ == "__main__":
    given = json.load(sys.stdin)
    run(given["page"], given["blocks"])

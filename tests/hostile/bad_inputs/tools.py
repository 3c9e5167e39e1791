"""Bad tools, and bad calls of good ones."""

import json
import math
from collections.abc import Sequence
from typing import Final

from dipeo.domain.parts import ToolCallPart
from tests.hostile.bad_inputs.calls import NESTED
from tests.hostile.bad_inputs.entry import BadInput

SPECS: Final[Sequence[BadInput]] = (
    *(
        BadInput("S51", f"the name {name!r:.30}", {"name": name}, "name")
        for name in (
            "",
            "a b",
            "a.b",
            "obj.method",
            "a/b",
            "1a",
            "-a",
            "a" * 65,
            "é",
            "a\n",
            "a\x00",
            "$(x)",
            "a;b",
            7,
            None,
        )
    ),
    BadInput("S48", "a description with a surrogate", {"name": "a", "description": "\ud800"}, "description"),
    BadInput("S50", "a description that is a number", {"name": "a", "description": 5}, "description"),
    BadInput("S50", "parameters in a text", {"name": "a", "parameters": "{}"}, "parameters"),
    BadInput("S50", "parameters in a list", {"name": "a", "parameters": []}, "parameters"),
    BadInput("S50", "parameters of another type", {"name": "a", "parameters": {"type": "string"}}, "parameters"),
    BadInput("S50", "parameters without a type", {"name": "a", "parameters": {}}, "parameters"),
    BadInput("S37", "NaN in the parameters", {"name": "a", "parameters": {"type": math.nan}}, "parameters.type"),
    BadInput("S37", "deep parameters", {"name": "a", "parameters": NESTED}, "parameters" + ".a" * 64),
    BadInput("S37", "a key that is no text", {"name": "a", "parameters": {1: 2}}, "parameters.1"),
    BadInput("S37", "an object in the parameters", {"name": "a", "parameters": {"type": print}}, "parameters.type"),
)


def _call(arguments: dict[str, object] | str, *, name: str = "send") -> ToolCallPart:
    if isinstance(arguments, str):
        return ToolCallPart(call_id="c", name=name, arguments={}, broken_arguments=arguments)
    return ToolCallPart(call_id="c", name=name, arguments=json.loads(json.dumps(arguments)))


GOOD: Final[dict[str, object]] = {"to": "ada", "count": 1}

REFUSED_CALLS: Final[Sequence[tuple[str, str, ToolCallPart]]] = (
    ("S51", "a tool that was not offered", _call(GOOD, name="delete_all")),
    ("S51", "a hidden attribute", _call(GOOD, name="send.__globals__")),
    ("S51", "a dunder", _call(GOOD, name="__import__")),
    ("S51", "another case", _call(GOOD, name="SEND")),
    ("S38", "broken arguments", _call('{"to": "ada"')),
    ("S38", "arguments that are code", _call("__import__('os').system('true')")),
    ("S50", "one too many", _call({**GOOD, "admin": True})),
    ("S50", "a dunder argument", _call({**GOOD, "__class__": "x"})),
    ("S50", "self", _call({**GOOD, "self": {}})),
    ("S50", "one too few", _call({"to": "ada"})),
    ("S50", "none", _call({})),
    ("S50", "a text for a number", _call({**GOOD, "count": "1"})),
    ("S50", "true for a number", _call({**GOOD, "count": True})),
    ("S50", "a fraction for a number", _call({**GOOD, "count": 1.5})),
    ("S50", "nothing for a text", _call({**GOOD, "to": None})),
    ("S50", "a list for a text", _call({**GOOD, "to": ["ada"]})),
    ("S50", "an object for a text", _call({**GOOD, "to": {"$ne": ""}})),
    ("S50", "more than a tool takes", _call({**GOOD, "to": "x" * 200_000})),
)

PLAIN_TEXTS: Final[Sequence[str]] = (
    "; rm -rf /",
    "$(id)",
    "`id`",
    "../../etc/passwd",
    "{0.__class__}",
    "' OR 1=1 --",
    "<img src=x>",
    "%n%n",
    "\x00",
    "{{7*7}}",
)
"""Text with signs in it that mean something elsewhere: the tool is handed it as it is."""

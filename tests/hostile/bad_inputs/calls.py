"""Bad inputs of a call: its options, its messages, its model, its addresses."""

import math
from collections.abc import Sequence
from typing import Final

from dipeo.domain.tools import ToolSpec
from tests.hostile.bad_inputs.entry import BadInput

NESTED: Final[dict[str, object]] = {}
_inner = NESTED
for _ in range(80):
    _inner["a"] = {}
    _inner = _inner["a"]  # type: ignore[assignment]  # it is the mapping of the line before

SPEC: Final = ToolSpec(name="look_up")


def _number(name: str, *values: object) -> list[BadInput]:
    return [BadInput("S49", f"{name} {value!r:.30}", {name: value}, name) for value in values]


OPTIONS: Final[Sequence[BadInput]] = (
    *_number("temperature", math.nan, math.inf, -math.inf, "hot", -1, True, 2.1, 10**400, [0.5], {}, 1j),
    *_number("top_p", math.nan, 0, -0.1, 1.1, "1", False),
    *_number("max_tokens", -1, 0, True, 10.5, 10**30, "100", math.inf, [1]),
    *_number("seed", 1.5, True, 2**64, "7", math.nan),
    *_number("reasoning_budget_tokens", 0, -5, 1.5, True, 2**40),
    *_number("timeout_s", 0, -1, math.nan, math.inf, "5", True, 10**9),
    *_number("first_token_timeout_s", 0, math.nan, "1"),
    *_number("idle_timeout_s", -1, math.inf, False),
    *_number("max_attempts", 0, -1, 1.5, True, 10**6, "3"),
    *_number("reasoning_effort", "enormous", 5, ""),
    BadInput("S48", "stop with a lone surrogate", {"stop": ["\ud800"]}, "stop"),
    BadInput("S49", "stop that is empty", {"stop": [""]}, "stop"),
    BadInput("S49", "stop that is a number", {"stop": 5}, "stop"),
    BadInput("S49", "stop with a number", {"stop": [5]}, "stop"),
    BadInput("S21", "an unknown option", {"api_base": "https://evil.invalid"}, "api_base"),
    BadInput("S21", "a routing option", {"custom_llm_provider": "x"}, "custom_llm_provider"),
    BadInput("S21", "headers of one's own", {"extra_headers": {"a": "b"}}, "extra_headers"),
    BadInput("S21", "a key as an option", {"api_key": "sk-x"}, "api_key"),
    BadInput("S21", "an option with a long name", {"x" * 300: 1}, "x" * 300),
    BadInput(
        "S21", "provider options that set the model", {"provider_options": {"model": "x"}}, "provider_options.model"
    ),
    BadInput("S21", "provider options that stream", {"provider_options": {"stream": True}}, "provider_options.stream"),
    BadInput("S21", "other messages", {"provider_options": {"messages": []}}, "provider_options.messages"),
    BadInput("S37", "provider options in a list", {"provider_options": [1]}, "provider_options"),
    BadInput("S37", "provider options with NaN", {"provider_options": {"a": math.nan}}, "provider_options.a"),
    BadInput("S37", "provider options with infinity", {"provider_options": {"a": [math.inf]}}, "provider_options.a[0]"),
    BadInput("S37", "provider options with a huge number", {"provider_options": {"a": 10**40}}, "provider_options.a"),
    BadInput("S37", "provider options with an object", {"provider_options": {"a": object()}}, "provider_options.a"),
    BadInput("S37", "provider options with bytes", {"provider_options": {"a": b"x"}}, "provider_options.a"),
    BadInput("S48", "provider options with a surrogate", {"provider_options": {"a": "\udfff"}}, "provider_options.a"),
    BadInput("S37", "deep provider options", {"provider_options": NESTED}, "provider_options" + ".a" * 64),
    BadInput("S50", "tools in a text", {"tools": "look_up"}, "tools"),
    BadInput("S50", "tools as functions", {"tools": [print]}, "tools"),
    BadInput("S51", "two tools of one name", {"tools": [SPEC, SPEC]}, "tools"),
    BadInput("S51", "a choice of no tool", {"tools": [SPEC], "tool_choice": "__import__"}, "tool_choice"),
    BadInput("S51", "a choice that is no text", {"tools": [SPEC], "tool_choice": 7}, "tool_choice"),
    BadInput("S51", "a call required without tools", {"tool_choice": "required"}, "tool_choice"),
    BadInput("S51", "an unknown provider tool", {"provider_tools": ["shell"]}, "provider_tools"),
    BadInput("S49", "parallel calls in words", {"tools": [SPEC], "parallel_tool_calls": "yes"}, "parallel_tool_calls"),
    BadInput("S37", "a schema in a text", {"response_schema": "{}"}, "response_schema"),
    BadInput("S37", "a schema with NaN", {"response_schema": {"maximum": math.nan}}, "response_schema.maximum"),
    BadInput("S37", "a deep schema", {"response_schema": NESTED}, "response_schema" + ".a" * 64),
    BadInput("S49", "an unknown cache word", {"prompt_cache": "forever"}, "prompt_cache"),
    BadInput("S49", "strictness in words", {"strict": "no"}, "strict"),
    BadInput("S38", "a line break in an answer's name", {"previous_response_id": "a\r\nX: y"}, "previous_response_id"),
    BadInput("S44", "fallbacks without end", {"fallbacks": ["gpt-5.4-mini"] * 1_000}, "fallbacks"),
    BadInput("S44", "fallbacks in a text", {"fallbacks": "claude"}, "fallbacks"),
)

MESSAGES: Final[Sequence[BadInput]] = (
    BadInput("S48", "no messages", [], "messages"),
    BadInput("S48", "a text", "Hello", "messages"),
    BadInput("S48", "one message", {"role": "user", "content": "x"}, "messages"),
    BadInput("S48", "bytes", b"Hello", "messages"),
    BadInput("S48", "nothing", None, "messages"),
    BadInput("S48", "a message that is a text", ["Hello"], "messages[0]"),
    BadInput("S48", "a message that is nothing", [None], "messages[0]"),
    BadInput("S48", "an empty message", [{}], "messages[0].role"),
    BadInput("S48", "an unknown role", [{"role": "root", "content": "x"}], "messages[0].role"),
    BadInput("S48", "a role that is a list", [{"role": ["user"], "content": "x"}], "messages[0].role"),
    BadInput("S48", "no content", [{"role": "user"}], "messages[0].content"),
    BadInput("S48", "empty content", [{"role": "user", "content": ""}], "messages[0].content"),
    BadInput("S48", "a number", [{"role": "user", "content": 5}], "messages[0].content"),
    BadInput("S48", "an empty list", [{"role": "user", "content": []}], "messages[0].content"),
    BadInput("S48", "a lone surrogate", [{"role": "user", "content": "a\ud800"}], "messages[0].content"),
    BadInput("S48", "surrogates that pair", [{"role": "user", "content": "\ud83d\ude00"}], "messages[0].content"),
    BadInput("S38", "a name with a line break", [{"role": "user", "content": "x", "name": "a\nb"}], "messages[0].name"),
    BadInput("S38", "an endless name", [{"role": "user", "content": "x", "name": "a" * 300}], "messages[0].name"),
    BadInput("S21", "an unknown key", [{"role": "user", "content": "x", "api_base": "y"}], "messages[0]"),
    BadInput(
        "S50",
        "an unknown part",
        [{"role": "user", "content": [{"type": "file", "path": "/etc/passwd"}]}],
        "messages[0].content[0]",
    ),
    BadInput(
        "S50",
        "a part with more",
        [{"role": "user", "content": [{"type": "text", "text": "x", "run": "y"}]}],
        "messages[0].content[0]",
    ),
    BadInput(
        "S48",
        "a part with a surrogate",
        [{"role": "user", "content": [{"type": "text", "text": "\udc00"}]}],
        "messages[0].content[0].text",
    ),
    BadInput(
        "S48",
        "the second message",
        [{"role": "user", "content": "x"}, {"role": "user", "content": "\ud800"}],
        "messages[1].content",
    ),
)

MODELS: Final[Sequence[BadInput]] = (
    *(
        BadInput("S39", f"{model!r:.40} of Google", model, "model")
        for model in (
            "../../x",
            "m?key=1",
            "m#frag",
            "m%2F..%2Fx",
            "models/../x",
            "m m",
            "m:generateContent",
            "/m",
            "m/",
            "m\\x",
            "tunedModels/../../v1",
            "models/a/b",
            "m;x",
            "m@x",
            "é",
        )
    ),
    *(
        BadInput("S38", f"{model!r:.40}", model, "model")
        for model in (
            "",
            " ",
            "m\r\nX-Evil: 1",
            "m\x00",
            "a" * 300,
            " m",
            "m\u202e",
            "m\u2028x",
            "m\x1b[31m",
            "m\ud800",
        )
    ),
)

ADDRESSES: Final[Sequence[BadInput]] = tuple(
    BadInput(id_, f"{url!r:.60}", url, "base_url", "configuration")
    for id_, url in (
        ("S23", "http://api.invalid/v1"),
        ("S23", "http://127.0.0.1.evil.invalid/v1"),
        ("S23", "http://localhost.evil.invalid"),
        ("S23", "http://0.0.0.0:8080"),
        ("S23", "http://0x7f000001/"),
        ("S23", "http://2130706433/"),
        ("S23", "http://169.254.169.254/latest"),
        ("S23", "http://[::]/"),
        ("S23", "http://[fe80::1]/"),
        ("S23", "http://10.0.0.1"),
        ("S25", "file:///etc/passwd"),
        ("S25", "gopher://127.0.0.1:11211/x"),
        ("S25", "data:text/plain,x"),
        ("S25", "ftp://api.invalid"),
        ("S25", "ws://127.0.0.1"),
        ("S25", "unix:///run/x.sock"),
        ("S25", "javascript:alert(1)"),
        ("S25", "//api.invalid/v1"),
        ("S25", "api.invalid/v1"),
        ("S25", "https://"),
        ("S25", "https:///v1"),
        ("S25", "https://user:pass@api.invalid"),
        ("S25", "https://api.invalid@evil.invalid"),
        ("S25", "https://api.invalid\\@evil.invalid"),
        ("S25", "https://api.invalid/v1?x=1"),
        ("S25", "https://api.invalid/v1?"),
        ("S25", "https://api.invalid/v1#x"),
        ("S25", "https://api .invalid"),
        ("S25", "https://api.invalid:99999"),
        ("S25", "https://api.invalid:x"),
        ("S25", "https://[::1"),
        ("S25", "https://api.invalid:0"),
    )
)

BAD_ADDRESS_NAMES: Final[Sequence[BadInput]] = (
    BadInput("S38", "a line break in an address", "https://api.invalid\r\nX: y", "base_url"),
    BadInput("S38", "an address with a NUL", "https://api.invalid/\x00", "base_url"),
    BadInput("S38", "an endless address", "https://api.invalid/" + "a" * 300, "base_url"),
    BadInput("S38", "an address that is a number", 7, "base_url"),
)

PARTS: Final[Sequence[BadInput]] = (
    BadInput("S25", "an address with a line break", {"media_type": "image/png", "url": "https://a\r\nb"}, "url"),
    BadInput("S25", "an empty address", {"media_type": "image/png", "url": ""}, "url"),
    BadInput("S25", "data of 1 MiB as an address", {"media_type": "image/png", "url": "data:," + "a" * 2**20}, "url"),
    BadInput("S48", "an address with a surrogate", {"media_type": "image/png", "url": "https://a/\ud800"}, "url"),
    BadInput("S50", "both", {"media_type": "image/png", "url": "https://a", "data": b"x"}, "data"),
    BadInput("S50", "neither", {"media_type": "image/png"}, "data"),
    BadInput("S50", "text for bytes", {"media_type": "image/png", "data": "x"}, "data"),
    BadInput("S38", "a media type with a line break", {"media_type": "image/png\r\nX: y", "data": b"x"}, "media_type"),
    BadInput("S38", "no media type", {"media_type": "", "data": b"x"}, "media_type"),
)

SAFE_TEXTS: Final[Sequence[str]] = (
    "\x00",
    "\u202e\u2066",
    "e" + "\u0301" * 10_000,
    "\r\n\x1b[31m",
    "{a.__init__.__globals__[SECRET]}",
    "{{7*7}}",
    "%s%n",
    "<script>alert(1)</script>",
    "\ufeff",
    "'; DROP TABLE messages; --",
    "../../etc/passwd",
    "data: [DONE]\n\n",
    "😀" * 1_000,
)
"""Odd text that is a message like any other, and must arrive as it is."""

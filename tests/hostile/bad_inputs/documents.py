"""Bad inputs in files and documents: prompts, conversations, keys, catalogues, settings."""

import json
from collections.abc import Mapping, Sequence
from typing import Final

from tests.hostile.bad_inputs.entry import BadInput

PROMPT_NAMES: Final[Sequence[BadInput]] = tuple(
    BadInput(id_, f"{name!r:.40}", name, "prompt_file", "prompt")
    for id_, name in (
        ("S01", "../secret.md"),
        ("S01", "sub/../../secret.md"),
        ("S01", "/etc/passwd"),
        ("S01", "/proc/self/environ"),
        ("S01", ".."),
        ("S01", "./../secret.md"),
        ("S01", "a/./../../secret.md"),
        ("S01", "/dev/zero"),
        ("S01", "/"),
        ("S02", "../base-evil/x.md"),
        ("S08", "a\x00.md"),
        ("S08", "..\\secret.md"),
        ("S08", "a\\b"),
        ("S08", "C:secret.md"),
        ("S08", "c:/secret.md"),
        ("S08", "x" * 5_000),
        ("S08", "x" * 300),
        ("S08", ""),
        ("S08", "."),
        ("S08", "a\ud800.md"),
        ("S08", "sub/" + "y" * 256 + "/a.md"),
        ("S08", "//etc/passwd"),
        ("S08", "///secret.md"),
    )
)

MISSING_NAMES: Final[Sequence[str]] = (
    "%2e%2e/secret.md",
    "..%2fsecret.md",
    "....//secret.md",
    "%00",
    "~/secret.md",
    "~root/x",
    "$HOME/secret.md",
    "no.md",
    "GOOD.MD ",
    "good.md.",
    "good.md/",
    "good.md/x",
    "NUL",
    "CON",
    "aux.md",
    "file:///etc/passwd",
    "\u202egood.md",
)
"""Names that mean nothing special here: there is simply no such file, and nothing else is read for them."""


def _matter(id_: str, what: str, yaml: str, field: str | None = "prompt_file") -> BadInput:
    return BadInput(id_, what, f"---\n{yaml}\n---\nHello\n".encode(), field, "prompt")


_LAUGHS: Final = "\n".join(["a0: &a0 [x]", *(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}, *a{n - 1}]" for n in range(1, 30))])

PROMPT_CONTENTS: Final[Sequence[BadInput]] = (
    BadInput("S07", "invalid UTF-8", b"\xff\xfe\xfd text", "prompt_file", "prompt"),
    BadInput("S07", "Latin 1", "Grüße".encode("latin-1"), "prompt_file", "prompt"),
    BadInput("S07", "UTF-16", "Hello".encode("utf-16"), "prompt_file", "prompt"),
    BadInput("S07", "UTF-16 without a mark", "Hello".encode("utf-16-le"), "prompt_file", "prompt"),
    BadInput("S07", "UTF-32", "Hello".encode("utf-32"), "prompt_file", "prompt"),
    BadInput("S07", "a binary", b"\x7fELF\x02\x01\x01\x00\x00", "prompt_file", "prompt"),
    BadInput("S07", "an overlong slash", b"a\xc0\xafb", "prompt_file", "prompt"),
    BadInput("S07", "an encoded surrogate", b"a\xed\xa0\x80b", "prompt_file", "prompt"),
    BadInput("S07", "a NUL", b"Hello\x00", "prompt_file", "prompt"),
    BadInput("S07", "nothing", b"", "prompt_file", "prompt"),
    BadInput("S07", "blanks alone", b" \n\t\n", "prompt_file", "prompt"),
    BadInput("S06", "more than a MiB", b"x" * (2**20 + 1), "prompt_file", "prompt"),
    BadInput("S55", "no end of the front matter", b"---\nname: x\nHello", "prompt_file", "prompt"),
    _matter("S55", "a Python object", "name: !!python/object/apply:os.system ['true']"),
    _matter("S55", "a tag", "name: !!binary aGVsbG8="),
    _matter("S55", "an anchor", "name: &a x"),
    _matter("S55", "a billion laughs", _LAUGHS),
    _matter("S55", "an alias of itself", "variables: &a {b: *a}"),
    _matter("S55", "a merge", "variables: &a {b: c}\nsampling:\n  <<: *a"),
    _matter("S55", "a key twice", "name: a\nname: b"),
    _matter("S55", "deep nesting", "variables: " + "[" * 500 + "]" * 500),
    _matter("S55", "broken YAML", "name: [a"),
    _matter("S55", "tabs", "\tname: x"),
    _matter("S55", "a list", "- a\n- b"),
    _matter("S55", "a text", "just words"),
    _matter("S55", "too much of it", "name: " + "x" * 40_000),
    _matter("S55", "two documents", "name: x\n...\nname: y"),
    _matter("S55", "a key that is a list", "? [a]\n: b"),
    _matter("S55", "a key that is a mapping", "{a: b}: c"),
    _matter("S21", "an unknown key", "api_key: x", "prompt_file"),
    _matter("S21", "an address", "base_url: https://evil.invalid", "prompt_file"),
    _matter("S49", "a temperature in words", "temperature: hot"),
    _matter("S49", "NaN", "temperature: .nan"),
    _matter("S49", "infinity", "temperature: .inf"),
    _matter("S49", "true for a number", "max_tokens: true"),
    _matter("S49", "tokens below zero", "max_tokens: -1"),
    _matter("S49", "a huge number", "max_tokens: " + "9" * 5_000),
    _matter("S49", "an unknown service", "service: evil"),
    _matter("S09", "a variable with an attribute", "variables: {a.__class__: x}"),
    _matter("S09", "a variable with an index", "variables: {'a[0]': x}"),
    _matter("S38", "a model with a control character", 'model: "m\\r\\nX: y"'),
    _matter("S48", "a surrogate", 'name: "\\uD800"'),
)

TEMPLATES: Final[Sequence[tuple[str, str, str]]] = (
    ("S09", "{a.__init__.__globals__[SECRET]}", "{a.__init__.__globals__[SECRET]}"),
    ("S09", "{a.__class__}", "{a.__class__}"),
    ("S09", "{a[0]}", "{a[0]}"),
    ("S09", "{a!r}", "{a!r}"),
    ("S09", "{0}", "{0}"),
    ("S09", "{}", "{}"),
    ("S10", "{a:>20000000}", "{a:>20000000}"),
    ("S10", "{:>20000000}", "{:>20000000}"),
    ("S10", "{a:{b}}", "{a:B}"),
    ("S11", "{a} {b}", "{b} B"),
    ("S11", "{{a}}", "{{b}}"),
    ("S11", "{c}", "{{c}} {a} %s ${a}"),
    ("S12", "{{ 7 * 7 }}{% include '/etc/passwd' %}", "{{ 7 * 7 }}{% include '/etc/passwd' %}"),
    ("S12", "${a} %(a)s $a <%= a %>", "${b} %(a)s $a <%= a %>".replace("${b}", "${b}")),
    ("S09", "{A}{_}{a b}{á}", "{A}{_}{a b}{á}"),
)
"""A template, and what comes of it with `a`, `b` and `c` filled in: names in braces, once, and nothing else."""

TEMPLATE_VALUES: Final[Mapping[str, str]] = {"a": "{b}", "b": "B", "c": "{{c}} {a} %s ${a}"}

_SAID: Final[Mapping[str, object]] = {
    "id": "m1",
    "from_person_id": "ada",
    "to_person_id": None,
    "visibility": None,
    "created_at": "2026-05-01T10:00:00+00:00",
    "content": "Hello",
}


def _document(messages: object, **more: object) -> str:
    head = {"format": "dipeo.conversation", "version": 1, "id": "c1", "forked_from": None}
    return json.dumps({**head, "messages": messages, **more})


def _saying(**more: object) -> str:
    return _document([{**_SAID, **more}])


def _part(**part: object) -> str:
    return _saying(content=[part])


CONVERSATIONS: Final[Sequence[BadInput]] = (
    BadInput("S37", "nothing", "", "conversation"),
    BadInput("S37", "no JSON", "{'a': 1}", "conversation"),
    BadInput("S37", "half of it", _document([_SAID])[:-20], "conversation"),
    BadInput("S37", "200,000 lists", "[" * 200_000, "conversation"),
    BadInput("S37", "deep objects", '{"a":' * 100_000, "conversation"),
    BadInput("S37", "a number of 5,000 digits", "9" * 5_000, "conversation"),
    BadInput("S37", "null", "null", "format"),
    BadInput("S37", "a list", "[]", "format"),
    BadInput("S37", "another format", '{"format": "pickle"}', "format"),
    BadInput("S37", "NaN for a version", _document([]).replace('"version": 1', '"version": NaN'), "version"),
    BadInput("S37", "true for a version", _document([], version=True), "version"),
    BadInput("S37", "a later version", _document([], version=99), "version"),
    BadInput("S37", "messages in an object", _document({"0": _SAID}), "messages"),
    BadInput("S37", "a message that is none", _document([None]), "messages[0]"),
    BadInput("S38", "no id", _document([], id=None), "id"),
    BadInput("S38", "an id with a line break", _document([], id="a\nb"), "id"),
    BadInput("S38", "an endless id", _document([], id="a" * 1_000), "id"),
    BadInput("S38", "a fork of a number", _document([], forked_from=7), "forked_from"),
    BadInput("S37", "a day that is none", _saying(created_at="yesterday"), "messages[0].created_at"),
    BadInput("S37", "a time without a zone", _saying(created_at="2026-05-01T10:00:00"), "created_at"),
    BadInput("S37", "a number for a time", _saying(created_at=5), "messages[0].created_at"),
    BadInput("S38", "nobody who speaks", _saying(from_person_id=None), "messages[0].from_person_id"),
    BadInput("S38", "a speaker with a control character", _saying(from_person_id="a\x1b[31m"), "from_person_id"),
    BadInput("S38", "a listener who is a list", _saying(to_person_id=["x"]), "to_person_id"),
    BadInput("S42", "a visibility in a text", _saying(visibility="ada"), "messages[0].visibility"),
    BadInput("S42", "a visibility of numbers", _saying(visibility=[1]), "visibility"),
    BadInput("S56", "a class for a tag", _part(type="os.system", text="x"), "messages[0].content"),
    BadInput("S56", "another library's tag", _part(lc=1, type="constructor", id=["os"]), "messages[0].content"),
    BadInput("S56", "a tag that is a list", _part(type=["text"], text="x"), "messages[0].content"),
    BadInput("S56", "a part with more", _part(type="text", text="x", __class__="y"), "messages[0].content"),
    BadInput("S56", "a picture without bytes", _part(type="image", media_type="image/png"), "data"),
    BadInput(
        "S56", "bytes that are none", _part(type="image", media_type="image/png", data="%%"), "messages[0].content"
    ),
    BadInput("S48", "a surrogate", _saying(content="\ud800"), "content"),
    BadInput("S37", "empty content", _saying(content=[]), "content"),
    BadInput("S50", "arguments in a text", _part(type="tool_call", call_id="a", name="b", arguments="x"), "arguments"),
    BadInput("S37", "a message twice", _document([_SAID, _SAID]), "id"),
)

KEY_FILES: Final[Sequence[BadInput]] = tuple(
    BadInput(id_, what, content, "DIPEO_KEY_FILE", "configuration")
    for id_, what, content in (
        ("S55", "no TOML", b"[keys\nx"),
        ("S55", "a key without quotes", b"[keys]\nmain = sk-canary-keyfile-1"),
        ("S55", "an entry twice", b'[keys]\nmain = "a"\nmain = "sk-canary-keyfile-1"'),
        ("S55", "a number", b"[keys]\nmain = 7"),
        ("S55", "a list", b'[keys]\nmain = ["sk-canary-keyfile-1"]'),
        ("S55", "another table", b'[sk-canary-keyfile-1]\na = "b"'),
        ("S55", "a key at the top", b'main = "sk-canary-keyfile-1"'),
        ("S55", "no table", b'keys = "sk-canary-keyfile-1"'),
        ("S07", "invalid UTF-8", b'[keys]\nmain = "\xff"'),
        ("S07", "UTF-16", '[keys]\nmain = "x"'.encode("utf-16")),
        ("S55", "an unknown service", b'[keys]\nmain = "x"\n[services]\nevil = "main"'),
        ("S55", "an id that is not there", b'[keys]\nmain = "x"\n[services]\nopenai = "sk-canary-keyfile-1"'),
        ("S55", "a service twice", b'[keys]\nmain = "x"\n[services]\nopenai = "main"\nOpenAI = "main"'),
        ("S37", "deep lists", b"[keys]\nmain = " + b"[" * 5_000),
        ("S37", "deep tables", b"[keys]\nmain = " + b"{a=" * 5_000),
        ("S37", "a number of 5,000 digits", b"[keys]\nmain = " + b"9" * 5_000),
        ("S37", "a day that is none", b"[keys]\nmain = 2026-99-99"),
    )
)

KEYS: Final[Sequence[BadInput]] = tuple(
    BadInput(id_, f"{key!r:.30}", key, "environment variable OPENAI_API_KEY", "key")
    for id_, key in (
        ("S14", "sk-canary\n"),
        ("S14", "sk-canary\r\nX-Evil: 1"),
        ("S14", " sk-canary"),
        ("S14", "sk canary"),
        ("S14", "sk-canäry"),
        ("S14", "\u200bsk-canary"),
        ("S14", "sk-canary\x00"),
        ("S14", "“sk-canary”"),
        ("S14", "\t"),
        ("S14", "sk-canary\x7f"),
        ("S14", "sk-canary\u2028"),
        ("S14", "\ufeffsk-canary"),
    )
)


def _facts(id_: str, what: str, text: str, field: str = "DIPEO_CATALOG_FILE") -> BadInput:
    return BadInput(id_, what, text.encode(errors="surrogatepass"), field, "configuration")


CATALOGUES: Final[Sequence[BadInput]] = (
    BadInput("S07", "invalid UTF-8", b"openai: \xff", "DIPEO_CATALOG_FILE", "configuration"),
    BadInput("S06", "more than 4 MiB", b"# " + b"x" * 2**22, "DIPEO_CATALOG_FILE", "configuration"),
    _facts("S55", "a Python object", "openai: !!python/object/apply:os.system ['true']"),
    _facts("S55", "a billion laughs", _LAUGHS),
    _facts("S55", "an anchor", "openai: &a {}"),
    _facts("S55", "a key twice", "openai: {}\nopenai: {}"),
    _facts("S55", "deep nesting", "openai: " + "{a: " * 500 + "}" * 500),
    _facts("S55", "broken YAML", "openai: [a"),
    _facts("S55", "a list", "- openai", "the document"),
    _facts("S55", "a text", "openai", "the document"),
    _facts("S55", "an unknown service", "evil: {}", "evil"),
    _facts("S55", "models in a list", "openai: [a]", "openai"),
    _facts("S38", "a name with a line break", 'openai: {"a\\nb": {}}', "openai.a\nb"),
    _facts("S55", "an unknown fact", "openai: {m: {run: x}}", "openai.m.run"),
    _facts("S49", "a window below zero", "openai: {m: {context_window_tokens: -1}}", "openai.m.context_window_tokens"),
    _facts("S49", "a window in words", "openai: {m: {context_window_tokens: big}}", "openai.m.context_window_tokens"),
    _facts(
        "S49",
        "a huge window",
        "openai: {m: {context_window_tokens: 99999999999999999}}",
        "openai.m.context_window_tokens",
    ),
    _facts("S49", "a yes that is a text", "openai: {m: {takes_tools: 'yes'}}", "openai.m.takes_tools"),
    _facts(
        "S44",
        "a price below zero",
        "openai: {m: {usd_per_million_tokens: {input: -1}}}",
        "openai.m.usd_per_million_tokens.input",
    ),
    _facts(
        "S44",
        "a price that is no number",
        "openai: {m: {usd_per_million_tokens: {input: .nan}}}",
        "openai.m.usd_per_million_tokens.input",
    ),
    _facts(
        "S44",
        "an infinite price",
        "openai: {m: {usd_per_million_tokens: {input: Infinity}}}",
        "openai.m.usd_per_million_tokens.input",
    ),
    _facts(
        "S44",
        "an unknown price",
        "openai: {m: {usd_per_million_tokens: {bribe: 1}}}",
        "openai.m.usd_per_million_tokens.bribe",
    ),
    _facts("S49", "a day that is none", "openai: {m: {released_on: 2026-02-30}}", "openai.m.released_on"),
)

VARIABLES: Final[Sequence[BadInput]] = tuple(
    BadInput(id_, f"{name}={value!r:.20}", {name: value}, name, "configuration")
    for id_, name, value in (
        ("S49", "DIPEO_LLM_TIMEOUT", "soon"),
        ("S49", "DIPEO_LLM_TIMEOUT", "-1"),
        ("S49", "DIPEO_LLM_TIMEOUT", "nan"),
        ("S49", "DIPEO_LLM_TIMEOUT", "inf"),
        ("S49", "DIPEO_LLM_TIMEOUT", "1e400"),
        ("S49", "DIPEO_LLM_MAX_RETRIES", "0"),
        ("S49", "DIPEO_LLM_MAX_RETRIES", "1.5"),
        ("S49", "DIPEO_LLM_MAX_RETRIES", "9" * 5_000),
        ("S49", "DIPEO_LLM_MAX_RETRIES", "1000"),
        ("S49", "DIPEO_LLM_RETRY_UNKNOWN_OUTCOME", "perhaps"),
        ("S22", "DIPEO_LLM_WIRE", "../../x"),
        ("S22", "DIPEO_OPENAI_API", "__class__"),
        ("S49", "DIPEO_LLM_IDLE_TIMEOUT", "NaN"),
        ("S49", "DIPEO_LLM_FIRST_TOKEN_TIMEOUT", "-inf"),
    )
)

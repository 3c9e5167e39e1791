"""YAML without surprises, for front matter: import it only where front matter is found, since YAML is slow to load."""

import re
from typing import Final, cast

import yaml
from frontmatter.default_handlers import YAMLHandler

MAX_FRONT_MATTER_CHARS: Final = 32_768
_MAX_LEVELS: Final = 8

_BOUNDARY: Final = re.compile(r"^---[ \t]*$", re.MULTILINE)
# A leading zero makes a text, as in 007, and so do twenty digits, more than any number here may have.
_WHOLE: Final = "(?:0|[1-9][0-9]{0,18})"
_EXPONENT: Final = "[eE][-+]?[0-9]{1,3}"
_SCALARS: Final = (
    ("tag:yaml.org,2002:null", r"(?:~|null|Null|NULL|)\Z", ["~", "n", "N", ""]),
    ("tag:yaml.org,2002:bool", r"(?:true|True|TRUE|false|False|FALSE)\Z", list("tTfF")),
    ("tag:yaml.org,2002:int", rf"[-+]?{_WHOLE}\Z", list("-+0123456789")),
    (
        "tag:yaml.org,2002:float",
        rf"[-+]?(?:{_WHOLE}?\.[0-9]{{1,18}}(?:{_EXPONENT})?|{_WHOLE}{_EXPONENT})\Z",
        list("-+.0123456789"),
    ),
)


class FrontMatterError(Exception):
    """The front matter cannot be read; `reason` says why without quoting it."""

    def __init__(
        self, reason: str, *, suggestion: str = "Use plain values, and quotation marks around text with signs in it."
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.suggestion = suggestion


class StrictLoader(yaml.SafeLoader):
    """Plain values only: no aliases or anchors, no tags, no repeated keys, no deep nesting.

    Words such as `no` and `on`, dates, times, and numbers with leading zeros are text.
    """

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012  # PyYAML's attribute

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self._levels = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """One value and all in it."""
        event = cast("yaml.Event", self.peek_event())  # type: ignore[no-untyped-call]  # PyYAML's stubs leave it out
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
            raise _refused("anchors or aliases", event)
        if getattr(event, "tag", None) is not None:
            raise _refused("tags", event)
        if self._levels >= _MAX_LEVELS:
            raise _refused(f"more than {_MAX_LEVELS} levels of nesting", event)
        self._levels += 1
        node = super().compose_node(parent, index)
        self._levels -= 1
        return node

    def compose_mapping_node(self, anchor: dict[object, yaml.Node]) -> yaml.MappingNode:
        """A mapping whose keys are all different."""
        node = super().compose_mapping_node(anchor)
        seen = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise _refused("keys that are not plain text", key)
            if key.value in seen:
                raise _refused("a key twice", key)
            seen.add(key.value)
        return node


for _tag, _pattern, _first in _SCALARS:
    StrictLoader.add_implicit_resolver(_tag, re.compile(_pattern), _first)


def split_front_matter(text: str) -> tuple[dict[object, object], str]:
    """The front matter of a text that opens with a `---` line, and what follows it. Raises `FrontMatterError`."""
    handler = YAMLHandler(fm_boundary=_BOUNDARY)
    try:
        matter, body = handler.split(text)
    except ValueError:
        raise FrontMatterError(
            "opens with a '---' line that no other '---' line closes",
            suggestion="Close it with another '---', or put a blank line first where '---' is a part of the text.",
        ) from None
    if len(matter) > MAX_FRONT_MATTER_CHARS:
        raise FrontMatterError(
            f"has front matter of more than {MAX_FRONT_MATTER_CHARS:,} characters",
            suggestion="Put a blank line first where '---' is a part of the text.",
        )
    reason = ""
    try:
        facts = handler.load(matter, Loader=StrictLoader)
    except yaml.YAMLError as problem:
        reason = _in_words(problem)
    # Raised out here, for YAML's own error quotes the lines in question.
    if reason:
        raise FrontMatterError(reason)
    if facts is None:
        return {}, body
    if not isinstance(facts, dict):
        raise FrontMatterError(
            "has front matter that is no mapping of keys to values",
            suggestion="Write 'key: value' lines, or put a blank line first where '---' is a part of the text.",
        )
    return facts, body


class _RefusedYAMLError(yaml.MarkedYAMLError):
    pass


def _refused(what: str, place: yaml.Event | yaml.Node) -> _RefusedYAMLError:
    mark = cast("yaml.Mark | None", place.start_mark)
    return _RefusedYAMLError(problem=f"uses {what} in its front matter", problem_mark=mark)


def _in_words(problem: yaml.YAMLError) -> str:
    mark = problem.problem_mark if isinstance(problem, yaml.MarkedYAMLError) else None
    # What is handed to YAML starts with the rest of the opening line, so its lines count like the file's.
    where = "" if mark is None else f" (line {mark.line + 1})"
    if isinstance(problem, _RefusedYAMLError):
        return f"{problem.problem}{where}"
    return f"has front matter that is not valid YAML{where}"

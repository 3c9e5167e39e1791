"""Reads what a docstring says about the whole and about each parameter."""

import re
from collections.abc import Iterator, Mapping, Sequence
from inspect import cleandoc
from typing import Final

from attrs import field, frozen

_TOLD: Final = frozenset(
    {"args", "arguments", "parameters", "params", "attributes", "keyword args", "other parameters"}
)
_SECTIONS: Final = _TOLD | {
    "example", "examples", "note", "notes", "raises", "references", "return", "returns", "see also", "warning",
    "warnings", "warns", "yield", "yields",
}  # fmt: skip
_SPHINX: Final = re.compile(r":(\w+)(?:[ \t]+([^:\n]*))?:[ \t]*(.*)")
_SPHINX_PARAMETERS: Final = frozenset({"param", "parameter", "arg", "argument", "key", "keyword", "var", "ivar"})
_ENTRY: Final = re.compile(r"\*{0,2}(\w+)[ \t]*(?:\([^)]*\))?[ \t]*:[ \t]*(.*)")
_NUMPY_ENTRY: Final = re.compile(r"(\*{0,2}\w+(?:[ \t]*,[ \t]*\*{0,2}\w+)*)[ \t]*(?::.*)?")


@frozen(kw_only=True)
class Docstring:
    """The text before the first section, and what is said of each parameter."""

    summary: str = ""
    parameters: Mapping[str, str] = field(factory=dict)


def read_docstring(text: str | None) -> Docstring:
    """What a docstring in the form of Google, Sphinx or numpy says; an unknown form is all summary."""
    lines = cleandoc(text).splitlines() if text else []
    summary: list[str] = []
    parameters: dict[str, str] = {}
    index = 0
    while index < len(lines):
        title = _section_at(lines, index)
        if title is not None:
            is_numpy = _is_underlined(lines, index)
            body = list(_body(lines, index + (2 if is_numpy else 1), is_numpy=is_numpy))
            if title in _TOLD:
                parameters.update(_numpy_entries(body) if is_numpy else _google_entries(body))
            index += len(body) + (2 if is_numpy else 1)
        elif match := _SPHINX.fullmatch(lines[index]):
            body = list(_body(lines, index + 1, is_numpy=False))
            if match[1] in _SPHINX_PARAMETERS and match[2]:
                parameters[match[2].split()[-1].lstrip("*")] = _joined([match[3], *body])
            index += 1 + len(body)
        else:
            summary.append(lines[index])
            index += 1
    return Docstring(summary=_paragraphs(summary), parameters=parameters)


def _section_at(lines: Sequence[str], index: int) -> str | None:
    """The title of the section that begins here."""
    line = lines[index]
    title = line.rstrip(" :").lower()
    if title not in _SECTIONS or line != line.lstrip():
        return None
    return title if line.rstrip().endswith(":") or _is_underlined(lines, index) else None


def _is_underlined(lines: Sequence[str], index: int) -> bool:
    return index + 1 < len(lines) and re.fullmatch(r"-{3,}", lines[index + 1].strip()) is not None


def _body(lines: Sequence[str], start: int, *, is_numpy: bool) -> Iterator[str]:
    """The lines that belong to a section: the indented ones; for numpy, all up to the next title."""
    for index in range(start, len(lines)):
        line = lines[index]
        is_outside = _section_at(lines, index) is not None if is_numpy else bool(line) and line == line.lstrip()
        if is_outside:
            return
        yield line


def _google_entries(body: Sequence[str]) -> Iterator[tuple[str, str]]:
    indents = [len(line) - len(line.lstrip()) for line in body if line.strip()]
    return _entries(body, _ENTRY, indent=min(indents, default=0))


def _numpy_entries(body: Sequence[str]) -> Iterator[tuple[str, str]]:
    for names, text in _entries(body, _NUMPY_ENTRY, indent=0):
        for name in names.split(","):
            yield name.strip(" \t*"), text


def _entries(body: Sequence[str], pattern: re.Pattern[str], *, indent: int) -> Iterator[tuple[str, str]]:
    """Name and text of each entry: it begins at the indent, and deeper lines go on with it."""
    name: str | None = None
    texts: list[str] = []
    for line in body:
        match = pattern.fullmatch(line.strip()) if line[indent : indent + 1].strip() else None
        if match is None:
            texts.append(line)
            continue
        if name is not None:
            yield name, _joined(texts)
        name, texts = match[1], [match[2]] if pattern.groups > 1 else []
    if name is not None:
        yield name, _joined(texts)


def _joined(lines: Sequence[str]) -> str:
    return " ".join(line.strip() for line in lines if line.strip())


def _paragraphs(lines: Sequence[str]) -> str:
    return re.sub(r"\n{3,}", "\n\n", "\n".join(line.rstrip() for line in lines)).strip()

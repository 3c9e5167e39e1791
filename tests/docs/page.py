"""Reads a page of documentation: its blocks of code, headings, links and tables."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import attrs

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = (ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted(DOCS.rglob("*.md")))

_COMMENT = re.compile(r"<!-- (not run|file): (.+) -->")
_LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"(#+) (.+)")


@attrs.frozen(kw_only=True)
class Block:
    """A fenced block; `remark` and `remark_kind` are from the comment directly above it."""

    language: str
    text: str
    line: int
    remark_kind: str = ""
    remark: str = ""


@attrs.frozen
class Page:
    """One Markdown file."""

    path: Path

    @property
    def name(self) -> str:
        """The path below the repository, for messages and test ids."""
        return self.path.relative_to(ROOT).as_posix()

    @property
    def text(self) -> str:
        """The whole text."""
        return self.path.read_text(encoding="utf-8")

    def blocks(self, language: str) -> list[Block]:
        """The fenced blocks of one language."""
        return [block for block in _blocks(self.text) if block.language == language]

    def python(self) -> list[Block]:
        """The blocks of Python that are meant to run."""
        return [block for block in self.blocks("python") if block.remark_kind != "not run"]

    def files(self) -> dict[str, str]:
        """The files that the page lets its reader make."""
        return {block.remark: block.text for block in _blocks(self.text) if block.remark_kind == "file"}

    def prose(self) -> str:
        """The text without its fenced blocks."""
        return "\n".join(line for line, is_code in _lines(self.text) if not is_code)

    def links(self) -> list[str]:
        """Where its links lead."""
        return _LINK.findall(self.prose())

    def anchors(self) -> set[str]:
        """The anchors of its headings, as Markdown renderers make them."""
        headings = [match.group(2) for line in self.prose().splitlines() if (match := _HEADING.fullmatch(line))]
        return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}

    def section(self, heading: str) -> str:
        """The text below a heading, up to the next one of the same level or above."""
        found: list[str] = []
        level = 0
        for line, is_code in _lines(self.text):
            match = None if is_code else _HEADING.fullmatch(line)
            if match and level and len(match.group(1)) <= level:
                break
            if level:
                found.append(line)
            elif match and match.group(2) == heading:
                level = len(match.group(1))
        assert level, f"{self.name} has no heading {heading!r}"
        return "\n".join(found)


def rows(text: str) -> list[list[str]]:
    """The cells of all table rows in the text, without headings and rules; code marks are taken off."""
    lines = [line.strip() for line in text.splitlines()]
    cells = [re.split(r"\s*\|\s*", line)[1:-1] for line in lines if line.startswith("|")]
    ruled = {index for index, row in enumerate(cells) if set("".join(row)) <= set("|-: ")}
    return [
        [cell.strip("`") for cell in row]
        for index, row in enumerate(cells)
        if index not in ruled and index + 1 not in ruled
    ]


def _lines(text: str) -> Iterator[tuple[str, bool]]:
    is_code = False
    for line in text.splitlines():
        is_fence = line.startswith("```")
        yield line, is_code or is_fence
        is_code = is_code != is_fence


def _blocks(text: str) -> Iterator[Block]:
    lines = text.splitlines()
    start: int | None = None
    for index, line in enumerate(lines):
        if not line.startswith("```"):
            continue
        if start is None:
            start = index
            continue
        comment = _COMMENT.fullmatch(lines[start - 1]) if start else None
        yield Block(
            language=lines[start].removeprefix("```"),
            text="\n".join(lines[start + 1 : index]) + "\n",
            line=start + 2,
            remark_kind=comment.group(1) if comment else "",
            remark=comment.group(2) if comment else "",
        )
        start = None
    assert start is None, f"a fence is never closed: line {start}"

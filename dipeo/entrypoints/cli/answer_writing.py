"""How an answer is written: its text, what the model thought before it, and where it comes from."""

import sys
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

from dipeo.domain.parts import CitationPart
from dipeo.domain.stream import CompletionEnd, CompletionEvent, ReasoningDelta, TextDelta
from dipeo.entrypoints.cli.output import printable, stderr_console, stdout_console, write

if TYPE_CHECKING:
    from rich.console import Console

_THOUGHTS: Final = "Thoughts: "


class AnswerWriter:
    """Writes what comes of an answer: text to stdout, and thoughts, where they are wanted, to stderr.

    As a context manager it ends the line that it is in.
    """

    def __init__(self, *, writes_text: bool, writes_thoughts: bool) -> None:
        self.has_shown_thoughts = False
        self._writes_text = writes_text
        self._writes_thoughts = writes_thoughts
        self._has_text = False
        self._is_thinking = False
        self._has_streamed_thoughts = False
        self._console: Console | None = None

    def __call__(self, event: CompletionEvent) -> None:
        """Writes what is new in the event."""
        if isinstance(event, TextDelta) and self._writes_text:
            self._end_thought()
            self._has_text = True
            write(event.text)
        elif isinstance(event, ReasoningDelta):
            self._has_streamed_thoughts = True
            self._think(event.text)
        elif isinstance(event, CompletionEnd):
            if not self._has_streamed_thoughts:
                self._think(event.completion.reasoning)
            self._has_streamed_thoughts = False
            self._end_thought()

    def _think(self, text: str) -> None:
        if not self._writes_thoughts or not text:
            return
        if not self._is_thinking:
            if self._has_text and sys.stdout.isatty() and sys.stderr.isatty():
                # The text before it stands on the same screen, in a line that has not ended.
                sys.stderr.write("\n")
            self._dim(_THOUGHTS)
        self._is_thinking = self.has_shown_thoughts = True
        self._dim(text)

    def _dim(self, text: str) -> None:
        from rich.text import Text

        if self._console is None:
            self._console = stderr_console()
        self._console.print(Text(printable(text), style="dim"), end="", soft_wrap=True)

    def _end_thought(self) -> None:
        if self._is_thinking:
            self._is_thinking = False
            sys.stderr.write("\n")
            sys.stderr.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end_thought()
        if self._has_text:
            write("\n")


def write_sources(citations: Sequence[CitationPart], *, is_stdout_json: bool) -> None:
    """Writes each source once, numbered, under the answer; to stderr where stdout is for a program to read."""
    from rich.text import Text

    sources = list(dict.fromkeys(_source_of(citation) for citation in citations))
    if not sources:
        return
    console = stderr_console() if is_stdout_json else stdout_console()
    console.print(Text("\nSources:", style="bold"))
    for number, (title, url) in enumerate(sources, start=1):
        between = " " if title and url else ""
        line = Text.assemble((f"{number}. ", "bold"), title, between, (url, "underline"))
        console.print(line, soft_wrap=True)


def _source_of(citation: CitationPart) -> tuple[str, str]:
    """Title and address; what is quoted where there is neither."""
    title, url = _in_one_line(citation.title), _in_one_line(citation.url or "")
    return (title, url) if title or url else (f'"{_in_one_line(citation.text)}"', "")


def _in_one_line(text: str) -> str:
    return " ".join(printable(text).split())

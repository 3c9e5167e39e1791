"""How a dialogue is shown: as text that streams, with a table at its end, or as JSON lines."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from dipeo.application.dialogue import DialogueEvent, SpeakerSummary, TurnBegins, TurnEnds, TurnText
from dipeo.domain.service import LLMService
from dipeo.domain.usage import Usage
from dipeo.entrypoints.cli.completion_facts import adaptations_of, remarks_on
from dipeo.entrypoints.cli.output import printable, stdout_console, warn, write_json
from dipeo.entrypoints.cli.service_choice import Backend

if TYPE_CHECKING:
    from dipeo.domain.person import Person

_COLOURS: Final = ("cyan", "magenta", "green", "yellow", "blue", "red")

_ROOMY_WIDTH: Final = 80
"""Columns of a terminal in which names need not be broken."""


class DialogueReport(ABC):
    """Is told what happens in a dialogue; knows who answered last for each person."""

    def __init__(self, backend: Backend, services: Mapping[str, LLMService]) -> None:
        self.backend = backend
        self.services = dict(services)
        self.models: dict[str, str] = {}

    @abstractmethod
    def begin(self, persons: Sequence["Person"], topic: str | None) -> None:
        """Nobody has spoken yet."""

    @abstractmethod
    def show(self, event: DialogueEvent) -> None:
        """Something happened."""

    @abstractmethod
    def end(self, speakers: Sequence[SpeakerSummary]) -> None:
        """Nobody will speak any more, whether all went well or not."""

    def model_of(self, person: "Person") -> str:
        """The model as it called itself in its last answer, or as it was asked for."""
        return self.models.get(person.id) or person.llm_config.model or ""

    def note_answer(self, event: TurnEnds) -> None:
        """Keeps who answered; it may be a fallback."""
        self.models[event.person.id] = event.completion.model
        self.services[event.person.id] = event.completion.service

    def opening(self, persons: Sequence["Person"]) -> str | None:
        """What to say first about who may answer."""
        return self.backend.opening(
            service for person in persons for service in self.backend.services_of_person(person)
        )

    def mode_of(self, person: "Person") -> str:
        """`live` or `simulated`."""
        return self.backend.mode_of(self.services[person.id])


class TextReport(DialogueReport):
    """For people."""

    def __init__(self, backend: Backend, services: Mapping[str, LLMService]) -> None:
        super().__init__(backend, services)
        self._console = stdout_console()
        self._colours: dict[str, str] = {}
        self._is_speaking = False

    def begin(self, persons: Sequence["Person"], topic: str | None) -> None:
        self._colours = {person.id: _COLOURS[index % len(_COLOURS)] for index, person in enumerate(persons)}
        opening = self.opening(persons)
        if opening:
            self._line((opening, "yellow"))
        if topic:
            self._line(("Topic: ", "bold"), (topic, ""))

    def show(self, event: DialogueEvent) -> None:
        if isinstance(event, TurnBegins):
            person = event.person
            about = f"  {self.services[person.id].value}, {self.model_of(person)}"
            self._line()
            self._line((person.name, f"bold {self._colours[person.id]}"), (about, "dim"))
            self._is_speaking = True
        elif isinstance(event, TurnText):
            self._console.file.write(printable(event.text))
            self._console.file.flush()
        elif isinstance(event, TurnEnds):
            self._end_line()
            self.note_answer(event)
            for remark in remarks_on(event.completion):
                warn(remark, label=f"Note on {event.person.name}")

    def end(self, speakers: Sequence[SpeakerSummary]) -> None:
        from rich.box import SIMPLE_HEAD
        from rich.table import Table
        from rich.text import Text

        self._end_line()
        if not any(speaker.turns for speaker in speakers):
            return
        # Where all answer alike, the first line has said so.
        is_mixed = len({self.mode_of(speaker.person) for speaker in speakers}) > 1
        table = Table(box=SIMPLE_HEAD, show_footer=len(speakers) > 1, pad_edge=False, padding=(0, 1, 0, 0))
        turns = sum(speaker.turns for speaker in speakers)
        usage = sum((speaker.usage for speaker in speakers), Usage())
        table.add_column("Person", "All", no_wrap=self._console.width >= _ROOMY_WIDTH)
        table.add_column("Service", no_wrap=True)
        table.add_column("Model", no_wrap=True)
        if is_mixed:
            table.add_column("Answers", no_wrap=True)
        footers = (str(turns), *_tokens(usage), _latency(sum(speaker.latency_ms for speaker in speakers), turns))
        for heading, footer in zip(("Turns", "Input tokens", "Output tokens", "Mean latency"), footers, strict=True):
            table.add_column(heading, footer, justify="right", min_width=max(map(len, heading.split())))
        for speaker in speakers:
            person = speaker.person
            table.add_row(
                Text(printable(person.name), style=self._colours[person.id]),
                self.services[person.id].value,
                Text(printable(self.model_of(person))),
                *((self.mode_of(person),) if is_mixed else ()),
                str(speaker.turns),
                *_tokens(speaker.usage),
                _latency(speaker.latency_ms, speaker.turns),
            )
        self._line()
        self._console.print(table)

    def _line(self, *parts: tuple[str, str]) -> None:
        from rich.text import Text

        text = Text.assemble(*((printable(text), style) for text, style in parts))
        self._console.print(text, soft_wrap=True)

    def _end_line(self) -> None:
        if self._is_speaking:
            self._is_speaking = False
            self._line()


class JsonReport(DialogueReport):
    """For programs: an object for each turn that ended, and one with the sums."""

    def begin(self, persons: Sequence["Person"], topic: str | None) -> None:
        opening = self.opening(persons)
        if opening:
            warn(opening)

    def show(self, event: DialogueEvent) -> None:
        if not isinstance(event, TurnEnds):
            return
        completion, person = event.completion, event.person
        self.note_answer(event)
        write_json(
            {
                "event": "turn",
                "number": event.number,
                "person_id": person.id,
                "name": person.name,
                "text": event.completion.text,
                "service": completion.service.value,
                "model": completion.model,
                "mode": self.mode_of(person),
                "finish_reason": completion.finish_reason.value,
                "usage": completion.usage.to_dict(),
                "latency_ms": round(completion.latency_ms, 3),
                "adaptations": adaptations_of(completion),
                "notes": list(completion.notes),
            }
        )

    def end(self, speakers: Sequence[SpeakerSummary]) -> None:
        persons = [
            {
                "person_id": speaker.person.id,
                "name": speaker.person.name,
                "service": self.services[speaker.person.id].value,
                "model": self.model_of(speaker.person),
                "mode": self.mode_of(speaker.person),
                "turns": speaker.turns,
                "usage": speaker.usage.to_dict(),
                "mean_latency_ms": round(speaker.mean_latency_ms, 3),
            }
            for speaker in speakers
        ]
        usage = sum((speaker.usage for speaker in speakers), Usage())
        turns = sum(speaker.turns for speaker in speakers)
        write_json({"event": "summary", "turns": turns, "usage": usage.to_dict(), "persons": persons})


def _tokens(usage: Usage) -> tuple[str, str]:
    # A count that a provider did not report is a floor.
    more = "" if usage.is_reported else "+"
    return f"{usage.input_tokens:,}{more}", f"{usage.output_tokens:,}{more}"


def _latency(latency_ms: float, turns: int) -> str:
    return f"{latency_ms / turns:,.0f} ms" if turns else "-"

"""What a person is sent of the conversation."""

from functools import partial

from dipeo.domain.errors import ValidationError
from dipeo.domain.memory import LastTokens, recalled, repaired
from dipeo.domain.message import Message
from dipeo.domain.person import Person
from dipeo.domain.ports.tokens import TokenCounterPort


class ContextPreparation:
    """Makes of what a person has seen what they are sent: mended, and no more than they remember.

    Without a `counter` it serves every memory but one that is counted in tokens.
    """

    def __init__(self, counter: TokenCounterPort | None = None) -> None:
        self._counter = counter

    def prepare(self, person: Person) -> tuple[Message, ...]:
        """The messages for `complete_with_person()`, oldest first. Raises what `check()` does."""
        self.check(person)
        count = (
            partial(self._counter.count_tokens, model=person.llm_config.model) if self._counter is not None else None
        )
        return recalled(repaired(person.get_messages()), person.memory, person_id=person.id, count_tokens=count)

    def check(self, person: Person) -> None:
        """Raises `ValidationError` for a person whose memory is counted in tokens where nothing counts them."""
        if self._counter is None and isinstance(person.memory, LastTokens):
            raise ValidationError(
                f"Person {person.id!r} remembers the {person.memory}, and nothing here counts tokens.",
                field="context",
                suggestion="Pass context=dipeo.facade.wired().context(), or a ContextPreparation with a counter.",
            )

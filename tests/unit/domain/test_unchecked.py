"""Values made of what was checked before are the very values that their classes make."""

import copy
import inspect
import pickle
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from attrs import Factory, define, evolve, exceptions, field, fields, frozen

from dipeo.domain.attempt import Attempt, new_attempt
from dipeo.domain.completion import (
    ChatMessage,
    Completion,
    CompletionRequest,
    FinishReason,
    Role,
    new_completion,
    new_message,
    new_request,
)
from dipeo.domain.parts import TextPart, _new_text
from dipeo.domain.service import LLMService
from dipeo.domain.unchecked import GENERATED, unchecked, unchecked_change
from dipeo.domain.usage import Usage, new_usage
from dipeo.infrastructure.llm.drivers.answer import Answer, EncodedRequest, new_answer, new_encoded
from dipeo.infrastructure.llm.drivers.wire import WireRequest, new_exchange

MESSAGES = (ChatMessage.from_text(Role.USER, "Hello"),)
VALUES: Mapping[Callable[..., Any], tuple[type, Mapping[str, Any]]] = {
    _new_text: (TextPart, {"text": "Hello"}),
    new_message: (ChatMessage, {"role": Role.USER, "parts": (TextPart("Hello"),)}),
    new_request: (CompletionRequest, {"service": LLMService.OPENAI, "model": "m", "messages": MESSAGES}),
    new_usage: (Usage, {"input_tokens": 3, "output_tokens": 4}),
    new_attempt: (
        Attempt,
        {
            "call_id": "c",
            "number": 2,
            "service": LLMService.OPENAI,
            "model": "m",
            "started_at": datetime(2026, 1, 2, tzinfo=UTC),
            "latency_ms": 5.0,
        },
    ),
    new_completion: (
        Completion,
        {"service": LLMService.OPENAI, "model": "m", "parts": (TextPart("Hi"),), "finish_reason": FinishReason.STOP},
    ),
    new_exchange: (WireRequest, {"path": "/", "body": {}}),
    new_encoded: (EncodedRequest, {"exchange": WireRequest("/", {})}),
    new_answer: (
        Answer,
        {"parts": (), "finish_reason": FinishReason.STOP, "raw_finish_reason": "stop", "model": "m"},
    ),
}
OPEN = (new_exchange, new_encoded, new_answer)
"""What lives within one call, and is not frozen."""


class _HasFactory:
    """No default that is made, though it looks like one."""

    factory = int


@pytest.mark.parametrize("new", VALUES, ids=lambda new: VALUES[new][0].__name__)
class TestValues:
    """Each of the functions that make values unchecked."""

    def test_the_value_is_the_one_that_the_class_makes(self, new: Callable[..., Any]) -> None:
        """It is of that class, is equal, looks alike, and has every default."""
        kind, values = VALUES[new]
        made, usual = new(**values), kind(**values)
        assert type(made) is kind
        assert made == usual
        assert repr(made) == repr(usual)
        for each in fields(kind):
            assert getattr(made, each.name) == getattr(usual, each.name)

    def test_it_stays_what_it_is(self, new: Callable[..., Any]) -> None:
        """It cannot be changed, and is the same after it was copied, pickled, or made anew by its class."""
        _, values = VALUES[new]
        made = new(**values)
        assert evolve(made) == made
        if new in OPEN:
            return
        for name in values:
            with pytest.raises(exceptions.FrozenInstanceError):
                setattr(made, name, None)
        assert pickle.loads(pickle.dumps(made)) == copy.deepcopy(made) == made

    def test_arguments_are_those_of_the_class(self, new: Callable[..., Any]) -> None:
        """They have the same names, kinds and order; one that is missing or unknown is refused."""
        kind, values = VALUES[new]
        theirs, ours = inspect.signature(kind).parameters.values(), inspect.signature(new).parameters.values()
        assert [(each.name, each.kind) for each in ours] == [(each.name, each.kind) for each in theirs]
        with pytest.raises(TypeError, match="unexpected keyword argument 'more'"):
            new(**values, more=1)
        for name in values:
            if new is not new_usage:
                with pytest.raises(TypeError, match=f"'{name}'"):
                    new(**{other: value for other, value in values.items() if other != name})


def test_a_default_that_is_made_is_made_each_time() -> None:
    """Two requests do not share the options that neither was given."""
    _, values = VALUES[new_request]
    first, second = new_request(**values), new_request(**values)
    assert first.provider_options == {}
    assert first.provider_options is not second.provider_options


def test_nothing_is_checked() -> None:
    """That is what the class is for."""

    @frozen(weakref_slot=False)
    class Even:
        number: int

        def __attrs_post_init__(self) -> None:
            if self.number % 2:
                raise ValueError(self.number)

    assert unchecked(Even)(3).number == 3
    with pytest.raises(ValueError, match="3"):
        Even(3)


def test_a_class_that_may_change_has_no_twin() -> None:
    """Its fields are set as they always are, and stay open."""

    @define(weakref_slot=False)
    class Open:
        number: int
        more: list[int] = field(factory=list)

    made = unchecked(Open)(1)
    made.number = 2
    assert (type(made), made) == (Open, Open(2))


def test_a_changed_value_is_new_in_what_was_named() -> None:
    """The rest is the old one's, which stays as it was; the new one is as frozen as any."""
    kind, values = VALUES[new_usage]
    old = kind(**values)
    changed = unchecked_change(Usage, "output_tokens", "cached_tokens")(old, 9, 2)
    assert changed == evolve(old, output_tokens=9, cached_tokens=2)
    assert (type(changed), old) == (Usage, kind(**values))
    with pytest.raises(exceptions.FrozenInstanceError):
        changed.output_tokens = 1  # type: ignore[misc]


def test_the_function_tells_where_it_comes_from() -> None:
    """Tracebacks and profiles show whose it is."""
    assert _new_text.__code__.co_filename == f"{GENERATED}TextPart>"


def test_what_cannot_be_made_so_is_refused_at_once() -> None:
    """Converters and validators would be passed over; other layouts cannot be changed into one another."""

    @frozen(weakref_slot=False)
    class Converted:
        number: int = field(converter=int)

    @frozen(weakref_slot=False)
    class Validated:
        number: int = field(validator=lambda *_: None)

    @frozen
    class Weak:
        number: int

    @frozen(slots=False)
    class Loose:
        number: int

    @frozen(weakref_slot=False)
    class Derived(Converted):
        more: int

    @frozen(weakref_slot=False)
    class OfItself:
        first: int
        number: int = field(default=Factory(lambda self: self.first, takes_self=True))

    @frozen(weakref_slot=False)
    class Prepared:
        number: int

        def __attrs_pre_init__(self) -> None:
            """Would be passed over."""

    for make in (unchecked, lambda kind: unchecked_change(kind, "number")):
        for kind in (Converted, Validated, OfItself):
            with pytest.raises(TypeError, match="'number' is more than a plain field"):
                make(kind)
        for other in (Weak, Loose, Derived):
            with pytest.raises(TypeError, match=f"{other.__name__} must have slots of its own"):
                make(other)
        with pytest.raises(TypeError, match="Prepared does something before"):
            make(Prepared)
    with pytest.raises(TypeError, match="Usage has no field 'tokens'"):
        unchecked_change(Usage, "tokens")


def test_fields_stand_in_any_order() -> None:
    """One that is named alone may stand before one that is not, as in the class; a default may be anything."""

    @frozen(weakref_slot=False)
    class Mixed:
        named: int = field(kw_only=True)
        number: int
        odd: object = _HasFactory()

    new = unchecked(Mixed)
    assert new(1, named=2) == Mixed(1, named=2)
    assert new(1, named=2).odd is Mixed(1, named=2).odd

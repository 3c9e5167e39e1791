"""What is recalled of a history, and how one that is broken is repaired."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dipeo.domain.errors import ValidationError
from dipeo.domain.memory import (
    MEDIA_TOKENS,
    TOOLS,
    UNANSWERED,
    Goldfish,
    LastMessages,
    LastTokens,
    MemoryPolicy,
    RememberEverything,
    recalled,
    repaired,
    tokens_in,
)
from dipeo.domain.message import Message
from dipeo.domain.parts import ImagePart, Part, ReasoningPart, TextPart, ToolCallPart, ToolResultPart
from dipeo.testing import FakeTokenCounter

WHEN = datetime(2026, 1, 1, tzinfo=UTC)
PEOPLE = ("ada", "bob", "cyd")
CALL_IDS = ("c1", "c2", "c3")


def said(*parts: Part | str, by: str = "ada") -> Message:
    """A message of these parts; text stands for a text part."""
    content = tuple(TextPart(part) if isinstance(part, str) else part for part in parts)
    return Message(from_person_id=by, content=content, created_at=WHEN)


def call(call_id: str, **arguments: str) -> ToolCallPart:
    """A call of a tool."""
    return ToolCallPart(call_id=call_id, name="look_up", arguments=arguments)


def result(call_id: str, content: str = "found") -> ToolResultPart:
    """What a tool gave back."""
    return ToolResultPart(call_id=call_id, content=content)


def calls_in(messages: tuple[Message, ...]) -> list[str]:
    """The ids of all calls, in order."""
    return [part.call_id for message in messages for part in message.parts if isinstance(part, ToolCallPart)]


def results_in(messages: tuple[Message, ...]) -> list[ToolResultPart]:
    """All results, in order."""
    return [part for message in messages for part in message.parts if isinstance(part, ToolResultPart)]


_texts = st.text(st.sampled_from("ab "), max_size=12)
_parts = st.one_of(
    st.builds(TextPart, _texts),
    st.builds(call, st.sampled_from(CALL_IDS)),
    st.builds(result, st.sampled_from(CALL_IDS), _texts),
)
_contents = _texts | st.lists(_parts, min_size=1, max_size=3).map(tuple)
_visibilities = st.none() | st.frozensets(st.sampled_from(PEOPLE), max_size=2)


def _numbered(messages: Sequence[tuple[str, str | tuple[Part, ...], frozenset[str] | None]]) -> tuple[Message, ...]:
    return tuple(
        Message(from_person_id=by, content=content, visibility=visibility, id=f"m{index}", created_at=WHEN)
        for index, (by, content, visibility) in enumerate(messages)
    )


histories = st.lists(st.tuples(st.sampled_from(PEOPLE), _contents, _visibilities), max_size=12).map(_numbered)
"""Any messages at all: calls without results, results without calls, results twice."""

History = tuple[Message, ...]

_limits = st.integers(1, 40)
forgetful = st.one_of(st.builds(LastMessages, _limits), st.builds(LastTokens, _limits), st.just(Goldfish()))
policies = forgetful | st.just(RememberEverything())


def count(text: str) -> int:
    """Words."""
    return FakeTokenCounter().count_tokens(text)


def recall(messages: History, policy: MemoryPolicy, *, person_id: str = "ada") -> History:
    """What the person recalls, tokens being words."""
    return recalled(messages, policy, person_id=person_id, count_tokens=count)


def texts(messages: History) -> list[str]:
    """The texts of messages."""
    return [message.text for message in messages]


def pairs_in(messages: History) -> set[tuple[str, str]]:
    """The ids of two messages each, one with a call and one with a result of it."""
    made_in: dict[str, str] = {}
    found = set()
    for message in messages:
        for part in message.parts:
            if isinstance(part, ToolCallPart):
                made_in[part.call_id] = message.id
            elif isinstance(part, ToolResultPart) and part.call_id in made_in:
                found.add((made_in[part.call_id], message.id))
    return found


def newest_unit(messages: History) -> History:
    """The newest message, and all that are tied to it by calls and results."""
    tied = {messages[-1].id}
    pairs = pairs_in(messages)
    while more := {id_ for pair in pairs if set(pair) & tied for id_ in pair} - tied:
        tied |= more
    return tuple(message for message in messages if message.id in tied)


def is_within(messages: History, policy: MemoryPolicy) -> bool:
    """Whether the messages fit the limit."""
    if isinstance(policy, LastTokens):
        return sum(tokens_in(each, person_id="ada", count_tokens=count) for each in messages) <= policy.max_tokens
    return len(messages) <= (policy.count if isinstance(policy, LastMessages) else 1)


class TestRecall:
    """What a person recalls, whatever was said."""

    @given(messages=histories, policy=policies)
    def test_it_is_part_of_what_was_seen_in_order(self, messages: History, policy: MemoryPolicy) -> None:
        """Nothing is added, changed, moved or shown that was hidden; everything is recalled by default."""
        seen = tuple(message for message in messages if message.is_visible_to("ada"))
        kept = recall(messages, policy)
        rest = iter(seen)
        assert all(any(message is other for other in rest) for message in kept)
        if isinstance(policy, RememberEverything):
            assert kept == seen

    @given(messages=histories, policy=policies)
    def test_the_newest_is_always_there(self, messages: History, policy: MemoryPolicy) -> None:
        """Whoever has seen anything recalls at least the newest of it."""
        seen = tuple(message for message in messages if message.is_visible_to("ada"))
        assert recall(messages, policy)[-1:] == seen[-1:]

    @given(messages=histories, policy=policies)
    def test_a_call_and_its_result_are_never_apart(self, messages: History, policy: MemoryPolicy) -> None:
        """Of two messages that a call ties together, both are recalled or neither is."""
        seen = tuple(message for message in messages if message.is_visible_to("ada"))
        kept = {message.id for message in recall(messages, policy)}
        assert all((one in kept) == (other in kept) for one, other in pairs_in(seen))

    @given(messages=histories, policy=policies)
    def test_recalling_twice_is_recalling_once(self, messages: History, policy: MemoryPolicy) -> None:
        """What was recalled is recalled whole."""
        once = recall(messages, policy)
        assert recall(once, policy) == once

    @given(messages=histories, policy=forgetful)
    def test_the_limit_is_kept(self, messages: History, policy: MemoryPolicy) -> None:
        """What is beyond the limit is the newest message with what is tied to it, and nothing besides."""
        kept = recall(messages, policy)
        assert is_within(kept, policy) or kept == newest_unit(
            tuple(message for message in messages if message.is_visible_to("ada"))
        )

    @given(messages=histories, limit=_limits, kind=st.sampled_from([LastMessages, LastTokens]))
    def test_more_room_forgets_nothing(
        self, messages: History, limit: int, kind: Callable[[int], LastMessages | LastTokens]
    ) -> None:
        """A wider limit recalls at least as much."""
        fewer, more = ({message.id for message in recall(messages, kind(room))} for room in (limit, limit + 1))
        assert fewer <= more

    @given(messages=histories)
    def test_a_goldfish_is_who_remembers_one_message(self, messages: History) -> None:
        """The two policies are one in effect."""
        assert recall(messages, Goldfish()) == recall(messages, LastMessages(1))

    def test_the_last_messages_are_the_newest(self) -> None:
        """As many as were asked for, oldest first."""
        messages = tuple(said(text) for text in "abcd")
        assert texts(recall(messages, LastMessages(2))) == ["c", "d"]
        assert texts(recall(messages, LastMessages(9))) == ["a", "b", "c", "d"]

    def test_forgetting_begins_at_the_first_that_does_not_fit(self) -> None:
        """A short message behind a long one does not come back."""
        messages = (said("one"), said("two " * 50), said("three"), said("four"))
        assert texts(recall(messages, LastTokens(20))) == ["three", "four"]

    def test_one_that_is_too_long_is_recalled_alone(self) -> None:
        """The newest message is sent, come what may."""
        assert texts(recall((said("one"), said("two " * 50)), LastTokens(5))) == ["two " * 50]

    def test_ties_that_cross_hold_as_one(self) -> None:
        """Calls and results that interleave stand or fall together; what lies between them is free to go."""
        messages = (
            said("before"),
            said(call("c1"), call("c2")),
            said(result("c1")),
            said("between", by="bob"),
            said(result("c2"), call("c3")),
            said(result("c3")),
        )
        tied = (*messages[1:3], *messages[4:])
        assert recall(messages, Goldfish()) == recall(messages, LastMessages(4)) == tied
        assert recall(messages, LastMessages(5)) == messages[1:]

    def test_an_id_that_is_used_again_ties_nothing_new(self) -> None:
        """A result belongs to the latest call of its id: providers that count anew do not make memories endless."""
        turn = (said(call("c1")), said(result("c1")))
        later = (said(call("c1")), said(result("c1")))
        assert recall((*turn, *later), LastMessages(2)) == later

    def test_counting_tokens_needs_a_counter(self) -> None:
        """Without one the refusal names what is missing; other policies need none."""
        with pytest.raises(ValidationError) as caught:
            recalled((said("a"),), LastTokens(5), person_id="ada")
        assert caught.value.field == "count_tokens"
        assert recalled((said("a"),), Goldfish(), person_id="ada")


class TestTokens:
    """What a message counts for."""

    def test_all_that_is_sent_is_counted(self) -> None:
        """Text, calls with their arguments, results and reasoning count, and so does every message as such."""

        def words(*parts: Part) -> int:
            return tokens_in(said(*parts), person_id="ada", count_tokens=count)

        frame = words(TextPart(""))
        assert frame > 0
        assert words(TextPart("one two")) == frame + 2
        assert words(call("c1", place="the old mill")) > frame + 3
        assert words(result("c1", "it is there")) == frame + 3
        assert words(ReasoningPart(text="hm hm", vendor="v")) == frame + 2
        assert words(TextPart("one two"), result("c1", "three")) == frame + 3

    def test_media_count_for_a_large_picture(self) -> None:
        """Bytes are no text: each such part counts for the same."""
        picture = ImagePart(media_type="image/png", data=b"x" * 100_000)
        with_picture = said("look", picture, picture)
        counted = [tokens_in(each, person_id="ada", count_tokens=count) for each in (with_picture, said("look"))]
        assert counted[0] - counted[1] == 2 * MEDIA_TOKENS

    def test_the_names_of_others_count(self) -> None:
        """A person is told who the others are, and not who they are themselves."""
        by_ada, by_bob = (tokens_in(said("x", by=by), person_id="ada", count_tokens=count) for by in ("ada", "bob"))
        assert by_bob == by_ada + 1


class TestRepair:
    """What is broken in a history is mended in what is sent."""

    @given(messages=histories)
    def test_every_call_is_answered_once_and_in_order(self, messages: History) -> None:
        """Each result answers an open call, and only calls of the last message are open at the end."""
        mended = repaired(messages)
        open_calls: set[str] = set()
        for message in mended:
            for part in message.parts:
                if isinstance(part, ToolCallPart):
                    assert part.call_id not in open_calls
                    open_calls.add(part.call_id)
                elif isinstance(part, ToolResultPart):
                    open_calls.remove(part.call_id)
        assert open_calls <= set(calls_in(mended[-1:]))

    @given(messages=histories)
    def test_what_was_repaired_is_whole(self, messages: History) -> None:
        """Repairing is done once and for all, and equal histories are repaired alike."""
        mended = repaired(messages)
        assert repaired(mended) == mended == repaired(messages)

    @given(messages=histories, policy=policies)
    def test_forgetting_breaks_nothing(self, messages: History, policy: MemoryPolicy) -> None:
        """What is recalled of a repaired history needs no repair."""
        seen = tuple(message for message in messages if message.is_visible_to("ada"))
        kept = recall(repaired(seen), policy)
        assert repaired(kept) == kept

    @given(messages=histories)
    def test_nothing_else_is_touched(self, messages: History) -> None:
        """Whatever is no part of a tool stays, in order; what is added are answers of the tools alone."""

        def others(messages: History) -> list[tuple[str, Part]]:
            return [
                (message.id, part)
                for message in messages
                for part in message.parts
                if not isinstance(part, ToolCallPart | ToolResultPart)
            ]

        mended = repaired(messages)
        known = {message.id for message in messages}
        assert others(mended) == others(messages)
        assert all(message.from_person_id == TOOLS for message in mended if message.id not in known)
        assert len({message.id for message in mended}) == len(mended)

    def test_a_whole_history_stays_as_it_is(self) -> None:
        """The very same messages come back, also those that are answered late."""
        messages = (said(call("c1"), "hm"), said("meanwhile", by="bob"), said(result("c1")), said("so"))
        assert all(one is other for one, other in zip(repaired(messages), messages, strict=True))

    def test_strays_are_left_out(self) -> None:
        """Results that answer nothing go, and a message goes with the last of its parts."""
        messages = (said(result("c1")), said("a", result("c2")), said(call("c1")), said(result("c1")))
        again = (said(result("c1", "again")),)
        mended = repaired(messages + again)
        assert [message.id for message in mended] == [message.id for message in messages[1:]]
        assert mended[0].parts == (TextPart("a"),)
        assert [part.content for part in results_in(mended)] == ["found"]

    def test_a_call_that_was_never_answered_gets_an_error(self) -> None:
        """The error stands directly after the message with the call, one for all its open calls."""
        messages = (said(call("c1"), call("c2"), call("c3")), said(result("c2")), said("go on", by="bob"))
        mended = repaired(messages)
        assert [mended[0], *mended[2:]] == list(messages)
        assert mended[1].parts == tuple(
            ToolResultPart(call_id=call_id, content=UNANSWERED, is_error=True) for call_id in ("c1", "c3")
        )
        assert (mended[1].from_person_id, mended[1].to_person_id, mended[1].created_at) == (TOOLS, "ada", WHEN)

    def test_calls_of_the_last_message_may_still_be_answered(self) -> None:
        """They are left, even if a stray result stands behind them."""
        messages = (said("a"), said(call("c1")))
        assert repaired(messages) == messages
        assert repaired((*messages, said(result("c9")))) == messages

    def test_a_call_that_is_made_again_before_its_result_is_left_out(self) -> None:
        """One id is one open call; once it is answered the id may be used again."""
        first, second, answer = said(call("c1")), said(call("c1"), "again"), said(result("c1"))
        mended = repaired((first, second, answer, said(call("c1"))))
        assert calls_in(mended) == ["c1", "c1"]
        assert mended[1].parts == (TextPart("again"),)

    @pytest.mark.parametrize("visibility", [None, frozenset[str](), frozenset({"cyd"})])
    def test_the_error_is_seen_by_those_who_saw_the_call(self, visibility: frozenset[str] | None) -> None:
        """A whispered call is not answered aloud."""
        whisper = Message(from_person_id="ada", to_person_id="bob", content=(call("c1"),), visibility=visibility)
        _, error, _ = repaired((whisper, said("go on")))
        for person_id in ("ada", "bob", "cyd", "dan"):
            assert error.is_visible_to(person_id) is whisper.is_visible_to(person_id)

"""Seeded answers: a short, polite remark for every request, the same for the same seed and request."""

from __future__ import annotations

import hashlib
import itertools
import json
import random
import re

from dipeo.testing.simulator.exchange import Answer, AnsweredCall, ParsedCall
from dipeo.testing.simulator.reply_parts import SimulatedToolCall
from dipeo.testing.simulator.request_log import SimulatedMessage
from dipeo.testing.simulator.script import Reply

_TOKENS_PER_ATTACHMENT = 85
# Arguments are streamed in pieces of about this many letters.
_LETTERS_PER_PIECE = 7
_SYSTEM_ROLES = frozenset({"system", "developer"})
_PIECE = re.compile(r"\s*\S+(?:\s+\Z)?|\s+\Z")
_WORD = re.compile(r"[\w'\u2019-]+")
_NAMED_PERSONA = re.compile(r"\bYou are ((?:[A-Z][a-z\u2019'-]+)(?: [A-Z][a-z\u2019'-]+)?)\b")
_DESCRIBED_PERSONA = re.compile(r"\bYou are (an? [a-z]+(?: [a-z]+)?)\s*(?:[.,;:!]|$)")

_TOO_COMMON = """
    about after again also another answer because been before being between both could describe does doing done each
    else even ever every exactly explain from give have having hello here hers into itself just know like list make
    many more most much must need never only other over please really repeat reply said same says short should shall
    since some something such sure tell than thank thanks that their them then there these they thing think this
    those through today very want were what when where which while will with word words would write your yourself
"""
_STOP_WORDS = frozenset(_TOO_COMMON.split())

_NAMED_OPENINGS = (
    "Speaking as {persona}, I am glad you asked.",
    "{persona} here, and happy to join in.",
    "As {persona}, I can only say what I have seen.",
    "You have asked {persona}, so here is my honest view.",
)
_OPENINGS = (
    "Thank you for raising that.",
    "That is a fair question.",
    "I have been turning this over in my mind.",
    "Let me try to be of use here.",
    "I am glad this came up.",
    "A good point, and worth a moment.",
)
_REMARKS_ON_ONE = (
    "When it comes to {first}, I would begin with the simplest thing that could work.",
    "What strikes me about {first} is how much depends on the details.",
    "I would look at {first} calmly and from more than one side.",
    "With {first}, a small step today is worth more than a grand plan.",
    "My own experience with {first} is mixed, but on the whole encouraging.",
)
_REMARKS_ON_TWO = (
    "To me the matter of {first} comes first, and the rest, {second} included, follows from it.",
    "I would weigh {first} first and leave {second} for later.",
    "It is tempting to treat {first} and the matter of {second} as one, yet they deserve separate thought.",
    "Once the question of {first} is settled well, there will be time for {second}.",
)
_REMARKS = (
    "I would begin with the simplest thing that could work.",
    "Much depends on the details, and they are worth a second look.",
    "I would take it calmly, one step after the other.",
)
_CLOSINGS = (
    "What do the others think?",
    "I am happy to go into more detail.",
    "Tell me if you see it differently.",
    "That would be my suggestion, at least.",
    "Shall we leave it at that for now?",
    "I am curious how it will turn out.",
)


def seeded_text(seed: int, service: str, call: ParsedCall) -> str:
    """Two or three sentences that touch on the last question."""
    chance = chance_of(seed, service, call)
    topics = _topics(call.messages, chance)
    persona = _persona(call.messages)
    opening = chance.choice(_NAMED_OPENINGS if persona else _OPENINGS).format(persona=persona)
    remarks = (_REMARKS, _REMARKS_ON_ONE, _REMARKS_ON_TWO)[len(topics)]
    remark = chance.choice(remarks).format(**dict(zip(("first", "second"), topics, strict=False)))
    sentences = [opening, remark]
    if chance.random() < 0.7:
        sentences.append(chance.choice(_CLOSINGS))
    return " ".join(sentence[:1].upper() + sentence[1:] for sentence in sentences)


def complete_answer(reply: Reply, call: ParsedCall) -> Answer:
    """Fit a reply to the call: stop sequences, token limit, pieces and token counts."""
    text, stop_sequence = _cut_at_stop(reply.text, call.stop_sequences)
    budget = _Budget(call.max_output_tokens)
    thoughts = budget.take(split_words(reply.reasoning))
    words = budget.take(split_words(text))
    calls = tuple(_answered_call(scripted, budget) for scripted in reply.tool_calls if not budget.is_exceeded)
    if budget.is_exceeded:
        text, stop_sequence = "".join(words), None
    counted = sum(len(answered.pieces) + 2 for answered in calls)
    reasoning_tokens = max(reply.reasoning_tokens, len(thoughts))
    output_tokens = len(words) + counted + reasoning_tokens
    if reply.output_tokens is not None and not budget.is_exceeded:
        output_tokens = max(reply.output_tokens, reasoning_tokens)
    input_tokens = estimate_request_tokens(call) if reply.input_tokens is None else reply.input_tokens
    return Answer(
        text=text,
        pieces=words if reply.chunks is None else split_evenly(text, reply.chunks),
        model=reply.model or call.model,
        finish=_finish(reply, is_truncated=budget.is_exceeded, is_stopped=stop_sequence is not None, calls=calls),
        stop_sequence=stop_sequence,
        input_tokens=max(input_tokens, reply.cached_tokens + reply.cache_write_tokens),
        output_tokens=output_tokens,
        cached_tokens=reply.cached_tokens,
        reasoning_tokens=reasoning_tokens,
        cache_write_tokens=reply.cache_write_tokens,
        reasoning="".join(thoughts),
        reasoning_pieces=thoughts,
        tool_calls=calls,
        citations=tuple(one for one in reply.citations if one.end <= len(text)),
        provider_tools=reply.provider_tools,
        refusal=reply.refusal,
    )


class _Budget:
    """What may still be generated before the call's limit."""

    def __init__(self, limit: int | None) -> None:
        self._left = None if limit is None else max(limit, 0)
        self.is_exceeded = False

    def take(self, pieces: tuple[str, ...]) -> tuple[str, ...]:
        """As many of the pieces as the limit lets through."""
        if self._left is None:
            return pieces
        self.is_exceeded = self.is_exceeded or len(pieces) > self._left
        taken = pieces[: self._left]
        self._left -= len(taken)
        return taken


def _finish(reply: Reply, *, is_truncated: bool, is_stopped: bool, calls: tuple[AnsweredCall, ...]) -> str:
    if is_truncated:
        return "length"
    if is_stopped:
        return "stop_sequence"
    return "tool_calls" if calls and reply.finish == "stop" else reply.finish


def _answered_call(scripted: SimulatedToolCall, budget: _Budget) -> AnsweredCall:
    whole = scripted.arguments
    pieces = budget.take(split_evenly(whole, max(1, len(whole) // _LETTERS_PER_PIECE)))
    text = "".join(pieces)
    arguments = scripted.parsed_arguments if text == whole else None
    return AnsweredCall(name=scripted.name, id=scripted.id, text=text, pieces=pieces, arguments=arguments)


def estimate_input_tokens(messages: tuple[SimulatedMessage, ...]) -> int:
    """About a token for every four bytes, and a few for each message's frame."""
    return 3 + sum(4 + (len(message.text.encode("utf-8", "replace")) + 3) // 4 for message in messages)


def estimate_request_tokens(call: ParsedCall) -> int:
    """The tokens of messages, tools, schema and attachments."""
    wishes = call.wishes
    described = json.dumps([[tool.name, tool.description, tool.parameters] for tool in wishes.tools] or "")
    told = sum(len(result.text) for result in wishes.results) + len(json.dumps(wishes.schema or ""))
    attached = _TOKENS_PER_ATTACHMENT * len(wishes.attachments)
    return estimate_input_tokens(call.messages) + (len(described) + told - 4) // 4 + attached


def split_words(text: str) -> tuple[str, ...]:
    """The words of a text, each with the white space before it; together they are the text."""
    return tuple(_PIECE.findall(text))


def split_evenly(text: str, count: int) -> tuple[str, ...]:
    """The text in `count` pieces of nearly equal length, or one per character where it is shorter."""
    pieces = min(count, len(text))
    bounds = [index * len(text) // pieces for index in range(pieces + 1)] if pieces else []
    return tuple(text[start:end] for start, end in itertools.pairwise(bounds))


def _cut_at_stop(text: str, stop_sequences: tuple[str, ...]) -> tuple[str, str | None]:
    found = [(text.find(stop), stop) for stop in stop_sequences if stop in text]
    if not found:
        return text, None
    position, stop = min(found)
    return text[:position], stop


def chance_of(seed: int, service: str, call: ParsedCall) -> random.Random:
    """The dice of one request: the same for the same seed and request."""
    messages = [[message.role, message.name, message.text] for message in call.messages]
    canonical = json.dumps([seed, service, call.model, messages])
    return random.Random(int.from_bytes(hashlib.blake2b(canonical.encode(), digest_size=8).digest()))


def _persona(messages: tuple[SimulatedMessage, ...]) -> str | None:
    system = " ".join(message.text for message in messages if message.role in _SYSTEM_ROLES)
    found = _NAMED_PERSONA.search(system) or _DESCRIBED_PERSONA.search(system)
    return found.group(1) if found else None


def _topics(messages: tuple[SimulatedMessage, ...], chance: random.Random) -> list[str]:
    asked = [message.text for message in messages if message.role == "user"]
    words = _WORD.findall(asked[-1]) if asked else []
    # Only plain lower-case words: names, codes and the like stay private, because others may read the answer.
    plain = dict.fromkeys(word for word in words if word.isalpha() and word.islower() and 4 <= len(word) <= 14)
    topics = [word for word in plain if word not in _STOP_WORDS]
    return chance.sample(topics, k=min(2, len(topics)))

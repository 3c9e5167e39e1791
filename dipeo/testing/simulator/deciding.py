"""What a seeded answer does: call a tool, fit a schema, tell results, describe attachments, or just talk."""

from __future__ import annotations

import json
import random
import re
from collections import Counter

import attrs

from dipeo.testing.simulator.answers import chance_of, seeded_text
from dipeo.testing.simulator.exchange import ParsedCall
from dipeo.testing.simulator.json_value import JsonValue
from dipeo.testing.simulator.prompted_shape import with_prompted_shape
from dipeo.testing.simulator.reply_parts import SimulatedToolCall
from dipeo.testing.simulator.schema import Hints, make_instance
from dipeo.testing.simulator.script import Reply
from dipeo.testing.simulator.searching import run_provider_tools
from dipeo.testing.simulator.wishes import Attachment, OfferedTool, Wishes

_MAX_CALLS = 8
_TIMES = re.compile(r"\b(\d{1,2}|two|three|four|five) times\b")
_SAID_TWICE = re.compile(r"\b(twice|both|in parallel|parallel calls|each of)\b")
_NUMBER_WORDS = {"two": 2, "three": 3, "four": 4, "five": 5}
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_QUOTED = re.compile(r"[\"\u201c`']([^\"\u201d`'\n]{1,60})[\"\u201d`']")
_CAPITALISED = re.compile(r"(?<![.!?:]\s)(?<!^)\b[A-Z][\w\u2019-]+(?: [A-Z][\w\u2019-]+)*")
_SPLIT_NAME = re.compile(r"[_\-.]+|(?<=[a-z])(?=[A-Z])")
_WORD = re.compile(r"[\w\u2019-]+")
# Words in the names of tools that say nothing about what they are for.
_EMPTY_NAME_WORDS = frozenset(
    {"call", "current", "fetch", "find", "from", "function", "load", "make", "read", "return", "tool", "with"}
)
_REASONING = (
    "The question is about {topic}. ",
    "I should say first what matters most, and keep it short.",
    "There are two ways to look at it, and the simpler one will do.",
    "I will check the facts and then answer plainly.",
)


def seeded_reply(seed: int, service: str, call: ParsedCall) -> Reply:
    """The answer to a request that nothing is scripted for; the same for the same seed and request."""
    wishes = with_prompted_shape(call.wishes, call.messages)
    if wishes == Wishes():
        return Reply(seeded_text(seed, service, call))
    chance = chance_of(seed, service, call)
    question = _question(call)
    reply = Reply(reasoning=_reasoning(chance, wishes, question))
    calls = _decide_calls(wishes, question, chance)
    if calls:
        return attrs.evolve(reply, tool_calls=calls)
    if wishes.schema is not None:
        return attrs.evolve(reply, text=_to_json(make_instance(wishes.schema, chance)))
    if wishes.wants_json:
        return attrs.evolve(reply, text=_to_json({"answer": seeded_text(seed, service, call)}))
    told = _tell_results(wishes) or seeded_text(seed, service, call)
    seen = describe_attachments(wishes.attachments)
    text = f"{seen} {told}" if seen else told
    if wishes.provider_tools and not wishes.results:
        return run_provider_tools(attrs.evolve(reply, text=text), wishes.provider_tools, question, chance)
    return attrs.evolve(reply, text=text)


def describe_attachments(attachments: tuple[Attachment, ...]) -> str:
    """`I see 1 image (image/png, 68 bytes) and 2 documents (...).`"""
    if not attachments:
        return ""
    groups = []
    for kind, count in Counter(attachment.kind for attachment in attachments).items():
        facts = "; ".join(_describe(attachment) for attachment in attachments if attachment.kind == kind)
        plural = "" if count == 1 or kind == "audio" else "s"
        groups.append(f"{count} {kind}{plural} ({facts})")
    return f"I see {' and '.join(groups)}."


def _describe(attachment: Attachment) -> str:
    size = "by address" if attachment.size_bytes is None else f"{attachment.size_bytes} bytes"
    return f"{attachment.media_type}, {size}"


def _question(call: ParsedCall) -> str:
    asked = [message.text for message in call.messages if message.role == "user" and message.text]
    return asked[-1] if asked else ""


def _to_json(value: JsonValue) -> str:
    return json.dumps(value, ensure_ascii=False)


def _reasoning(chance: random.Random, wishes: Wishes, question: str) -> str:
    if not wishes.wants_reasoning:
        return ""
    # The reasoning is for the asker alone, and still repeats only plain words.
    words = [word for word in _WORD.findall(question) if word.isalpha() and word.islower() and len(word) > 4]
    first = _REASONING[0].format(topic=chance.choice(words) if words else "something general")
    return first + chance.choice(_REASONING[1:])


def _tell_results(wishes: Wishes) -> str:
    told = []
    for result in wishes.results:
        verb = "could not answer" if result.is_error else "says"
        told.append(f"{result.name or 'The tool'} {verb}: {result.text}")
    return "\n".join(told)


def _decide_calls(wishes: Wishes, question: str, chance: random.Random) -> tuple[SimulatedToolCall, ...]:
    offered = wishes.callable_tools
    if not offered or (wishes.results and not wishes.must_call):
        return ()
    fitting = _fitting_tools(offered, question)
    if not fitting and wishes.must_call:
        fitting = (chance.choice(offered),)
    if len(fitting) == 1:
        fitting = fitting * _wanted_count(question)
    if not wishes.is_parallel:
        fitting = fitting[:1]
    hints = _hints(question)
    return tuple(_call(tool, chance, _rotate(hints, index)) for index, tool in enumerate(fitting[:_MAX_CALLS]))


def _call(tool: OfferedTool, chance: random.Random, hints: Hints) -> SimulatedToolCall:
    value = make_instance(tool.parameters, chance, hints=hints)
    return SimulatedToolCall(tool.name, value if isinstance(value, dict) else {})


def _fitting_tools(offered: tuple[OfferedTool, ...], question: str) -> tuple[OfferedTool, ...]:
    lowered = question.lower()
    named = tuple(tool for tool in offered if _is_named(tool, lowered))
    if named:
        return named
    words = set(_WORD.findall(lowered))
    return tuple(tool for tool in offered if words & _telling_words(tool))[:1]


def _is_named(tool: OfferedTool, question: str) -> bool:
    spoken = " ".join(_SPLIT_NAME.split(tool.name)).lower()
    return any(re.search(rf"(?<!\w){re.escape(name)}(?!\w)", question) for name in (tool.name.lower(), spoken))


def _telling_words(tool: OfferedTool) -> set[str]:
    words = (word.lower() for word in _SPLIT_NAME.split(tool.name))
    return {word for word in words if len(word) >= 4 and word not in _EMPTY_NAME_WORDS}


def _wanted_count(question: str) -> int:
    found = _TIMES.search(question.lower())
    if found:
        said = found.group(1)
        return min(max(int(said) if said.isdigit() else _NUMBER_WORDS[said], 1), _MAX_CALLS)
    return 2 if _SAID_TWICE.search(question.lower()) else 1


def _hints(question: str) -> Hints:
    words = [*_QUOTED.findall(question), *_CAPITALISED.findall(question)]
    return Hints(words=tuple(dict.fromkeys(words)), numbers=tuple(float(text) for text in _NUMBER.findall(question)))


def _rotate(hints: Hints, count: int) -> Hints:
    # Each of several calls begins with another word, so that "Paris and Rome" gives one call for each.
    start = count % len(hints.words) if hints.words else 0
    return attrs.evolve(hints, words=hints.words[start:] + hints.words[:start])

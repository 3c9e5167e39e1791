"""Properties of Gemini's dialect: what it said goes back unchanged, and how a stream is cut says nothing."""

import json
from contextlib import suppress
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dipeo.domain.errors import DipeoError
from dipeo.domain.parts import ReasoningPart, TextPart, ToolCallPart
from dipeo.domain.stream import CompletionEvent, ReasoningDelta, TextDelta, ToolCallDelta
from dipeo.infrastructure.llm.adapters._gemini_answer import ResponseStreamDecoder, decode_response
from tests.adapters.test_gemini_parts import answered, sent_back

SIGNATURES = st.sampled_from(["c2ln", "c2ln-_8", ""])
TEXTS = st.text(min_size=1, max_size=8)


def _signed(part: dict[str, Any], signature: str) -> dict[str, Any]:
    return {**part, "thoughtSignature": signature} if signature else part


GOOGLE_PARTS = st.lists(
    st.one_of(
        st.builds(lambda text, mark: _signed({"text": text}, mark), TEXTS, SIGNATURES),
        st.builds(lambda text, mark: _signed({"text": text, "thought": True}, mark), TEXTS, SIGNATURES),
        st.builds(lambda mark: _signed({"text": ""}, mark), SIGNATURES),
        st.builds(
            lambda name, arguments, mark: _signed({"functionCall": {"name": name, "args": arguments}}, mark),
            st.sampled_from(["weather", "now"]),
            st.dictionaries(TEXTS, st.integers(-9, 9) | TEXTS, max_size=2),
            SIGNATURES,
        ),
        st.builds(
            lambda code, mark: _signed({"executableCode": {"language": "PYTHON", "code": code}}, mark),
            TEXTS,
            SIGNATURES,
        ),
        st.builds(lambda mark: _signed({"inlineData": {"mimeType": "image/png", "data": "AAEC"}}, mark), SIGNATURES),
    ),
    min_size=1,
    max_size=6,
)


def _joined(parts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Neighbouring unsigned texts of one kind as one, and empty ones left out: they say the same."""
    whole: list[dict[str, Any]] = []
    for part in parts:
        if part == {"text": ""}:
            continue
        last = whole[-1] if whole else {}
        is_plain = "text" in part and "thoughtSignature" not in part and "thoughtSignature" not in last
        if is_plain and "text" in last and part.get("thought") == last.get("thought"):
            whole[-1] = {**last, "text": last["text"] + part["text"]}
        else:
            whole.append(part)
    return whole


@given(parts=GOOGLE_PARTS)
def test_what_google_said_goes_back_to_it_unchanged(parts: list[dict[str, Any]]) -> None:
    """Whatever an answer holds, each part and each signature stands in the next request as it came."""
    try:
        answer = answered(*parts)
    except DipeoError:
        assert all(part.get("text") == "" for part in parts)  # an answer of nothing
        return
    assert sent_back(answer.parts) == _joined(parts)


@given(parts=GOOGLE_PARTS, cuts=st.lists(st.integers(0, 6), max_size=4))
def test_a_stream_says_the_same_as_the_whole_answer(parts: list[dict[str, Any]], cuts: list[int]) -> None:
    """However the parts are spread over chunks, and unsigned text is cut, the answer and its events are the same."""
    whole, streamed = ResponseStreamDecoder(), ResponseStreamDecoder()
    end: dict[str, Any] = {"candidates": [{"content": {}, "finishReason": "STOP"}], "responseId": "r-1"}
    body: dict[str, Any] = {"candidates": [{"content": {"parts": parts}}], "responseId": "r-1"}
    whole.feed(body)
    whole.feed(end)
    pieces = [piece for part in parts for piece in _cut(part)]
    places = [0, *sorted(min(cut, len(pieces)) for cut in cuts), len(pieces)]
    events: list[CompletionEvent] = []
    for start, stop in pairwise(places):
        chunk: dict[str, Any] = {"candidates": [{"content": {"parts": pieces[start:stop]}}], "responseId": "r-1"}
        events += streamed.feed(chunk)
    streamed.feed(end)
    try:
        answer = whole.answer()
    except DipeoError:
        with pytest.raises(DipeoError):
            streamed.answer()
        return
    assert streamed.answer() == answer
    for kind, part_kind in ((TextDelta, TextPart), (ReasoningDelta, ReasoningPart)):
        said = "".join(getattr(event, "text", "") for event in events if isinstance(event, kind))
        assert said == "".join(part.text for part in answer.parts if isinstance(part, part_kind))
    calls = [part for part in answer.parts if isinstance(part, ToolCallPart)]
    deltas = [event for event in events if isinstance(event, ToolCallDelta)]
    assert [(each.call_id, json.loads(each.arguments)) for each in deltas] == [
        (call.call_id, call.arguments) for call in calls
    ]


def _cut(part: dict[str, Any]) -> list[dict[str, Any]]:
    if "text" not in part or "thoughtSignature" in part:
        return [part]
    return [{**part, "text": char} for char in part["text"]]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
ODD_PARTS = st.lists(
    st.dictionaries(
        st.sampled_from(["text", "thought", "thoughtSignature", "functionCall", "inlineData", "executableCode"]), JSON
    )
)
ODD_BODIES = st.fixed_dictionaries(
    {
        "candidates": JSON
        | st.lists(
            st.fixed_dictionaries(
                {
                    "content": st.fixed_dictionaries({"parts": ODD_PARTS | JSON}) | JSON,
                    "finishReason": st.sampled_from(["STOP", "", None, 3]),
                    "groundingMetadata": st.fixed_dictionaries(
                        {"groundingChunks": JSON, "groundingSupports": JSON, "webSearchQueries": JSON}
                    )
                    | JSON,
                    "citationMetadata": JSON,
                }
            ),
            max_size=2,
        ),
        "usageMetadata": JSON,
        "promptFeedback": JSON,
    }
)


@given(body=ODD_BODIES)
def test_an_answer_of_any_shape_is_read_or_refused(body: dict[str, Any]) -> None:
    """Nothing that a provider sends raises anything but dipeo's own errors."""
    with suppress(DipeoError):
        decode_response(body)

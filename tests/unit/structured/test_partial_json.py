"""What is known of a JSON text before it is whole holds for the whole."""

import json
import time
from collections.abc import Iterator, Mapping, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dipeo.application.shapes.partial_json import Found, PartialJson, json_in
from dipeo.domain.json_value import JsonValue

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
VALUES: st.SearchStrategy[JsonValue] = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4)
)
LAYOUTS = st.sampled_from(
    [
        {"ensure_ascii": True},
        {"ensure_ascii": False},
        {"indent": 2},
        {"ensure_ascii": True, "separators": (",", ":")},
        {"separators": (" , ", "\t:\n")},
    ]
)


def is_beginning(part: JsonValue, whole: JsonValue) -> bool:
    """Whether the whole can grow from the part: strings, arrays and objects at their ends, nothing else."""
    if isinstance(part, str) and isinstance(whole, str):
        return whole.startswith(part)
    if isinstance(part, Mapping) and isinstance(whole, Mapping):
        names = list(part)
        return names == list(whole)[: len(names)] and all(
            part[name] == whole[name] if name != names[-1] else is_beginning(part[name], whole[name]) for name in names
        )
    if isinstance(part, Sequence) and isinstance(whole, Sequence):
        last = len(part) - 1
        return len(part) <= len(whole) and all(
            each == whole[index] if index < last else is_beginning(each, whole[index])
            for index, each in enumerate(part)
        )
    return part == whole and type(part) is type(whole)


def readings(text: str, cuts: Sequence[int]) -> Iterator[Found | None]:
    """What is known after each piece."""
    partial = PartialJson()
    for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True):
        partial.feed(text[start:end])
        yield partial.value()


@settings(deadline=None, max_examples=60)
@given(VALUES, LAYOUTS)
def test_every_beginning_says_what_the_whole_says(value: JsonValue, layout: Mapping[str, object]) -> None:
    """Whatever is known of a beginning is the beginning of the whole, and of the whole, all is known."""
    text = json.dumps(value, **layout)  # type: ignore[arg-type]  # options of json
    whole = json.loads(text)
    found: Found | None = None
    for found in readings(text, range(len(text))):
        assert found is None or is_beginning(found.value, whole), (found, text)
    if isinstance(value, str | list | dict):
        assert found == Found(whole)


@given(VALUES, st.data())
def test_pieces_say_what_the_same_text_says_at_once(value: JsonValue, data: st.DataObject) -> None:
    """How a text is cut makes no difference to what is known of it."""
    text = json.dumps(value)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=8)))
    for end, found in zip([*cuts, len(text)], readings(text, cuts), strict=True):
        assert found == next(readings(text[:end], []))


@given(st.text(alphabet='{}[]",:\\u0123456789.eE+-truefalsn \n`', max_size=40))
def test_what_is_no_json_breaks_nothing(text: str) -> None:
    """Any text can be read; what is known of it is never taken back while it grows."""
    partial = PartialJson()
    before: Found | None = None
    for sign in text:
        partial.feed(sign)
        found = partial.value()
        if before is not None and found is not None and not isinstance(found.value, Mapping):
            assert is_beginning(before.value, found.value) or isinstance(before.value, Mapping)
        before = found


@pytest.mark.parametrize(
    ("text", "known"),
    [
        ('{"a": 1', {}),
        ('{"a": 1,', {"a": 1}),
        ('{"a": tru', {}),
        ('{"a": true}', {"a": True}),
        ('{"na', {}),
        ('{"name": "Ad', {"name": "Ad"}),
        ('{"name": "A\\u00e', {"name": "A"}),
        ('{"name": "A\\', {"name": "A"}),
        ('{"name": "A\\ud83d', {"name": "A"}),
        ('{"name": "A\\ud83d\\ude00', {"name": "A\U0001f600"}),
        ('{"name": "A\\\\ud83d', {"name": "A\\ud83d"}),
        ('["a", ["b', ["a", ["b"]]),
        ('```json\n{"a": "b', {"a": "b"}),
        ("  \n```\n[1, 2]\n```", [1, 2]),
        ('{"a": "x" "b"', {"a": "x"}),
        ('{"a" 1', {}),
        ('{"a"}', {}),
        ("[1,]", [1]),
        ('{"a": 1}}}', {"a": 1}),
        ('{"line": "one\ntwo', {"line": "one\ntwo"}),
    ],
)
def test_what_is_known(text: str, known: JsonValue) -> None:
    """Strings may be incomplete; numbers, words, names and escapes count when they have ended."""
    assert next(readings(text, [])) == Found(known)


@pytest.mark.parametrize("text", ["", "  ", "`", "``", "```json", "12", "nul", "Here it is"])
def test_what_says_nothing_yet(text: str) -> None:
    """Where no value has begun, or one that must not be told before its end, nothing is known."""
    assert next(readings(text, [])) is None


def test_a_long_text_is_read_ever_more_rarely() -> None:
    """Half a million characters in pieces of four are read often enough to see them grow, and no more than that."""
    text = json.dumps({"words": ["lorem ipsum dolor"] * 20_000})
    partial = PartialJson()
    count = 0
    begun_at_s = time.process_time()
    for start in range(0, len(text), 4):
        partial.feed(text[start : start + 4])
        if partial.is_worth_reading:
            partial.value()
            count += 1
    assert 500 < count < 3_000
    assert time.process_time() - begun_at_s < 20


@given(VALUES)
def test_a_fence_makes_no_difference(value: JsonValue) -> None:
    """JSON alone, in a fence, and in a fence among words is read alike."""
    text = json.dumps(value, indent=1)
    assert json_in(f"\n{text} ") == value
    assert json_in(f"```json\n{text}\n```") == value
    if "`" not in text:
        assert json_in(f"Here it is:\n\n```\n{text}\n```\n\nDo you like it?") == value


@pytest.mark.parametrize(
    "text", ["", "no", "{", "NaN", '{"a": Infinity}', "```\n1\n```\n```\n2\n```", "[" * 100_000, "{} {}"]
)
def test_what_is_not_one_json_value_is_refused(text: str) -> None:
    """No JSON, more than one, numbers that are none, and what is nested beyond reason."""
    with pytest.raises(ValueError, match=r"."):
        json_in(text)

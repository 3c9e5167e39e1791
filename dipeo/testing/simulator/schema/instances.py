"""Seeded values that satisfy a JSON schema."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

import attrs

from dipeo.testing.simulator.json_value import JsonObject, JsonValue, as_list, as_object, as_text
from dipeo.testing.simulator.schema.checking import find_violation
from dipeo.testing.simulator.schema.patterns import text_for_pattern
from dipeo.testing.simulator.schema.references import merge, resolve, type_names

_ATTEMPTS = 25
# From this depth on only what is required is made, and the way out of a recursion is taken.
_SHALLOW_DEPTH = 5
_MAX_DEPTH = 40
_WORDS = (
    "amber",
    "birch",
    "cedar",
    "delta",
    "ember",
    "fjord",
    "grove",
    "heath",
    "inlet",
    "juniper",
    "kestrel",
    "larch",
)
_COUNT_LIMIT = 2000
# A schema that can only be satisfied by something endless is given up here.
_MAX_VALUES = 4_000


@attrs.frozen(slots=True, kw_only=True)
class Hints:
    """Words and numbers from the question that arguments may be made of."""

    words: tuple[str, ...] = ()
    numbers: tuple[float, ...] = ()


NO_HINTS = Hints()


def make_instance(schema: JsonObject, chance: random.Random, *, hints: Hints = NO_HINTS) -> JsonValue:
    """A value that satisfies the schema, the same for the same chance; hints are used where they fit."""
    value: JsonValue = None
    for attempt in range(_ATTEMPTS):
        value = _Maker(schema, chance, hints if attempt < 2 else NO_HINTS).make(schema, 0)
        if find_violation(value, schema) is None:
            break
    return value


class _Maker:
    """Makes one value; takes each hint once."""

    def __init__(self, root: JsonObject, chance: random.Random, hints: Hints) -> None:
        self._root = root
        self._chance = chance
        self._words: Iterator[str] = iter(hints.words)
        self._numbers: Iterator[float] = iter(hints.numbers)
        self._made_count = 0

    def make(self, given: JsonValue, depth: int) -> JsonValue:
        """A value for one place in the schema."""
        self._made_count += 1
        if self._made_count > _MAX_VALUES:
            return None
        schema = self._flatten(given, depth)
        if "const" in schema:
            return schema["const"]
        choices = schema.get("enum")
        if isinstance(choices, list) and choices:
            return self._chance.choice(choices)
        return self._makers()[self._choose_type(schema, depth)](schema, depth)

    def _flatten(self, given: JsonValue, depth: int) -> JsonObject:
        schema = as_object(resolve(given, self._root))
        for part in as_list(schema.get("allOf")):
            rest = {key: value for key, value in schema.items() if key != "allOf"}
            schema = merge(self._flatten(part, depth), rest) if depth < _MAX_DEPTH else rest
        for keyword in ("anyOf", "oneOf"):
            branches = as_list(schema.get(keyword))
            if branches:
                rest = {key: value for key, value in schema.items() if key != keyword}
                chosen = self._choose_branch(branches, depth)
                return merge(rest, self._flatten(chosen, depth + 1)) if depth < _MAX_DEPTH else rest
        return schema

    def _choose_branch(self, branches: list[JsonValue], depth: int) -> JsonValue:
        def is_empty(branch: JsonValue) -> bool:
            return type_names(as_object(resolve(branch, self._root))) == ("null",)

        def is_simple(branch: JsonValue) -> bool:
            return not {"object", "array"} & set(type_names(as_object(resolve(branch, self._root))))

        if depth >= _SHALLOW_DEPTH:
            simple = [branch for branch in branches if is_simple(branch) and "$ref" not in as_object(branch)]
            return self._chance.choice([branch for branch in simple if is_empty(branch)] or simple or branches)
        return self._chance.choice([branch for branch in branches if not is_empty(branch)] or branches)

    def _choose_type(self, schema: JsonObject, depth: int) -> str:
        names = [name for name in type_names(schema) if name in self._makers()]
        if names:
            full = [name for name in names if name != "null"]
            return "null" if not full or (depth >= _SHALLOW_DEPTH and "null" in names) else full[0]
        if "properties" in schema or "required" in schema or "additionalProperties" in schema:
            return "object"
        if "items" in schema or "prefixItems" in schema or "minItems" in schema:
            return "array"
        if {"minimum", "maximum", "multipleOf", "exclusiveMinimum", "exclusiveMaximum"} & schema.keys():
            return "number"
        return "string"

    def _makers(self) -> dict[str, Callable[[JsonObject, int], JsonValue]]:
        return {
            "object": self._object,
            "array": self._array,
            "string": self._text,
            "integer": self._integer,
            "number": self._number,
            "boolean": lambda _schema, _depth: self._chance.random() < 0.5,
            "null": lambda _schema, _depth: None,
        }

    def _object(self, schema: JsonObject, depth: int) -> JsonValue:
        properties = as_object(schema.get("properties"))
        required = [name for name in as_list(schema.get("required")) if isinstance(name, str)]
        if depth >= _MAX_DEPTH:
            return {}
        names = [name for name in properties if name in required or depth < _SHALLOW_DEPTH]
        made = {name: self.make(properties[name], depth + 1) for name in names}
        open_schema = schema.get("additionalProperties", True)
        least = int(_bound(schema, "minProperties", 0))
        missing = [name for name in required if name not in made]
        for name in missing:
            made[name] = self.make(open_schema, depth + 1)
        is_map = isinstance(open_schema, dict) and not properties and depth < _SHALLOW_DEPTH
        wanted = max(least, 1 if is_map and not made else 0)
        for name in (name for name in _WORDS if len(made) < wanted and open_schema is not False):
            if len(made) < wanted:
                made.setdefault(name, self.make(open_schema, depth + 1))
        return made

    def _array(self, schema: JsonObject, depth: int) -> JsonValue:
        prefix = as_list(schema.get("prefixItems"))
        least = int(_bound(schema, "minItems", 0))
        most = int(_bound(schema, "maxItems", max(least, len(prefix), 2)))
        if depth >= _MAX_DEPTH:
            return []
        usual = least if depth >= _SHALLOW_DEPTH else max(least, self._chance.randint(1, 2))
        count = min(max(usual, min(len(prefix), most)), most, _COUNT_LIMIT)
        if schema.get("items") is False:
            count = min(count, len(prefix))
        items: list[JsonValue] = []
        for index in range(count):
            part = prefix[index] if index < len(prefix) else schema.get("items", True)
            item = self.make(part, depth + 1)
            for _ in range(20 if schema.get("uniqueItems") is True else 0):
                if item not in items:
                    break
                item = self.make(part, depth + 1)
            items.append(item)
        return items

    def _integer(self, schema: JsonObject, _depth: int) -> JsonValue:
        step = _bound(schema, "multipleOf", 1)
        step = step if step >= 1 and step == int(step) else 1
        low, high = self._range(schema, step)
        first, last = -(-low // step), high // step
        value = self._hinted_number(low, high, step)
        return int(self._chance.randint(int(first), int(max(first, last))) * step) if value is None else int(value)

    def _number(self, schema: JsonObject, _depth: int) -> JsonValue:
        step = _bound(schema, "multipleOf", 0)
        if step > 0:
            low, high = self._range(schema, step)
            return round(self._chance.randint(int(-(-low // step)), int(max(high // step, -(-low // step)))) * step, 9)
        low, high = self._range(schema, 0)
        value = self._hinted_number(low, high, 0)
        if value is not None:
            return value
        made = round(self._chance.uniform(low, high), 2)
        return made if low <= made <= high else (low + high) / 2

    def _range(self, schema: JsonObject, step: float) -> tuple[float, float]:
        nudge = step or 1e-6
        lows = [_bound(schema, "minimum", None), _bound(schema, "exclusiveMinimum", None, add=nudge)]
        highs = [_bound(schema, "maximum", None), _bound(schema, "exclusiveMaximum", None, add=-nudge)]
        low = max((bound for bound in lows if bound is not None), default=None)
        high = min((bound for bound in highs if bound is not None), default=None)
        span = max(100, 10 * step)
        if low is None:
            low = 1 if high is None or high >= 1 else high - span
        return low, max(low, low + span if high is None else high)

    def _hinted_number(self, low: float, high: float, step: float) -> float | None:
        for number in self._numbers:
            if low <= number <= high and (step == 0 or number % step == 0):
                return number
        return None

    def _text(self, schema: JsonObject, _depth: int) -> JsonValue:
        least, most = int(_bound(schema, "minLength", 0)), int(_bound(schema, "maxLength", 1_000_000))
        pattern = schema.get("pattern")
        if isinstance(pattern, str):
            written = text_for_pattern(pattern, self._chance)
            if written is not None:
                return written
        shaped = self._formatted(as_text(schema.get("format")))
        if shaped is not None:
            return shaped
        text = next(self._words, None) or " ".join(self._chance.sample(_WORDS, k=2))
        while len(text) < least:
            text += " " + self._chance.choice(_WORDS)
        return text[:most].strip().ljust(least, "x") if most < len(text) else text

    def _formatted(self, name: str) -> str | None:
        chance = self._chance
        day = f"2026-{chance.randint(1, 12):02}-{chance.randint(1, 28):02}"
        time = f"{chance.randint(0, 23):02}:{chance.randint(0, 59):02}:{chance.randint(0, 59):02}"
        digits = f"{chance.getrandbits(128):032x}"
        word = chance.choice(_WORDS)
        uuid = f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"
        return {
            "date-time": f"{day}T{time}Z",
            "date": day,
            "time": f"{time}Z",
            "duration": f"PT{chance.randint(1, 59)}M",
            "email": f"{word}@example.com",
            "uri": f"https://example.com/{word}",
            "uuid": uuid,
            "ipv4": f"192.0.2.{chance.randint(1, 254)}",
            "ipv6": f"2001:db8::{chance.randint(1, 9)}",
            "hostname": f"{word}.example.com",
        }.get(name)


def _bound(schema: JsonObject, keyword: str, default: float | None, *, add: float = 0) -> float:
    bound = schema.get(keyword)
    if isinstance(bound, str) and bound.isdigit():
        bound = int(bound)
    if isinstance(bound, (int, float)) and not isinstance(bound, bool):
        return bound + add
    return default  # type: ignore[return-value]  # None only where the caller looks for it

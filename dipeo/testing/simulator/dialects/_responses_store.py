"""The responses a service remembers, so that a conversation can go on from one of them."""

from __future__ import annotations

from collections import OrderedDict

import attrs

from dipeo.testing.simulator.exchange import refuse
from dipeo.testing.simulator.json_value import JsonObject, JsonValue, as_list, as_object, as_text

_CAPACITY = 1000


@attrs.frozen(slots=True)
class _Kept:
    items: tuple[JsonObject, ...]
    response: JsonObject


class ResponseStore:
    """The newest responses with all the items that led to them; it contains the ids of items."""

    def __init__(self, capacity: int = _CAPACITY) -> None:
        self._capacity = capacity
        self._kept: OrderedDict[str, _Kept] = OrderedDict()

    def __contains__(self, item_id: object) -> bool:
        return any(item.get("id") == item_id for kept in self._kept.values() for item in kept.items)

    def keep(self, items: list[JsonObject], response: JsonObject) -> None:
        """Remember a response; the oldest makes room."""
        output = [as_object(item) for item in as_list(response.get("output"))]
        self._kept[as_text(response["id"])] = _Kept((*items, *output), response)
        while len(self._kept) > self._capacity:
            self._kept.popitem(last=False)

    def history(self, response_id: JsonValue) -> tuple[JsonObject, ...]:
        """What was said up to a response; raises RefusalError for one that is not known."""
        if response_id is None:
            return ()
        kept = self._kept.get(as_text(response_id))
        if kept is None:
            text = f"Previous response with id '{response_id}' not found."
            raise refuse(400, text, code="previous_response_not_found", param="previous_response_id")
        return kept.items

    def find(self, response_id: str) -> JsonObject:
        """A response; raises RefusalError for one that is not known."""
        if response_id not in self._kept:
            raise refuse(404, f"Response with id '{response_id}' not found.")
        return self._kept[response_id].response

    def forget(self, response_id: str) -> JsonObject:
        """Remove a response; raises RefusalError for one that is not known."""
        self.find(response_id)
        del self._kept[response_id]
        return {"id": response_id, "object": "response", "deleted": True}

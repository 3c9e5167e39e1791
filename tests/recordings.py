"""The shared recordings of provider traffic, read in place."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen

FOLDER = Path(os.environ.get("DIPEO_SHARED_DATA", Path(__file__).parents[2] / "shared")) / "recordings"


@frozen
class Recording:
    """One exchange, as recorded: what was sent, what came back, what the reply says."""

    id: str
    provider: str
    endpoint: str
    is_stream: bool
    scenarios: frozenset[str]
    request: dict[str, Any]
    status: int
    headers: dict[str, str]
    body: bytes
    expected: dict[str, Any]

    def __str__(self) -> str:
        return self.id


def recordings(*endpoints: str) -> list[Recording]:
    """The recordings of these endpoints; none where the folder is missing."""
    return [recording for recording in _all() if recording.endpoint in endpoints]


def insist_or_skip() -> None:
    """Skips the test, saying why, where the recordings are missing; fails instead where they must be there."""
    if FOLDER.is_dir():
        return
    reason = f"no recordings at {FOLDER}: set DIPEO_SHARED_DATA to the folder that holds them"
    if os.environ.get("DIPEO_REQUIRE_RECORDINGS"):
        pytest.fail(reason)
    pytest.skip(reason)


def _all() -> Iterator[Recording]:
    for path in sorted(FOLDER.glob("*.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines():
            entry = json.loads(line)
            yield Recording(
                id=entry["id"],
                provider=entry["provider"],
                endpoint=entry["endpoint"],
                is_stream=entry["stream"],
                scenarios=frozenset(entry["scenarios"]),
                request=entry["request"],
                status=entry["response"]["status"],
                headers=entry["response"]["headers"],
                body=entry["response"]["body"].encode(),
                expected=entry["expected"],
            )

"""A loopback server that gives one canned chat completion as fast as Python can: it must not be what is measured."""

import asyncio
import json
import multiprocessing
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection

STREAM_CHUNKS = 200

ANSWER = json.dumps(
    {
        "id": "chatcmpl-bench",
        "object": "chat.completion",
        "created": 1795392000,
        "model": "gpt-5.4-mini",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "A thinking machine should decide little. " * 6},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {
            "prompt_tokens": 42,
            "completion_tokens": 60,
            "total_tokens": 102,
            "prompt_tokens_details": {"cached_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 0},
        },
    }
).encode()

HEADERS = (
    b"HTTP/1.1 200 OK\r\ncontent-type: %s\r\nx-request-id: req_bench\r\nopenai-version: 2020-10-01\r\n"
    b"openai-processing-ms: 12\r\nx-ratelimit-limit-requests: 5000\r\nx-ratelimit-remaining-requests: 4999\r\n"
    b"cache-control: no-store\r\nserver: bench\r\n%s\r\n"
)
UNARY = HEADERS % (b"application/json", b"content-length: %d\r\n" % len(ANSWER)) + ANSWER


def _chunk(delta: dict[str, str], finish: str | None = None) -> bytes:
    event = {
        "id": "chatcmpl-bench",
        "object": "chat.completion.chunk",
        "created": 1795392000,
        "model": "gpt-5.4-mini",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
    }
    data = b"data: " + json.dumps(event).encode() + b"\n\n"
    return b"%x\r\n%s\r\n" % (len(data), data)


STREAM_HEAD = HEADERS % (b"text/event-stream", b"transfer-encoding: chunked\r\n")
STREAM_PIECES = [_chunk({"content": f" word{index}"}) for index in range(STREAM_CHUNKS)]
STREAM_TAIL = _chunk({}, "stop") + b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n"


class _Canned(asyncio.Protocol):
    """Answers each complete request on the connection; looks at nothing but its length and `"stream":true`."""

    delay_s = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._buffer = b""

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = self._buffer[:end].lower()
            at = head.find(b"content-length:")
            length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
            if len(self._buffer) < end + 4 + length:
                return
            body, self._buffer = self._buffer[end + 4 : end + 4 + length], self._buffer[end + 4 + length :]
            if b'"stream":true' in body or b'"stream": true' in body:
                self._stream(0)
            elif self.delay_s:
                asyncio.get_running_loop().call_later(self.delay_s, self._transport.write, UNARY)
            else:
                self._transport.write(UNARY)

    def _stream(self, index: int) -> None:
        # Each piece in a write of its own, a turn of the loop apart, as a provider sends them.
        if index == 0:
            self._transport.write(STREAM_HEAD)
        if index < STREAM_CHUNKS:
            self._transport.write(STREAM_PIECES[index])
            asyncio.get_running_loop().call_soon(self._stream, index + 1)
        else:
            self._transport.write(STREAM_TAIL)


async def _serve(ready: Connection, delay_s: float) -> None:
    _Canned.delay_s = delay_s
    listener = socket.create_server(("127.0.0.1", 0), backlog=2048)
    server = await asyncio.get_running_loop().create_server(_Canned, sock=listener)
    ready.send(listener.getsockname()[1])
    await server.serve_forever()


def _run(ready: Connection, delay_s: float) -> None:
    asyncio.run(_serve(ready, delay_s))


@contextmanager
def canned_server(*, delay_s: float = 0.0) -> Iterator[str]:
    """The base URL of the server, which runs in a process of its own and thinks for `delay_s` before it answers."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_run, args=(theirs, delay_s), daemon=True)
    process.start()
    try:
        if not ours.poll(20):
            raise RuntimeError("the canned server did not start")
        yield f"http://127.0.0.1:{ours.recv()}/v1"
    finally:
        process.terminate()
        process.join(5)

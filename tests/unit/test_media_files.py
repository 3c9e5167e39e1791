"""Pictures, documents and sounds from files."""

import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dipeo.domain.errors import ValidationError
from dipeo.media import (
    AudioPart,
    DocumentPart,
    ImageDetail,
    ImagePart,
    audio_from_file,
    document_from_file,
    image_from_file,
    part_from_file,
)

PNG = b"\x89PNG\r\n\x1a\n..."
READERS: list[Callable[..., Any]] = [part_from_file, image_from_file, audio_from_file, document_from_file]

each_reader = pytest.mark.parametrize("read", READERS, ids=lambda read: read.__name__)


def written(folder: Path, name: str, data: bytes) -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


def refusal(read: Callable[..., Any], *arguments: Any, **named: Any) -> str:
    """What is said of a file that is not taken."""
    with pytest.raises(ValidationError) as caught:
        read(*arguments, **named)
    assert caught.value.field == "path"
    return caught.value.message


@pytest.mark.parametrize(
    ("data", "name", "media_type"),
    [
        (PNG, "a.jpg", "image/png"),
        (b"\xff\xd8\xff\xe0", "a", "image/jpeg"),
        (b"GIF89a", "a", "image/gif"),
        (b"GIF87a", "a", "image/gif"),
        (b"GIF8 is no picture", "a.txt", "text/plain"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "a", "image/webp"),
        (b"RIFF\0\0\0\0WAVEfmt ", "a", "audio/wav"),
        (b"RIFF\0\0\0\0AVI ", "a.gif", "image/gif"),
        (b"\0\0\0\x20ftypavif", "a", "image/avif"),
        (b"\0\0\0\x20ftypM4A ", "a", "audio/mp4"),
        (b"II*\0", "a", "image/tiff"),
        (b"ID3\x04", "a", "audio/mpeg"),
        (b"\xff\xfb\x90", "a", "audio/mpeg"),
        (b"OggS", "a", "audio/ogg"),
        (b"fLaC", "a", "audio/flac"),
        (b"%PDF-1.7", "a.png", "application/pdf"),
        (b"Dear Ada", "letter.txt", "text/plain"),
        (b"?", "a.jpeg", "image/jpeg"),
        (b"?", "a", "application/octet-stream"),
    ],
)
def test_what_a_file_is_its_beginning_says_else_its_name(
    data: bytes, name: str, media_type: str, tmp_path: Path
) -> None:
    """A name that lies is not believed; what neither says is anything at all, and a document."""
    part = part_from_file(written(tmp_path, name, data))
    kinds = {"image": ImagePart, "audio": AudioPart}
    assert type(part) is kinds.get(media_type.partition("/")[0], DocumentPart)
    assert (part.media_type, part.data, part.url) == (media_type, data, None)
    assert not isinstance(part, DocumentPart) or part.name == name


def test_each_kind_has_a_reader(tmp_path: Path) -> None:
    """It takes what the part takes; a path may be text."""
    picture = image_from_file(str(written(tmp_path, "a.png", PNG)), detail="low")
    assert picture == ImagePart(media_type="image/png", data=PNG, detail=ImageDetail.LOW)
    wave = b"RIFF\0\0\0\0WAVE"
    assert audio_from_file(written(tmp_path, "a", wave)) == AudioPart(media_type="audio/wav", data=wave)
    letter = written(tmp_path, "a.pdf", b"%PDF-")
    assert document_from_file(letter) == DocumentPart(media_type="application/pdf", data=b"%PDF-", name="a.pdf")
    assert document_from_file(letter, name="letter").name == "letter"


def test_the_caller_knows_better(tmp_path: Path) -> None:
    """A media type that is given is taken as it is; without one, a file of another kind is refused by what it is."""
    odd = written(tmp_path, "a.bin", b"\0\0")
    assert image_from_file(odd, media_type="image/x-odd").media_type == "image/x-odd"
    assert audio_from_file(odd, media_type="audio/x-odd").media_type == "audio/x-odd"
    assert document_from_file(odd, media_type="text/x-odd").media_type == "text/x-odd"
    assert "is of type 'application/octet-stream', which is no picture" in refusal(image_from_file, odd)
    assert "is of type 'image/png', which is no sound" in refusal(audio_from_file, written(tmp_path, "b", PNG))


@each_reader
def test_a_file_may_be_so_large_and_no_larger(read: Callable[..., Any], tmp_path: Path) -> None:
    """20 MiB unless another bound is given; nothing at all is no file either."""
    path = written(tmp_path, "a.png" if read is not audio_from_file else "a.mp3", b"x" * 10)
    assert read(path, max_bytes=10).data == b"x" * 10
    assert "is larger than 9 bytes" in refusal(read, path, max_bytes=9)
    with path.open("r+b") as file:
        file.truncate(20 * 1024 * 1024 + 1)
    assert "is larger than 20 MiB" in refusal(read, path)
    assert "is empty" in refusal(read, written(tmp_path, "b.png", b""))
    with pytest.raises(ValidationError, match="max_bytes"):
        read(path, max_bytes=0)


@each_reader
@pytest.mark.timeout(10)
def test_what_is_no_file_is_refused_at_once(read: Callable[..., Any], tmp_path: Path) -> None:
    """Folders, FIFOs that nobody writes to, sockets, devices without an end, paths that are none, and nothing."""
    os.mkfifo(tmp_path / "fifo.png")
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(str(tmp_path / "s"))
        assert "cannot be read" in refusal(read, tmp_path / "s")
    assert "is a folder" in refusal(read, tmp_path)
    assert "is no regular file" in refusal(read, tmp_path / "fifo.png")
    assert "is no regular file" in refusal(read, "/dev/zero")
    assert "is no path" in refusal(read, "a\0b")
    assert "No such file" in refusal(read, tmp_path / "missing")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    assert "cannot be read" in refusal(read, tmp_path / "loop")


def test_a_file_that_tells_no_size_is_read_all_the_same(tmp_path: Path) -> None:
    """Files of the kernel's say that they are empty, and are not."""
    assert document_from_file("/proc/self/status", media_type="text/plain").data
    (tmp_path / "link.txt").symlink_to(written(tmp_path, "a.txt", b"Hi"))
    assert document_from_file(tmp_path / "link.txt").data == b"Hi"


@pytest.mark.parametrize("name", ["a\nb.pdf", " a.pdf", os.fsdecode(b"\xff.pdf")])
def test_a_name_that_cannot_be_sent_is_left_out(name: str, tmp_path: Path) -> None:
    """The document goes without one."""
    assert document_from_file(written(tmp_path, name, b"%PDF-")).name is None

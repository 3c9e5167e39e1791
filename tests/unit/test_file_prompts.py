"""Prompt files are read from inside the base directory, and from nowhere else."""

import os
import resource
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dipeo.domain.errors import ConfigurationError, PromptRefusedError
from dipeo.domain.ports.prompts import PromptPort
from dipeo.domain.prompt import PromptFile
from dipeo.infrastructure.prompts.contained_file import open_below
from dipeo.infrastructure.prompts.file_prompts import FilePrompts

SECRET = "canary-outside-7f3a"
NOBODY = 65534
SWAPPING = """
import os
print("started", flush=True)
while True:
    os.rename("team", "kept")
    os.rename("link", "team")
    os.rename("team", "link")
    os.rename("kept", "team")
"""


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """A base directory with two prompts, beside a directory with a secret."""
    folder = tmp_path / "base"
    (folder / "team").mkdir(parents=True)
    (folder / "hello.md").write_text("Say hello.\n")
    (folder / "team" / "review.md").write_text("Review this.\n")
    for outside in (tmp_path / "outside", tmp_path / "base-evil"):
        outside.mkdir()
        (outside / "secret.md").write_text(SECRET)
        (outside / "review.md").write_text(SECRET)
    return folder


def refusal_of(prompts: FilePrompts, name: str) -> str:
    """What the refusal of this name says; fails when there is none."""
    with pytest.raises(PromptRefusedError) as refusal:
        prompts.load(name)
    assert refusal.value.field == "prompt_file"
    assert SECRET not in str(refusal.value)
    return str(refusal.value)


def outcome_of(prompts: FilePrompts, name: str) -> str:
    """What came of loading this name, in a word or with the words of the error or the file."""
    try:
        prompt = prompts.load(name)
    except PromptRefusedError as refusal:
        return f"refused: {refusal}"
    return "missing" if prompt is None else prompt.text


def test_prompts_are_read(base: Path) -> None:
    """A file at the top and one in a folder are found by their names below the base directory."""
    prompts = FilePrompts(base)
    assert isinstance(prompts, PromptPort)
    assert prompts.load("hello.md") == PromptFile(text="Say hello.")
    assert prompts.load("team/review.md") == PromptFile(text="Review this.")
    assert prompts.load("./team//review.md") == PromptFile(text="Review this.")


@pytest.mark.parametrize(
    "name", ["none.md", "none/none.md", "hello.md/none.md", "CON", "hello.md...", "~root", "é" * 9]
)
def test_missing_prompts_are_none(base: Path, name: str) -> None:
    """A name that could be a file's, but is not, gives None."""
    assert FilePrompts(base).load(name) is None


def test_front_matter_is_read(base: Path) -> None:
    """What the front matter says arrives; a mistake in it is refused by the prompt's name."""
    (base / "a.md").write_text("---\nmodel: gpt-5\n---\nHi.")
    (base / "b.md").write_text("---\nmodle: gpt-5\n---\nHi.")
    assert FilePrompts(base).load("a.md") == PromptFile(text="Hi.", model="gpt-5")
    assert "'b.md'" in refusal_of(FilePrompts(base), "b.md")


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "./",
        "..",
        "../outside/secret.md",
        "../base-evil/secret.md",
        "team/../hello.md",
        "team/../../outside/secret.md",
        "/etc/passwd",
        "//etc/passwd",
        "/proc/self/environ",
        "..\\outside\\secret.md",
        "team\\review.md",
        "C:/secret.md",
        "c:secret.md",
        "hello.md\0",
        "\0",
        "a" * 5_000,
        "a" * 256,
        "é" * 128,
        "a/" * 513,
        "lone\ud800surrogate",
    ],
)
def test_names_that_lead_elsewhere_are_refused(base: Path, name: str) -> None:
    """A name that could only lead outside, or that no file can have, is refused before anything is opened."""
    assert len(refusal_of(FilePrompts(base), name)) < 500


def test_refusals_do_not_tell_what_exists_outside(base: Path) -> None:
    """A link to something outside is refused in the same words whether it exists or not."""
    (base / "link.md").symlink_to("../outside/secret.md")
    there = refusal_of(FilePrompts(base), "link.md")
    (base / "link.md").unlink()
    (base / "link.md").symlink_to("../outside/no-such-file.md")
    assert refusal_of(FilePrompts(base), "link.md") == there


def test_absolute_names_inside_count(base: Path) -> None:
    """An absolute path into the base directory is taken, any other is not."""
    prompts = FilePrompts(base)
    assert prompts.load(str(base / "hello.md")) == PromptFile(text="Say hello.")
    assert prompts.load(str(base / "none.md")) is None
    refusal_of(prompts, str(base))
    refusal_of(prompts, str(base.parent / "base-evil" / "secret.md"))
    refusal_of(prompts, f"{base}/../outside/secret.md")


def test_absolute_names_count_by_both_paths_of_a_linked_base(base: Path) -> None:
    """Where the base directory is reached through a link, its real path is its own, too."""
    alias = base.parent / "alias"
    alias.symlink_to(base)
    prompts = FilePrompts(alias)
    assert (
        prompts.load(str(alias / "hello.md")) == prompts.load(str(base / "hello.md")) == PromptFile(text="Say hello.")
    )


@pytest.mark.parametrize(
    ("link", "target", "name"),
    [
        ("link.md", "../outside/secret.md", "link.md"),
        ("link.md", "../base-evil/secret.md", "link.md"),
        ("folder", "../outside", "folder/secret.md"),
        ("root", "/", "root/etc/passwd"),
        ("zero", "/dev/zero", "zero"),
        ("null", "/dev/null", "null"),
        ("environ", "/proc/self/environ", "environ"),
        ("up", "..", "up/outside/secret.md"),
    ],
)
def test_links_to_outside_are_refused(base: Path, link: str, target: str, name: str) -> None:
    """A symbolic link that leads outside is refused wherever it stands in the path."""
    (base / link).symlink_to(target)
    assert "leads outside the base directory" in refusal_of(FilePrompts(base), name)


def test_links_inside_are_followed(base: Path) -> None:
    """Links that stay inside work as in a mounted ConfigMap, through an update of it."""
    for version in ("..1", "..2"):
        (base / version).mkdir()
        (base / version / "greeting.md").write_text(f"Version {version}")
    (base / "..data").symlink_to("..1")
    (base / "greeting.md").symlink_to("..data/greeting.md")
    prompts = FilePrompts(base)
    assert prompts.load("greeting.md") == PromptFile(text="Version ..1")
    (base / "..data_tmp").symlink_to("..2")
    (base / "..data_tmp").rename(base / "..data")
    assert prompts.load("greeting.md") == PromptFile(text="Version ..2")
    shutil.rmtree(base / "..2")
    assert prompts.load("greeting.md") is None


def test_dangling_links(base: Path) -> None:
    """A link to nothing inside is missing, a link to nothing outside and a link in a circle are refused."""
    (base / "inside.md").symlink_to("none.md")
    (base / "outside.md").symlink_to("/no/such/file.md")
    (base / "circle.md").symlink_to("circle.md")
    prompts = FilePrompts(base)
    assert prompts.load("inside.md") is None
    refusal_of(prompts, "outside.md")
    refusal_of(prompts, "circle.md")


def test_links_are_never_followed_once_a_path_is_checked(base: Path) -> None:
    """Had a folder or the file been replaced by a link after the check, opening it fails."""
    (base / "folder").symlink_to("../outside")
    (base / "link.md").symlink_to("../outside/secret.md")
    for path in ("folder/secret.md", "link.md"):
        with pytest.raises(OSError, match=path.partition("/")[0]):
            open_below(str(base), path)


def test_a_link_swapped_in_after_caching_is_refused(base: Path) -> None:
    """A prompt that was fine before is looked at again once its folder leads elsewhere."""
    prompts = FilePrompts(base)
    prompts.load("team/review.md")
    (base / "team").rename(base / "gone")
    (base / "team").symlink_to("../outside")
    refusal_of(prompts, "team/review.md")


def test_swapping_a_folder_while_loading_never_leaks(base: Path) -> None:
    """However a folder and a link to outside change places, nothing from outside comes back."""
    (base / "link").symlink_to("../outside")
    # A process of its own, for a thread gets its turns too seldom to meet the moment between check and opening.
    with subprocess.Popen([sys.executable, "-S", "-c", SWAPPING], cwd=base, stdout=subprocess.PIPE) as swapper:
        try:
            assert swapper.stdout is not None
            swapper.stdout.readline()
            outcomes = {outcome_of(FilePrompts(base), "team/review.md") for _ in range(3_000)}
        finally:
            swapper.kill()
    assert SECRET not in "".join(outcomes)
    texts = {outcome for outcome in outcomes if not outcome.startswith("refused: ")}
    assert texts <= {"missing", "Review this."}
    assert "Review this." in texts


def test_only_regular_files_are_read(base: Path) -> None:
    """Folders, FIFOs and sockets are refused at once, without waiting for a writer."""
    os.mkfifo(base / "fifo")
    prompts = FilePrompts(base)
    assert "is no regular file" in refusal_of(prompts, "fifo")
    assert "is no regular file" in refusal_of(prompts, "team")
    with socket.socket(socket.AF_UNIX) as server:
        here = os.open(base, os.O_RDONLY)
        try:
            server.bind(f"/proc/self/fd/{here}/socket")
        finally:
            os.close(here)
    refusal_of(prompts, "socket")


def test_a_link_to_the_base_directory_is_no_file(base: Path) -> None:
    """A link that leads to the base directory itself is refused as a folder is."""
    (base / "self").symlink_to(".")
    assert "is no regular file" in refusal_of(FilePrompts(base), "self")


def test_size_is_limited(base: Path) -> None:
    """A file of just the limit is read, one byte more is refused."""
    (base / "fits.md").write_text("a" * 64)
    (base / "large.md").write_text("a" * 65)
    prompts = FilePrompts(base, max_bytes=64)
    assert prompts.load("fits.md") == PromptFile(text="a" * 64)
    assert "is larger than 64 bytes" in refusal_of(prompts, "large.md")


def test_huge_files_cost_no_memory(base: Path) -> None:
    """A sparse file of 1 GiB is refused without reading it."""
    with open(base / "sparse.md", "wb") as file:
        file.truncate(2**30)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert "is larger than 1,048,576 bytes" in refusal_of(FilePrompts(base), "sparse.md")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024


def test_files_that_tell_no_size_are_limited_too() -> None:
    """What was read counts where the file system gives every size as zero."""
    assert "is larger than 16 bytes" in refusal_of(FilePrompts("/proc/self", max_bytes=16), "status")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (SECRET.encode("utf-16"), "is UTF-16 or UTF-32"),
        (SECRET.encode("utf-16-le"), "holds NUL characters"),
        (b"\xfe\xff" + SECRET.encode("utf-16-be"), "is UTF-16 or UTF-32"),
        (SECRET.encode("utf-32"), "is UTF-16 or UTF-32"),
        (SECRET.encode() + b"\xff", "is not UTF-8 (byte 19)"),
        (SECRET.encode() + b"\0", "holds NUL characters"),
        (b"\xed\xa0\x80", "is not UTF-8"),
        (b"\x7fELF\x02\x01\x01\0\0", "holds NUL characters"),
        (b"", "is empty"),
        (b"\xef\xbb\xbf\n", "is empty"),
    ],
)
def test_only_utf8_text_is_read(base: Path, data: bytes, words: str) -> None:
    """Other encodings and binaries are refused without a word of their content, in the chain of causes either."""
    (base / "data.md").write_bytes(data)
    with pytest.raises(PromptRefusedError) as refusal:
        FilePrompts(base).load("data.md")
    assert words in str(refusal.value)
    assert SECRET not in repr(refusal.value)
    assert refusal.value.__context__ is None


def test_a_byte_order_mark_is_dropped(base: Path) -> None:
    """A mark in front of UTF-8 hides neither the text nor the front matter."""
    (base / "bom.md").write_bytes(b"\xef\xbb\xbf---\nname: Ada\n---\nGr\xc3\xbc\xc3\x9fe")
    assert FilePrompts(base).load("bom.md") == PromptFile(text="Grüße", name="Ada")


def test_changed_files_are_read_again(base: Path) -> None:
    """An unchanged file gives the same object, a rewritten, replaced or removed one does not."""
    prompts = FilePrompts(base)
    first = prompts.load("hello.md")
    assert prompts.load("hello.md") is first
    (base / "hello.md").write_text("Say good-bye.")
    assert prompts.load("hello.md") == PromptFile(text="Say good-bye.")
    (base / "new.md").write_text("Say nothing..")
    os.replace(base / "new.md", base / "hello.md")
    assert prompts.load("hello.md") == PromptFile(text="Say nothing..")
    (base / "hello.md").unlink()
    assert prompts.load("hello.md") is None
    assert "cached=0" in repr(prompts)


def test_the_cache_is_bounded(base: Path) -> None:
    """More than a thousand names do not stay in memory."""
    prompts = FilePrompts(base)
    for count in range(1_010):
        prompts.load(f"{'./' * (count % 500)}{'/' * (count // 500)}hello.md".lstrip("/") or "hello.md")
    for count in range(1, 600):
        prompts.load(f"team{'/' * count}review.md")
    assert repr(prompts) == f"FilePrompts({str(base)!r}, max_bytes=1048576, cached=1000)"


def test_threads_may_share_prompts(base: Path) -> None:
    """Loading from several threads, also beyond the cache's bound, gives everyone the right text."""
    prompts = FilePrompts(base)
    wrong: list[object] = []

    def load_all() -> None:
        for count in range(600):
            prompt = prompts.load(f"team{'/' * (1 + count)}review.md")
            if prompt != PromptFile(text="Review this."):
                wrong.append(prompt)

    threads = [threading.Thread(target=load_all) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_base_directory_need_not_exist(tmp_path: Path) -> None:
    """Without a base directory there are no prompts, until there is one."""
    prompts = FilePrompts(tmp_path / "later")
    assert prompts.load("hello.md") is None
    refusal_of(prompts, "../hello.md")
    (tmp_path / "later").mkdir()
    (tmp_path / "later" / "hello.md").write_text("Here.")
    assert prompts.load("hello.md") == PromptFile(text="Here.")


@pytest.mark.parametrize("ending", ["hello.md", "\0"])
def test_a_base_directory_must_be_a_directory(base: Path, ending: str) -> None:
    """A file, or no path at all, is refused as a base directory."""
    with pytest.raises(ConfigurationError) as problem:
        FilePrompts(f"{base}/{ending}")
    assert problem.value.field == "base_dir"


@pytest.fixture
def unprivileged() -> Iterator[Path]:
    """A directory outside the tests' own, seen by a user whom permissions bind."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    (folder / "closed.md").write_text(SECRET)
    (folder / "closed.md").chmod(0)
    (folder / "folder").mkdir()
    (folder / "folder" / "secret.md").write_text(SECRET)
    (folder / "folder").chmod(0)
    is_root = os.geteuid() == 0
    if is_root:
        os.seteuid(NOBODY)
    try:
        yield folder
    finally:
        if is_root:
            os.seteuid(0)
        (folder / "folder").chmod(0o700)
        shutil.rmtree(folder)


@pytest.mark.parametrize("name", ["closed.md", "folder/secret.md"])
def test_files_without_permission_are_refused(unprivileged: Path, name: str) -> None:
    """A file or folder that may not be read is refused, not taken for missing."""
    assert "permission is denied" in refusal_of(FilePrompts(unprivileged), name)


PARTS = st.one_of(
    st.sampled_from(["hello.md", "team", "review.md", "link", "root", "outside", "secret.md", "base-evil", "etc"]),
    st.sampled_from(["proc", "self", "~", ".", "..", "..;", "/", "\\", "C:"]),
    st.sampled_from(["", "\0", "%2e%2e", "%2f", "\u2025", "\uff0e\uff0e", "\u2215", "\udc2e\udc2e", "\ud800"]),
    st.text(max_size=8),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=300)
@given(st.lists(PARTS, max_size=8), st.sampled_from(["/", "", "//", "\\"]), st.sampled_from(["", "base"]))
def test_no_name_leads_outside(base: Path, parts: list[str], separator: str, start: str) -> None:
    """Whatever the name, the outcome is a prompt from inside, None or a refusal."""
    for link, target in {"link": "../outside", "root": "/", "..;": "../outside/secret.md"}.items():
        if not (base / link).is_symlink():
            (base / link).symlink_to(target)
    name = separator.join(parts)
    outcome = outcome_of(FilePrompts(base), f"{base}/{name}" if start else name)
    assert SECRET not in outcome
    assert outcome.startswith("refused: ") or outcome in {"missing", "Say hello.", "Review this."}

"""The site is built without the network, and read without it."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.page import DOCS, ROOT

_LOADED = re.compile(r"<(?:script|link|img|iframe|source)\b[^>]*?\b(?:src|href)=[\"']?(https?:)?//[^\"'> ]+")
_WANTED_FROM_ELSEWHERE = re.compile(r'class="(?:mermaid|glightbox|pyodide)')


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site as `make docs` builds it, from a copy; whatever asks for the network through a proxy is sent nowhere."""
    folder = tmp_path_factory.mktemp("site")
    shutil.copytree(DOCS, folder / "docs")
    shutil.copy(ROOT / "zensical.toml", folder)
    nowhere = dict.fromkeys(("http_proxy", "https_proxy", "all_proxy"), "http://127.0.0.1:9")
    command = next(line for line in (ROOT / "Makefile").read_text(encoding="utf-8").splitlines() if "zensical" in line)
    words = command.split()[1:]
    done = subprocess.run(
        [str(Path(sys.executable).with_name("zensical")), *words],
        cwd=folder,
        env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", **nowhere},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "site"


def test_every_page_is_built(site: Path) -> None:
    """Each page of the documentation is a page of the site, and can be found by searching."""
    expected = {path.relative_to(DOCS).with_suffix(".html") for path in DOCS.rglob("*.md")}
    assert expected <= {path.relative_to(site) for path in site.rglob("*.html")}
    index = (site / "search.json").read_text(encoding="utf-8")
    assert all(path.as_posix() in index for path in expected if path.name != "index.html")


def test_no_page_loads_anything_from_elsewhere(site: Path) -> None:
    """No script, style, font or picture comes from another host, and no page has what would make the theme load one."""
    for page in site.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        elsewhere = [match.group(0) for match in _LOADED.finditer(text) if 'rel="canonical"' not in match.group(0)]
        assert elsewhere == [], page
        assert not _WANTED_FROM_ELSEWHERE.search(text), page
    for sheet in site.rglob("*.css"):
        assert not re.search(r"(?:@import|url\()\s*[\"']?(?:https?:)?//", sheet.read_text(encoding="utf-8")), sheet

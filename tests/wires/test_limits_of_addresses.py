"""Where a key may travel in the clear: on this machine, by its very name, and nowhere else."""

import pytest

from dipeo.domain.errors import ConfigurationError
from dipeo.infrastructure.llm.drivers.endpoint import check_base_url

LOOPBACK = (
    "127.0.0.1", "127.0.0.1.", "127.255.255.254", "localhost", "LOCALHOST", "localhost.", "llm.localhost", "[::1]",
    "[0:0:0:0:0:0:0:1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]",
)  # fmt: skip
ELSEWHERE = (
    "127.1", "2130706433", "0x7f000001", "0x7f.0.0.1", "0177.0.0.1", "017700000001", "127.0.0.01", "0.0.0.0", "0",
    "[::]", "[::ffff:0.0.0.0]", "[::127.0.0.1]", "[64:ff9b::7f00:1]", "[fe80::1]", "169.254.169.254", "10.0.0.1",
    "localhost.localdomain", "localhost.example.com", "ip6-localhost", "127.0.0.1.nip.io", "notlocalhost",
    "\u24dbocalhost", "\uff11\uff12\uff17.0.0.1", "127\u30020\u30020\u30021",
)  # fmt: skip
"""Other spellings of this machine's address are among them: who reads them differs from resolver to resolver."""


@pytest.mark.parametrize("host", LOOPBACK)
def test_this_machine_by_its_very_name_may_be_plain_http(host: str) -> None:
    """A local server needs no TLS, with a key or without."""
    assert check_base_url(f"http://{host}:8080/v1", field="base_url", has_key=True)


@pytest.mark.parametrize("host", ELSEWHERE)
def test_any_other_host_is_refused_a_key_in_the_clear(host: str) -> None:
    """Whatever it looks like; without a key there is nothing to protect, and with https nothing to fear."""
    with pytest.raises(ConfigurationError):
        check_base_url(f"http://{host}:8080/v1", field="base_url", has_key=True)

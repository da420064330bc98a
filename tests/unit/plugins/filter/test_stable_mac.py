# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter stable_mac: its addresses are in inventories and switches, so not one of them may ever change."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.errors import AnsibleFilterError

from ansible_collections.patchbay.netdev.plugins.filter.stable_mac import FilterModule, stable_mac

SIDECAR = Path(__file__).parents[4] / "plugins" / "filter" / "stable_mac.yml"


# The digests were taken with sha256sum: printf 'patchbay.netdev\0\0web1\0mv0' | sha256sum
@pytest.mark.parametrize(
    ("arguments", "digest", "address"),
    [
        ({"host": "web1", "link": "mv0"}, "c8b24d4d82f4", "c2:b2:4d:4d:82:f4"),
        ({"host": "desk1", "link": "voice0"}, "f6015647f8fd", "f2:01:56:47:f8:fd"),
        ({"host": "desk1", "link": "voice0", "oui": "00:04:f2"}, "f6015647f8fd", "00:04:f2:47:f8:fd"),
        ({"host": "web1", "link": "mv0", "secret": "s3cret"}, "af1b4eac969f", "a2:1b:4e:ac:96:9f"),
        ({"host": "wëb1", "link": "mv0"}, "4f17c19dbdb0", "42:17:c1:9d:bd:b0"),
    ],
)
def test_literal(arguments: dict[str, str], digest: str, address: str) -> None:
    """What it returns, and the digest that this comes from."""
    assert stable_mac(**arguments) == address
    start = arguments.get("oui", "").replace("-", ":").lower()
    octets = [int(digest[place : place + 2], 16) for place in range(0, 12, 2)]
    if not start:
        octets[0] = octets[0] & 0xF0 | 0x02
    expected = ":".join(f"{octet:02x}" for octet in octets)
    assert address[len(start) :] == expected[len(start) :]


@pytest.mark.parametrize(
    ("host", "derived", "address"),
    [
        ("host421", "52:54:6f:81:a3:c0", "52:ab:6f:81:a3:c0"),
        ("host643", "02:42:12:b9:a8:19", "02:bd:12:b9:a8:19"),
    ],
)
def test_prefixes_of_others_are_left_to_them(host: str, derived: str, address: str) -> None:
    """02:42 is Docker's, 52:54 QEMU's: the second octet is inverted."""
    assert stable_mac(host, "mv0") == address
    assert derived[:5] in ("02:42", "52:54")
    assert address == f"{derived[:3]}{int(derived[3:5], 16) ^ 0xFF:02x}{derived[5:]}"


def test_unicast_and_locally_administered() -> None:
    """In the quadrant for own use, whatever the digest."""
    for number in range(1000):
        address = stable_mac(f"host{number}", "mv0")
        assert re.fullmatch("[0-9a-f]2(:[0-9a-f]{2}){5}", address)
        assert address[:5] not in ("02:42", "52:54")


def test_no_collision() -> None:
    """Of 100,000 links: 44 bits are derived."""
    assert len({stable_mac(f"host{number}", f"mv{link}") for number in range(10000) for link in range(10)}) == 100000


@pytest.mark.parametrize("oui", ["00:04:f2", "00-04-F2", "00", "00:04:f2:00:00"])
def test_oui_is_kept(oui: str) -> None:
    """One to five octets, in either notation; the rest is that of the digest."""
    start = oui.lower().replace("-", ":")
    address = stable_mac("web1", "mv0", oui=oui)
    assert address.startswith(start + ":")
    assert address[len(start) :] == stable_mac("web1", "mv0")[len(start) :]
    assert re.fullmatch("[0-9a-f]{2}(:[0-9a-f]{2}){5}", address)


def test_everything_counts() -> None:
    """Another host, another link, another secret, and where one ends and the other begins."""
    found = [
        stable_mac("web1", "mv0"),
        stable_mac("web2", "mv0"),
        stable_mac("web1", "mv1"),
        stable_mac("web1", "mv0", secret="x"),
        stable_mac("web1", "mv0", secret="y"),
        stable_mac("web1m", "v0"),
        stable_mac("mv0", "web1"),
    ]
    assert len(set(found)) == len(found)
    assert stable_mac("web1", "mv0", secret="", oui=None) == stable_mac("web1", "mv0") == found[0]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("", "mv0"), "stable_mac: host must be a non-empty string"),
        ((None, "mv0"), "stable_mac: host must be a non-empty string"),
        (("web1", ""), "stable_mac: link must be a non-empty string"),
        (("web1", 5), "stable_mac: link must be a non-empty string"),
        (("web1", "mv0", None, 5), "stable_mac: secret must be a string"),
        *(
            (("web1", "mv0", oui), f"stable_mac: oui {oui!r} is not one to five octets such as '00:04:f2' (quote it)")
            for oui in ("0004f2", "00:04:f", "00:04:f2:", "00:04:f2:00:00:00", "xx", 242, "00:04-zz", "00:04:f2\n")
        ),
        *(
            (
                ("web1", "mv0", oui),
                f"stable_mac: oui {oui} results in multicast addresses (the lowest bit of its first octet is set). "
                "Set a unicast OUI",
            )
            for oui in ("01:00:5e", "ff")
        ),
    ],
)
def test_bad_input(arguments: tuple[Any, ...], sentence: str) -> None:
    """The whole sentence."""
    with pytest.raises(AnsibleFilterError) as caught:
        stable_mac(*arguments)
    assert caught.value.message == sentence


def test_filter_plugin() -> None:
    """The name under which Ansible finds it, which is that of the documentation."""
    assert FilterModule().filters() == {"stable_mac": stable_mac}
    documentation = yaml.safe_load(SIDECAR.read_text(encoding="utf-8"))["DOCUMENTATION"]
    assert documentation["name"] == "stable_mac"
    assert [option for option in documentation["options"] if option != "_input"] == documentation["positional"].split(", ")


def test_samples_of_the_documentation() -> None:
    """Every `# =>` is what the filter returns for the expression before it."""
    examples = yaml.safe_load(SIDECAR.read_text(encoding="utf-8"))["EXAMPLES"]
    samples = re.findall(r"'(\w+)' \| patchbay\.netdev\.stable_mac\('(\w+)', oui='([0-9a-f:]+)'\)[^#]*# => (\S+)", examples)
    assert len(samples) == examples.count("# =>") > 0
    for host, link, oui, address in samples:
        assert stable_mac(host, link, oui=oui) == address

# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Link-local addresses: those of a user are static addresses, and those that the kernel generates are not managed."""

from __future__ import annotations

import json
import socket
from typing import Any

import pytest

from ansible_collections.patchbay.netdev.tests.integration.host import Host, bring_up
from ansible_collections.patchbay.netdev.tests.integration.ladder import climb, stay

KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "macvlan": ("macvlan", {"name": "mv0", "lower_device": "eth0", "mode": "bridge"}),
    "macvtap": ("macvtap", {"name": "mt0", "lower_device": "eth0", "mode": "bridge"}),
    "bridge": ("bridge", {"name": "br0"}),
    "veth": ("veth", {"name": "v0", "peer": {"name": "v1"}}),
    "physical": ("link", {"name": "eth1"}),
}


def link_local(host: Host, name: str) -> tuple[list[str], int]:
    """Return the link-local addresses that a user has set, and the number of those that the kernel generated."""
    (shown,) = json.loads(host.ip("-j", "address", "show", "dev", name))
    mac = bytearray.fromhex(shown["address"].replace(":", ""))
    mac[0] ^= 0x02  # RFC 4291, appendix A
    generated = socket.inet_ntop(socket.AF_INET6, bytes.fromhex("fe80") + bytes(6) + mac[:3] + b"\xff\xfe" + mac[3:])
    found = [item for item in shown["addr_info"] if item["family"] == "inet6" and item["scope"] == "link"]
    others = sorted(f"{item['local']}/{item['prefixlen']}" for item in found if item["local"] != generated)
    return others, len(found) - len(others)


@pytest.mark.parametrize("kind", KINDS)
def test_set_changed_and_removed(host: Host, nodes: None, kind: str) -> None:
    """An address is added, changed and removed like any other, beside that of the kernel."""
    module, options = KINDS[kind]
    name = options["name"]
    if kind == "physical":
        bring_up(name, host.netns)
    done = climb(host, module, **options, addresses=["fe80::1/64", "2001:db8::1/64"])
    assert [item["ip"] for item in done["link"]["addresses"]] == ["2001:db8::1/64", "fe80::1/64"]
    generated = 1 if kind == "physical" else 0
    assert link_local(host, name) == (["fe80::1/64"], generated)
    climb(host, module, **options, addresses=["fe80::2/128"])
    assert link_local(host, name) == (["fe80::2/128"], generated)
    climb(host, module, **options, addresses=[])
    assert link_local(host, name) == ([], generated)
    stay(host, module, **options)


def test_without_that_of_the_kernel(host: Host) -> None:
    """With address_generation_mode none it is the only one."""
    options = {"name": "mv0", "lower_device": "eth0", "mode": "bridge", "address_generation_mode": "none", "admin_state": "up"}
    climb(host, "macvlan", **options, addresses=["fe80::1:1/128"])
    assert link_local(host, "mv0") == (["fe80::1:1/128"], 0)
    climb(host, "macvlan", **options, addresses=["fe80::1:2/128"])
    assert link_local(host, "mv0") == (["fe80::1:2/128"], 0)
    climb(host, "macvlan", **options, addresses=[])
    assert link_local(host, "mv0") == ([], 0)


def test_of_the_mac_address(host: Host) -> None:
    """An address with the form of a generated one is static if a user has set it."""
    options = {"name": "br0", "address_generation_mode": "none", "address": "02:00:00:00:00:09", "admin_state": "up"}
    climb(host, "bridge", **options, addresses=["fe80::ff:fe00:9/64"])
    assert link_local(host, "br0") == ([], 1)
    climb(host, "bridge", **options, addresses=[])
    assert link_local(host, "br0") == ([], 0)


def with_addresses(host: Host) -> None:
    """Create mv0 with a link-local address of a user."""
    host.ip("link", "add", "link", "eth0", "name", "mv0", "type", "macvlan", "mode", "bridge")
    bring_up("mv0", host.netns)
    host.ip("address", "add", "fe80::1/64", "dev", "mv0", "nodad")
    host.ip("address", "add", "2001:db8::1/64", "dev", "mv0", "nodad")


def test_recreated(host: Host) -> None:
    """A link that is created again keeps the address, and the kernel generates its own anew."""
    with_addresses(host)
    climb(host, "macvlan", name="mv0", lower_device="eth0", mode="passthru", recreate="when_required")
    bring_up("mv0", host.netns)
    assert link_local(host, "mv0") == (["fe80::1/64"], 1)


def test_rolled_back(host: Host) -> None:
    """A roll back restores the address of a link that was created again."""
    with_addresses(host)
    failed = host.run(
        "topology",
        macvlan=[{"name": "mv0", "lower_device": "eth0", "mode": "passthru", "recreate": "when_required"}],
        link=[{"name": "eth1", "address_generation_mode": "stable_secret"}],  # without a secret the kernel refuses that
    )
    assert "All changes were rolled back" in failed["msg"], failed
    bring_up("mv0", host.netns)
    assert link_local(host, "mv0") == (["fe80::1/64"], 1)

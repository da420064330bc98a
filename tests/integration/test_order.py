# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The order of the entries of a task does not matter: each link is changed after those that hold what it is to have."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ansible_collections.patchbay.netdev.tests.integration.host import Host, ip
from ansible_collections.patchbay.netdev.tests.integration.ladder import stay, warnings

A, B, C = "02:00:00:00:00:50", "02:00:00:00:00:51", "02:00:00:00:00:52"


@pytest.fixture
def pair(host: Host) -> Host:
    """A host with two macvlans that are up."""
    for name, address in (("mv0", A), ("mv1", B)):
        host.ip("link", "add", "link", "eth0", "name", name, "address", address, "type", "macvlan", "mode", "bridge")
        host.ip("link", "set", name, "up")
    return host


def apply(host: Host, **task: Any) -> dict[str, Any]:
    """Run a task in check mode, really, and twice more; the last two have nothing to change."""
    checked = host.run("topology", check=True, **task)
    done = host.apply("topology", **task)
    assert checked["operations"] == done["operations"]
    stay(host, "topology", **task)
    return done


def mac_addresses(host: Host) -> dict[str, str]:
    """Return the MAC addresses of the macvlans."""
    return {name: host.link(name)["address"] for name in ("mv0", "mv1")}


@pytest.mark.parametrize("turned", [False, True])
def test_address_is_handed_over(pair: Host, turned: bool) -> None:
    """A link gets the MAC address that another one gives up in the same task."""
    entries = [{"name": "mv0", "address": B}, {"name": "mv1", "address": C}]
    apply(pair, macvlan=entries[::-1] if turned else entries)
    assert mac_addresses(pair) == {"mv0": B, "mv1": C}


@pytest.mark.parametrize("turned", [False, True])
def test_addresses_are_exchanged(pair: Host, turned: bool) -> None:
    """One of two links gets a temporary MAC address."""
    entries = [{"name": "mv0", "lower_device": "eth0", "address": B}, {"name": "mv1", "lower_device": "eth0", "address": A}]
    apply(pair, macvlan=entries[::-1] if turned else entries)
    assert mac_addresses(pair) == {"mv0": B, "mv1": A}


def test_exchange_is_rolled_back(pair: Host) -> None:
    """If a later operation fails, each link has its own MAC address again."""
    failed = pair.run(
        "topology",
        macvlan=[{"name": "mv0", "address": B}, {"name": "mv1", "address": A}],
        link=[{"name": "eth1", "address_generation_mode": "stable_secret"}],  # without a secret the kernel refuses that
    )
    assert failed["not_undone"] == [], failed
    assert mac_addresses(pair) == {"mv0": A, "mv1": B}


def test_address_of_a_new_link(pair: Host) -> None:
    """A new link gets the MAC address that an existing one gives up."""
    apply(
        pair, macvlan=[{"name": "new0", "lower_device": "eth0", "address": B, "admin_state": "up"}, {"name": "mv1", "address": C}]
    )
    assert pair.link("new0")["address"] == B


def test_exclusive_use(pair: Host) -> None:
    """A link in mode passthru is created after the others have left its lower device, in whichever namespace they are."""
    apply(
        pair,
        macvlan=[
            {"name": "pt0", "lower_device": "eth0", "mode": "passthru"},
            {"name": "mv0", "lower_device": "eth1", "recreate": "when_required"},
            {"name": "mv1", "state": "absent"},
        ],
    )
    assert pair.kind_data("pt0")["mode"] == "passthru"
    assert pair.link("mv0")["link"] == "eth1"


def test_namespace_gives_a_device_up(host: Host) -> None:
    """A link takes over the lower device of a link in a namespace that the same task deletes."""
    ip("netns", "add", "room")
    host.ip("link", "add", "link", "eth1", "name", "mv1", "netns", "room", "type", "macvlan", "mode", "bridge")
    done = apply(
        host, netns=[{"name": "room", "state": "absent"}], macvlan=[{"name": "pt1", "lower_device": "eth1", "mode": "passthru"}]
    )
    assert done["operations"] == [
        "delete mv1 in netns room",
        "create pt1: macvlan on eth1, mode passthru",
        "delete netns room",
    ]
    assert host.kind_data("pt1")["mode"] == "passthru"


def test_ip_address_moves_to_an_earlier_entry(host: Host) -> None:
    """No warning says that both links have it, for in the end one has."""
    host.ip("address", "add", "198.51.100.7/24", "dev", "eth1")
    done = apply(host, link=[{"name": "eth0", "addresses": ["198.51.100.7/24"]}, {"name": "eth1", "addresses": []}])
    assert warnings(done) == []
    shown = json.loads(host.ip("-4", "-j", "address", "show", "to", "198.51.100.7"))
    assert [link["ifname"] for link in shown if link] == ["eth0"]

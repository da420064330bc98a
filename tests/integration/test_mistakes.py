# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Mistakes that are easily made: what is clear is accepted, and the error for the rest says what to write."""

from __future__ import annotations

import os
from typing import Any

import pytest

from ansible_collections.patchbay.netdev.tests.integration.host import Host, enter, run_in_child
from ansible_collections.patchbay.netdev.tests.integration.ladder import climb, stay, warnings

MISTAKES: dict[str, tuple[str, dict[str, Any], str]] = {
    "state of a link": (
        "macvlan",
        {"name": "mv0", "lower_device": "eth0", "state": "up"},
        "To set the link up, write admin_state: up",
    ),
    "state of a link, in a list": (
        "topology",
        {"bridge": [{"name": "br0", "state": "down"}]},
        "To set the link down, write admin_state: down",
    ),
    "route instead of routes": ("topology", {"route": [{"destination": "default"}]}, "The list is named routes"),
    "IP address as MAC address": (
        "macvlan",
        {"name": "mv0", "lower_device": "eth0", "address": "192.0.2.7/24"},
        "'192.0.2.7/24' is not a MAC address such as 00:16:3e:11:11:01. For an IP address, set addresses",
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistake(host: Host, name: str) -> None:
    """The error ends with what to write."""
    module, params, advice = MISTAKES[name]
    failed = host.run(module, **params)
    assert failed["failed"]
    assert failed["msg"].endswith(advice), failed["msg"]


def test_short_form_of_a_peer(host: Host) -> None:
    """A peer that is only a name."""
    climb(host, "veth", name="v0", peer="v1")
    assert host.link("v0")["link"] == "v1"
    wanted = {"veth": [{"name": "v2", "peer": "v3", "netns": None}]}
    host.apply("topology", **wanted)
    stay(host, "topology", **wanted)
    assert host.link("v2")["link"] == "v3"


def test_short_form_of_dhcp4(host: Host) -> None:
    """A link without a DHCP client is as desired with `dhcp4: false`."""
    host.apply("link", name="eth1", dhcp4=False)
    failed = host.run("link", name="eth1", dhcp4="maybe")
    assert "maybe" in failed["msg"]


def as_nobody(netns: str) -> None:
    """Enter the namespace as a user without privileges."""
    enter(netns)
    os.setgid(65534)
    os.setuid(65534)


@pytest.mark.parametrize("module", ["link", "topology"])
def test_without_privileges(host: Host, module: str) -> None:
    """Check mode warns that the real run will fail, and that says what to do."""
    params: dict[str, Any] = {"name": "eth1", "mtu": 1400}
    params = {"link": [params]} if module == "topology" else params
    checked = run_in_child(lambda: as_nobody(host.netns), module, {**params, "_ansible_check_mode": True}, check=False)
    assert checked["changed"], checked
    sentence = "A real run would fail, because this user may not change links. Set become: true, or run the task as root"
    assert warnings(checked)[0] == sentence
    failed = run_in_child(lambda: as_nobody(host.netns), module, params, check=False)
    assert failed["msg"].endswith("Set become: true, or run the task as root"), failed
    assert "Operation not permitted" in failed["msg"]

# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Alternative names: those of others are kept, and links are referred to by them."""

from __future__ import annotations

import json

from ansible_collections.patchbay.netdev.tests.integration.host import Host
from ansible_collections.patchbay.netdev.tests.integration.ladder import climb, stay


def test_kept(host: Host) -> None:
    """The names that udev gave a card are kept, unless the list is to be exact."""
    host.ip("link", "property", "add", "dev", "eth0", "altname", "enp3s0", "altname", "enx020000000001")
    climb(host, "link", name="eth0", altnames=["uplink0"])
    assert host.link("eth0")["altnames"] == ["enp3s0", "enx020000000001", "uplink0"]
    stay(host, "link", name="eth0", altnames=[])
    climb(host, "link", name="eth0", altnames=["uplink0"], altnames_exact=True)
    assert host.link("eth0")["altnames"] == ["uplink0"]
    climb(host, "link", name="eth0", altnames=[], altnames_exact=True)
    assert "altnames" not in host.link("eth0")


def test_kept_by_a_recreated_link(host: Host) -> None:
    """A link that is created again has the names of others and the new one."""
    host.ip("link", "add", "link", "eth0", "name", "mv0", "type", "macvlan", "mode", "bridge")
    host.ip("link", "property", "add", "dev", "mv0", "altname", "voice")
    climb(host, "macvlan", name="mv0", lower_device="eth1", altnames=["phone"], recreate="when_required")
    assert host.link("mv0")["altnames"] == ["phone", "voice"]


def test_references(host: Host) -> None:
    """An alternative name is accepted for a lower device, a bridge, a port, a controller, a link and the link of a route."""
    host.ip("link", "property", "add", "dev", "eth0", "altname", "uplink-of-the-rack")
    host.ip("link", "property", "add", "dev", "eth1", "altname", "second")
    climb(host, "macvlan", name="mv0", lower_device="uplink-of-the-rack", mode="bridge")
    assert host.link("mv0")["link"] == "eth0"
    climb(host, "bridge", name="br0", altnames=["lan"], admin_state="up")
    climb(host, "bridge_port", port="second", bridge="lan", hairpin=True)
    assert host.link("eth1")["master"] == "br0"
    climb(host, "bridge_hairpin", port="second", bridge="lan", hairpin=False)
    climb(host, "macvlan", name="mv1", lower_device="uplink-of-the-rack", mode="bridge", controller="lan")
    assert host.link("mv1")["master"] == "br0"
    done = climb(host, "link", name="uplink-of-the-rack", mtu=1400)
    assert (done["link"]["name"], host.link("eth0")["mtu"]) == ("eth0", 1400)
    climb(host, "route", destination="198.51.100.0/24", link="uplink-of-the-rack")
    (route,) = json.loads(host.ip("-j", "route", "show", "198.51.100.0/24"))
    assert route["dev"] == "eth0"
    climb(host, "bridge_port", port="second", state="absent")
    assert "master" not in host.link("eth1")


def test_given_in_the_same_task(host: Host) -> None:
    """A name that one entry gives a link is accepted in the others."""
    wanted = {
        "link": [{"name": "eth0", "altnames": ["uplink"]}],
        "macvlan": [{"name": "mv0", "lower_device": "uplink", "mode": "bridge"}],
    }
    host.apply("topology", **wanted)
    assert host.link("mv0")["link"] == "eth0"
    stay(host, "topology", **wanted)


def test_no_name_of_a_new_link(host: Host) -> None:
    """A link is neither created nor deleted by the alternative name of another one."""
    host.ip("link", "property", "add", "dev", "eth0", "altname", "uplink")
    failed = host.run("macvlan", name="uplink", lower_device="eth1")
    assert failed["msg"].startswith("uplink: the name is already an alternative name of eth0.")
    stay(host, "macvlan", name="uplink", state="absent")
    assert host.link("eth0")["altnames"] == ["uplink"]

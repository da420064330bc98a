# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A link that is recreated keeps its dependent objects, or a warning names those that it lost."""

from __future__ import annotations

import json
from typing import Any

from ansible_collections.patchbay.netdev.tests.integration.host import Host

MAC = "02:00:00:00:00:01"


def addresses(host: Host) -> list[str]:
    """Return the output of `ip address` for mv0 without addresses of the kernel."""
    found = json.loads(host.ip("-j", "address", "show", "dev", "mv0"))[0]["addr_info"]
    return sorted(
        f"{item['local']}/{item['prefixlen']} {item.get('label', '')}".strip() for item in found if item["scope"] != "link"
    )


def routes(host: Host, *words: str) -> list[dict[str, Any]]:
    """Return the routes through mv0 in all tables that the kernel did not create."""
    found = json.loads(host.ip(*words, "-j", "route", "show", "table", "all", "dev", "mv0"))
    return [
        {key: value for key, value in item.items() if key != "flags"}
        for item in found
        if item.get("protocol") not in ("kernel", "ra")
    ]


def furnished(host: Host, **options: Any) -> None:
    """Create mv0 with one object of each kind."""
    host.ip("link", "add", "br0", "type", "bridge")
    host.apply(
        "macvlan",
        name="mv0",
        lower_device="eth0",
        mode="bridge",
        address=MAC,
        alias="an alias",
        altnames=["another name"],
        controller="br0",
        mtu=1400,
        group="9",
        address_generation_mode="none",
        sysctls={"ipv4.arp_ignore": 1, "ipv6.accept_ra": 0},
        admin_state="up",
        **options,
    )
    host.ip("address", "add", "192.0.2.5/24", "dev", "mv0", "label", "mv0:web", "broadcast", "192.0.2.255")
    host.ip("address", "add", "192.0.2.6/24", "dev", "mv0", "valid_lft", "3600", "preferred_lft", "1800")
    host.ip("address", "add", "2001:db8::5/64", "dev", "mv0")
    host.ip("route", "add", "198.51.100.0/24", "via", "192.0.2.1", "dev", "mv0", "src", "192.0.2.5", "mtu", "1300")
    host.ip("route", "add", "default", "via", "192.0.2.1", "dev", "mv0", "table", "1000", "metric", "7")
    host.ip("-6", "route", "add", "2001:db8:1::/48", "via", "2001:db8::1", "dev", "mv0")
    host.ip("route", "add", "203.0.113.0/24", "proto", "kernel", "dev", "mv0")


def test_keeps_dependent_objects(host: Host) -> None:
    """After a change of the lower device everything is restored, as check mode predicts, except one named object."""
    furnished(host)
    host.ip(
        "route",
        "add",
        "198.51.100.128/25",
        "nexthop",
        "via",
        "192.0.2.1",
        "dev",
        "mv0",
        "nexthop",
        "via",
        "192.0.2.2",
        "dev",
        "mv0",
    )
    before = host.link("mv0"), addresses(host), routes(host), routes(host, "-6")
    told = host.run("macvlan", check=True, name="mv0", lower_device="eth1", recreate="when_required")
    done = host.apply("macvlan", name="mv0", lower_device="eth1", recreate="when_required")
    assert done["operations"] == told["operations"]
    assert done["operations"][0] == "delete mv0 (to be created again: lower_device eth0 -> eth1)"
    after = host.link("mv0")
    for name in ("address", "ifalias", "altnames", "master", "mtu", "group", "inet6_addr_gen_mode", "linkinfo"):
        assert after[name] == before[0][name], name
    assert after["link"] == "eth1"
    assert host.setting("ipv4/conf/mv0/arp_ignore") == "1"
    assert host.setting("ipv6/conf/mv0/accept_ra") == "0"
    assert addresses(host) == before[1]
    lifetime = [
        item
        for item in json.loads(host.ip("-j", "address", "show", "dev", "mv0"))[0]["addr_info"]
        if item["local"] == "192.0.2.6"
    ]
    assert 3000 < lifetime[0]["valid_life_time"] <= 3600
    plain = [route for route in before[2] if "nexthops" not in route and route["dst"] != "198.51.100.128/25"]
    assert [route for route in routes(host) if route["dst"] != "198.51.100.128/25"] == plain
    assert routes(host, "-6") == before[3]
    assert "mv0: recreated without the route to 198.51.100.128/25 (more than one next hop)" in str(done["warnings"])
    assert not host.apply("macvlan", name="mv0", lower_device="eth1")["changed"]


def test_into_passthru(host: Host) -> None:
    """The link gets the MAC address of the lower device. Everything else is restored."""
    furnished(host)
    done = host.apply("macvlan", name="mv0", mode="passthru", recreate="when_required")
    assert host.link("mv0")["address"] == host.link("eth0")["address"] != MAC
    assert host.link("mv0")["ifalias"] == "an alias"
    assert addresses(host)[0].startswith("192.0.2.5/24")
    assert done["link"]["mode"] == "passthru"


def test_smaller_lower_device(host: Host) -> None:
    """An MTU above that of the new lower device is not restored, with a warning."""
    furnished(host)
    host.ip("link", "set", "eth1", "mtu", "1300")
    done = host.apply("macvlan", name="mv0", lower_device="eth1", recreate="when_required")
    assert host.link("mv0")["mtu"] == 1300
    assert "recreated without mtu 1400 (the lower device eth1 has 1300)" in str(done["warnings"])


def test_below_the_mtu_of_ipv6(host: Host) -> None:
    """IPv6 is lost with a warning, IPv4 is restored."""
    furnished(host)
    done = host.apply("macvlan", name="mv0", mtu=1200, num_tx_queues=2, recreate="when_required")
    assert addresses(host) == ["192.0.2.5/24 mv0:web", "192.0.2.6/24 mv0"]
    assert "2001:db8::5/64 (an MTU of 1200 removes IPv6)" in str(done["warnings"])


def test_refused_with_links_on_it(host: Host) -> None:
    """No dependent link is deleted without permission, neither at deletion nor at recreation."""
    host.apply("macvlan", name="mv0", lower_device="eth0", mode="bridge")
    host.ip("link", "add", "vx0", "type", "vxlan", "id", "7", "dev", "mv0", "dstport", "4789", "remote", "192.0.2.99")
    result = host.run("macvlan", name="mv0", state="absent")
    assert result["msg"] == (
        "mv0: vx0 sits on it and would be deleted with it, so it is not deleted. Delete vx0 first, or in the same task"
    )
    result = host.run("macvlan", name="mv0", mode="passthru", recreate="when_required")
    assert "vx0 sits on it and would be deleted with it, so it is not recreated" in result["msg"]
    assert host.link("vx0")

# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role host_consolidation makes of its list: the lists of a topology, and sentences about what is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.errors import AnsibleFilterError

from ansible_collections.patchbay.netdev.plugins.filter import consolidation, consolidation_report

FILTERS = {**consolidation.FilterModule().filters(), **consolidation_report.FilterModule().filters()}
ROLE = Path(__file__).parents[4] / "roles/host_consolidation"
MAIL = {"host": "mail", "name": "old-mail", "lower_device": "eth0", "address": "00:16:3E:11:11:01"}
PRINT = {
    "host": "print",
    "name": "old-print",
    "lower_device": "eth0",
    "address": "00-16-3e-11-11-03",
    "addresses": ["192.0.2.103/24", "2001:db8::3/64"],
    "gateway": ["192.0.2.1", "fe80::1"],
}
ARP = {"ipv4.arp_ignore": 1}


def made(*hosts: Any, **more: Any) -> dict[str, Any]:
    """The topology of these."""
    found = FILTERS["consolidation"](list(hosts), **{"sysctls": ARP, **more})
    assert found["problems"] == []
    return found["topology"]  # type: ignore[no-any-return]


def wrong(*hosts: Any, **more: Any) -> list[str]:
    """What is wrong with these."""
    return FILTERS["consolidation"](list(hosts), **more)["problems"]  # type: ignore[no-any-return]


def test_lease() -> None:
    """The lease provides the address and the gateway, so only the table and the priority are set."""
    lists = made(MAIL)
    (link,) = lists["macvlan"]
    assert link["dhcp4"] == {"hostname": "mail", "wait": 30}
    assert link["source_routing"] == {"table": str(16777216 + 0x111101), "rule_priority": 2000}
    assert (link["mode"], link["addresses"], link["sysctls"]["ipv4.arp_ignore"]) == ("bridge", [], 1)
    assert {"host", "expected_address", "gateway"} & link.keys() == set()
    assert lists["routes"] == lists["rules"] == lists["netns"] == lists["vrf"] == []
    assert lists["link"] == [{"name": "eth0", "sysctls": ARP}]


def test_static() -> None:
    """Source routing with a gateway of each family and the further routes."""
    further = {"destination": "198.51.100.0/24", "gateway": "192.0.2.7"}
    lists = made({**PRINT, "table": 103, "priority": 1030, "routes": [further]})
    (link,) = lists["macvlan"]
    assert link["dhcp4"] == {"enabled": False}
    assert link["addresses"] == PRINT["addresses"]
    assert link["wait_dad"] == 30
    assert link["source_routing"] == {
        "table": "103",
        "rule_priority": 1030,
        "gateway": ["192.0.2.1", "fe80::1"],
        "routes": [further],
    }
    assert lists["routes"] == lists["rules"] == []


def test_lease_with_gateway() -> None:
    """The gateway of the entry overrides that of the lease, and options of dhcp4 those of the role."""
    lists = made({**MAIL, "gateway": "192.0.2.7", "table": 7, "dhcp4": {"client_id": "01:02", "hostname": ""}})
    assert lists["macvlan"][0]["source_routing"] == {"table": "7", "rule_priority": 2000, "gateway": ["192.0.2.7"]}
    client = lists["macvlan"][0]["dhcp4"]
    assert (client["client_id"], "hostname" in client) == ("01:02", False)


def test_announced_address() -> None:
    """The kernel adds the address, so its network and its rule are set explicitly."""
    lists = made({**MAIL, "expected_address": ["192.0.2.101", "2001:db8::216:3eff:fe11:1101"], "gateway": "fe80::1"})
    (link,) = lists["macvlan"]
    assert link["addresses"] == []
    assert link["source_routing"]["routes"] == [{"destination": "2001:db8::/64"}]
    assert link["source_routing"]["gateway"] == ["fe80::1"]
    assert lists["rules"] == [{"from": "2001:db8::216:3eff:fe11:1101", "table": "17895681", "priority": 2000}]


def test_namespaces() -> None:
    """Neither source routing nor ARP sysctls; the routers are those of the main table."""
    lists = made(MAIL, {**PRINT, "netns": "cellar", "name": "eth0"}, isolation="netns")
    assert lists["netns"] == [{"name": "mail", "state": "present"}, {"name": "cellar", "state": "present"}]
    assert lists["link"] == [
        {"name": name, "netns": netns, "admin_state": "up"} for name, netns in (("lo", "mail"), ("lo", "cellar"))
    ]
    assert lists["rules"] == lists["vrf"] == []
    assert (lists["macvlan"][0]["dhcp4"]["use_main_table"], lists["macvlan"][0]["dhcp4"]["use_routes"]) == (True, True)
    assert lists["macvlan"][0]["netns"] == "mail"
    assert "source_routing" not in lists["macvlan"][0]
    assert "ipv4.arp_ignore" not in lists["macvlan"][0]["sysctls"]
    assert "ipv6.accept_ra_defrtr" not in lists["macvlan"][0]["sysctls"]
    assert lists["macvlan"][1]["addresses"] == PRINT["addresses"]
    assert lists["routes"] == [
        {"netns": "cellar", "family": "ipv4", "destination": "default", "gateway": "192.0.2.1", "link": "eth0"},
        {"netns": "cellar", "family": "ipv6", "destination": "default", "gateway": "fe80::1", "link": "eth0"},
    ]


def test_vrf() -> None:
    """The VRF has the table of source routing, and the link is its port."""
    lists = made({**PRINT, "table": 103}, isolation="vrf")
    assert lists["vrf"] == [{"name": "vrf-old-print", "table": 103, "admin_state": "up"}]
    assert lists["macvlan"][0]["controller"] == "vrf-old-print"
    assert lists["macvlan"][0]["source_routing"]["table"] == "103"
    assert lists["rules"] == lists["routes"] == []


@pytest.mark.parametrize("isolation", ["routes", "vrf", "netns"])
def test_absent(isolation: str) -> None:
    """Everything by its name; the lower device as it was, once no old host is left on it."""
    some = made(MAIL, {**PRINT, "state": "absent"}, isolation=isolation)
    assert some["macvlan"][1]["state"] == "absent"
    assert isolation == "netns" or some["link"] == [{"name": "eth0", "sysctls": ARP}]
    none = made(MAIL, PRINT, isolation=isolation, state="absent", sysctls_afterwards={"ipv4.arp_ignore": 0})
    assert isolation == "netns" or none["link"] == [{"name": "eth0", "sysctls": {"ipv4.arp_ignore": 0}, "persist": "none"}]
    for entries in (none["macvlan"], none["routes"], none["rules"], none["netns"], none["vrf"]):
        assert {entry["state"] for entry in entries} <= {"absent"}
    assert {name: none[name] for name in ("routes", "rules")} == {"routes": [], "rules": []}
    announced = {**MAIL, "expected_address": "2001:db8::1"}
    (rule,) = made(announced, state="absent")["rules"]
    assert rule == {**made(announced)["rules"][0], "state": "absent"}


@pytest.mark.parametrize(
    ("hosts", "more", "sentence"),
    [
        (
            [{**MAIL, "address": 41135085296}],
            {},
            "[0] (old-mail): address: 41135085296 is a number, as YAML reads an unquoted 52:54:00:12:34:56. Quote it",
        ),
        (
            [{**MAIL, "address": "01:00:5e:00:00:01"}],
            {},
            "[0] (old-mail): address: 01:00:5e:00:00:01 is a multicast address (the lowest bit of its first octet is set). Set "
            "a unicast address",
        ),
        (
            [{**MAIL, "address": "00:16-3e.111101"}],
            {},
            "[0] (old-mail): address: '00:16-3e.111101' is not a MAC address such as 00:16:3e:11:11:01",
        ),
        (
            [{**PRINT, "expected_address": "192.0.2.7"}],
            {},
            "[0] (old-print): expected_address: the link has no DHCP client. Move the address to addresses",
        ),
        (
            [{**PRINT, "addresses": ["192.0.2.300/24"]}],
            {},
            "[0] (old-print): addresses: '192.0.2.300' is not an IP address",
        ),
        (
            [{**PRINT, "addresses": ["192.0.2.103", "2001:db8::3"]}],
            {},
            "[0] (old-print): addresses: '192.0.2.103' has no prefix length. Append one, as in 192.0.2.1/24",
        ),
        (
            [{**PRINT, "gateway": "198.51.100.1"}],
            {},
            "[0] (old-print): gateway: 198.51.100.1 is not in the network of the addresses (192.0.2.0/24). "
            "Correct one of them, or set the default route in routes, with onlink: true",
        ),
        (
            [{**PRINT, "gateway": "2001:db8:1::1"}],
            {},
            "[0] (old-print): gateway: 2001:db8:1::1 is not in the network of the addresses (2001:db8::/64). "
            "Correct one of them, or set the default route in routes, with onlink: true",
        ),
        (
            [{**MAIL, "name": "eth0"}],
            {},
            "[0] (eth0): name: the lower device has the same name. Set the name of the new link",
        ),
        (
            [MAIL, {**PRINT, "address": "0016.3e11.1101"}],
            {},
            "[1] (old-print): address 00:16:3e:11:11:01 is also that of host_consolidation_hosts[0] (old-mail). Correct one, or "
            "remove one with state: absent in an earlier run",
        ),
        (
            [{**MAIL, "gateway": ["192.0.2.1", "192.0.2.2"]}],
            {},
            "[0] (old-mail): gateway: 192.0.2.1 and 192.0.2.2 belong to the same family. Set one per family",
        ),
        (
            [{**MAIL, "gateway": "fe80::1"}],
            {},
            "[0] (old-mail): gateway: fe80::1 is set, but the link has no address of that family. Set addresses or "
            "expected_address",
        ),
        (
            [{**MAIL, "table": 254}],
            {},
            "[0] (old-mail): table: 254 is reserved by the kernel. Set another number, or omit table",
        ),
        (
            [{**MAIL, "source_routing": {}}],
            {},
            "[0] (old-mail): source_routing: the role sets this option. Set table, priority, gateway and routes instead",
        ),
        (
            [{**MAIL, "controller": "br0"}],
            {},
            "[0] (old-mail): controller: the link of an old host cannot be a bridge port. Omit controller",
        ),
        (
            [{**MAIL, "table": 7}, {**PRINT, "table": 7}],
            {},
            "[1] (old-print): table 7 is also that of host_consolidation_hosts[0] (old-mail). Set table to another number for "
            "one of them",
        ),
        ([MAIL, MAIL], {}, "[1] (old-mail): the name is listed twice. Set another name"),
        (
            [{**MAIL, "services": ["web"]}],
            {},
            "[0] (old-mail): services: requires host_consolidation_isolation=netns. Set it, or omit services",
        ),
        (
            [{**MAIL, "services": ["web"]}, {**PRINT, "services": ["web.service"]}],
            {"isolation": "netns"},
            "[1] (old-print): services: web.service is also listed for host_consolidation_hosts[0] (old-mail). A service runs "
            "for one old host: remove it from one of them",
        ),
        (
            [{**MAIL, "name": "old-mail-host"}],
            {"isolation": "vrf"},
            "[0] (old-mail-host): name: the VRF would be named vrf-old-mail-host, which exceeds 15 bytes. Use a name of at most "
            "11 bytes",
        ),
    ],
)
def test_problems(hosts: Any, more: Any, sentence: str) -> None:
    """A sentence for each, and no other."""
    assert wrong(*hosts, **more) == [f"host_consolidation_hosts{sentence}"]


def test_all_problems_at_once() -> None:
    """One run tells all of them."""
    assert len(wrong({**MAIL, "address": "?"}, {**PRINT, "table": 255})) == 2


def test_no_list() -> None:
    """Says what it got."""
    with pytest.raises(AnsibleFilterError, match="consolidation: "):
        FILTERS["consolidation"](["mail"])


def test_duplicates() -> None:
    """However they are written, on one new host or on two; entries that are to go do not count."""
    other = {**MAIL, "host": "web", "name": "old-web", "address": "0016.3e11.1101", "addresses": [{"ip": "192.0.2.103/25"}]}
    found = FILTERS["consolidation_duplicates"]({"one": [MAIL, PRINT], "two": [other, {**PRINT, "state": "absent"}]})
    assert found == [
        "MAC address 00:16:3e:11:11:01: assigned to mail (old-mail on one) and web (old-web on two)",
        "IP address 192.0.2.103: assigned to print (old-print on one) and web (old-web on two)",
    ]
    assert FILTERS["consolidation_duplicates"]({"one": [MAIL, PRINT], "two": []}) == []


def seen(name: str, *addresses: tuple[str, str, int | None, bool], netns: str | None = None) -> dict[str, Any]:
    """A link as link_info returns it."""
    keys = ("ip", "owner", "valid_seconds", "settled")
    return {"name": name, "netns": netns, "addresses": [dict(zip(keys, one)) for one in addresses]}


def report(host: Any, *links: Any) -> dict[str, Any]:
    """What is said of one old host."""
    return FILTERS["consolidation_report"](FILTERS["consolidation"]([host])["hosts"], list(links))  # type: ignore[no-any-return]


def test_report() -> None:
    """A line for each address; link-local ones are nobody's."""
    link = seen(
        "old-print",
        ("192.0.2.103/24", "static", None, True),
        ("2001:db8::3/64", "static", None, True),
        ("fe80::1/64", "kernel", None, True),
    )
    found = report(PRINT, link)
    assert (found["faults"], found["missing"]) == ([], 0)
    assert found["table"][1:] == [
        "print      old-print   00:16:3e:11:11:03   192.0.2.103   forever     -",
        "                                           2001:db8::3   forever     -",
    ]


def listener(protocol: str, port: int, process: str, **more: Any) -> dict[str, Any]:
    """One as listener_info returns it."""
    found = {"netns": None, "protocol": protocol, "families": ["ipv4"], "address": None, "port": port, "link": None}
    return {**found, "process": process, **more}


LISTENERS = [
    listener("tcp", 22, "sshd", families=["ipv4", "ipv6"]),
    listener("tcp", 25, "other", address="192.0.2.10"),
    listener("tcp", 80, "web", address="192.0.2.103"),
    listener("udp", 53, "names"),
    listener("udp", 69, "files", link="old-print"),
    listener("udp", 70, "vrf", link="vrf-old-print"),
    listener("udp", 123, None, families=["ipv6"], address="2001:db8::3"),
    listener("tcp", 99, "far", netns="print"),
]


@pytest.mark.parametrize(
    ("isolation", "netns", "four", "six"),
    [
        ("routes", None, "tcp 22 sshd, tcp 80 web, udp 53 names (!), udp 69 files", "tcp 22 sshd, udp 123"),
        ("vrf", None, "tcp 80 web, udp 69 files, udp 70 vrf", "udp 123"),
        ("netns", "print", "tcp 99 far", "-"),
    ],
)
def test_who_listens(isolation: str, netns: str | None, four: str, six: str) -> None:
    """On which address, and what would answer from another one is marked, with the way out."""
    short = FILTERS["consolidation"]([PRINT], isolation=isolation)["hosts"]
    link = seen("old-print", ("192.0.2.103/24", "static", None, True), ("2001:db8::3/64", "static", None, True), netns=netns)
    table = FILTERS["consolidation_report"](short, [link], LISTENERS, isolation)["table"]
    assert [line.rpartition("forever     ")[2] for line in table[1:3]] == [four, six]
    advice = [line for line in table[3:] if line]
    assert (advice[0].startswith("(!) udp 53 names: ") and len(advice) == 2) if isolation == "routes" else not advice


@pytest.mark.parametrize(
    ("host", "links", "sentence"),
    [
        (MAIL, [], "old-mail: the link does not exist. Run the role again"),
        (
            {**MAIL, "expected_address": "192.0.2.101"},
            [seen("old-mail", ("192.0.2.150/24", "dhcp", 600, True))],
            "old-mail (mail): the DHCP server leased 192.0.2.150 instead of 192.0.2.101. Reserve 192.0.2.101 for "
            "00:16:3e:11:11:01 on the server, then run the role once with state: absent for this entry (the client keeps its "
            "lease) and once more with state: present. Or set dhcp4.client_id to the client identifier of the old host",
        ),
        (
            {**MAIL, "expected_address": "2001:db8::1"},
            [seen("old-mail")],
            "old-mail (mail): 2001:db8::1 was not generated from a router advertisement: either no router announced the network, "
            "or the MAC address 00:16:3e:11:11:01 results in another address. Set it in addresses",
        ),
        (
            {**MAIL, "expected_address": "2001:db8::1"},
            [seen("old-mail", ("2001:db8::1/64", "ra", 600, False))],
            "old-mail (mail): duplicate address detection found 2001:db8::1 on another host. Switch the old host off, then run "
            "the role again",
        ),
    ],
)
def test_faults(host: Any, links: Any, sentence: str) -> None:
    """What is not there, and what to do about it."""
    assert report(host, *links)["faults"] == [sentence]


def test_no_option_is_lost() -> None:
    """Every option of an entry that the role documents either reaches the macvlan or is the role's own."""
    arguments = yaml.safe_load((ROLE / "meta/argument_specs.yml").read_text())["argument_specs"]["main"]["options"]
    options = arguments["host_consolidation_hosts"]["options"]
    own = {"host", "expected_address", "gateway", "table", "priority", "routes", "services", "netns", "dhcp4"}
    written = {name: options[name].get("default", 1) for name in options.keys() - own - {"state", "addresses", "sysctls"}}
    (link,) = made({**MAIL, **written, **{name: MAIL[name] for name in written.keys() & MAIL.keys()}, "priority": 9})["macvlan"]
    assert written.keys() - {"name"} <= link.keys()


def test_defaults_are_documented() -> None:
    """What the documentation of the role calls a default is the one that holds, and the README names every variable."""
    arguments = yaml.safe_load((ROLE / "meta/argument_specs.yml").read_text())["argument_specs"]["main"]["options"]
    defaults = yaml.safe_load((ROLE / "defaults/main.yml").read_text())
    assert arguments.keys() == defaults.keys()
    assert {name: one["default"] for name, one in arguments.items() if "default" in one} == {
        name: value for name, value in defaults.items() if name != "host_consolidation_compared_with"
    }
    readme = (ROLE / "README.md").read_text()
    assert [name for name in arguments if f"`{name}`" not in readme] == []

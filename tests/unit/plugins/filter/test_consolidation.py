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

from ansible_collections.patchbay.netdev.plugins.filter.consolidation import FilterModule

FILTERS = FilterModule().filters()
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
LAST = 4278198272


def made(*hosts: Any, **more: Any) -> dict[str, Any]:
    """The topology of these."""
    found = FILTERS["consolidation"](list(hosts), **{"sysctls": ARP, **more})
    assert found["problems"] == []
    return found["topology"]  # type: ignore[no-any-return]


def wrong(*hosts: Any, **more: Any) -> list[str]:
    """What is wrong with these."""
    return FILTERS["consolidation"](list(hosts), **more)["problems"]  # type: ignore[no-any-return]


def test_lease() -> None:
    """All that is known beforehand: the client brings the address, its routes and its rule."""
    lists = made(MAIL)
    (link,) = lists["macvlan"]
    assert link["dhcp4"] == {
        "hostname": "mail",
        "use_routes": True,
        "wait": 30,
        "table": str(16777216 + 0x111101),
        "rule_priority": 2000 + 4 * (0x111101 % 7000) + 1,
    }
    assert (link["mode"], link["addresses"], link["sysctls"]["ipv4.arp_ignore"]) == ("bridge", [], 1)
    assert {"host", "expected_address", "gateway"} & link.keys() == set()
    assert lists["routes"] == []
    (rule,) = lists["rules"]
    assert rule == {"family": "ipv4", "table": "17895681", "oif": "old-mail", "priority": 23860}
    assert lists["link"] == [{"name": "eth0", "sysctls": ARP}]
    assert lists["netns"] == lists["vrf"] == []


def test_static() -> None:
    """A table of both families with its networks, its ways out and its end; nothing in the main table."""
    lists = made(
        {**PRINT, "table": 103, "priority": 1030, "routes": [{"destination": "198.51.100.0/24", "gateway": "192.0.2.7"}]}
    )
    (link,) = lists["macvlan"]
    assert link["dhcp4"] == {"enabled": False}
    assert link["addresses"] == [{"noprefixroute": True, "ip": "192.0.2.103/24"}, {"noprefixroute": True, "ip": "2001:db8::3/64"}]
    assert link["wait_dad"] == 30
    four, six = ({"table": "103", "family": family} for family in ("ipv4", "ipv6"))
    assert lists["routes"] == [
        {**four, "destination": "192.0.2.0/24", "link": "old-print"},
        {**four, "destination": "default", "gateway": "192.0.2.1", "link": "old-print"},
        {**four, "destination": "198.51.100.0/24", "gateway": "192.0.2.7", "link": "old-print"},
        {**four, "destination": "default", "type": "unreachable", "metric": LAST},
        {**six, "destination": "2001:db8::/64", "link": "old-print"},
        {**six, "destination": "default", "gateway": "fe80::1", "link": "old-print"},
        {**six, "destination": "default", "type": "unreachable", "metric": LAST},
    ]
    assert [(rule["family"], rule["priority"], rule.get("oif") or rule["from"]) for rule in lists["rules"]] == [
        ("ipv4", 1030, "old-print"),
        ("ipv4", 1031, "192.0.2.103"),
        ("ipv6", 1030, "old-print"),
        ("ipv6", 1031, "2001:db8::3"),
    ]


def test_lease_and_its_router_written() -> None:
    """What is written wins over what the server says; the route is there before the address."""
    lists = made({**MAIL, "gateway": "192.0.2.7", "table": 7, "dhcp4": {"client_id": "01:02", "hostname": ""}})
    assert lists["routes"] == [
        {"table": "7", "family": "ipv4", "destination": "default", "gateway": "192.0.2.7", "link": "old-mail", "onlink": True}
    ]
    client = lists["macvlan"][0]["dhcp4"]
    assert (client["use_routes"], client["client_id"], "hostname" in client) == (False, "01:02", False)


def test_announced_address() -> None:
    """The kernel makes it; its way back is made here."""
    lists = made({**MAIL, "expected_address": ["192.0.2.101", "2001:db8::216:3eff:fe11:1101"], "gateway": "fe80::1"})
    assert lists["macvlan"][0]["addresses"] == []
    assert [route["destination"] for route in lists["routes"]] == ["2001:db8::/64", "default", "default"]
    assert [rule.get("from") for rule in lists["rules"]] == [None, None, "2001:db8::216:3eff:fe11:1101"]


def test_namespaces() -> None:
    """No table, no rule, no setting of ARP; each family's router in the main table."""
    lists = made(MAIL, {**PRINT, "netns": "cellar", "name": "eth0"}, isolation="netns")
    assert lists["netns"] == [{"name": "mail", "state": "present"}, {"name": "cellar", "state": "present"}]
    assert lists["link"] == [
        {"name": name, "netns": netns, "admin_state": "up"} for name, netns in (("lo", "mail"), ("lo", "cellar"))
    ]
    assert lists["rules"] == lists["vrf"] == []
    assert lists["macvlan"][0]["dhcp4"]["table"] == "main"
    assert lists["macvlan"][0]["netns"] == "mail"
    assert "ipv4.arp_ignore" not in lists["macvlan"][0]["sysctls"]
    assert "ipv6.accept_ra_defrtr" not in lists["macvlan"][0]["sysctls"]
    assert lists["macvlan"][1]["addresses"] == [{"ip": "192.0.2.103/24"}, {"ip": "2001:db8::3/64"}]
    assert lists["routes"] == [
        {"netns": "cellar", "family": "ipv4", "destination": "default", "gateway": "192.0.2.1", "link": "eth0"},
        {"netns": "cellar", "family": "ipv6", "destination": "default", "gateway": "fe80::1", "link": "eth0"},
    ]


def test_vrf() -> None:
    """The VRF has the table and the link; the kernel has the rule."""
    lists = made({**PRINT, "table": 103}, isolation="vrf")
    assert lists["vrf"] == [{"name": "vrf-old-print", "table": 103, "admin_state": "up"}]
    assert lists["macvlan"][0]["controller"] == "vrf-old-print"
    assert lists["rules"] == []
    assert {route["table"] for route in lists["routes"]} == {"103"}


@pytest.mark.parametrize("isolation", ["routes", "vrf", "netns"])
def test_absent(isolation: str) -> None:
    """Everything by its name; the lower device as it was, once nobody is left on it."""
    some = made(MAIL, {**PRINT, "state": "absent"}, isolation=isolation)
    assert some["macvlan"][1]["state"] == "absent"
    assert isolation == "netns" or some["link"] == [{"name": "eth0", "sysctls": ARP}]
    none = made(MAIL, PRINT, isolation=isolation, state="absent", sysctls_afterwards={"ipv4.arp_ignore": 0})
    assert isolation == "netns" or none["link"] == [{"name": "eth0", "sysctls": {"ipv4.arp_ignore": 0}, "persist": "none"}]
    for entries in (none["macvlan"], none["routes"], none["rules"], none["netns"], none["vrf"]):
        assert {entry["state"] for entry in entries} <= {"absent"}
    assert len(none["routes"]) == len(
        [entry for entry in made(MAIL, PRINT, isolation=isolation)["routes"] if isolation != "netns"]
    )


@pytest.mark.parametrize(
    ("hosts", "more", "sentence"),
    [
        (
            [{**MAIL, "address": 41135085296}],
            {},
            "old-mail: address 41135085296 is no MAC address such as '00:16:3e:11:11:01'. Write it in quotes",
        ),
        (
            [{**PRINT, "expected_address": "192.0.2.7"}],
            {},
            "old-print: expected_address is what a DHCP server leases, and there is no DHCP client. Write it in addresses",
        ),
        (
            [{**PRINT, "addresses": ["192.0.2.300/24"]}],
            {},
            "old-print: addresses: '192.0.2.300/24' does not appear to be an IPv4 or IPv6 interface. "
            "Write an address such as 192.0.2.101/24",
        ),
        (
            [{**PRINT, "addresses": ["192.0.2.103", "2001:db8::3"]}],
            {},
            "old-print: addresses: 192.0.2.103 has no prefix length. "
            "Write that of the old host's network, such as 192.0.2.103/24",
        ),
        (
            [{**PRINT, "gateway": "198.51.100.1"}],
            {},
            "old-print: gateway 198.51.100.1 is not in the network of its addresses (192.0.2.0/24). "
            "Correct one of them, or write the router into routes, with onlink: true",
        ),
        (
            [{**PRINT, "gateway": "2001:db8:1::1"}],
            {},
            "old-print: gateway 2001:db8:1::1 is not in the network of its addresses (2001:db8::/64). "
            "Correct one of them, or write the router into routes, with onlink: true",
        ),
        (
            [{**MAIL, "name": "eth0"}],
            {},
            "eth0: its lower device has the same name. Write another name: it is that of the new link",
        ),
        (
            [MAIL, {**PRINT, "address": "0016.3e11.1101"}],
            {},
            "old-mail and old-print have the same MAC address 00:16:3e:11:11:01. "
            "Correct one of them, or take one away in a run before this one",
        ),
        (
            [{**MAIL, "gateway": ["192.0.2.1", "192.0.2.2"]}],
            {},
            "old-mail: gateway: 192.0.2.1 and 192.0.2.2 are of one family. Write one of each",
        ),
        (
            [{**MAIL, "gateway": "fe80::1"}],
            {},
            "old-mail: gateway fe80::1 is the way for packets from which address? Write addresses or expected_address",
        ),
        ([{**MAIL, "table": 254}], {}, "old-mail: table 254 is not the old host's alone. Write another number, or leave it out"),
        (
            [{**MAIL, "dhcp4": {"rule_priority": 7}}],
            {},
            "old-mail: dhcp4: rule_priority is made by the role. Write priority beside dhcp4",
        ),
        (
            [{**MAIL, "table": 7}, {**PRINT, "table": 7}],
            {},
            "old-mail and old-print would both have the table 7. Write table, another one for each",
        ),
        (
            [{**MAIL, "priority": 1000}, {**PRINT, "priority": 1001}],
            {},
            "old-mail and old-print would both have a rule of the priority 1001. "
            "Write priority, and leave numbers behind it free",
        ),
        ([MAIL, MAIL], {}, "old-mail is there twice in host_consolidation_hosts. Give each link a name of its own"),
        (
            [{**MAIL, "services": ["web"]}],
            {},
            "old-mail: netns and services are for host_consolidation_isolation: netns. Write that, or leave them out",
        ),
        (
            [{**MAIL, "services": ["web"]}, {**PRINT, "services": ["web.service"]}],
            {"isolation": "netns"},
            "web.service can run for one old host only, and old-mail and old-print both have it in services",
        ),
        (
            [{**MAIL, "name": "old-mail-host"}],
            {"isolation": "vrf"},
            "old-mail-host: the VRF would be called vrf-old-mail-host, and a link has at most 15 bytes. "
            "Write a name of at most 11",
        ),
    ],
)
def test_problems(hosts: Any, more: Any, sentence: str) -> None:
    """A sentence for each, and no other."""
    assert wrong(*hosts, **more) == [sentence]


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
        "The MAC address 00:16:3e:11:11:01 is that of mail (old-mail on one) and of web (old-web on two)",
        "The address 192.0.2.103 is that of print (old-print on one) and of web (old-web on two)",
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
        "print      old-print   00:16:3e:11:11:03   192.0.2.103   ever        -",
        "                                           2001:db8::3   ever        -",
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
    assert [line.rpartition("ever        ")[2] for line in table[1:3]] == [four, six]
    advice = [line for line in table[3:] if line]
    assert (advice[0].startswith("(!) udp 53 names: ") and len(advice) == 2) if isolation == "routes" else not advice


@pytest.mark.parametrize(
    ("host", "links", "sentence"),
    [
        (MAIL, [], "old-mail: there is no such link. Run the role again"),
        (
            {**MAIL, "expected_address": "192.0.2.101"},
            [seen("old-mail", ("192.0.2.150/24", "dhcp", 600, True))],
            "old-mail (mail): the DHCP server was to lease 192.0.2.101, and leased 192.0.2.150. Give 00:16:3e:11:11:01 its "
            "reservation there, and run the role once with state: absent for it, for the client keeps the lease that it has. "
            "Or write in dhcp4 the client_id that the old host had",
        ),
        (
            {**MAIL, "expected_address": "2001:db8::1"},
            [seen("old-mail")],
            "old-mail (mail): no router has announced 2001:db8::1, or the MAC address 00:16:3e:11:11:01 makes another one. "
            "Write it in addresses",
        ),
        (
            {**MAIL, "expected_address": "2001:db8::1"},
            [seen("old-mail", ("2001:db8::1/64", "ra", 600, False))],
            "old-mail (mail): another host on the network has 2001:db8::1 (duplicate address detection). Is the old host off?",
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

# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Policy rules on the real kernel: every part of one, several at one priority, other owners' rules, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.patchbay.netdev.tests.integration.host import Host, assert_equal, dump, ip
from ansible_collections.patchbay.netdev.tests.integration.ladder import Case, climb, refuse, stay
from ansible_collections.patchbay.netdev.tests.integration.table_names import named_tables

Rung = tuple[dict[str, Any], dict[str, Any]]  # what is written besides priority and family; what ip has to show
NET = {"ipv4": "192.0.2.0/24", "ipv6": "2001:db8::/48"}
OTHER = {"ipv4": "198.51.100.0/24", "ipv6": "2001:db8:7::/48"}
HOST = {"ipv4": "192.0.2.7", "ipv6": "2001:db8::7"}
SAID = {"ipv4": "IPv4 rule 1000", "ipv6": "IPv6 rule 1000"}


def rules(host: Host, family: str = "ipv4", priority: int = 1000, netns: str | None = None) -> list[dict[str, Any]]:
    """The rules of a priority, as `ip -d -j rule` shows them, in their order."""
    shown = json.loads(ip("-d", "-j", f"-{family[-1]}", "rule", "show", netns=netns or host.netns))
    return [
        {name: value for name, value in rule.items() if name not in ("priority", "protocol", "iif_detached", "oif_detached")}
        for rule in shown
        if rule["priority"] == priority
    ]


def _net(family: str, prefix: str, name: str) -> dict[str, Any]:
    address, _slash, length = prefix.partition("/")
    return {name: address, f"{name}len": int(length)}


def ladder(family: str) -> list[Rung]:
    """The parts of a rule, each alone and some together; every step changes one rule into the next."""
    net, other, one = NET[family], OTHER[family], HOST[family]
    from_all = {"src": "all"}
    to_100 = {**from_all, "table": "100"}
    return [
        ({"from": net, "table": 100}, {**_net(family, net, "src"), "table": "100"}),
        ({"from": one, "table": "100"}, {"src": one, "table": "100"}),
        ({"to": other, "table": 100}, {**to_100, **_net(family, other, "dst")}),
        ({"to": one, "table": 100}, {**to_100, "dst": one}),
        ({"from": net, "to": other, "table": 100}, {**_net(family, net, "src"), **_net(family, other, "dst"), "table": "100"}),
        ({"iif": "eth0", "table": 100}, {**to_100, "iif": "eth0"}),
        ({"oif": "later", "table": 100}, {**to_100, "oif": "later"}),
        ({"iif": "eth0", "oif": "eth1", "table": 100}, {**to_100, "iif": "eth0", "oif": "eth1"}),
        ({"fwmark": "0x1", "table": 100}, {**to_100, "fwmark": "0x1"}),
        ({"fwmark": 17, "table": 100}, {**to_100, "fwmark": "0x11"}),
        ({"fwmark": "0x1/0xff", "table": 100}, {**to_100, "fwmark": "0x1", "fwmask": "0xff"}),
        ({"fwmark": "0/0xff", "table": 100}, {**to_100, "fwmark": "0", "fwmask": "0xff"}),
        ({"uid_range": "1000", "table": 100}, {**to_100, "uid_start": 1000, "uid_end": 1000}),
        ({"uid_range": "0-1999", "table": 100}, {**to_100, "uid_start": 0, "uid_end": 1999}),
        ({"ip_protocol": "tcp", "table": 100}, {**to_100, "ipproto": "tcp"}),
        ({"ip_protocol": 17, "table": 100}, {**to_100, "ipproto": "udp"}),
        ({"ip_protocol": "udp", "source_port": 53, "table": 100}, {**to_100, "ipproto": "udp", "sport": 53}),
        ({"source_port": "53-60", "table": 100}, {**to_100, "sport_start": 53, "sport_end": 60}),
        ({"destination_port": "80", "table": 100}, {**to_100, "dport": 80}),
        ({"destination_port": "1-65534", "table": "main"}, {**from_all, "dport_start": 1, "dport_end": 65534, "table": "main"}),
        ({"table": "default"}, {**from_all, "table": "default"}),
        ({"table": 4294967295}, {**from_all, "table": "4294967295"}),
        ({"table": "old-mail"}, {**from_all, "table": "old-mail"}),
        ({"table": "main", "suppress_prefix_length": 0}, {**from_all, "table": "main", "suppress_prefixlen": 0}),
        ({"table": "main", "suppress_prefix_length": 24}, {**from_all, "table": "main", "suppress_prefixlen": 24}),
        ({"action": "blackhole"}, {**from_all, "action": "blackhole"}),
        ({"action": "unreachable", "from": net}, {**_net(family, net, "src"), "action": "unreachable"}),
        ({"action": "prohibit"}, {**from_all, "action": "prohibit"}),
        ({"action": "nop"}, {**from_all, "nop": None}),
        ({"action": "lookup", "from": "default", "table": 100}, to_100),
    ]


@pytest.mark.parametrize("netns", [None, "guest"])
@pytest.mark.parametrize("family", ["ipv4", "ipv6"])
def test_ladder(host: Host, tmp_path: Path, family: str, netns: str | None) -> None:
    """Each rule in turn in the place of the one before it; then none, and that again. What others made stays."""
    place = {"priority": 1000, "family": family, **({"netns": netns} if netns else {})}
    with named_tables(tmp_path, {"old-mail": 4711}):
        before = dump([host.netns, "guest"])
        for params, seen in ladder(family):
            climb(host, "rule", **place, **params)
            assert rules(host, family, netns=netns) == [seen], params
            assert rules(host, "ipv6" if family == "ipv4" else "ipv4", netns=netns) == []
        climb(host, "rule", **place, state="absent")
        stay(host, "rule", **place, state="absent")
        assert_equal(dump([host.netns, "guest"]), before)


def test_both_families_at_one_priority(host: Host) -> None:
    """They are two rules; the family of a written address is the family of the rule."""
    climb(host, "rule", priority=1000, table=100, **{"from": HOST["ipv4"]})
    climb(host, "rule", priority=1000, table=100, **{"from": HOST["ipv6"]})
    climb(host, "rule", priority=1000, state="absent")
    assert (len(rules(host, "ipv4")), len(rules(host, "ipv6"))) == (0, 1)


def test_a_changed_rule_is_there_all_the_time(host: Host) -> None:
    """The new one is made before the old one goes."""
    host.apply("rule", priority=1000, table=100, **{"from": HOST["ipv4"]})
    done = climb(host, "rule", priority=1000, table=101, **{"from": HOST["ipv4"]})
    assert done["operations"] == [
        "create IPv4 rule 1000: from 192.0.2.7/32, action lookup, table 101",
        "delete IPv4 rule 1000: from 192.0.2.7/32, action lookup, table 100",
    ]


A, B = "from 192.0.2.7/32, fwmark 0x1, action lookup, table 100", "from 192.0.2.7/32, action lookup, table 100"
IP_A, IP_B = "from 192.0.2.7 fwmark 1 table 100", "from 192.0.2.7 table 100"
WITH_MARK = {"from": "192.0.2.7", "fwmark": 1, "table": 100}
WITHOUT_MARK = {"from": "192.0.2.7", "table": 100}
BACK = "create IPv4 rule 1000: "
GONE = "delete IPv4 rule 1000: "

# What stands at one priority, in its order; what is wanted; what is done. The kernel deletes the first rule that has all parts
# of what it is shown, and "no mark" cannot be said: of A and B, in this order, B can only go after A.
SEVERAL: dict[str, tuple[tuple[str, ...], dict[str, Any], list[str]]] = {
    "A before B, B wanted": ((IP_A, IP_B), WITHOUT_MARK, [GONE + A]),
    "A before B, A wanted": ((IP_A, IP_B), WITH_MARK, [GONE + A, BACK + A, GONE + B]),
    "B before A, B wanted": ((IP_B, IP_A), WITHOUT_MARK, [GONE + A]),
    "B before A, A wanted": ((IP_B, IP_A), WITH_MARK, [GONE + B]),
    "A before B, neither wanted": ((IP_A, IP_B), {"state": "absent"}, [GONE + A, GONE + B]),
    "A before B, a third wanted": (
        (IP_A, IP_B),
        {"to": "198.51.100.1", "table": 100},
        ["create IPv4 rule 1000: to 198.51.100.1/32, action lookup, table 100", GONE + A, GONE + B],
    ),
    "the same twice": ((f"{IP_B} protocol boot", f"{IP_B} protocol static"), WITHOUT_MARK, [GONE + B]),
    "the same twice, none wanted": ((f"{IP_B} protocol boot", f"{IP_B} protocol static"), {"state": "absent"}, [GONE + B] * 2),
    "one among three": (
        ("from 192.0.2.8 table 100", IP_B, "from 192.0.2.9 table 101"),
        WITHOUT_MARK,
        [
            "delete IPv4 rule 1000: from 192.0.2.8/32, action lookup, table 100",
            "delete IPv4 rule 1000: from 192.0.2.9/32, action lookup, table 101",
        ],
    ),
    "a mark of 0 hides behind any other": (
        ("fwmark 5/0xff table 100", "fwmark 0/0xff table 100"),
        {"fwmark": "0x5/0xff", "table": 100},
        [
            "delete IPv4 rule 1000: fwmark 0x5/0xff, action lookup, table 100",
            "create IPv4 rule 1000: fwmark 0x5/0xff, action lookup, table 100",
            "delete IPv4 rule 1000: fwmark 0x0/0xff, action lookup, table 100",
        ],
    ),
    "one that another program's protocol would hide": (
        (f"{IP_A} protocol static", f"{IP_B} protocol boot"),
        WITH_MARK,
        [GONE + B],
    ),
}


@pytest.mark.parametrize("name", SEVERAL)
def test_several_at_one_priority(host: Host, name: str) -> None:
    """One of them is left, the one that is wanted; the rules of other priorities stay."""
    there, wanted, done = SEVERAL[name]
    host.ip("rule", "add", "pref", "999", *IP_B.split())
    host.ip("rule", "add", "pref", "1001", *IP_A.split())
    for words in there:
        host.ip("rule", "add", "pref", "1000", *words.split())
    neighbours = rules(host, priority=999), rules(host, priority=1001)
    assert climb(host, "rule", priority=1000, **wanted)["operations"] == done
    assert len(rules(host)) == ("state" not in wanted)
    assert (rules(host, priority=999), rules(host, priority=1001)) == neighbours


def test_doubled_exactly(host: Host, tmp_path: Path) -> None:
    """Another program made the same rule twice, in all its parts (which `ip` does not: it asks the kernel to refuse that)."""
    host.ip("rule", "add", "pref", "1000", *IP_B.split(), "protocol", "static")
    double_rules(host, tmp_path)
    assert len(rules(host)) == 2
    assert climb(host, "rule", priority=1000, **WITHOUT_MARK)["operations"] == [GONE + B]
    assert len(rules(host)) == 1


def double_rules(host: Host, folder: Path, netns: str | None = None) -> None:
    """Every rule of IPv4 in the namespace a second time."""
    saved = folder / "rules"
    ip("netns", "exec", netns or host.netns, "sh", "-c", f"ip rule save >{saved} && ip rule restore <{saved}")


def test_of_others_but_as_it_is_to_be(host: Host) -> None:
    """Nothing is to be done then, whoever made it."""
    host.ip("rule", "add", "pref", "1000", *IP_B.split(), "protocol", "zebra")
    stay(host, "rule", priority=1000, **WITHOUT_MARK)
    stay(host, "rule", priority=32766, table="main")


def _made_by(who: str, action: str) -> str:
    return f"IPv4 rule 1000: the one that is there was made by {who}, and is not {action}. Choose another priority"


def _has_more(action: str) -> str:
    return (
        f"IPv4 rule 1000: the one that is there has parts that no option says, and is not {action}. "
        "Delete it by its owner's means, or choose another priority"
    )


OTHERS = {
    "kernel": (f"{IP_B} protocol kernel", _made_by("the kernel", "{}")),
    "ra": (f"{IP_B} protocol ra", _made_by("a router advertisement", "{}")),
    "dhcp": (f"{IP_B} protocol dhcp", _made_by("a DHCP client", "{}")),
    "zebra": (f"{IP_B} protocol zebra", _made_by("another program (protocol 11)", "{}")),
    "not": (f"not {IP_B}", _has_more("{}")),
    "tos": (f"{IP_B} tos 0x10", _has_more("{}")),
    "goto": ("from 192.0.2.7 goto 3000", _has_more("{}")),
    "suppress_ifgroup": (f"{IP_B} suppress_ifgroup 5", _has_more("{}")),
    "realms": ("from 192.0.2.7 table 100 realms 3", _has_more("{}")),
}


@pytest.mark.parametrize("other", OTHERS)
@pytest.mark.parametrize("action", ["changed", "deleted"])
def test_of_others(host: Host, other: str, action: str) -> None:
    """Neither changed nor deleted, also when one of ours shares its priority."""
    made, told = OTHERS[other]
    wanted = {"state": "absent"} if action == "deleted" else {"table": 101}
    case = Case({"priority": 1000, **wanted}, told.format(action), ip=(f"rule add pref 1000 {made}",))
    refuse(host, "rule", case)
    refuse(host, "rule", Case(case.params, case.told, ip=("rule add pref 1000 from 192.0.2.99 table 100",)))


CASES: dict[str, Case] = {
    "the kernel's own, changed": Case(
        {"priority": 32766, "table": 100},
        "IPv4 rule 32766: the one that is there was made by the kernel, and is not changed. Choose another priority",
    ),
    "the kernel's own, deleted": Case(
        {"priority": 32767, "state": "absent"},
        "IPv4 rule 32767: the one that is there was made by the kernel, and is not deleted. Choose another priority",
    ),
    "the kernel's own, of IPv6": Case(
        {"priority": 32766, "family": "ipv6", "state": "absent"},
        "IPv6 rule 32766: the one that is there was made by the kernel, and is not deleted. Choose another priority",
    ),
    "no table": Case(
        {"priority": 1000, "from": "192.0.2.0/24"},
        "IPv4 rule 1000: it has no table to look up, and the kernel would take one of its own choice. Write table",
    ),
    "table 0": Case(
        {"priority": 1000, "table": 0},
        "IPv4 rule 1000: it has no table to look up, and the kernel would take one of its own choice. Write table",
    ),
    "a table that is not looked up": Case(
        {"priority": 1000, "action": "blackhole", "table": 100},
        "IPv4 rule 1000: with action blackhole no table is looked up. Leave table and suppress_prefix_length out",
    ),
    "a bound for no table": Case(
        {"priority": 1000, "action": "nop", "suppress_prefix_length": 0},
        "IPv4 rule 1000: with action nop no table is looked up. Leave table and suppress_prefix_length out",
    ),
    "no such table": Case(
        {"priority": 1000, "table": "nowhere"},
        "IPv4 rule 1000: table: there is no routing table nowhere in /etc/iproute2/rt_tables or rt_tables.d; write its number",
    ),
    "no such protocol": Case(
        {"priority": 1000, "ip_protocol": "nothing", "table": 100},
        "IPv4 rule 1000: ip_protocol: there is no protocol nothing on this host; create it first, or write a number",
    ),
    "no such namespace": Case(
        {"priority": 1000, "netns": "nowhere", "table": 100},
        "There is no network namespace nowhere (/run/netns/nowhere does not exist). Correct the name, or create it first: "
        "ip netns add nowhere",
    ),
    "two families": Case(
        {"priority": 1000, "from": "192.0.2.0/24", "to": "2001:db8::/48", "table": 100},
        "the addresses are of different families. Write those of one, and family, if at all, the same",
    ),
    "another family": Case(
        {"priority": 1000, "from": "192.0.2.0/24", "family": "ipv6", "table": 100},
        "the addresses are of different families. Write those of one, and family, if at all, the same",
    ),
}
_BOUNDS: dict[str, tuple[dict[str, Any], str]] = {
    "priority 0": ({"priority": 0}, "priority: 0 is not between 1 and 4294967294"),
    "priority -1": ({"priority": -1}, "priority: -1 is not between 1 and 4294967294"),
    "priority 2^32-1": ({"priority": 4294967295}, "priority: 4294967295 is not between 1 and 4294967294"),
    "host bits": (
        {"from": "192.0.2.1/24"},
        "from: 192.0.2.1/24 has bits set behind its prefix length; the network is 192.0.2.0/24",
    ),
    "host bits of IPv6": (
        {"to": "2001:db8::1/64"},
        "to: 2001:db8::1/64 has bits set behind its prefix length; the network is 2001:db8::/64",
    ),
    "prefix length": ({"to": "192.0.2.0/33"}, "to: '192.0.2.0/33' has no prefix length between 0 and 32"),
    "no network": ({"to": "a.b.c.d"}, "to: 'a.b.c.d' is not an IP address"),
    "port 0": ({"source_port": 0}, "source_port: 0 is not between 1 and 65534"),
    "port 65535": ({"destination_port": "65535"}, "destination_port: 65535 is not between 1 and 65534"),
    "ports backwards": ({"source_port": "90-80"}, "source_port: '90-80' ends before it begins"),
    "a word for a port": ({"source_port": "http"}, "source_port: 'http' is neither a number nor a range such as 1000-1999"),
    "users backwards": ({"uid_range": "5-1"}, "uid_range: '5-1' ends before it begins"),
    "no user": ({"uid_range": 4294967295}, "uid_range: 4294967295 is not between 0 and 4294967294"),
    "no mark": ({"fwmark": "one"}, "fwmark: 'one' is not a mark such as 0x1 or 0x1/0xff"),
    "mark too large": ({"fwmark": "0x100000000"}, "fwmark: '0x100000000' is not a mark such as 0x1 or 0x1/0xff"),
    "octal mark": ({"fwmark": "010"}, "fwmark: '010' is not a mark such as 0x1 or 0x1/0xff"),
    "mask 0": ({"fwmark": "0x1/0"}, "fwmark: 0x1/0: a mask of 0 fits every mark. Leave it out"),
    "protocol 0": ({"ip_protocol": 0}, "ip_protocol: 0 is not between 1 and 255"),
    "protocol 300": ({"ip_protocol": 300}, "ip_protocol: 300 is not between 1 and 255"),
    "table too large": ({"table": 4294967296}, "table: 4294967296 is not between 0 and 4294967295"),
    "suppressed length": ({"suppress_prefix_length": 129}, "suppress_prefix_length: 129 is not between 0 and 128"),
    "no name of a link": ({"iif": "a b"}, "iif: 'a b' cannot be the name of a link: it contains white space"),
    "goto": ({"action": "goto"}, "value of action must be one of: lookup, nop, blackhole, unreachable, prohibit, got: goto"),
}
CASES.update({name: Case({"priority": 1000, "table": 100, **params}, told) for name, (params, told) in _BOUNDS.items()})


@pytest.mark.parametrize("name", CASES)
def test_refused(host: Host, name: str) -> None:
    """With a sentence, and nothing changes."""
    refuse(host, "rule", CASES[name])


@pytest.mark.parametrize("words", [{}, {"from": "192.0.2.7"}])
def test_priority_has_to_be_written(host: Host, words: dict[str, Any]) -> None:
    """A rule without one would be another at each run."""
    refuse(host, "rule", Case({"table": 100, **words}, "missing required arguments: priority"))

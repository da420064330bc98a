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
    """The parts of a rule, each alone and some together."""
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
        ({"action": "lookup", "from": "default", "table": 100}, to_100),
        ({"action": "blackhole"}, {**from_all, "action": "blackhole"}),
        ({"action": "unreachable", "from": net}, {**_net(family, net, "src"), "action": "unreachable"}),
        ({"action": "prohibit"}, {**from_all, "action": "prohibit"}),
        ({"action": "nop"}, {**from_all, "nop": None}),
    ]


@pytest.mark.parametrize("netns", [None, "guest"])
@pytest.mark.parametrize("family", ["ipv4", "ipv6"])
def test_ladder(host: Host, tmp_path: Path, family: str, netns: str | None) -> None:
    """Each rule in turn, beside the first one; a rule that looks up another table replaces the one before it. Then none."""
    place = {"priority": 1000, "family": family, **({"netns": netns} if netns else {})}
    with named_tables(tmp_path, {"old-mail": 4711}):
        before = dump([host.netns, "guest"])
        (first, first_seen), *others = ladder(family)
        climb(host, "rule", **place, **first)
        for params, seen in others:
            climb(host, "rule", **place, **params)
            assert rules(host, family, netns=netns) == [first_seen, seen], params
            assert rules(host, "ipv6" if family == "ipv4" else "ipv4", netns=netns) == []
            if params.keys() - {"table", "suppress_prefix_length"}:
                climb(host, "rule", **place, **params, state="absent")
                assert rules(host, family, netns=netns) == [first_seen], params
        climb(host, "rule", **place, **first, state="absent")
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

# The rules of one priority, in their order; the task; its operations; the sources of the rules that are left. The kernel deletes
# the first rule that has all attributes it is shown, and "no mark" cannot be shown: of A and B, in this order, B can only be
# deleted after A.
THIRD = "from 192.0.2.9/32, action lookup, table 100"
IP_THIRD = "from 192.0.2.9 table 100"
SEVERAL: dict[str, tuple[tuple[str, ...], dict[str, Any], list[str], tuple[str, ...]]] = {
    "A before B, B desired": ((IP_A, IP_B), WITHOUT_MARK, [], (IP_A, IP_B)),
    "A before B, A desired": ((IP_A, IP_B), WITH_MARK, [], (IP_A, IP_B)),
    "A before B, A absent": ((IP_A, IP_B), {**WITH_MARK, "state": "absent"}, [GONE + A], (IP_B,)),
    "A before B, B absent": ((IP_A, IP_B), {**WITHOUT_MARK, "state": "absent"}, [GONE + A, GONE + B, BACK + A], (IP_A,)),
    "B before A, B absent": ((IP_B, IP_A), {**WITHOUT_MARK, "state": "absent"}, [GONE + B], (IP_A,)),
    "B before A, A absent": ((IP_B, IP_A), {**WITH_MARK, "state": "absent"}, [GONE + A], (IP_B,)),
    "A before B, another one behind, B absent": (
        (IP_THIRD, IP_A, IP_B, IP_THIRD.replace(".9 ", ".10 ")),
        {**WITHOUT_MARK, "state": "absent"},
        [GONE + A, GONE + B, GONE + THIRD.replace(".9", ".10"), BACK + A, BACK + THIRD.replace(".9", ".10")],
        (IP_THIRD, IP_A, IP_THIRD.replace(".9 ", ".10 ")),
    ),
    "A before B, a third desired": (
        (IP_A, IP_B),
        {"to": "198.51.100.1", "table": 100},
        ["create IPv4 rule 1000: to 198.51.100.1/32, action lookup, table 100"],
        (IP_A, IP_B, "from all to 198.51.100.1 table 100"),
    ),
    "the same twice, once desired": ((f"{IP_B} protocol boot", f"{IP_B} protocol static"), WITHOUT_MARK, [], (IP_B, IP_B)),
    "the same twice, absent": (
        (f"{IP_B} protocol boot", f"{IP_B} protocol static"),
        {**WITHOUT_MARK, "state": "absent"},
        [GONE + B] * 2,
        (),
    ),
    "another table, of which one is ours": (
        (f"{IP_B} protocol static", IP_THIRD),
        {**WITHOUT_MARK, "table": 101},
        [BACK + B.replace("100", "101"), GONE + B],
        (IP_THIRD, IP_B.replace("100", "101")),
    ),
    "a mark of 0 hides behind any other": (
        ("fwmark 5/0xff table 100", "fwmark 0/0xff table 100"),
        {"fwmark": "0x0/0xff", "table": 100, "state": "absent"},
        [
            "delete IPv4 rule 1000: fwmark 0x5/0xff, action lookup, table 100",
            "delete IPv4 rule 1000: fwmark 0x0/0xff, action lookup, table 100",
            "create IPv4 rule 1000: fwmark 0x5/0xff, action lookup, table 100",
        ],
        ("from all fwmark 0x5/0xff table 100",),
    ),
}


@pytest.mark.parametrize("name", SEVERAL)
def test_several_at_one_priority(host: Host, name: str) -> None:
    """Only the rule that the task names is created, changed or deleted; all others stay, in their order."""
    there, params, done, left = SEVERAL[name]
    host.ip("rule", "add", "pref", "999", *IP_B.split())
    host.ip("rule", "add", "pref", "1001", *IP_A.split())
    for words in there:
        host.ip("rule", "add", "pref", "1000", *words.split())
    neighbors = rules(host, priority=999), rules(host, priority=1001)
    if done:
        assert climb(host, "rule", priority=1000, **params)["operations"] == done
    else:
        stay(host, "rule", priority=1000, **params)
    assert (rules(host, priority=999), rules(host, priority=1001)) == neighbors
    found = rules(host)
    host.ip("rule", "flush")
    for words in left:
        host.ip(
            "rule", "add", "pref", "1000", *words.split(), *(("protocol", str(len(rules(host)) + 3)) if len(left) > 1 else ())
        )
    assert found == rules(host)


def failure(host: Host, **params: Any) -> str:
    """The message of a task that fails."""
    result = host.run("rule", **params)
    assert result.get("failed"), result
    return str(result["msg"])


def test_of_others_at_one_priority(host: Host) -> None:
    """Four rules of others stay when one is created beside them, when a plan fails, and when it is deleted."""
    for words in (IP_A, IP_B, "iif eth0 table 102", "to 198.51.100.9 table 103"):
        host.ip("rule", "add", "pref", "512", *words.split())
    before = dump([host.netns])
    climb(host, "rule", priority=512, to="198.51.100.8", table="main")
    assert len(rules(host, priority=512)) == 5
    climb(host, "rule", priority=512, to="198.51.100.8", state="absent")
    stay(host, "rule", priority=512, to="198.51.100.8", state="absent")
    assert_equal(dump([host.netns]), before)
    assert "IPv4 rule 512: 4 rules match" in failure(host, priority=512, state="absent")
    assert "already exists (owner: ip rule or another program)" in failure(host, priority=512, to="198.51.100.9", table=100)
    assert_equal(dump([host.netns]), before)


def test_doubled_exactly(host: Host, tmp_path: Path) -> None:
    """Another program made the same rule twice, in all its parts (which `ip` does not: it asks the kernel to refuse that)."""
    host.ip("rule", "add", "pref", "1000", *IP_B.split(), "protocol", "static")
    double_rules(host, tmp_path)
    assert len(rules(host)) == 2
    stay(host, "rule", priority=1000, **WITHOUT_MARK)
    assert climb(host, "rule", priority=1000, **WITHOUT_MARK, state="absent")["operations"] == [GONE + B] * 2
    assert rules(host) == []


def double_rules(host: Host, folder: Path, netns: str | None = None) -> None:
    """Every rule of IPv4 in the namespace a second time."""
    saved = folder / "rules"
    ip("netns", "exec", netns or host.netns, "sh", "-c", f"ip rule save >{saved} && ip rule restore <{saved}")


def test_of_others_but_as_it_is_to_be(host: Host) -> None:
    """Nothing is to be done then, whoever made it."""
    host.ip("rule", "add", "pref", "1000", *IP_B.split(), "protocol", "zebra")
    stay(host, "rule", priority=1000, **WITHOUT_MARK)
    stay(host, "rule", priority=32766, table="main")


OTHERS = {
    "kernel": (f"{IP_B} protocol kernel", "the kernel"),
    "ra": (f"{IP_B} protocol ra", "a router advertisement"),
    "dhcp": (f"{IP_B} protocol dhcp", "a DHCP client"),
    "zebra": (f"{IP_B} protocol zebra", "another program, protocol 11"),
    "not": (f"not {IP_B}", ""),
    "tos": (f"{IP_B} tos 0x10", ""),
    "goto": ("from 192.0.2.7 goto 3000", ""),
    "suppress_ifgroup": (f"{IP_B} suppress_ifgroup 5", ""),
    "realms": ("from 192.0.2.7 table 100 realms 3", ""),
}


@pytest.mark.parametrize("other", OTHERS)
def test_of_others(host: Host, other: str) -> None:
    """Neither changed nor deleted; one with other selectors is created beside it."""
    made, owner = OTHERS[other]
    host.ip("rule", "add", "pref", "1000", *made.split())
    before = dump([host.netns])
    unsupported = "the rule has attributes that this module does not support, and is not deleted. Delete it with the program that"
    refusal = f"the rule is managed by another owner ({owner}) and is not deleted" if owner else unsupported
    assert refusal in failure(host, priority=1000, state="absent")
    if owner:
        refusal = f"a rule with this priority and these selectors already exists (owner: {owner}) and is not changed"
        assert refusal in failure(host, priority=1000, table=101, **{"from": "192.0.2.7"})
    climb(host, "rule", priority=1000, table=101)
    climb(host, "rule", priority=1000, table=101, state="absent")
    assert_equal(dump([host.netns]), before)


CASES: dict[str, Case] = {
    "the kernel's own, changed": Case(
        {"priority": 32766, "table": 100},
        "IPv4 rule 32766: a rule with this priority and these selectors already exists (owner: the kernel) and is not changed. "
        "Choose another priority, or delete that rule first",
    ),
    "the kernel's own, deleted": Case(
        {"priority": 32767, "state": "absent"},
        "IPv4 rule 32767: the rule is managed by another owner (the kernel) and is not deleted. "
        "Omit it, or delete it with ip rule",
    ),
    "the kernel's own, of IPv6": Case(
        {"priority": 32766, "family": "ipv6", "state": "absent"},
        "IPv6 rule 32766: the rule is managed by another owner (the kernel) and is not deleted. "
        "Omit it, or delete it with ip rule",
    ),
    "no table": Case(
        {"priority": 1000, "from": "192.0.2.0/24"},
        "IPv4 rule 1000: no table is set, and the kernel would choose one itself. Set table",
    ),
    "table 0": Case(
        {"priority": 1000, "table": 0},
        "IPv4 rule 1000: no table is set, and the kernel would choose one itself. Set table",
    ),
    "a table that is not looked up": Case(
        {"priority": 1000, "action": "blackhole", "table": 100},
        "IPv4 rule 1000: action blackhole looks up no table. Omit table and suppress_prefix_length",
    ),
    "a bound for no table": Case(
        {"priority": 1000, "action": "nop", "suppress_prefix_length": 0},
        "IPv4 rule 1000: action nop looks up no table. Omit table and suppress_prefix_length",
    ),
    "no such table": Case(
        {"priority": 1000, "table": "nowhere"},
        "IPv4 rule 1000: table: /etc/iproute2/rt_tables and rt_tables.d have no routing table nowhere. Set its number",
    ),
    "no such protocol": Case(
        {"priority": 1000, "ip_protocol": "nothing", "table": 100},
        "IPv4 rule 1000: ip_protocol: protocol nothing does not exist on this host. Create it first, or set a number",
    ),
    "no such namespace": Case(
        {"priority": 1000, "netns": "nowhere", "table": 100},
        "There is no network namespace nowhere (/run/netns/nowhere does not exist). Correct the name, or create it first with "
        "the module netns",
        awaits=True,
    ),
    "two families": Case(
        {"priority": 1000, "from": "192.0.2.0/24", "to": "2001:db8::/48", "table": 100},
        "the addresses belong to different families. Use one family, and omit family or set it to that one",
    ),
    "another family": Case(
        {"priority": 1000, "from": "192.0.2.0/24", "family": "ipv6", "table": 100},
        "the addresses belong to different families. Use one family, and omit family or set it to that one",
    ),
}
_BOUNDS: dict[str, tuple[dict[str, Any], str]] = {
    "priority 0": ({"priority": 0}, "priority: 0 is not between 1 and 4294967294"),
    "priority -1": ({"priority": -1}, "priority: -1 is not between 1 and 4294967294"),
    "priority 2^32-1": ({"priority": 4294967295}, "priority: 4294967295 is not between 1 and 4294967294"),
    "host bits": (
        {"from": "192.0.2.1/24"},
        "from: 192.0.2.1/24 has bits set beyond its prefix length. Use 192.0.2.0/24",
    ),
    "host bits of IPv6": (
        {"to": "2001:db8::1/64"},
        "to: 2001:db8::1/64 has bits set beyond its prefix length. Use 2001:db8::/64",
    ),
    "prefix length": ({"to": "192.0.2.0/33"}, "to: '192.0.2.0/33' has no prefix length between 0 and 32"),
    "no network": ({"to": "a.b.c.d"}, "to: 'a.b.c.d' is not an IP address"),
    "port 0": ({"source_port": 0}, "source_port: 0 is not between 1 and 65534"),
    "port 65535": ({"destination_port": "65535"}, "destination_port: 65535 is not between 1 and 65534"),
    "ports backwards": ({"source_port": "90-80"}, "source_port: '90-80' has its end before its start"),
    "a word for a port": ({"source_port": "http"}, "source_port: 'http' is neither a number nor a range such as 1000-1999"),
    "users backwards": ({"uid_range": "5-1"}, "uid_range: '5-1' has its end before its start"),
    "no user": ({"uid_range": 4294967295}, "uid_range: 4294967295 is not between 0 and 4294967294"),
    "no mark": ({"fwmark": "one"}, "fwmark: 'one' is not a mark such as 0x1 or 0x1/0xff"),
    "mark too large": ({"fwmark": "0x100000000"}, "fwmark: '0x100000000' is not a mark such as 0x1 or 0x1/0xff"),
    "octal mark": ({"fwmark": "010"}, "fwmark: '010' is not a mark such as 0x1 or 0x1/0xff"),
    "mask 0": ({"fwmark": "0x1/0"}, "fwmark: 0x1/0: a mask of 0 matches every mark. Omit it"),
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

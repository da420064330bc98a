# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The option dhcp4 with a real DHCP server, on hosts without a service manager."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.patchbay.netdev.tests.integration.dhcp_servers import DNSMASQ
from ansible_collections.patchbay.netdev.tests.integration.host import CLONE, assert_equal, hosts, ip_batch
from ansible_collections.patchbay.netdev.tests.integration.machine import FOLDER, Machine, mac, numbers

SERVER = "dhcp-server"
CONFIGURATION = f"""{DNSMASQ}log-dhcp
log-facility=/run/dnsmasq.log
pid-file=/run/dnsmasq.pid
dhcp-leasefile=/run/dnsmasq.leases
dhcp-range=192.0.2.100,192.0.2.199,255.255.255.0,2m
dhcp-option=6,192.0.2.53
"""
ROUTER, OTHER_ROUTER = "192.0.2.1", "192.0.2.2"
RULE, TABLE = 1101, 101
LAST = {"type": "unreachable", "dst": "default", "metric": 4278198272}
OLD = {"name": "old", "lower_device": "eth0", "mode": "bridge", "admin_state": "up", "lower_device_state": "up"}


def serve(*lines: str) -> None:
    """Restart the server with these options, and keep its leases."""
    hosts("enter", SERVER, "sh", "-c", "kill $(cat /run/dnsmasq.pid) && while pidof dnsmasq; do sleep 0.01; done", check=False)
    text = CONFIGURATION + "\n".join(lines) + "\n"
    hosts("enter", SERVER, "sh", "-c", "cat >/run/dnsmasq.conf; : >/run/dnsmasq.log", given=text)
    hosts("enter", SERVER, "dnsmasq", "--conf-file=/run/dnsmasq.conf")


def server_log() -> str:
    """Return the log of the server since its last start."""
    return hosts("enter", SERVER, "cat", "/run/dnsmasq.log").stdout


@pytest.fixture(scope="module", autouse=True)
def server() -> Iterator[None]:
    """Start a switch with a DHCP server."""
    hosts("switch", SERVER, f"{ROUTER}/24")
    yield
    hosts("stop", SERVER)


@dataclass(frozen=True)
class Served(Machine):
    """A host whose eth0 is connected to the switch of the server."""

    server: str = SERVER

    def plug(self, *cards: str) -> None:
        """Connect network cards to the switch."""
        switch = int((CLONE / f".work/hosts/running/{self.server}/process").read_text())
        for card in cards:
            port = f"p{next(numbers)}"
            ip_batch(
                f"link add {card} netns {self.process} address {mac(int(card[-1:]))} type veth peer name {port} netns {switch}"
            )
            hosts("enter", self.server, "ip", "link", "set", port, "master", "br0", "up")
            self.sh(f"ip link set {card} up")

    def ip(self, words: str, netns: str = "") -> list[dict[str, Any]]:
        """Return the output of ip."""
        place = f"-n {netns}" if netns else ""
        found: list[dict[str, Any]] = json.loads(self.sh(f"ip {place} -j {words}", check=False).stdout or "[]")
        return found

    def addresses(self, link: str, netns: str = "") -> list[str]:
        """Return the IPv4 addresses of the link."""
        shown = self.ip(f"-4 address show dev {link}", netns)
        return [f"{one['local']}/{one['prefixlen']}" for item in shown for one in item.get("addr_info", [])]

    def routes(self, table: int = TABLE, netns: str = "") -> list[dict[str, Any]]:
        """Return the routes of a table without flags."""
        shown = self.ip(f"-4 -d route show table {table}", netns)
        names = ("type", "dst", "gateway", "dev", "prefsrc", "metric")
        return [{name: one[name] for name in names if name in one} for one in shown]

    def rules(self, priority: int = RULE, netns: str = "") -> list[str]:
        """Return the sources of the rules with a priority, without the rule for the link."""
        return [one["src"] for one in self.ip("-4 rule show", netns) if one["priority"] == priority and "oif" not in one]

    def clients(self, name: str = "udhcpc") -> list[int]:
        """Return the processes of DHCP clients, without helper processes."""
        words = f'cd /proc; for it in [0-9]*; do [ "$(cat $it/comm)" != {name} ] || echo $it; done 2>/dev/null'
        found = [int(word) for word in self.sh(words).stdout.split()]
        return [one for one in found if self.sh(f"grep ^PPid: /proc/{one}/status").stdout.split()[1] not in map(str, found)]

    def logs(self) -> str:
        """Return the logs of clients and hooks."""
        return self.sh("cat /run/patchbay/dhcp/*.log", check=False).stdout

    def watch_addresses(self) -> Callable[[], str]:
        """Start to monitor addresses. The returned function returns the changes."""
        self.sh("ip -4 monitor address >/run/monitor 2>&1 & sleep 0.2")
        return lambda: self.sh("cat /run/monitor").stdout

    def until(self, what: Any, seconds: float = 10) -> None:
        """Wait until a condition is true."""
        end = time.monotonic() + seconds
        while not what():
            if time.monotonic() > end:
                log = self.sh("cat /run/patchbay/dhcp/*.log; ip address; ip rule", check=False).stdout
                raise AssertionError(f"{log}\n{server_log() if self.server == SERVER else ''}")
            time.sleep(0.05)

    def renew(self, client: int | None = None) -> None:
        """Make the client renew its lease, and wait until the server replied and the hook ended."""
        before, known = server_log().count("DHCPACK"), self.known()
        # A reply within microseconds would be lost, because udhcpc still has its sending socket open.
        hosts("enter", SERVER, "sh", "-c", "kill -STOP $(cat /run/dnsmasq.pid)")
        (client,) = (client,) if client else self.clients()
        self.sh(f"kill -USR1 {client}")
        time.sleep(0.5)
        hosts("enter", SERVER, "sh", "-c", "kill -CONT $(cat /run/dnsmasq.pid)")
        self.until(lambda: server_log().count("DHCPACK") > before)
        self.until(lambda: self.known() != known)  # on a busy machine the hook starts some time later
        self.until(lambda: not self.hooks())

    def known(self) -> str:
        """Return the modification times of the files about clients."""
        return self.sh("stat -c '%n %y' /run/patchbay/dhcp/*.json").stdout

    def hooks(self) -> str:
        """Return the running hooks with this argument."""
        return self.sh("grep -lzx 'leas[e]' /proc/[0-9]*/cmdline 2>/dev/null || :", check=False).stdout

    def link(self, name: str) -> dict[str, Any]:
        """Return a link as ip shows it."""
        (found,) = self.ip(f"-d link show dev {name}")
        return found


@pytest.fixture
def machine() -> Iterator[Served]:
    """Create a host."""
    made = Served(f"served{next(numbers)}")
    hosts("start", made.name)
    try:
        made.plug("eth0")
        serve()
        yield made
    finally:
        hosts("stop", made.name)


def leased(address: str, link: str = "old", router: str = ROUTER) -> list[dict[str, Any]]:
    """Return what a table contains from a lease."""
    source = address.partition("/")[0]
    return [
        {"type": "unicast", "dst": "default", "gateway": router, "dev": link, "prefsrc": source},
        LAST,
        {"type": "unicast", "dst": "192.0.2.0/24", "dev": link, "prefsrc": source},
    ]


FULL: dict[str, Any] = {
    "source_routing": {"table": str(TABLE), "rule_priority": RULE},
    "dhcp4": {"hostname": "oldhost", "wait": 20},
}


def full(**suboptions: Any) -> dict[str, Any]:
    """Return FULL with other suboptions of dhcp4."""
    return {**FULL, "dhcp4": {**FULL["dhcp4"], **suboptions}}


# --- the ladder ---


def test_ladder(machine: Served) -> None:
    """Check mode predicts without changes, the second run has no changes, and removal restores the state before."""
    machine.apply("macvlan", **OLD)
    disk, kernel = machine.disk(), machine.settled()
    told = machine.run("macvlan", check=True, **OLD, **FULL)
    assert told.get("changed"), told
    assert_equal(machine.disk(), disk, "check mode wrote something")
    assert_equal(machine.kernel(), kernel, "check mode changed something")
    assert machine.clients() == []
    done = machine.apply("macvlan", **OLD, **FULL)
    assert done["operations"] == told["operations"]
    assert done["operations"] == [
        "prepare the next boot: write /usr/local/lib/patchbay/replay.pyz, write /usr/local/lib/patchbay/dhcp-hook",
        "test the boot program with /usr/bin/python3",
        f"create route to 0.0.0.0/0 table {TABLE} metric 4278198272: type unreachable",
        f"create IPv4 rule {RULE}: oif old, action lookup, table {TABLE}",
        f"start a DHCP client of old: client_id none, hostname oldhost, table {TABLE}, rule_priority {RULE}, client udhcpc",
        "wait for the lease of old",
    ]
    lease = done["link"]["dhcp4"]["lease"]
    assert machine.addresses("old") == [lease["address"]]
    assert (lease["routers"], lease["dns"], lease["server"], lease["seconds"]) == ([ROUTER], ["192.0.2.53"], ROUTER, 120)
    assert machine.routes() == leased(lease["address"])
    assert machine.rules() == [lease["address"].partition("/")[0]]
    assert not [one for one in machine.routes(254) if one.get("dev") == "old"]
    (client,) = machine.clients()
    after = machine.disk()
    for check in (True, False):
        again = machine.run("macvlan", check=check, **OLD, **FULL)
        assert (again["changed"], again["operations"]) == (False, []), again
        assert again["link"]["dhcp4"]["lease"] == lease
    assert machine.clients() == [client]
    assert_equal(machine.disk(), after)
    static = machine.apply("macvlan", **OLD, addresses=[])
    assert not static["changed"], "what a client gave counts as static"
    told = machine.run("macvlan", check=True, **OLD, dhcp4={"enabled": False})
    assert machine.clients() == [client]
    done = machine.apply("macvlan", **OLD, dhcp4={"enabled": False})
    assert done["operations"] == told["operations"]
    assert done["link"]["dhcp4"]["enabled"] is False
    assert machine.clients() == []
    assert_equal(machine.disk(), disk)
    assert machine.disk() == disk
    assert_equal(machine.settled(), kernel)
    assert machine.sh("ls /run/patchbay 2>&1 || :").stdout.startswith("ls: cannot access")
    assert not machine.apply("macvlan", **OLD, dhcp4={"enabled": False})["changed"]


def test_absent(machine: Served) -> None:
    """The client is removed with its link in one task, also if another program deleted the link."""
    disk, kernel = machine.disk(), machine.settled()
    for by_hand in (False, True):
        machine.apply("macvlan", **OLD, **FULL)
        if by_hand:
            machine.sh("ip link delete old")
        machine.apply("macvlan", name="old", state="absent")
        assert machine.clients() == []
        assert machine.disk() == disk
        assert_equal(machine.settled(), kernel)


def test_address_only(machine: Served) -> None:
    """Without a table only the address is added, with the lifetime of the lease."""
    done = machine.apply("macvlan", **OLD, dhcp4={"wait": 20})
    (shown,) = machine.ip("-4 address show dev old")[0]["addr_info"]
    assert shown["noprefixroute"] is True
    assert 100 < shown["valid_life_time"] <= 120
    assert done["link"]["dhcp4"]["lease"]["address"] == f"{shown['local']}/24"
    ((told, _link_local),) = [one["addresses"] for one in machine.run("link_info", name="old")["links"]]
    assert (told["ip"], told["owner"], told["settled"]) == (f"{shown['local']}/24", "dhcp", True)
    assert 100 < told["valid_seconds"] <= shown["valid_life_time"]
    made = [one for one in machine.ip("-4 route show table all") if one.get("dev") == "old"]
    assert {one.get("table") for one in made} == {"local"}, "there are routes beside those that the kernel derives for itself"
    assert [one["priority"] for one in machine.ip("-4 rule show")] == [0, 32766, 32767]


# --- messages to the server ---


@pytest.mark.parametrize(
    ("suboptions", "said"),
    [
        ({}, {"client-id": None, "client provides name": None, "vendor class": None}),
        ({"hostname": "old.example.org"}, {"client-id": None, "client provides name": "old.example.org"}),
        ({"vendor_class": "Polycom VVX"}, {"vendor class": "Polycom VVX"}),
    ],
)
def test_sent_options(machine: Served, suboptions: dict[str, Any], said: dict[str, Any]) -> None:
    """The server receives the given options and no others."""
    machine.apply("macvlan", **OLD, dhcp4={**suboptions, "wait": 20})
    log = server_log()
    for name, value in said.items():
        found = re.search(rf"{name}: (.*)", log)
        assert (found[1].strip() if found else None) == value


@pytest.mark.parametrize(
    ("client_id", "seen"),
    [("none", None), ("mac", "01{mac}"), ("01:aa:bb:cc", "01aabbcc"), ("duid", "ff{tail}0004[0-9a-f]{{32}}")],
)
def test_client_id_on_the_wire(machine: Served, client_id: str, seen: str | None) -> None:
    """A capture shows the client identifier in each message."""
    machine.apply("macvlan", **OLD, address=mac(9))
    machine.sh("echo 0123456789abcdef0123456789abcdef >/etc/machine-id")
    capture = "tcpdump -Z root --immediate-mode -U -n -i old -w /run/wire 'udp port 67' >/run/tcpdump 2>&1"
    machine.sh(f"{capture} & echo $! >/run/tcpdump.pid; sleep 0.5")
    machine.apply("macvlan", **OLD, dhcp4={"client_id": client_id, "wait": 20})
    time.sleep(0.3)
    shown = machine.sh("kill $(cat /run/tcpdump.pid); sleep 0.2; tcpdump -Z root -n -vvv -x -r /run/wire 2>/dev/null").stdout
    asked = [part for part in re.split(r"(?m)^(?=\S)", shown) if "Request from" in part]
    assert len(asked) == 2, (shown, machine.sh("cat /run/tcpdump").stdout)
    plain = mac(9).replace(":", "")
    for part in asked:
        octets = "".join(re.findall(r"(?m)^\s+0x[0-9a-f]+:\s+(.*)$", part)).replace(" ", "")
        options = dict(options_of(octets[(20 + 8 + 240) * 2 :]))
        if seen is None:
            assert 61 not in options
        else:
            assert re.fullmatch(seen.format(mac=plain, tail=plain[-8:]), options[61])


def options_of(text: str) -> Iterator[tuple[int, str]]:
    """Return (number, octets) of the options of a message."""
    while text and text[:2] != "ff":
        if text[:2] == "00":
            text = text[2:]
            continue
        number, size = int(text[:2], 16), int(text[2:4], 16) * 2
        yield number, text[4 : 4 + size]
        text = text[4 + size :]


# --- leases that change ---


def test_renewal_updates_only_the_lifetime(machine: Served) -> None:
    """A renewal changes only the lifetime, and therefore works without pyroute2."""
    done = machine.apply("macvlan", **OLD, **FULL)
    before = machine.settled()
    time.sleep(2)
    machine.sh("mount -t tmpfs none /usr/lib/python3/dist-packages/pyroute2")
    machine.renew()
    machine.sh("umount /usr/lib/python3/dist-packages/pyroute2")
    assert "failed" not in machine.sh("cat /run/patchbay/dhcp/old.log").stdout
    (shown,) = machine.ip("-4 address show dev old")[0]["addr_info"]
    assert shown["valid_life_time"] > 118
    assert_equal(machine.settled(), before)
    again = machine.apply("macvlan", **OLD, **FULL)
    assert not again["changed"]
    assert again["link"]["dhcp4"]["lease"] == done["link"]["dhcp4"]["lease"]


def test_planned_renewal_updates_the_lifetime(machine: Served) -> None:
    """After a change of routers, lost routes or a missing way to the router, the address still gets its new lifetime."""
    machine.apply("macvlan", **OLD, **FULL)
    machine.apply("macvlan", **{**OLD, "name": "alone"}, dhcp4={"wait": 20})
    lasts, apart = (partial(_seconds_left, machine, link) for link in ("old", "alone"))
    client, other = (json.loads(machine.sh(f"cat /run/patchbay/dhcp/{link}.pid").stdout.split()[0]) for link in ("old", "alone"))
    time.sleep(3)
    machine.renew(other)  # no route leads to the router
    assert apart() > 118
    serve(f"dhcp-option=3,{OTHER_ROUTER}")
    machine.renew(client)
    assert machine.routes()[0]["gateway"] == OTHER_ROUTER
    assert lasts() > 118
    time.sleep(3)
    machine.sh("ip link set old down; ip link set old up")
    machine.renew(client)
    assert machine.routes()[0]["gateway"] == OTHER_ROUTER
    assert lasts() > 118


def _seconds_left(machine: Served, link: str) -> int:
    (shown,) = machine.ip(f"-4 address show dev {link}")[0]["addr_info"]
    return int(shown["valid_life_time"])


def test_renewal_leaves_by_its_own_link(machine: Served) -> None:
    """Renewals leave with the MAC address and the IP address of the old host, as a switch sees them."""
    lease = machine.apply("macvlan", **OLD, address=mac(9), **FULL)["link"]["dhcp4"]["lease"]
    capture = "tcpdump -Z root --immediate-mode -l -e -n -i br0 'udp dst port 67' >/run/seen 2>/run/tcpdump"
    hosts("enter", SERVER, "sh", "-c", f"{capture} & echo $! >/run/tcpdump.pid; sleep 0.5")
    machine.renew()
    seen = hosts("enter", SERVER, "sh", "-c", "kill $(cat /run/tcpdump.pid); cat /run/seen").stdout
    assert "BOOTP" in seen
    for frame in filter(None, seen.splitlines()):  # the client may send two requests
        assert f" {mac(9)} > " in frame
        assert f" {lease['address'].partition('/')[0]}.68 > {ROUTER}.67: " in frame


def test_another_address_within_one_renewal(machine: Served) -> None:
    """Address, routes and rule change with the lease. Static addresses stay, with their own network and rule in the table."""
    old = machine.apply("macvlan", **OLD, address=mac(9), addresses=["198.51.100.5/24"], **FULL)["link"]["dhcp4"]["lease"]
    serve(f"dhcp-host={mac(9)},192.0.2.77", f"dhcp-option=3,{OTHER_ROUTER}")
    machine.renew()
    machine.until(lambda: "192.0.2.77/24" in machine.addresses("old"))
    machine.until(lambda: machine.rules() == ["198.51.100.5", "192.0.2.77"])
    machine.until(lambda: not machine.hooks())
    assert machine.addresses("old") == ["198.51.100.5/24", "192.0.2.77/24"]
    assert old["address"] not in machine.addresses("old")
    static = {"type": "unicast", "dst": "198.51.100.0/24", "dev": "old", "prefsrc": "198.51.100.5"}
    assert machine.routes() == [*leased("192.0.2.77/24", router=OTHER_ROUTER), static]
    again = machine.apply("macvlan", **OLD, addresses=["198.51.100.5/24"], **FULL)
    assert not again["changed"], again["operations"]
    assert again["link"]["dhcp4"]["lease"]["address"] == "192.0.2.77/24"


def test_classless_routes(machine: Served) -> None:
    """The routes of option 121 replace the router, and one of them has no gateway."""
    serve(f"dhcp-option=121,0.0.0.0/0,{OTHER_ROUTER},203.0.113.0/25,0.0.0.0,198.51.100.0/24,192.0.2.9")
    lease = machine.apply("macvlan", **OLD, **full(metric=7))["link"]["dhcp4"]["lease"]
    source = {"dev": "old", "prefsrc": lease["address"].partition("/")[0], "metric": 7}
    assert machine.routes() == [
        {"type": "unicast", "dst": "default", "gateway": OTHER_ROUTER, **source},
        LAST,
        {"type": "unicast", "dst": "192.0.2.0/24", **source},
        {"type": "unicast", "dst": "198.51.100.0/24", "gateway": "192.0.2.9", **source},
        {"type": "unicast", "dst": "203.0.113.0/25", **source},
    ]


def test_link_that_was_down(machine: Served) -> None:
    """The routes that the kernel deletes with a link that is set down are restored by the next run and by the next renewal."""
    machine.apply("macvlan", **OLD, **FULL)
    before = machine.settled()
    for mend in (lambda: machine.apply("macvlan", **OLD, **FULL), machine.renew):
        machine.sh("ip link set old down; ip link set old up")
        assert machine.routes() == [LAST]
        mend()
        assert_equal(machine.settled(), before)


# --- existing clients ---


def test_client_that_died(machine: Served) -> None:
    """The next run starts a new client, and the address stays."""
    machine.apply("macvlan", **OLD, **FULL)
    before = machine.settled()
    (client,) = machine.clients()
    machine.sh(f"kill -KILL {client}")
    machine.until(lambda: machine.clients() == [])
    done = machine.apply("macvlan", **OLD, **FULL)
    assert done["operations"] == [
        f"start a DHCP client of old: client_id none, hostname oldhost, table {TABLE}, rule_priority {RULE}, client udhcpc"
    ]
    machine.until(lambda: server_log().count("DHCPACK") == 2)
    machine.until(lambda: not machine.hooks())
    assert_equal(machine.settled(), before)
    assert len(machine.clients()) == 1


def test_client_of_another_release(machine: Served) -> None:
    """A client of another release whose files are unreadable is replaced."""
    machine.apply("macvlan", **OLD, **FULL)
    (client,) = machine.clients()
    machine.sh("echo '{}' >/run/patchbay/dhcp/old.json")
    machine.apply("macvlan", **OLD, **FULL)
    assert len(machine.clients()) == 1
    assert client not in machine.clients()


def test_link_recreated_manually(machine: Served) -> None:
    """The client of the deleted link is replaced by the next run, which restores everything."""
    machine.apply("macvlan", **OLD, address=mac(9), **FULL)
    before = machine.settled()
    (client,) = machine.clients()
    machine.sh(f"ip link delete old; ip link add old link eth0 address {mac(9)} type macvlan mode bridge; ip link set old up")
    done = machine.apply("macvlan", **OLD, **FULL)
    assert done["operations"][-2:] == [
        f"restart the DHCP client of old: client_id none, hostname oldhost, table {TABLE}, rule_priority {RULE}, client udhcpc",
        "wait for the lease of old",
    ]
    assert client not in machine.clients()
    assert_equal(machine.settled(), before)


def test_link_recreated_by_a_task(machine: Served) -> None:
    """If the task omits the client, the client is restored with its link."""
    machine.plug("eth1")
    before = machine.apply("macvlan", **OLD, **FULL)["link"]["dhcp4"]["lease"]
    done = machine.apply("macvlan", name="old", lower_device="eth1", recreate="when_required")
    assert done["operations"][0] == "stop the DHCP client of old"
    assert done["operations"][-1].startswith("start a DHCP client of old: ")
    machine.until(lambda: server_log().count("DHCPACK") == 2)
    machine.until(lambda: not machine.hooks())
    again = machine.apply("macvlan", name="old", **FULL)
    assert not again["changed"], again["operations"]
    assert again["link"]["dhcp4"]["lease"] == before
    assert machine.routes() == leased(before["address"])


def test_other_mac(machine: Served) -> None:
    """Another MAC address is another host for the server. One task requests the new lease."""
    one = machine.apply("macvlan", **OLD, address=mac(8), **FULL)["link"]["dhcp4"]["lease"]
    other = machine.apply("macvlan", **OLD, address=mac(9), **FULL)["link"]["dhcp4"]["lease"]
    assert one["address"] != other["address"]
    assert machine.addresses("old") == [other["address"]]
    assert machine.rules() == [other["address"].partition("/")[0]]


# --- failures ---


def test_other_name(machine: Served) -> None:
    """The client is renamed with its link. Nothing is left under the old name."""
    machine.apply("veth", name="ve0", admin_state="up", peer={"name": "ve1", "admin_state": "up", "dhcp4": {}})
    before = machine.clients()
    changed = {"name": "ve0", "peer": {"name": "ve2"}}
    told, done = machine.run("veth", check=True, **changed), machine.apply("veth", **changed)
    assert done["operations"] == told["operations"]
    (after,) = machine.clients()
    assert [after] != before
    assert machine.sh(f"tr '\\0' ' ' </proc/{after}/cmdline").stdout.split()[:4] == ["udhcpc", "-f", "-i", "ve2"]
    assert "ve1" not in machine.known()
    assert not machine.apply("veth", name="ve0", peer={"name": "ve2", "dhcp4": {}})["changed"]


def test_no_server(machine: Served) -> None:
    """The task fails after the given time, and its changes are rolled back."""
    hosts("enter", SERVER, "sh", "-c", "kill $(cat /run/dnsmasq.pid)")
    disk, kernel = machine.disk(), machine.settled()
    result = machine.run("macvlan", **OLD, **full(wait=2))
    assert result["failed"]
    assert "old got no lease within 2 s" in result["msg"]
    assert result["not_undone"] == []
    assert machine.clients() == []
    assert machine.disk() == disk
    assert_equal(machine.settled(), kernel)


def test_no_server_for_an_ended_client(machine: Served) -> None:
    """An ended client that gets no lease with new options keeps its earlier files."""
    hosts("enter", SERVER, "sh", "-c", "kill $(cat /run/dnsmasq.pid)")
    machine.apply("macvlan", **OLD, **full(wait=None))
    machine.sh(f"kill -KILL {machine.clients()[0]}")
    before = machine.run("link_info", name="old")["links"][0]["dhcp4"]
    result = machine.run("macvlan", **OLD, **full(hostname="another", client_id="ff:01", wait=2))
    assert "old got no lease within 2 s" in result["msg"]
    assert result["not_undone"] == []
    assert machine.run("link_info", name="old")["links"][0]["dhcp4"] == before
    assert machine.clients() == []


def test_failure_after_the_lease(machine: Served) -> None:
    """If a later operation fails, the unplanned addresses and routes of the lease are removed too."""
    machine.sh("mkdir /etc/patchbay; mount -t tmpfs -o ro none /etc/patchbay")
    disk, kernel = machine.disk(), machine.settled()
    result = machine.run("macvlan", **OLD, **FULL, persist="replay")
    assert "Read-only file system" in result["msg"]
    assert result["not_undone"] == []
    assert machine.clients() == []
    assert machine.disk() == disk
    assert_equal(machine.settled(), kernel)


def test_name_that_looks_like_an_option(machine: Served) -> None:
    """A link whose name looks like an option is refused, because dhclient would release its lease."""
    result = machine.run("macvlan", check=True, **{**OLD, "name": "-r"}, dhcp4={"client": "dhclient"})
    assert result["msg"] == "-r: dhcp4: dhclient would read the link name -r as an option. Set client: udhcpc, or omit client"


def test_without_a_client(machine: Served) -> None:
    """If no client is installed, the message names the packages, and nothing changes."""
    machine.sh("for program in udhcpc dhclient; do mount --bind /dev/null /usr/sbin/$program; done")
    for written in (None, "dhcpcd"):
        done = machine.run("macvlan", check=True, **OLD, dhcp4={"client": written} if written else {})
        assert done["link"]["dhcp4"]["client"] == "dhcpcd", done
    machine.sh("mount --bind /dev/null /usr/sbin/dhcpcd")
    result = machine.run("macvlan", check=True, **OLD, dhcp4={})
    assert result["msg"] == (
        "old: dhcp4: this host has no DHCP client (udhcpc, dhclient, dhcpcd). "
        "Install one (Debian: apt install udhcpc or isc-dhcp-client or dhcpcd-base)"
    )
    result = machine.run("macvlan", check=True, **OLD, dhcp4={"client": "dhclient"})
    assert result["msg"] == (
        "old: dhcp4: dhclient is not installed. Install it (Debian: apt install isc-dhcp-client), or omit client"
    )


def test_unusable_client(machine: Served) -> None:
    """A given client that cannot serve the link is refused and not replaced by another one."""
    result = machine.run("macvlan", check=True, **OLD, dhcp4={"client": "networkd"})
    assert result["msg"] == (
        "old: dhcp4: systemd-networkd is not running on this host. Start it (systemctl enable --now systemd-networkd), or "
        "omit client"
    )


def test_client_in_the_declaration(machine: Served) -> None:
    """The declaration names the client only if the task does. The result always names it."""
    written = Path(machine.path(f"{FOLDER}/link-old.json"))
    for suboptions in ({}, {"client": "udhcpc"}):
        done = machine.apply("macvlan", **OLD, dhcp4=suboptions, persist="replay")
        assert done["link"]["dhcp4"]["client"] == "udhcpc"
        saved = json.loads(written.read_text())["macvlan"]["dhcp4"]
        assert saved == {"client_id": "none", **suboptions}


def test_another_client_serves(machine: Served) -> None:
    """A link that another program serves is refused."""
    machine.sh("udhcpc -i eth0 -p /run/client.pid -s /bin/true >/dev/null 2>&1")
    result = machine.run("link", name="eth0", dhcp4={})
    assert re.match(r"eth0: dhcp4: udhcpc \(process \d+\) already serves the link, and two clients", result["msg"]), result
    assert machine.clients() != []


# --- results ---


def test_info(machine: Served) -> None:
    """link_info returns lease, client and boot backend. Without root privileges they are null."""
    unserved = {"enabled": False, "client": None, "lease": None, "running": False}

    def told(name: str, **how: Any) -> tuple[Any, Any]:
        found = machine.run("link_info", name=name, **how)["links"][0]
        return found["dhcp4"] and {key: found["dhcp4"][key] for key in unserved}, found["persist"]

    def as_nobody() -> None:
        os.setuid(65534)

    assert told("eth0") == (unserved, "none")
    assert told("eth0", inside=as_nobody) == (unserved, "none")
    done = machine.apply("macvlan", **OLD, **FULL, persist="replay")
    served = {"enabled": True, "client": "udhcpc", "lease": done["link"]["dhcp4"]["lease"], "running": True}
    assert told("old") == (served, "replay")
    assert told("eth0") == (unserved, "none")
    assert told("old", inside=as_nobody) == (None, None)
    machine.sh(f"kill -KILL {machine.clients()[0]}")
    machine.until(lambda: machine.clients() == [])
    assert told("old") == ({**served, "running": False}, "replay")
    machine.apply("veth", name="v0", peer={"name": "v1"}, persist="replay")
    assert told("v1") == (unserved, "replay")


# --- the resolver ---


def test_resolver_of_a_namespace(machine: Served) -> None:
    """The namespace has its own resolv.conf for the lifetime of the lease. A file of others is not changed."""
    topology: dict[str, Any] = {
        "netns": [{"name": "blue"}],
        "macvlan": [{**OLD, "netns": "blue", **full(use_dns=True)}],
    }
    machine.sh("mkdir -p /etc/netns/blue; echo 'nameserver 192.0.2.9' >/etc/netns/blue/resolv.conf")
    refused = machine.run("topology", **topology)
    assert refused["msg"] == (
        "old in netns blue: dhcp4: use_dns: /etc/netns/blue/resolv.conf exists and was not written from the lease of old. "
        "Delete it, or omit use_dns and write it yourself"
    )
    machine.sh("rm -r /etc/netns")
    disk = machine.disk()
    own = machine.sh("cat /etc/resolv.conf").stdout
    machine.apply("topology", **topology)
    shown = "ip netns exec blue cat /etc/resolv.conf"
    mark = "# Written by patchbay.netdev from the lease of old.\n"
    assert machine.sh(shown).stdout == f"{mark}nameserver 192.0.2.53\n"
    assert not machine.apply("topology", **topology)["changed"]
    serve("dhcp-option=15,old.example")
    for program in ("udhcpc", "dhclient", "dhcpcd"):  # a running client continues, even if no client could be started
        machine.sh(f"mount --bind /dev/null /usr/sbin/{program}")
    machine.renew()
    machine.until(lambda: machine.sh(shown).stdout == f"{mark}search old.example\nnameserver 192.0.2.53\n")
    machine.until(lambda: not machine.hooks())
    machine.sh("umount /usr/sbin/udhcpc")
    topology["macvlan"][0].update(FULL)
    assert machine.apply("topology", **topology)["changed"]
    assert machine.sh(shown).stdout == own
    topology["macvlan"][0].update(full(use_dns=True))
    machine.apply("topology", **topology)  # with the current lease
    assert "192.0.2.53" in machine.sh(shown).stdout
    machine.apply("topology", netns=[{"name": "blue", "state": "absent", "force": True}])
    assert machine.disk() == disk
    assert machine.sh("ls /etc/netns 2>&1 || :").stdout.startswith("ls: cannot access")


def test_resolver_of_the_host(machine: Served) -> None:
    """The servers are added to and removed from resolvconf. Without resolvconf the option is refused."""
    machine.sh("rm -f /etc/resolv.conf; echo nameserver 192.0.2.2 | resolvconf -a eth0.static")
    before = machine.sh("cat /etc/resolv.conf").stdout
    assert "192.0.2.2" in before
    machine.apply("macvlan", **OLD, **full(use_dns=True))
    during = machine.sh("cat /etc/resolv.conf").stdout
    assert "192.0.2.53" in during
    assert "192.0.2.2" in during
    machine.apply("macvlan", **OLD, dhcp4={"enabled": False})
    assert machine.sh("cat /etc/resolv.conf").stdout == before
    machine.sh("mount --bind /dev/null /usr/sbin/resolvconf")
    refused = machine.run("macvlan", check=True, **OLD, dhcp4={"use_dns": True})
    assert refused["msg"] == (
        "old: dhcp4: use_dns: this host has neither systemd-resolved nor resolvconf, which build /etc/resolv.conf from several "
        "links. Install one (Debian: apt install systemd-resolved or openresolv), or omit use_dns"
    )


# --- network namespaces ---


def test_in_a_namespace(machine: Served) -> None:
    """Client and hook run in the namespace of the link."""
    topology = {
        "netns": [{"name": "blue"}],
        "macvlan": [{**OLD, "netns": "blue", **FULL}],
    }
    disk, kernel = machine.disk(), machine.settled()
    lease = machine.apply("topology", **topology)["links"][0]["dhcp4"]["lease"]
    assert machine.addresses("old", "blue") == [lease["address"]]
    assert machine.routes(netns="blue") == leased(lease["address"])
    assert machine.rules(netns="blue") == [lease["address"].partition("/")[0]]
    assert machine.rules() == []
    machine.renew()
    again = machine.apply("topology", **topology)
    assert not again["changed"], again["operations"]
    sleeper = machine.sh("ip netns exec blue sleep 99 >/dev/null 2>&1 & echo $!").stdout.strip()
    refused = machine.run("topology", netns=[{"name": "blue", "state": "absent"}])
    assert f"processes run in it ({sleeper})" in refused["msg"], "the client is counted among those that stay"
    machine.sh(f"kill {sleeper}; sleep 0.2")
    told = machine.run("topology", check=True, netns=[{"name": "blue", "state": "absent"}])
    assert machine.apply("topology", netns=[{"name": "blue", "state": "absent"}])["operations"] == told["operations"]
    assert machine.clients() == []
    assert machine.disk() == disk
    assert_equal(machine.settled(), kernel)


def test_namespace_that_others_deleted(machine: Served) -> None:
    """The client keeps a deleted namespace until a task with state absent."""
    disk = machine.disk()
    machine.apply("topology", netns=[{"name": "blue"}], macvlan=[{**OLD, "netns": "blue", **FULL}])
    machine.sh("ip netns del blue")
    assert len(machine.clients()) == 1
    told = machine.run("topology", check=True, netns=[{"name": "blue", "state": "absent"}])
    done = machine.apply("topology", netns=[{"name": "blue", "state": "absent"}])
    assert done["operations"] == told["operations"]
    assert machine.clients() == []
    assert machine.disk() == disk
    assert not machine.apply("topology", netns=[{"name": "blue", "state": "absent"}])["changed"]


def test_one_name_in_two_namespaces(machine: Served) -> None:
    """Two links with one name have independent clients and hooks, although each hook sees only its own namespace."""
    topology = {
        "netns": [{"name": "blue"}],
        "macvlan": [{**OLD, "netns": "blue", **FULL}, {**OLD, **full(hostname="other")}],
    }
    there, here = machine.apply("topology", **topology)["links"]
    assert there["dhcp4"]["lease"]["address"] != here["dhcp4"]["lease"]["address"]
    for link, netns in ((there, "blue"), (here, "")):
        address = link["dhcp4"]["lease"]["address"]
        assert machine.addresses("old", netns) == [address]
        assert machine.routes(netns=netns) == leased(address)
        assert machine.rules(netns=netns) == [address.partition("/")[0]]
    machine.sh("ip -n blue link set old down; ip -n blue link set old up")  # so that the next renewal is planned
    blue = int(machine.sh("cat /run/patchbay/dhcp/blue@old.pid").stdout.split()[0])
    machine.renew(blue)
    machine.until(lambda: machine.routes(netns="blue") == leased(there["dhcp4"]["lease"]["address"]))
    assert "failed" not in machine.sh("cat /run/patchbay/dhcp/blue@old.log").stdout
    again = machine.apply("topology", **topology)
    assert not again["changed"], again["operations"]


def test_twenty_clients(machine: Served) -> None:
    """One task creates twenty links on one lower device, each with its own lease, table and rule."""
    links = [
        {
            **OLD,
            "name": f"old{number}",
            "source_routing": {"table": str(200 + number), "rule_priority": 1200 + number},
            "dhcp4": {"wait": 30},
        }
        for number in range(20)
    ]
    done = machine.apply("topology", macvlan=links)
    found = {link["dhcp4"]["lease"]["address"] for link in done["links"]}
    assert len(found) == 20
    for number, link in enumerate(done["links"]):
        address = link["dhcp4"]["lease"]["address"]
        assert machine.routes(200 + number) == leased(address, link["name"])
        assert machine.rules(1200 + number) == [address.partition("/")[0]]
    assert not machine.apply("topology", macvlan=links)["changed"]
    machine.apply("topology", macvlan=[{"name": link["name"], "state": "absent"} for link in links])
    assert machine.clients() == []


# --- after a reboot ---


def test_restored_at_boot(machine: Served) -> None:
    """A saved client gets the same lease after a reboot. A removed one is not restored."""
    disk = machine.disk()
    machine.apply("macvlan", **OLD, **FULL, persist="replay")
    before = machine.settled()
    saved = json.loads(Path(machine.path(f"{FOLDER}/link-old.json")).read_text())["macvlan"]
    assert saved["dhcp4"] == {"client_id": "none", "hostname": "oldhost"}
    assert saved["source_routing"] == FULL["source_routing"]
    assert machine.check() == (0, [])
    machine.reboot("eth0")
    assert machine.clients() == []
    assert machine.check()[0] == 2
    assert machine.replay()[0] == 0
    machine.until(lambda: bool(machine.rules()) and not machine.hooks())
    assert_equal(machine.settled(), before)
    assert machine.check() == (0, [])
    assert not machine.apply("macvlan", **OLD, **FULL, persist="replay")["changed"]
    machine.apply("macvlan", name="old", state="absent")
    assert machine.disk() == disk
    machine.reboot("eth0")
    assert machine.clients() == []


def test_without_persist(machine: Served) -> None:
    """No client runs after a reboot. The next task starts it."""
    disk = machine.disk()
    machine.apply("macvlan", **OLD, **FULL)
    machine.reboot("eth0")
    assert machine.clients() == []
    assert machine.replay()[0] == 0
    assert machine.clients() == []
    assert machine.disk() != disk
    assert machine.apply("link", name="eth0", mtu=1500)["operations"] == []  # a task that is about no file
    done = machine.apply("link", name="eth0", persist="none")
    assert done["operations"] == [
        "remove files that are no longer needed: delete /usr/local/lib/patchbay/replay.pyz, "
        "delete /usr/local/lib/patchbay/dhcp-hook"
    ]
    assert machine.disk() == disk
    machine.apply("macvlan", **OLD, **FULL)
    assert machine.rules() != []

# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Static addresses on a link that also has a DHCP client or router advertisements, whose addresses are never changed."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from ansible_collections.patchbay.netdev.tests.integration.dhcp_servers import DNSMASQ
from ansible_collections.patchbay.netdev.tests.integration.test_guard import Managed, hosts

SERVER = "lan"
# The shortest lease of dnsmasq is two minutes, and clients renew after one minute. T1 (option 58) is therefore four
# seconds, which dhclient respects. udhcpc renews when it gets a signal.
CONFIGURATION = f"""{DNSMASQ}log-dhcp
log-facility=/run/dnsmasq.log
pid-file=/run/dnsmasq.pid
dhcp-leasefile=/run/dnsmasq.leases
dhcp-range=192.0.2.100,192.0.2.199,255.255.255.0,2m
dhcp-option=58,4
enable-ra
ra-param=br0,4,1800
dhcp-range=2001:db8:5::,ra-only,64,10m
"""
STATIC = ["192.0.2.20/24", "198.51.100.20/24", {"ip": "2001:db8:6::20/64", "nodad": True}]
RUNS = 10

_numbers = itertools.count(1)


@pytest.fixture(scope="module", autouse=True)
def server() -> Iterator[None]:
    """Start a switch with a DHCP server and router advertisements."""
    hosts("switch", SERVER, "192.0.2.1/24")
    hosts("enter", SERVER, "ip", "address", "add", "2001:db8:5::1/64", "dev", "br0", "nodad")
    # The server must identify as a router in neighbor advertisements, or its neighbors delete their routes through it.
    hosts("enter", SERVER, "sh", "-c", "echo 1 >/proc/sys/net/ipv6/conf/all/forwarding")
    hosts("enter", SERVER, "sh", "-c", "cat >/run/dnsmasq.conf", given=CONFIGURATION)
    hosts("enter", SERVER, "dnsmasq", "--conf-file=/run/dnsmasq.conf")
    yield
    hosts("stop", SERVER)


@dataclass(frozen=True)
class Served(Managed):
    """A host whose eth0 is connected to the switch of the server."""

    def shown(self, family: str) -> list[dict[str, Any]]:
        """Return the addresses of eth0 except link-local ones, without lifetimes."""
        (found,) = json.loads(self.here("ip -j -d address show dev eth0"))
        volatile = ("valid_life_time", "preferred_life_time", "tentative", "deprecated")
        return [
            {name: value for name, value in item.items() if name not in volatile}
            for item in found["addr_info"]
            if item["family"] == family and item["scope"] != "link"
        ]

    def routes(self, family: str, *more: str) -> list[Any]:
        """Return the routes of the main table through eth0, without lifetimes."""
        found = json.loads(self.here(f"ip -{family} -j route show dev eth0 {' '.join(more)}"))
        return [{name: value for name, value in item.items() if name not in ("expires", "flags")} for item in found]

    def until(self, command: str, what: str) -> None:
        """Wait until a shell command on the host succeeds."""
        end = time.monotonic() + 20
        while hosts("enter", self.name, "sh", "-c", command, check=False).returncode:
            assert time.monotonic() < end, f"{what}: {self.here('ip address; ip route; ip -6 route; ls /run')}"
            time.sleep(0.05)

    def owners(self) -> dict[str, str]:
        """Return the owner of each address of eth0 from link_info."""
        (link,) = self.local("link_info", name="eth0")["links"]
        return {item["ip"].partition("/")[0]: item["owner"] for item in link["addresses"]}

    def acknowledged(self) -> int:
        """Return the number of leases that the server granted and renewed."""
        return int(hosts("enter", SERVER, "grep", "-c", f"DHCPACK.* {self.mac}", "/run/dnsmasq.log", check=False).stdout)

    def renewed(self, command: str = ":") -> None:
        """Wait until the server renewed the lease and the client processed the reply."""
        before = self.acknowledged()
        # A reply within microseconds would be lost, because udhcpc still has its sending socket open.
        hosts("enter", SERVER, "sh", "-c", "kill -STOP $(cat /run/dnsmasq.pid)")
        self.here(command)
        time.sleep(0.5)
        hosts("enter", SERVER, "sh", "-c", "kill -CONT $(cat /run/dnsmasq.pid)")
        end = time.monotonic() + 20
        while self.acknowledged() == before:
            assert time.monotonic() < end, "the client asked for no renewal"
            time.sleep(0.05)
        time.sleep(0.3)  # the script of the client runs


@pytest.fixture
def served() -> Iterator[Served]:
    """Create a host without addresses."""
    number = next(_numbers)
    made = Served(f"served{number}", "", f"02:00:00:00:02:{number:02x}")
    hosts("start", made.name)
    hosts("cable", SERVER, made.name, "203.0.113.9/32", made.mac)
    made.here("ip address del 203.0.113.9/32 dev eth0")
    try:
        yield made
    finally:
        hosts("stop", made.name)


CLIENTS = {
    # the command that starts the client, and the one that makes it renew
    "udhcpc": ("udhcpc -i eth0 -p /run/client.pid >/run/client.log 2>&1", "kill -USR1 $(cat /run/client.pid)"),
    "dhclient": ("dhclient -4 -pf /run/client.pid -lf /run/client.leases eth0 >/run/client.log 2>&1", ":"),
}
LEASED = "ip -4 address show dev eth0 | grep -q 'inet 192.0.2.1[0-9][0-9]/24'"
ADVERTISED = "ip -6 address show dev eth0 scope global -tentative | grep -q 2001:db8:5:"


@pytest.mark.parametrize("client", CLIENTS)
def test_client(served: Served, client: str) -> None:
    """Ten runs with a renewal in between change and report nothing of the client."""
    start, renew = CLIENTS[client]
    served.here(start)
    served.until(LEASED, "no lease")
    (lease,) = served.shown("inet")
    routes = served.routes("4")
    assert "192.0.2.1" in [route.get("gateway") for route in routes]
    wanted = {"name": "eth0", "addresses": STATIC}
    told = served.local("link", **wanted, _ansible_check_mode=True)
    done = served.local("link", **wanted)
    assert (
        done["operations"]
        == told["operations"]
        == ["set eth0: addresses add 192.0.2.20/24, add 198.51.100.20/24, add 2001:db8:6::20/64"]
    )
    assert [item["ip"] for item in done["link"]["addresses"]] == ["192.0.2.20/24", "198.51.100.20/24", "2001:db8:6::20/64"]
    with_static = served.shown("inet"), served.routes("4")
    assert lease in with_static[0]
    assert all(route in with_static[1] for route in routes)
    for run in range(RUNS):
        if run == RUNS // 2:
            served.renewed(renew)
        again = served.local("link", **wanted, _ansible_check_mode=bool(run % 3 == 1))
        assert not again.get("failed"), again
        assert not again["changed"], again
        assert again["operations"] == []
        assert (served.shown("inet"), served.routes("4")) == with_static
    assert served.owners()[lease["local"]] == "dhcp"
    # another list of static addresses: addresses of the client, and those that look like them, stay
    done = served.local("link", name="eth0", addresses=["192.0.2.21/24"])
    assert not done.get("failed"), done
    assert lease in served.shown("inet")
    assert all(route in served.routes("4") for route in routes)
    kept = {item["local"] for item in served.shown("inet")} - {lease["local"]}
    assert kept == ({"192.0.2.20", "198.51.100.20", "192.0.2.21"} if client == "udhcpc" else {"192.0.2.21"})
    served.renewed(renew)
    assert lease in served.shown("inet")
    again = served.local("link", name="eth0", addresses=["192.0.2.21/24"])
    assert not again["changed"], (again, served.here("ip address show dev eth0"))


def test_client_that_ended(served: Served) -> None:
    """The address of a client that has ended is managed as a static address."""
    start, _renew = CLIENTS["udhcpc"]
    served.here(start)
    served.until(LEASED, "no lease")
    (lease,) = served.shown("inet")
    assert served.owners()[lease["local"]] == "dhcp"
    assert not served.local("link", name="eth0", addresses=[])["changed"]
    served.here("kill $(cat /run/client.pid)")
    served.until("! test -e /proc/$(cat /run/client.pid 2>/dev/null || echo none)", "the client did not end")
    assert served.owners()[lease["local"]] == "static"
    done = served.local("link", name="eth0", addresses=[], allow_lockout=True)
    assert done["operations"] == [f"set eth0: addresses remove {lease['local']}/24"]


def test_client_on_another_link(served: Served) -> None:
    """Other links than that of the client are managed as usual."""
    served.here("ip link add v0 type veth peer name v1; ip address add 198.51.100.9/24 dev v0; ip link set v0 up")
    start, _renew = CLIENTS["udhcpc"]
    served.here(start)
    served.until(LEASED, "no lease")
    done = served.local("link", name="v0", addresses=[])
    assert done["operations"] == ["set v0: addresses remove 198.51.100.9/24"]


def test_router_advertisements(served: Served) -> None:
    """Addresses, including temporary ones, and routes from advertisements are never changed and have their own owner."""
    served.here("echo 2 >/proc/sys/net/ipv6/conf/eth0/use_tempaddr; ip link set eth0 down; ip link set eth0 up")
    served.until(ADVERTISED, "no advertisement")
    served.until("ip -6 address show dev eth0 temporary | grep -q 2001:db8:5:", "no temporary address")
    served.until("ip -6 route show proto ra | grep -q default", "no route")
    served.here("ip address add 2001:db8:7::7/64 dev eth0; ip address add 127.0.0.7/8 dev lo")
    mine, ours = served.shown("inet6"), served.routes("6", "proto", "ra")
    advertised = [item for item in mine if item["local"].startswith("2001:db8:5:")]
    assert len(advertised) == 2
    wanted = {"name": "eth0", "addresses": STATIC}
    done = served.local("link", **wanted)
    assert done["operations"] == [
        "set eth0: addresses add 192.0.2.20/24, add 198.51.100.20/24, add 2001:db8:6::20/64, remove 2001:db8:7::7/64"
    ]
    for run in range(RUNS):
        if run == RUNS // 2:
            time.sleep(5)  # the router sends an advertisement at least every four seconds
        again = served.local("link", **wanted, _ansible_check_mode=bool(run % 3 == 1))
        assert not again["changed"], again
        found = served.shown("inet6")
        assert [item for item in found if item["local"].startswith("2001:db8:5:")] == advertised
        assert served.routes("6", "proto", "ra") == ours
    owners = served.owners()
    assert {owners[item["local"]] for item in advertised} == {"ra"}
    assert [owners[ip] for ip in ("192.0.2.20", "198.51.100.20", "2001:db8:6::20")] == ["static"] * 3
    assert [who for ip, who in owners.items() if ip.startswith("fe80:")] == ["kernel"]
    (lo,) = served.local("link_info", name="lo")["links"]
    assert {item["ip"]: item["owner"] for item in lo["addresses"]} == {
        "127.0.0.1/8": "kernel",
        "127.0.0.7/8": "static",
        "::1/128": "kernel",
    }
    done = served.local("link", name="eth0", addresses=[])
    assert not done.get("failed"), done
    assert served.shown("inet6") == advertised
    assert served.shown("inet") == []


def test_advertised_address_declared(served: Served) -> None:
    """A declared address from an advertisement may expire. The task warns and changes nothing."""
    served.until(ADVERTISED, "no advertisement")
    address = next(item for item in served.shown("inet6") if item["local"].startswith("2001:db8:5:"))["local"]
    done = served.local("link", name="eth0", addresses=[f"{address}/64"])
    assert not done["changed"], done
    assert f"eth0: address {address} was set by a router advertisement, and disappears when its lifetime ends" in str(
        done["warnings"]
    )

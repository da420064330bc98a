# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The network that old hosts move in, and what it sees of them: who answers for an address, and from which MAC address.

A switch with a DHCP server and a router, a client on it, and another one behind the router.
"""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.patchbay.netdev.tests.integration.dhcp_servers import DNSMASQ
from ansible_collections.patchbay.netdev.tests.integration.host import CLONE, hosts

CLIENT, REMOTE = "192.0.2.9", "198.51.100.9"
PORT = 7000
MANY = 20
LEASE_SECONDS = 600
ROUTER6 = "fe80::1"
NETWORK6 = "2001:db8:5:"
CONFIGURATION = f"""{DNSMASQ}log-facility=/run/dnsmasq.log
pid-file=/run/dnsmasq.pid
dhcp-leasefile=/run/dnsmasq.leases
dhcp-range=192.0.2.0,static,255.255.255.0,{LEASE_SECONDS}
"""
ANNOUNCEMENT = f"""enable-ra
ra-param=br0,4,1800
dhcp-range={NETWORK6}:,ra-only,64,10m
"""
# a frame as tcpdump shows it: its MAC address, the address that it speaks for, whom it tells, and what
_ADDRESS = r"(\d+\.\d+\.\d+\.\d+|[0-9a-f]*:[0-9a-f:]*)"
FRAME = (
    rf"^\S+ (\S+) > \S+ ethertype \S+ [^:]*: (?:Request who-has .* tell |Reply )?{_ADDRESS}(?:\.\d+)?"
    rf"(?: > {_ADDRESS}(?:\.\d+)?: (\w+))?"
)


def mac(number: int) -> str:
    """The MAC address of an old host."""
    return f"00:16:3e:11:11:{number:02x}"


def ip(number: int) -> str:
    """The IPv4 address of an old host, which the DHCP server gives to its MAC address."""
    return f"192.0.2.{100 + number}"


def ip6(number: int) -> str:
    """The one of IPv6 that an old host made of the router's announcement and its MAC address."""
    return f"{NETWORK6}:216:3eff:fe11:11{number:02x}".replace("::", ":0:", 1)


def old(number: int, **more: Any) -> dict[str, Any]:
    """An entry of the list."""
    return {"host": f"old{number}", "name": f"link{number}", "lower_device": "eth0", "address": mac(number), **more}


ENTRIES = [old(number, expected_address=ip(number)) for number in range(1, MANY + 1)]
OLD_HOSTS = {ip(number): mac(number) for number in range(1, MANY + 1)}


def at(place: str, *command: str, check: bool = True, seconds: float = 60) -> str:
    """What a command says on a host."""
    words = [str(CLONE / "tests/hosts/host"), "enter", place, *command]
    done = subprocess.run(words, capture_output=True, text=True, timeout=seconds, check=False)
    assert not check or done.returncode == 0, f"{' '.join(words)}: {done.stdout}{done.stderr}"
    return done.stdout


def sh(place: str, script: str, check: bool = True) -> str:
    """The same for a shell."""
    return at(place, "sh", "-euc", script, check=check)


@contextlib.contextmanager
def network(announced: bool = True) -> Iterator[None]:
    """Makes everything but the new host, around a switch that is there and has the router's address, and is left as it was.

    announced: whether the router announces a network of IPv6.
    """
    hosts("start", "client", "remote")
    hosts("cable", "switch", "client", f"{CLIENT}/24")
    hosts("cable", "switch", "remote", f"{REMOTE}/24")
    reserved = "".join(f"dhcp-host={mac(number)},{ip(number)}\n" for number in range(1, MANY + 1))
    configuration = CONFIGURATION + reserved + (ANNOUNCEMENT if announced else "")
    hosts("enter", "switch", "sh", "-c", "cat >/run/dnsmasq.conf", given=configuration)
    sh(
        "switch",
        f"""ip link set remote nomaster; ip address add 198.51.100.1/24 dev remote
        ip address add {NETWORK6}:1/64 dev br0 nodad; ip address add {ROUTER6}/64 dev br0 nodad
        ip address add 2001:db8:6::1/64 dev remote nodad
        echo 1 >/proc/sys/net/ipv4/ip_forward; echo 1 >/proc/sys/net/ipv6/conf/all/forwarding
        dnsmasq --conf-file=/run/dnsmasq.conf""",
    )
    sh("remote", "ip route add default via 198.51.100.1; ip address add 2001:db8:6::9/64 dev eth0 nodad")
    sh("remote", "ip -6 route add default via 2001:db8:6::1")
    try:
        yield
    finally:
        sh(
            "switch",
            f"""kill $(cat /run/dnsmasq.pid); rm -f /run/dnsmasq.*; ip link delete client; ip link delete remote
            ip address delete {NETWORK6}:1/64 dev br0; ip address delete {ROUTER6}/64 dev br0
            echo 0 >/proc/sys/net/ipv4/ip_forward; echo 0 >/proc/sys/net/ipv6/conf/all/forwarding""",
        )
        hosts("stop", "client", "remote")


def wait_for_service(place: str, into: str = "") -> None:
    """Until what SERVICE says listens; into: the words that lead into its namespace."""
    sh(place, f"until {into} ss --listening --tcp --numeric | grep -q :{PORT}; do sleep 0.05; done")


def leased(since: float) -> dict[str, str]:
    """The MAC addresses that the DHCP server has given an address to since then, by address."""
    lines = [line.split() for line in sh("switch", "cat /run/dnsmasq.leases").splitlines()]
    return {words[2]: words[1] for words in lines if words[1:] and int(words[0]) >= int(since) + LEASE_SECONDS}


@dataclass(frozen=True)
class Played:
    """How a run of the playbook ended."""

    status: int
    said: str

    @property
    def recap(self) -> dict[str, int]:
        """What is counted for the new host."""
        words = self.said.rpartition(" : ok=")[2].partition("\n")[0].split()
        return {name: int(count) for name, _equals, count in (word.partition("=") for word in words) if count}

    @property
    def changed(self) -> list[str]:
        """The tasks that changed something."""
        tasks = re.split(r"(?m)^(?:TASK|RUNNING HANDLER) ", self.said)[1:]
        return [re.split(r"[\]:] ?", task)[1].strip("] ") for task in tasks if re.search(r"(?m)^changed: ", task)]

    @property
    def why(self) -> str:
        """The message of a failure."""
        found = re.search(r'"msg": "((?:[^"\\]|\\.)*)"', self.said.partition("fatal: ")[2])
        assert found, self.said
        return str(json.loads(f'"{found[1]}"'))


# A service on all addresses of both families that says which one was called, and one by UDP.
SERVICE = f"""
import socket
datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
datagrams.bind(("", 5353))
with socket.create_server(("::", {PORT}), family=socket.AF_INET6, dualstack_ipv6=True, backlog=99) as server:
    while True:
        with server.accept()[0] as one:
            one.sendall((one.getsockname()[0].replace("::ffff:", "") + "\\n").encode())
"""
CALL = f"""
import socket, subprocess, sys
asked = {{address: subprocess.Popen(["ping", "-n", "-c", "1", address], stdout=subprocess.DEVNULL) for address in sys.argv[1:]}}
for address in sys.argv[1:]:
    with socket.create_connection((address, {PORT}), 5) as one:
        print(address, one.makefile().readline().strip())
silent = [address for address, one in asked.items() if one.wait()]
assert not silent, silent
"""


def assert_answered(owners: Mapping[str, str]) -> None:
    """Each address by its MAC address and by no other, as the client hears it."""
    said = sh("client", f"for each in {' '.join(owners)}; do arping -b -w 1 -I eth0 $each & done; wait")
    heard: dict[str, set[str]] = {}
    for address, mac_ in re.findall(r"reply from (\S+) \[(\S+)\]", said):
        heard.setdefault(address, set()).add(mac_.lower())
    assert heard == {address: {mac_} for address, mac_ in owners.items()}, heard


def assert_replies(owners: Mapping[str, str], *clients: str, port: str = "newhost") -> None:
    """What is sent from each address, to a client on the network and to one behind the router, leaves with its MAC alone.

    port: that of the new host on the switch.
    The clients call a service and ping; all else that is sent meanwhile is looked at as well.
    """
    # in this mode each frame takes as much of the buffer as the longest could: with whole frames a busy machine loses some
    sh(
        "switch",
        f"""tcpdump -Z root --interface {port} --direction in --immediate-mode -s 256 -B 8192 -U -w /run/frames \\
        >/run/tcpdump.log 2>&1 & echo $! >/run/tcpdump.pid; until grep -q listening /run/tcpdump.log; do sleep 0.05; done""",
    )
    for place in ("client", "remote"):
        said = at(place, "/usr/bin/python3", "-c", CALL, *owners)
        assert dict(line.split() for line in said.splitlines()) == {address: address for address in owners}, said
    kinds = ("Flags", "ICMP6" if ":" in next(iter(owners)) else "ICMP")  # a segment of TCP, an answer to ping
    wanted = {(*owner, client, what) for owner in owners.items() for client in clients or (CLIENT, REMOTE) for what in kinds}
    end = time.monotonic() + 5
    while wanted - {frame for frame, _line in captured()} and time.monotonic() < end:
        time.sleep(0.1)  # tcpdump may be behind
    sh("switch", "kill $(cat /run/tcpdump.pid); while kill -0 $(cat /run/tcpdump.pid) 2>/dev/null; do sleep 0.01; done")
    frames = captured()
    wrong = [line for (source, mac_, *_rest), line in frames if mac_ != owners.get(source, mac_)]
    assert not wrong, wrong
    sent = {frame for frame, _line in frames if frame[2] in {client for _source, _mac, client, _what in wanted}}
    assert sent == wanted, (sent - wanted, wanted - sent, sh("switch", "cat /run/tcpdump.log"))


def captured() -> list[tuple[tuple[str, ...], str]]:
    """The frames: the address that each speaks for, its MAC address, whom it tells, and what; and as tcpdump shows it."""
    shown = sh("switch", "tcpdump -e -n -r /run/frames 2>/dev/null", check=False).splitlines()  # it may still be written
    return [((found[2], found[1], found[3], found[4]), line) for line in shown if (found := re.search(FRAME, line))]

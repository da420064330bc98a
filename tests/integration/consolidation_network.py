# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The network that old hosts are moved in, and what it sees of them.

It has a switch with a DHCP server and a router, a client on the switch, and a client behind the router. The functions verify
which MAC addresses reply for an address, and which MAC addresses the replies have.
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
# a frame in the output of tcpdump: MAC address, source address, destination, and content
_ADDRESS = r"(\d+\.\d+\.\d+\.\d+|[0-9a-f]*:[0-9a-f:]*)"
FRAME = (
    rf"^\S+ (\S+) > \S+ ethertype \S+ [^:]*: (?:Request who-has .* tell |Reply )?{_ADDRESS}(?:\.\d+)?"
    rf"(?: > {_ADDRESS}(?:\.\d+)?: (\w+))?"
)


def mac(number: int) -> str:
    """Return the MAC address of an old host."""
    return f"00:16:3e:11:11:{number:02x}"


def ip(number: int) -> str:
    """Return the IPv4 address of an old host, which the DHCP server assigns to its MAC address."""
    return f"192.0.2.{100 + number}"


def ip6(number: int) -> str:
    """Return the IPv6 address of an old host, derived from the prefix of the router advertisement and its MAC address."""
    return f"{NETWORK6}:216:3eff:fe11:11{number:02x}".replace("::", ":0:", 1)


def old(number: int, **more: Any) -> dict[str, Any]:
    """Return an entry of the list of old hosts."""
    return {"host": f"old{number}", "name": f"link{number}", "lower_device": "eth0", "address": mac(number), **more}


ENTRIES = [old(number, expected_address=ip(number)) for number in range(1, MANY + 1)]
OLD_HOSTS = {ip(number): mac(number) for number in range(1, MANY + 1)}


def at(place: str, *command: str, check: bool = True, seconds: float = 60) -> str:
    """Return the output of a command on a host."""
    words = [str(CLONE / "tests/hosts/host"), "enter", place, *command]
    done = subprocess.run(words, capture_output=True, text=True, timeout=seconds, check=False)
    assert not check or done.returncode == 0, f"{' '.join(words)}: {done.stdout}{done.stderr}"
    return done.stdout


def sh(place: str, script: str, check: bool = True) -> str:
    """Return the output of a shell command on a host."""
    return at(place, "sh", "-euc", script, check=check)


@contextlib.contextmanager
def network(announced: bool = True) -> Iterator[None]:
    """Create the network except the new host, on an existing switch with the address of the router.

    announced: whether the router advertises an IPv6 prefix.
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
    """Wait until the service listens.

    into: the command that enters its namespace.
    """
    sh(place, f"until {into} ss --listening --tcp --numeric | grep -q :{PORT}; do sleep 0.05; done")


def leased(since: float) -> dict[str, str]:
    """Return the MAC addresses that the DHCP server assigned an address to since then, by address."""
    lines = [line.split() for line in sh("switch", "cat /run/dnsmasq.leases").splitlines()]
    return {words[2]: words[1] for words in lines if words[1:] and int(words[0]) >= int(since) + LEASE_SECONDS}


@dataclass(frozen=True)
class Played:
    """The result of a run of the playbook."""

    status: int
    said: str

    @property
    def recap(self) -> dict[str, int]:
        """Return the counts for the new host."""
        words = self.said.rpartition(" : ok=")[2].partition("\n")[0].split()
        return {name: int(count) for name, _equals, count in (word.partition("=") for word in words) if count}

    @property
    def changed(self) -> list[str]:
        """Return the tasks that made changes."""
        tasks = re.split(r"(?m)^(?:TASK|RUNNING HANDLER) ", self.said)[1:]
        return [re.split(r"[\]:] ?", task)[1].strip("] ") for task in tasks if re.search(r"(?m)^changed: ", task)]

    @property
    def why(self) -> str:
        """Return the message of a failure."""
        found = re.search(r'"msg": "((?:[^"\\]|\\.)*)"', self.said.partition("fatal: ")[2])
        assert found, self.said
        return str(json.loads(f'"{found[1]}"'))


# A service on all addresses of both families that returns the address that was called, by TCP and by UDP.
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
    """Verify from the client that each address is answered by its own MAC address only."""
    said = sh("client", f"for each in {' '.join(owners)}; do arping -b -w 1 -I eth0 $each & done; wait")
    heard: dict[str, set[str]] = {}
    for address, mac_ in re.findall(r"reply from (\S+) \[(\S+)\]", said):
        heard.setdefault(address, set()).add(mac_.lower())
    assert heard == {address: {mac_} for address, mac_ in owners.items()}, heard


def assert_replies(owners: Mapping[str, str], *clients: str, port: str = "newhost") -> None:
    """Verify that packets from each address leave with its MAC address only.

    The clients on the network and behind the router call a service and ping. All other frames that are sent meanwhile are checked
    as well. port: the port of the switch that the new host is connected to.
    """
    # each frame takes the buffer space of the longest one: with whole frames, a busy machine would lose frames
    sh(
        "switch",
        f"""tcpdump -Z root --interface {port} --direction in --immediate-mode -s 256 -B 8192 -U -w /run/frames \\
        >/run/tcpdump.log 2>&1 & echo $! >/run/tcpdump.pid; until grep -q listening /run/tcpdump.log; do sleep 0.05; done""",
    )
    for place in ("client", "remote"):
        said = at(place, "/usr/bin/python3", "-c", CALL, *owners)
        assert dict(line.split() for line in said.splitlines()) == {address: address for address in owners}, said
    kinds = ("Flags", "ICMP6" if ":" in next(iter(owners)) else "ICMP")  # a TCP segment or a reply to a ping
    wanted = {(*owner, client, what) for owner in owners.items() for client in clients or (CLIENT, REMOTE) for what in kinds}
    end = time.monotonic() + 5
    while wanted - {frame for frame, _line in captured()} and time.monotonic() < end:
        time.sleep(0.1)  # tcpdump may be late
    sh("switch", "kill $(cat /run/tcpdump.pid); while kill -0 $(cat /run/tcpdump.pid) 2>/dev/null; do sleep 0.01; done")
    frames = captured()
    wrong = [line for (source, mac_, *_rest), line in frames if mac_ != owners.get(source, mac_)]
    assert not wrong, wrong
    sent = {frame for frame, _line in frames if frame[2] in {client for _source, _mac, client, _what in wanted}}
    assert sent == wanted, (sent - wanted, wanted - sent, sh("switch", "cat /run/tcpdump.log"))


def captured() -> list[tuple[tuple[str, ...], str]]:
    """Return the captured frames (source address, MAC address, destination, content) and the output of tcpdump."""
    shown = sh("switch", "tcpdump -e -n -r /run/frames 2>/dev/null", check=False).splitlines()  # the file may still be written
    return [((found[2], found[1], found[3], found[4]), line) for line in shown if (found := re.search(FRAME, line))]

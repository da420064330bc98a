# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real DHCP servers on a switch, with leases of seconds if they support it, and captures of their traffic."""

from __future__ import annotations

import json
import struct
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ansible_collections.patchbay.netdev.tests.integration.host import CLONE, hosts

ROUTER, RESOLVER = "192.0.2.1", "192.0.2.53"
# Options of all dnsmasq servers: serve only the switch, ignore the configuration of the machine, and lease without a ping.
DNSMASQ = """\
port=0
interface=br0
bind-interfaces
no-resolv
no-hosts
user=root
dhcp-authoritative
no-ping
"""


def _dnsmasq(known: Mapping[str, str], _seconds: int) -> tuple[str, str]:
    lines = [
        *("keep-in-foreground", "dhcp-leasefile=/run/leases", "dhcp-range=192.0.2.100,192.0.2.199,255.255.255.0,2m"),
        *(f"dhcp-option={number},{value}" for number, value in ((3, ROUTER), (6, RESOLVER))),
        *(f"dhcp-host={mac},{ip}" for mac, ip in known.items()),
    ]
    return DNSMASQ + "\n".join(lines) + "\n", "dnsmasq --conf-file=/run/server.conf --pid-file"


def _kea(known: Mapping[str, str], seconds: int) -> tuple[str, str]:
    subnet = {
        "id": 1,
        "subnet": "192.0.2.0/24",
        "pools": [{"pool": "192.0.2.100 - 192.0.2.199"}],
        "option-data": [{"name": "routers", "data": ROUTER}, {"name": "domain-name-servers", "data": RESOLVER}],
        "reservations": [{"hw-address": mac, "ip-address": ip} for mac, ip in known.items()],
    }
    text = {
        "interfaces-config": {  # a bridge has no carrier until a host is connected and up
            "interfaces": ["br0"],
            "service-sockets-max-retries": 1000,
            "service-sockets-retry-wait-time": 200,
        },
        "lease-database": {"type": "memfile", "name": "/run/leases", "lfc-interval": 0},
        "valid-lifetime": seconds,
        "renew-timer": seconds // 3,
        "rebind-timer": seconds * 2 // 3,
        "authoritative": True,
        "match-client-id": False,
        "subnet4": [subnet],
    }
    folders = "mkdir -p /run/kea /run/lock/kea; KEA_PIDFILE_DIR=/run/kea KEA_LOCKFILE_DIR=/run/kea"
    return json.dumps({"Dhcp4": text}), f"{folders} exec kea-dhcp4 -c /run/server.conf"


def _dhcpd(known: Mapping[str, str], seconds: int) -> tuple[str, str]:
    hosts_known = "".join(
        f"host h{number} {{ hardware ethernet {mac}; fixed-address {ip}; }}\n" for number, (mac, ip) in enumerate(known.items())
    )
    text = (
        f"authoritative; ping-check false; default-lease-time {seconds}; min-lease-time {seconds}; max-lease-time {seconds};\n"
        f"option dhcp-renewal-time {seconds // 3}; option dhcp-rebinding-time {seconds * 2 // 3};\n"
        f"subnet 192.0.2.0 netmask 255.255.255.0 {{ range 192.0.2.100 192.0.2.199; option routers {ROUTER};\n"
        f"option domain-name-servers {RESOLVER}; }}\n{hosts_known}"
    )
    return text, "touch /run/leases; exec dhcpd -4 -f -d -cf /run/server.conf -lf /run/leases -pf /run/dhcpd.pid br0"


_WAYS = {"dnsmasq": _dnsmasq, "kea": _kea, "dhcpd": _dhcpd}
SERVERS = tuple(_WAYS)


@dataclass
class DhcpServer:
    """A DHCP server on its own switch. known: addresses by MAC address; seconds: lifetime of the leases."""

    name: str
    switch: str
    known: dict[str, str] = field(default_factory=dict)
    seconds: int = 120

    @property
    def root(self) -> Path:
        """Return the root folder of the switch."""
        return Path(f"/proc/{(CLONE / f'.work/hosts/running/{self.switch}/process').read_text().strip()}/root")

    def sh(self, command: str, given: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run a shell command on the switch."""
        return hosts("enter", self.switch, "sh", "-euc", command, given=given)

    def start(self) -> None:
        """Start the server with the leases that it granted before."""
        text, command = _WAYS[self.name](self.known, self.seconds)
        self.sh("cat >/run/server.conf", given=text)
        self.sh(f"({command}) >>/run/server.log 2>&1 & echo $! >/run/server.pid; sleep 0.5; kill -0 $(cat /run/server.pid)")

    def stop(self) -> None:
        """Stop the server without a notice to its clients."""
        self.sh("kill -KILL $(cat /run/server.pid); while kill -0 $(cat /run/server.pid) 2>/dev/null; do sleep 0.01; done")

    def pause(self) -> None:
        """Pause the server until it is resumed."""
        self.sh("kill -STOP $(cat /run/server.pid)")

    def go_on(self) -> None:
        """Resume the server, which then replies to earlier requests."""
        self.sh("kill -CONT $(cat /run/server.pid)")

    def log(self) -> str:
        """Return the log of the server."""
        return (self.root / "run/server.log").read_text(errors="replace")

    def listen(self) -> None:
        """Capture the requests on the switch."""
        self.sh("[ ! -e /run/tcpdump.pid ] || kill $(cat /run/tcpdump.pid) || :; rm -f /run/tcpdump")
        capture = "tcpdump -Z root --immediate-mode -U -i br0 -w /run/wire 'udp dst port 67' >/run/tcpdump 2>&1"
        self.sh(f"{capture} & echo $! >/run/tcpdump.pid; while ! grep -q listening /run/tcpdump; do sleep 0.05; done")

    def heard(self) -> list[Request]:
        """Return the requests since listen."""
        return list(_requests((self.root / "run/wire").read_bytes()))


@dataclass(frozen=True)
class Request:
    """A message of a client: source addresses of frame and packet, client MAC address, and options by number.

    to: the destination. A lease is renewed by unicast to its server, and by broadcast if the server did not reply.
    """

    mac: str
    ip: str
    to: str
    speaks_for: str
    options: Mapping[int, bytes]

    @property
    def is_renewal(self) -> bool:
        """Return whether the request renews a lease by unicast."""
        return self.to == ROUTER


def _requests(capture: bytes) -> Iterator[Request]:
    place = 24  # after the header of the file
    while place + 16 <= len(capture):
        (size,) = struct.unpack_from("=I", capture, place + 8)
        frame = capture[place + 16 : place + 16 + size]
        place += 16 + size
        message = frame[14 + (frame[14] & 15) * 4 + 8 :]
        yield Request(
            frame[6:12].hex(":"),
            ".".join(map(str, frame[26:30])),
            ".".join(map(str, frame[30:34])),
            message[28:34].hex(":"),
            dict(_options(message[240:])),
        )


def _options(data: bytes) -> Iterator[tuple[int, bytes]]:
    while data and data[0] != 255:
        if data[0] == 0:
            data = data[1:]
            continue
        yield data[0], data[2 : 2 + data[1]]
        data = data[2 + data[1] :]

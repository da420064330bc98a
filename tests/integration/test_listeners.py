# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""listener_info: real sockets in real namespaces."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ansible_collections.patchbay.netdev.tests.integration.host import Host

OPEN = """
import socket, sys
V6, V4, TCP, UDP = socket.AF_INET6, socket.AF_INET, socket.SOCK_STREAM, socket.SOCK_DGRAM
kept = []
for family, kind, address, port, only, link in [
    (V4, TCP, "", 1001, None, ""),
    (V4, TCP, "127.0.0.1", 1002, None, ""),
    (V6, TCP, "::", 1003, 0, ""),
    (V6, TCP, "::", 1004, 1, ""),
    (V6, UDP, "::1", 1005, None, ""),
    (V4, UDP, "", 1006, None, "lo"),
]:
    one = socket.socket(family, kind)
    if only is not None:
        one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, only)
    if link:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, link.encode())
    one.bind((address, port))
    if kind == TCP:
        one.listen()
    kept.append(one)
talking = socket.socket(V4, UDP)
talking.connect(("127.0.0.1", 9))
kept.append(talking)
open("/proc/self/comm", "w").write("waiter")
print("open", flush=True)
sys.stdin.read()
"""


@contextmanager
def opened(netns: str) -> Iterator[int]:
    """Open sockets of all sorts, and return their process."""
    command = ["ip", "netns", "exec", netns, sys.executable, "-c", OPEN]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        yield process.pid
        process.communicate("")


def found(host: Host, **params: Any) -> list[tuple[Any, ...]]:
    """Return the result of the module in a short form."""
    result = host.run("listener_info", **params)
    assert not result.get("failed"), result
    assert result["changed"] is False
    names = ("netns", "protocol", "port", "address", "families", "link", "process", "process_id")
    return [tuple(one[name] for name in names) for one in result["listeners"]]


def test_sockets(host: Host) -> None:
    """Each sort of socket is returned with its program. Connected sockets are not."""
    host.ip("link", "set", "lo", "up")
    with opened(host.netns) as process:
        both, who = ["ipv4", "ipv6"], ("waiter", process)
        assert found(host) == [
            (None, "tcp", 1001, None, ["ipv4"], None, *who),
            (None, "tcp", 1002, "127.0.0.1", ["ipv4"], None, *who),
            (None, "tcp", 1003, None, both, None, *who),
            (None, "tcp", 1004, None, ["ipv6"], None, *who),
            (None, "udp", 1005, "::1", ["ipv6"], None, *who),
            (None, "udp", 1006, None, ["ipv4"], "lo", *who),
        ]
    assert found(host) == []


def test_namespaces(host: Host) -> None:
    """The sockets of one namespace or of all namespaces are returned."""
    subprocess.run(["ip", "-n", "guest", "link", "set", "lo", "up"], check=True)
    with opened("guest"):
        assert found(host) == []
        there = found(host, netns="guest")
        assert [one[0] for one in there] == ["guest"] * 6
        assert [one for one in found(host, netns="all") if one[0] in (None, "guest")] == there

# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The links of the playbook lab are limited on a kernel without netem, and a delay is refused."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from ansible_collections.patchbay.netdev.tests.integration.host import hosts
from ansible_collections.patchbay.netdev.tests.integration.playbooks import Site

SLOW = {"netns": "router", "link": "to-right", "rate": 20}
# measures the transfer of 2.5 million bytes from left to right
TRANSFER = """
import socket, subprocess, sys, time
receive = ("import socket; s = socket.create_server(('198.51.100.2', 7000)); print(flush=True); c = s.accept()[0]\\n"
           "while c.recv(1 << 16): pass\\nc.send(b'.')")
with subprocess.Popen(["ip", "netns", "exec", "right", sys.executable, "-c", receive], stdout=subprocess.PIPE) as other:
    other.stdout.readline()
    sender = socket.create_connection(("198.51.100.2", 7000))
    start = time.monotonic()
    sender.sendall(bytes(2500000))
    sender.shutdown(socket.SHUT_WR)
    sender.recv(1)
    print(time.monotonic() - start)
"""


@pytest.fixture
def site() -> Iterator[Site]:
    """Create a host without network cards."""
    made = Site("lab")
    hosts("start", made.name)
    yield made
    hosts("stop", made.name)


def seconds(site: Site) -> float:
    """Return the duration of the transfer."""
    site.path("/tmp/transfer").write_text(TRANSFER)
    return float(site.sh("ip netns exec left /usr/bin/python3 /tmp/transfer").stdout)


def qdiscs(site: Site) -> list[tuple[str, str]]:
    """Return the queueing disciplines of all namespaces: link and kind."""
    found = []
    for netns in ("left", "right", "router"):
        shown = json.loads(site.sh(f"tc -n {netns} -j qdisc show").stdout)
        found += [(f"{netns} {one['dev']}", one["kind"]) for one in shown if one["kind"] != "noqueue"]
    return found


def test_lab(site: Site) -> None:
    """The limits are checked, set, restored after a change, removed, and deleted with the lab."""
    assert site.play("lab", "--check", "--diff") == 2
    assert site.sh("ls /run/netns 2>/dev/null || :").stdout == ""
    printed = site.ran("lab")
    assert "The kernel has no netem. The links are limited by tbf, which supports only a rate." in printed
    assert qdiscs(site) == [("right eth0", "tbf"), ("router to-right", "tbf")]
    assert 0.7 < seconds(site) < 5
    assert site.play("lab") == 0
    site.sh("tc -n router qdisc replace dev to-right root tbf rate 500mbit burst 1m latency 50ms")
    assert seconds(site) < 0.7
    assert site.play("lab", "--check") == 1
    assert site.play("lab") == 1
    assert seconds(site) > 0.7
    assert site.play("lab", lab_slow_links=[{**SLOW, "state": "absent"}]) == 1
    assert qdiscs(site) == [("right eth0", "tbf")]
    assert seconds(site) < 0.7
    assert site.play("lab", lab_state="absent") == 1
    assert site.sh("ls /run/netns").stdout == ""


def test_delay_without_netem(site: Site) -> None:
    """A delay is refused, with or without a rate."""
    said = " ".join(site.ran("lab", check=False, lab_slow_links=[{**SLOW, "delay": 0.05}]).split())
    assert "to-right: the kernel has no netem, so delay and loss cannot be set. Set only a rate in slow_links_links" in said
    assert qdiscs(site) == []

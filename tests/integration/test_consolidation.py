# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role host_consolidation, run by its playbook over ssh: the resulting network, and the refusals.

The network has a switch with a DHCP server and a router, a client that Ansible runs on, a client behind the router, and a new
host.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from ansible_collections.patchbay.netdev.tests.integration.consolidation_network import (
    ENTRIES,
    NETWORK6,
    OLD_HOSTS,
    PORT,
    REMOTE,
    ROUTER6,
    SERVICE,
    Played,
    assert_answered,
    assert_replies,
    at,
    ip,
    ip6,
    leased,
    mac,
    network,
    old,
    sh,
    wait_for_service,
)
from ansible_collections.patchbay.netdev.tests.integration.host import CLONE, assert_equal, hosts, lasting
from ansible_collections.patchbay.netdev.tests.integration.machine import Machine

NEW, NEW_MAC = "192.0.2.10", "52:54:00:12:34:56"
# for tests about other things, because probing takes seconds
UNASKED = {"probe": False}
PLAYBOOK = [sys.executable, "-m", "ansible", "playbook", "patchbay.netdev.consolidate_hosts"]


@pytest.fixture(scope="module", autouse=True)
def surroundings() -> Iterator[None]:
    """Create the network except the new host."""
    hosts("switch", "switch", "192.0.2.1/24")
    with network():
        yield
    hosts("stop", "switch")


@dataclass(frozen=True)
class NewHost(Machine):
    """The host that old hosts are moved to."""

    name: str = "newhost"
    inventory: dict[str, Any] = field(default_factory=dict)

    def play(self, entries: list[dict[str, Any]], *words: str, others: Any = None, **variables: Any) -> Played:
        """Run the playbook."""
        own = {f"host_consolidation_{name}": value for name, value in {"hosts": entries, **variables}.items()}
        place = {"ansible_host": NEW, "ansible_user": "root", "ansible_python_interpreter": sys.executable}
        inventory = {"new_hosts": {"hosts": {"newhost": {**place, **own}, **(others or {})}}}
        hosts("enter", "client", "sh", "-c", "cat >/run/inventory.yml", given=json.dumps(inventory))
        settings = ["ANSIBLE_PIPELINING=true", "ANSIBLE_CALLBACK_RESULT_FORMAT=json", "ANSIBLE_NOCOLOR=true"]
        command = ["env", *settings, *PLAYBOOK, "--inventory", "/run/inventory.yml", "--limit", "newhost", *words]
        done = subprocess.run(
            [str(CLONE / "tests/hosts/host"), "enter", "client", *command],
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        return Played(done.returncode, done.stdout + done.stderr)

    def go(self, entries: list[dict[str, Any]], *words: str, **variables: Any) -> Played:
        """Run the playbook, which must succeed."""
        played = self.play(entries, *words, **variables)
        assert played.status == 0, played.said
        return played

    def kernel(self) -> dict[str, Any]:
        """Return the kernel state without the lifetimes from router advertisements."""
        found: dict[str, Any] = lasting(super().kernel(), "expires")
        return found

    def clients(self) -> str:
        """Return the running DHCP clients."""
        return sh("newhost", "cat /proc/[0-9]*/comm | grep udhcpc || :")

    def everything(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return kernel state and files."""
        return self.settled(), {path: file for path, file in self.disk().items() if "__pycache__" not in path}

    def untouched(self, before: tuple[dict[str, Any], dict[str, Any]]) -> None:
        """Verify that kernel state and files are unchanged."""
        for now, then in zip(self.everything(), before):
            assert_equal(now, then)


@pytest.fixture
def new() -> Iterator[NewHost]:
    """Create a new host without old hosts, with a service on all its addresses that returns its name."""
    hosts("start", "newhost")
    try:
        hosts("cable", "switch", "newhost", f"{NEW}/24", NEW_MAC)
        sh("newhost", "ip route add default via 192.0.2.1; : >/etc/resolv.conf")
        serve("newhost")
        hosts("ssh", "client", "newhost", NEW)
        sh("newhost", f"until ip -6 address show dev eth0 scope global -tentative | grep -q {NETWORK6}; do sleep 0.1; done")
        yield NewHost()
    finally:
        sh("client", "rm -f /root/.ssh/known_hosts")
        sh("switch", "ip link delete newhost", check=False)
        hosts("stop", "newhost")


def serve(place: str, netns: str = "") -> None:
    """Start the service."""
    hosts("enter", place, "sh", "-c", "cat >/run/service.py", given=SERVICE)
    into = f"ip netns exec {netns}" if netns else ""
    sh(place, f"{into} /usr/bin/python3 /run/service.py >/run/service{netns}.log 2>&1 &")
    wait_for_service(place, into)


@pytest.fixture
def lives() -> Iterator[Any]:
    """Start an old host that is not shut down before the move."""
    made: list[str] = []

    def turn_on(number: int, address: str) -> None:
        name = f"alive{number}"
        hosts("start", name)
        made.append(name)
        hosts("cable", "switch", name, f"{address}/24", mac(number))

    yield turn_on
    for name in made:
        hosts("stop", name)


# --- what the network sees ---


def test_two_old_hosts(new: NewHost) -> None:
    """One host with a lease and one with a static address:

    predicted, moved in one task, unchanged in a second run, and removed without a trace.
    """
    entries = [
        old(1, expected_address=ip(1)),
        old(3, addresses=[f"{ip(3)}/24", f"{NETWORK6}:3/64"], gateway=["192.0.2.1", ROUTER6]),
    ]
    before = new.everything()
    told = new.go(entries, "--check", "--diff", probe_from="localhost")
    new.untouched(before)
    assert new.clients() == ""
    done = new.go(entries, probe_from="localhost")
    assert done.changed == told.changed
    assert len(done.changed) == 1
    assert_answered({ip(1): mac(1), ip(3): mac(3), NEW: NEW_MAC})
    assert_replies({ip(1): mac(1), ip(3): mac(3), NEW: NEW_MAC})
    assert_replies({f"{NETWORK6}:3": mac(3)}, "2001:db8:6::9")
    (line,) = [line for line in done.said.splitlines() if ip(3) in line and "forever" in line]
    assert line.endswith(f'tcp {PORT} python3, udp 5353 python3 (!)",'), "a service on all addresses by UDP is not marked"
    assert "(!) udp 5353 python3: UDP on all addresses." in done.said
    main = sh("newhost", "ip route show; ip -6 route show default")
    assert "dev link" not in main
    (line,) = [line for line in done.said.splitlines() if ip(1) in line and "s (dhcp)" in line]
    assert re.search(rf"old1 +link1 +{mac(1)} +{ip(1)} +\d+ s \(dhcp\)", line)
    again = new.go(entries, probe_from="localhost")
    assert again.recap["changed"] == 0
    sh("newhost", f"ip address del {ip(3)}/24 dev link3")
    assert (
        new.play(entries, "--tags", "host_consolidation_proof").why
        == f"link3 (old3): {ip(3)} is missing on the link. Run the role again."
    )
    gone = new.go(entries, "--check", state="absent")
    assert len(gone.changed) == 1
    gone = new.go(entries, state="absent")
    assert len(gone.changed) == 1
    new.untouched(before)
    assert new.go(entries, state="absent").recap["changed"] == 0


def test_twenty_old_hosts(new: NewHost) -> None:
    """One task requests twenty leases, and each address is answered by its own MAC address only."""
    started = time.time()
    done = new.go(ENTRIES, **UNASKED)
    assert len(done.changed) == 1
    assert leased(started) == OLD_HOSTS
    owners = {**OLD_HOSTS, NEW: NEW_MAC}
    assert_answered(owners)
    assert_replies(owners)
    assert new.go(ENTRIES).recap["changed"] == 0


def test_bound_to_the_device(new: NewHost) -> None:
    """A datagram from a socket that is bound only to the link passes the router with the old address."""
    new.go([old(1, expected_address=ip(1))], **UNASKED)
    script = """
import socket, sys
one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
one.settimeout(10)
if sys.argv[1:]:
    one.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"link1")
    for _time in range(3):
        one.sendto(b"?", (sys.argv[1], 5353))
else:
    one.bind(("", 5353))
    print("ready", flush=True)
    print(one.recvfrom(9)[1][0], flush=True)
"""
    words = [str(CLONE / "tests/hosts/host"), "enter", "remote", "/usr/bin/python3", "-c", script]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as remote:
        assert remote.stdout is not None
        assert remote.stdout.readline() == "ready\n"
        at("newhost", "/usr/bin/python3", "-c", script, REMOTE)
        assert remote.stdout.readline().strip() == ip(1)


def test_announced_address(new: NewHost) -> None:
    """The old MAC address results in the old IPv6 address, whose packets use the declared gateway."""
    new.go([old(2, expected_address=[ip(2), ip6(2)], gateway=ROUTER6)], **UNASKED)
    assert_replies({ip6(2): mac(2)}, "2001:db8:6::9")
    assert "dev link2" not in sh("newhost", "ip -6 route show default")


def test_namespaces(new: NewHost) -> None:
    """With namespaces, each old host has all ports for itself. After removal, nothing is left."""
    entries = [
        old(4, expected_address=ip(4)),
        old(5, addresses=[f"{ip(5)}/24"], gateway="192.0.2.1", services=["web"]),
    ]
    more: dict[str, Any] = {"isolation": "netns", "restart_services": False, **UNASKED}
    drop_in = new.path("/etc/systemd/system/web.service.d/50-host-consolidation.conf")
    before = new.everything()
    told = new.go(entries, "--check", **more)
    new.untouched(before)
    done = new.go(entries, probe_from="localhost", **more)
    assert set(told.changed) <= set(done.changed)
    assert "NetworkNamespacePath=/run/netns/old5\n" in drop_in.read_text()
    assert sorted(sh("newhost", "ls /run/netns").split()) == ["old4", "old5"]
    for netns in ("old4", "old5"):
        serve("newhost", netns)
    assert_answered({ip(4): mac(4), ip(5): mac(5), NEW: NEW_MAC})
    assert_replies({ip(4): mac(4), ip(5): mac(5), NEW: NEW_MAC})
    again = new.go(entries, **more)
    assert again.recap["changed"] == 0
    assert f"tcp {PORT} python3" in next(line for line in again.said.splitlines() if ip(5) in line)
    assert new.play(entries[:1]).why == (
        "host_consolidation_isolation: another network namespace of this host already has old4 (link4). Remove it first: set "
        "host_consolidation_state=absent together with the host_consolidation_isolation that it was created with. Nothing was "
        "changed."
    )
    assert "processes run in it" in new.play(entries, state="absent", **more).why
    sh(
        "newhost",
        "for it in $(ip netns pids old4; ip netns pids old5); do ! grep -q service.py /proc/$it/cmdline || kill $it; done",
    )
    new.go(entries, state="absent", **more)
    assert not drop_in.exists()
    drop_in.parent.rmdir()  # the folder may have contained files of others
    new.untouched(before)


# --- what is refused ---


def test_old_host_online(new: NewHost, lives: Any) -> None:
    """If the old host replies, nothing changes unless the check is disabled. In a second run it is no reason to stop."""
    entries = [old(6, addresses=[f"{ip(6)}/24"]), old(7, addresses=[f"{ip(7)}/24"])]
    lives(6, ip(6))
    before = new.everything()
    for words in (("--check",), ()):
        played = new.play(entries, *words)
        assert played.status != 0
        assert played.why == (
            f"old6 is online: {mac(6)} replied for {ip(6)} on eth0. Switch it off first. Nothing was changed. "
            "To take over without this check, set host_consolidation_probe=false."
        )
        new.untouched(before)
    hosts("stop", "alive6")
    hosts("start", "alive6")
    new.go(entries)
    assert new.go(entries).recap["changed"] == 0


def test_address_in_use(new: NewHost, lives: Any) -> None:
    """If another host uses the address, the message names its MAC address. Afterwards the other host detects the duplicate."""
    lives(9, ip(8))
    played = new.play([old(8, addresses=[f"{ip(8)}/24"])])
    assert f"old8: {ip(8)} is in use: unexpected reply from {mac(9)} on eth0. Take the address off" in played.why
    played = new.play([old(8, addresses=[f"{ip(8)}/24"])], probe_from="localhost", **UNASKED)
    assert played.why == (
        f"Probe from localhost: {ip(8)} (old8): expected a reply from {mac(8)} only, got replies from {mac(8)} and {mac(9)}."
    )


def test_duplicates(new: NewHost) -> None:
    """A duplicate on a new host of the inventory that this run does not include is refused."""
    others = {"newer": {"host_consolidation_hosts": [old(1, name="web", host="web", address=mac(1).replace(":", "-").upper())]}}
    before = new.everything()
    played = new.play([old(1, expected_address=ip(1))], others=others)
    assert played.why == (
        f"MAC address {mac(1)}: assigned to old1 (link1 on newhost) and web (web on newer). "
        "Remove one of the entries from host_consolidation_hosts, or set its state to absent."
    )
    new.untouched(before)
    assert new.play([old(1)], "--check", others=others, compared_with=["newhost"]).status == 0


def test_unknown_probing_host(new: NewHost) -> None:
    """An unknown probing host is reported before any change."""
    before = new.everything()
    played = new.play([old(1)], probe_from="clint")
    assert played.why == "host_consolidation_probe_from: clint is not in the inventory. Set the name of a host of the inventory."
    new.untouched(before)


def test_another_lease(new: NewHost) -> None:
    """If the server leases another address, the run fails and names the address."""
    played = new.play([old(1, expected_address=ip(2))], **UNASKED)
    assert played.why == (
        f"link1 (old1): the DHCP server leased {ip(1)} instead of {ip(2)}. Reserve {ip(2)} for {mac(1)} on the server, then "
        "run the role once with state: absent for this entry (the client keeps its lease) and once more with state: present. Or "
        "set dhcp4.client_id to the client identifier of the old host."
    )


def test_no_expected_address(new: NewHost) -> None:
    """Without an expected address no host can be probed, which is reported once."""
    said = "so the role cannot verify that they are offline: old1. Set expected_address in host_consolidation_hosts."
    assert said in new.go([old(1)]).said
    assert said not in new.go([old(1)]).said

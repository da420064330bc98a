# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role host_consolidation, by its playbook and over ssh: what the network sees then, and what is refused before.

A switch with a DHCP server and a router, a client that Ansible runs on, another one behind the router, and a new host.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import pytest

from ansible_collections.patchbay.netdev.tests.integration.dhcp_servers import DNSMASQ
from ansible_collections.patchbay.netdev.tests.integration.host import CLONE, assert_equal, hosts, lasting
from ansible_collections.patchbay.netdev.tests.integration.test_persist import Machine

NEW, NEW_MAC, CLIENT, REMOTE = "192.0.2.10", "52:54:00:12:34:56", "192.0.2.9", "198.51.100.9"
PORT = 7000
MANY = 20
ROUTER6 = "fe80::1"
NETWORK6 = "2001:db8:5:"
CONFIGURATION = f"""{DNSMASQ}log-facility=/run/dnsmasq.log
pid-file=/run/dnsmasq.pid
dhcp-leasefile=/run/dnsmasq.leases
dhcp-range=192.0.2.0,static,255.255.255.0,10m
enable-ra
ra-param=br0,4,1800
dhcp-range={NETWORK6}:,ra-only,64,10m
"""
PLAYBOOK = [sys.executable, "-m", "ansible", "playbook", "patchbay.netdev.consolidate_hosts"]
# whether it asks who has an address, whom it tells, and what a service answers
FRAME = rf"^\S+ (\S+) > \S+, ethertype IPv[46] .*: (\S+)\.{PORT} > (\S+)\.\d+:"


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


def at(place: str, *command: str, check: bool = True, seconds: float = 60) -> str:
    """What a command says on a host."""
    words = [str(CLONE / "tests/hosts/host"), "enter", place, *command]
    done = subprocess.run(words, capture_output=True, text=True, timeout=seconds, check=False)
    assert not check or done.returncode == 0, f"{' '.join(words)}: {done.stdout}{done.stderr}"
    return done.stdout


def sh(place: str, script: str, check: bool = True) -> str:
    """The same for a shell."""
    return at(place, "sh", "-euc", script, check=check)


@pytest.fixture(scope="module", autouse=True)
def network() -> Iterator[None]:
    """Everything but the new host."""
    hosts("switch", "switch", "192.0.2.1/24")
    hosts("start", "client", "remote")
    hosts("cable", "switch", "client", f"{CLIENT}/24")
    hosts("cable", "switch", "remote", f"{REMOTE}/24")
    reserved = "".join(f"dhcp-host={mac(number)},{ip(number)}\n" for number in range(1, MANY + 1))
    hosts("enter", "switch", "sh", "-c", "cat >/run/dnsmasq.conf", given=CONFIGURATION + reserved)
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
    yield
    hosts("stop", "switch", "client", "remote")


@dataclass(frozen=True)
class Played:
    """How a run of the playbook ended."""

    status: int
    said: str

    @property
    def recap(self) -> dict[str, int]:
        """What is counted for the new host."""
        words = self.said.rpartition("newhost ")[2].split()
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


@dataclass(frozen=True)
class NewHost(Machine):
    """The host that old ones move to."""

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
        """Run it, and it succeeds."""
        played = self.play(entries, *words, **variables)
        assert played.status == 0, played.said
        return played

    def kernel(self) -> dict[str, Any]:
        """Without what counts down until the next announcement of the router."""
        found: dict[str, Any] = lasting(super().kernel(), "expires")
        return found

    def clients(self) -> str:
        """The DHCP clients that run."""
        return sh("newhost", "cat /proc/[0-9]*/comm | grep udhcpc || :")

    def everything(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Kernel and files."""
        return self.settled(), {path: file for path, file in self.disk().items() if "__pycache__" not in path}

    def untouched(self, before: tuple[dict[str, Any], dict[str, Any]]) -> None:
        """It is as it was."""
        for now, then in zip(self.everything(), before):
            assert_equal(now, then)


@pytest.fixture
def new() -> Iterator[NewHost]:
    """One that nobody has moved to yet, with a service on every address of its own that tells who it is."""
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


SERVICE = f"""
import socket
datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
datagrams.bind(("", 5353))
with socket.create_server(("::", {PORT}), family=socket.AF_INET6, dualstack_ipv6=True, backlog=99) as server:
    while True:
        with server.accept()[0] as one:
            one.sendall((one.getsockname()[0].replace("::ffff:", "") + "\\n").encode())
"""


def serve(place: str, netns: str = "") -> None:
    """A service on all addresses of both families that says which one was called."""
    hosts("enter", place, "sh", "-c", "cat >/run/service.py", given=SERVICE)
    into = f"ip netns exec {netns} " if netns else ""
    sh(place, f"{into}/usr/bin/python3 /run/service.py >/run/service{netns}.log 2>&1 &")
    sh(place, f"until {into}ss --listening --tcp --numeric | grep -q :{PORT}; do sleep 0.05; done")


@pytest.fixture
def lives() -> Iterator[Any]:
    """Turns an old host on, which nobody has told that it is to move."""
    made: list[str] = []

    def turn_on(number: int, address: str) -> None:
        name = f"alive{number}"
        hosts("start", name)
        made.append(name)
        hosts("cable", "switch", name, f"{address}/24", mac(number))

    yield turn_on
    for name in made:
        hosts("stop", name)


def answering(address: str, place: str = "client") -> list[str]:
    """Every MAC address that answers ARP for an address."""
    said = at(place, "arping", "-b", "-w", "2", "-I", "eth0", address, check=False)
    return sorted({found.lower() for found in re.findall(r"reply from \S+ \[(\S+)\]", said)})


def assert_answered(owners: dict[str, str]) -> None:
    """Each address by its MAC address and by no other."""
    with ThreadPoolExecutor(8) as threads:
        assert dict(zip(owners, threads.map(answering, owners))) == {address: [mac_] for address, mac_ in owners.items()}


CALL = """
import socket, sys
for address in sys.argv[1:]:
    with socket.create_connection((address, 7000), 5) as one:
        print(address, one.makefile().readline().strip())
"""


def assert_replies(owners: dict[str, str], *clients: str) -> None:
    """What is sent from each address, to a client on the network and to one behind the router, leaves with its MAC alone."""
    sh(
        "switch",
        f"""tcpdump -Z root --interface newhost --direction in --immediate-mode -U -w /run/frames "tcp port {PORT}" \\
        >/run/tcpdump.log 2>&1 & echo $! >/run/tcpdump.pid; until grep -q listening /run/tcpdump.log; do sleep 0.05; done""",
    )
    for place in ("client", "remote"):
        said = at(place, "/usr/bin/python3", "-c", CALL, *owners)
        assert dict(line.split() for line in said.splitlines()) == {address: address for address in owners}
    time.sleep(0.2)
    shown = sh("switch", "kill $(cat /run/tcpdump.pid); sleep 0.3; tcpdump -e -n -r /run/frames 2>/dev/null")
    frames = [found.groups() for line in shown.splitlines() if (found := re.search(FRAME, line))]
    for client in clients or (CLIENT, REMOTE):
        sent: dict[str, set[str]] = {}
        for mac_, source, target in frames:
            if target == client:
                sent.setdefault(source, set()).add(mac_)
        assert sent == {address: {mac_} for address, mac_ in owners.items()}, client


# --- what the network sees ---


def test_two(new: NewHost) -> None:
    """By lease and static: told beforehand, done by one task, left alone the second time, and taken back without a trace."""
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
    (line,) = [line for line in done.said.splitlines() if ip(3) in line and "ever" in line]
    assert line.endswith(f'tcp {PORT} python3, udp 5353 python3 (!)",'), "a service on all addresses by UDP is not marked"
    assert "(!) udp 5353 python3: on all addresses, by UDP" in done.said
    main = sh("newhost", "ip route show; ip -6 route show default")
    assert "dev link" not in main
    (line,) = [line for line in done.said.splitlines() if ip(1) in line and "s (dhcp)" in line]
    assert re.search(rf"old1 +link1 +{mac(1)} +{ip(1)} +\d+ s \(dhcp\)", line)
    again = new.go(entries, probe_from="localhost")
    assert again.recap["changed"] == 0
    sh("newhost", f"ip address del {ip(3)}/24 dev link3")
    assert (
        new.play(entries, "--tags", "host_consolidation_proof").why
        == f"link3 (old3): the link has lost {ip(3)}. Run the role again."
    )
    gone = new.go(entries, "--check", state="absent")
    assert len(gone.changed) == 1
    gone = new.go(entries, state="absent")
    assert len(gone.changed) == 1
    new.untouched(before)
    assert new.go(entries, state="absent").recap["changed"] == 0


def test_twenty(new: NewHost) -> None:
    """One task, twenty leases, and nobody answers for another one."""
    entries = [old(number, expected_address=ip(number)) for number in range(1, MANY + 1)]
    done = new.go(entries)
    assert len(done.changed) == 1
    owners = {**{ip(number): mac(number) for number in range(1, MANY + 1)}, NEW: NEW_MAC}
    leases = [line.split() for line in sh("switch", "cat /run/dnsmasq.leases").splitlines() if line.split()[1] in owners.values()]
    assert {words[2]: words[1] for words in leases} == {ip(number): mac(number) for number in range(1, MANY + 1)}
    assert_answered(owners)
    assert_replies(owners)
    assert new.go(entries).recap["changed"] == 0


def test_bound_to_the_device(new: NewHost) -> None:
    """A datagram from a socket that says its link, and no address, reaches what is behind the router, from the old address."""
    new.go([old(1, expected_address=ip(1))])
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
    """The old MAC address makes the old address of IPv6, and what it sends takes the way that was written."""
    new.go([old(2, expected_address=[ip(2), ip6(2)], gateway=ROUTER6)])
    assert_replies({ip6(2): mac(2)}, "2001:db8:6::9")
    assert "dev link2" not in sh("newhost", "ip -6 route show default")


def test_namespaces(new: NewHost) -> None:
    """Each old host has all ports to itself; away, and nothing is left."""
    entries = [
        old(4, expected_address=ip(4)),
        old(5, addresses=[f"{ip(5)}/24"], gateway="192.0.2.1", services=["web"]),
    ]
    more: dict[str, Any] = {"isolation": "netns", "restart_services": False}
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
    assert "processes live in it" in new.play(entries, state="absent", **more).why
    sh(
        "newhost",
        "for it in $(ip netns pids old4; ip netns pids old5); do ! grep -q service.py /proc/$it/cmdline || kill $it; done",
    )
    new.go(entries, state="absent", **more)
    assert not drop_in.exists()
    drop_in.parent.rmdir()  # it may have had files of others
    new.untouched(before)


# --- what is refused ---


def test_old_host_lives(new: NewHost, lives: Any) -> None:
    """It answers, so nothing is changed, unless that is not asked; one that comes later is no reason to stop a second run."""
    entries = [old(6, addresses=[f"{ip(6)}/24"]), old(7, addresses=[f"{ip(7)}/24"])]
    lives(6, ip(6))
    before = new.everything()
    for words in (("--check",), ()):
        played = new.play(entries, *words)
        assert played.status != 0
        assert played.why == (
            f"old6 is not off: {mac(6)} answers for {ip(6)} on eth0. Switch it off first. Nothing was changed. "
            "To take over all the same, write host_consolidation_probe: false."
        )
        new.untouched(before)
    hosts("stop", "alive6")
    hosts("start", "alive6")
    new.go(entries)
    assert new.go(entries).recap["changed"] == 0


def test_taken_by_another(new: NewHost, lives: Any) -> None:
    """Somebody else has the address: told with whose MAC address it is; afterwards the other host hears two."""
    lives(9, ip(8))
    played = new.play([old(8, addresses=[f"{ip(8)}/24"])])
    assert f"{ip(8)}, the address of old8, is answered by {mac(9)} on eth0. Who is that?" in played.why
    played = new.play([old(8, addresses=[f"{ip(8)}/24"])], probe=False, probe_from="localhost")
    assert played.why == (
        f"As localhost hears it: {ip(8)} (old8) is to be answered by {mac(8)} alone, and {mac(8)} and {mac(9)} did."
    )


def test_duplicates(new: NewHost) -> None:
    """On another new host of the inventory, which this run does not even reach."""
    others = {"newer": {"host_consolidation_hosts": [old(1, name="web", host="web", address=mac(1).replace(":", "-").upper())]}}
    before = new.everything()
    played = new.play([old(1, expected_address=ip(1))], others=others)
    assert played.why == (
        f"The MAC address {mac(1)} is that of old1 (link1 on newhost) and of web (web on newer). "
        "Take one of them out of the inventory, or write state: absent."
    )
    new.untouched(before)
    assert new.play([old(1)], "--check", others=others, compared_with=["newhost"]).status == 0


def test_another_lease(new: NewHost) -> None:
    """The server has its own mind: the run fails with what came instead."""
    played = new.play([old(1, expected_address=ip(2))])
    assert played.why == (
        f"link1 (old1): the DHCP server was to lease {ip(2)}, and leased {ip(1)}. Give {mac(1)} its reservation there, "
        "or write in dhcp4 the client_id that the old host had."
    )


def test_unknown_beforehand(new: NewHost) -> None:
    """Without an expected address nobody can be asked, and that is said; once."""
    said = "so nobody could be asked whether they are off: old1. Write expected_address."
    assert said in new.go([old(1)]).said
    assert said not in new.go([old(1)]).said

# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role voip_macvlan: real calls of real softphones, bound in different ways, and the frames that the switch saw."""

from __future__ import annotations

import functools
import json
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.patchbay.netdev.demo.voip import judge
from ansible_collections.patchbay.netdev.tests.integration.host import CLONE, hosts
from ansible_collections.patchbay.netdev.tests.integration.machine import Machine

LAB = CLONE / "demo/voip/lab"
OUI = "00:04:f2"
AS_USER = ("setpriv", "--reuid", "1060", "--regid", "1060", "--clear-groups")
# A program that binds its sockets to a link: it sends SIP, and returns the sound to its source.
BOUND_TO_DEVICE = """
import socket

def bound(port):
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"voice0")
    made.bind(("0.0.0.0", port))
    made.settimeout(5)
    return made

sip, rtp = bound(5060), bound(10000)
lines = ["OPTIONS sip:10.30.0.1 SIP/2.0", "Via: SIP/2.0/UDP 10.30.0.14:5060;branch=z9hG4bK1;rport", "Max-Forwards: 9",
         "From: <sip:me@10.30.0.1>;tag=1", "To: <sip:10.30.0.1>", "Call-ID: 1", "CSeq: 1 OPTIONS", "Content-Length: 0", "", ""]
sip.sendto("\\r\\n".join(lines).encode(), ("10.30.0.1", 5060))
print(sip.recv(2000).split(b"\\r")[0].decode())
rtp.sendto(b"\\x80\\x00" + bytes(170), ("10.40.0.20", 6000))
print(len(rtp.recv(2000)), "Call established")
"""


@functools.cache
def stable_mac(host: str, oui: str) -> str:
    """What the filter makes of it, in a process of its own: in one that knows Ansible's controller, the modules that other tests
    run would give their warnings to that."""
    module = "ansible_collections.patchbay.netdev.plugins.filter.stable_mac"
    code = f"import sys; from {module} import stable_mac; print(stable_mac(sys.argv[1], 'voice0', sys.argv[2]))"
    return subprocess.run([sys.executable, "-c", code, host, oui], check=True, capture_output=True, text=True).stdout.strip()


@dataclass(frozen=True)
class Desk(Machine):
    """A host with a softphone."""

    number: int
    variables: dict[str, Any]
    softphone: str = ""  # configuration lines
    start: Sequence[str] = ()  # start command

    @property
    def nic(self) -> str:
        """Return the MAC address of the network card."""
        return f"52:54:00:aa:00:{self.number:02x}"

    @property
    def voice(self) -> str:
        """Return the MAC address of the voice link."""
        written: str = self.variables.get("voip_macvlan_address", "").lower().replace("-", ":")
        return written or stable_mac(self.name, self.variables.get("voip_macvlan_oui", OUI))

    def call(self) -> str:
        """Call the echo service, and return the output of the softphone."""
        if self.variables["voip_macvlan_bind"] == "device":
            return hosts("enter", self.name, "/usr/bin/python3", "-", given=BOUND_TO_DEVICE, check=False).stdout
        return lab("call", self.name, *self.start)

    def judged(self) -> list[str]:
        """Return the faults of a call and of a web request on the wire."""
        lab("capture", self.name)
        assert lab("web", self.name) == "the web\n"
        said = self.call()
        capture = subprocess.run([LAB, "captured", self.name], capture_output=True, check=True).stdout
        seen = judge.flows(capture, {self.voice: "voice", self.nic: "NIC"})
        variables = {"voip_macvlan_dscp": True, "voip_macvlan_vlan": 0, **self.variables}
        found = judge.faults(list(seen), variables["voip_macvlan_dscp"], variables["voip_macvlan_vlan"])
        return found if "Call established" in said else ["it says that there was no call", *found]


DESKS = (
    Desk(
        "desk1",
        11,
        {"voip_macvlan_bind": "user", "voip_macvlan_user": "phone", "voip_macvlan_reserved_address": "10.30.0.11"},
        "net_interface voice0",
        AS_USER,
    ),
    Desk(
        "desk2",
        12,
        {
            "voip_macvlan_bind": "address",
            "voip_macvlan_addresses": "10.30.0.12/24",  # a single value without a list
            "voip_macvlan_persist": "replay",
            "voip_macvlan_dscp": False,
        },
        "net_interface voice0\nsip_listen 10.30.0.12:5060",
    ),
    Desk(
        "desk3",
        13,
        {"voip_macvlan_bind": "netns", "voip_macvlan_addresses": ["10.30.0.13/24"], "voip_macvlan_address": "00-04-F2-00-00-03"},
        "",
        ("ip", "netns", "exec", "voice"),
    ),
    Desk(
        "desk4",
        14,
        {
            "voip_macvlan_bind": "device",
            "voip_macvlan_addresses": ["10.30.0.14/24"],
            "voip_macvlan_oui": "",
            "voip_macvlan_dscp": False,
        },
    ),
)
COMMON = {
    "ansible_connection": "host",
    "ansible_python_interpreter": str(CLONE / ".venv/bin/python"),
    "voip_macvlan_lower_device": "eth0",
    "voip_macvlan_oui": OUI,
    "voip_macvlan_gateways": ["10.30.0.1"],
    "voip_macvlan_rtp_ports": "10000-10200",
    "voip_macvlan_dscp": True,
}
LISTS = ["nftables", "dnsmasq", "dhcpd", "kea", "comware"]


def lab(*words: str) -> str:
    """Run demo/voip/lab, and return its output."""
    done = subprocess.run([str(LAB), *words], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, f"{' '.join(words)}: {done.stdout}{done.stderr}"
    return done.stdout


@dataclass(frozen=True)
class Play:
    """A run of the playbook: the output of Ansible, and the number of changes on each host."""

    said: str
    failed: bool

    @property
    def changes(self) -> dict[str, int]:
        """Return the number of changes that Ansible counted."""
        return {name: int(count) for name, count in re.findall(r"^(desk\d) .*changed=(\d+)", self.said, re.MULTILINE)}


def play(folder: Path, *options: str, desks: Sequence[Desk] = DESKS, **more: Any) -> Play:
    """Run the playbook for these desks."""
    variables = {**COMMON, "voip_macvlan_lists_folder": str(folder)}
    inventory = {"desks": {"vars": variables, "hosts": {desk.name: desk.variables for desk in desks}}}
    (folder / "inventory.json").write_text(json.dumps(inventory))
    command = [str(CLONE / ".venv/bin/ansible-playbook"), "patchbay.netdev.voip", "--inventory", str(folder / "inventory.json")]
    environment = {
        "NETNS_SANDBOX": "1",  # in tests/sandbox, or conftest.py would have refused
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": str(folder),
        "LC_ALL": "C.UTF-8",
        "ANSIBLE_CONNECTION_PLUGINS": str(CLONE / "tests/hosts/connection"),
        "ANSIBLE_PIPELINING": "true",
        "ANSIBLE_HOME": str(folder / "ansible"),
    }
    command += ["--extra-vars", json.dumps(more), *options]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300, check=False)
    return Play(done.stdout + done.stderr, done.returncode != 0)


def well(done: Play) -> Play:
    """Verify that a run did not fail, and return it."""
    assert not done.failed, done.said
    return done


def at_once(work: Any, desks: Sequence[Desk] = DESKS) -> dict[str, Any]:
    """Run a function for all of them concurrently."""
    with ThreadPoolExecutor() as threads:
        return dict(zip((desk.name for desk in desks), threads.map(work, desks)))


def seat(desk: Desk) -> None:
    """Connect the host, and configure its softphone."""
    lab("desk", desk.name, str(desk.number))
    hosts("enter", desk.name, "tee", "-a", "/run/phone/config", given=f"{desk.softphone}\n")


@pytest.fixture(scope="module", autouse=True)
def network() -> Iterator[None]:
    """Create the switch, the voice network, the data network, and the desks."""
    lab("up")
    for desk in DESKS:
        seat(desk)
    yield
    hosts("stop", "switch", "voice", "data", *(desk.name for desk in DESKS))


def everything(desk: Desk) -> str:
    """Return the state that must be restored: network state of the kernel, marks, and all files of the host."""
    return desk.sh(
        "for family in -4 -6; do ip $family route show table all | grep -v ^multicast; ip $family rule; done;"
        "ip -d address; ip netns; nft list ruleset || :; cd /proc/sys/net; grep -rs . ipv4/conf ipv6/conf || :;"
        "find /etc /usr/local -xdev -not -type d -printf '%p %m %u %g %s %T@ %l\\n' | sort"
    ).stdout


def assert_as_before(before: dict[str, str], desks: Sequence[Desk] = DESKS) -> None:
    """Verify that the state is restored. The assertion shows the lines that differ."""
    for name, now in at_once(everything, desks).items():
        differing = set(now.splitlines()) ^ set(before[name].splitlines())
        assert not differing, f"{name}: {sorted(differing)}"


def test_role(tmp_path: Path) -> None:
    """Calls without the role, check mode, the run, a run without changes, calls, faults and their repair, and removal."""
    (trapped,) = [desk for desk in DESKS if desk.variables["voip_macvlan_bind"] == "netns"]
    lab("capture", trapped.name)
    lab("call", trapped.name)
    capture = subprocess.run([LAB, "captured", trapped.name], capture_output=True, check=True).stdout
    seen = judge.flows(capture, {trapped.nic: "NIC"})
    assert {(flow.carries, flow.sent, flow.mac) for flow in seen} == {("SIP", True, "NIC")}, "an unbound softphone"

    before = at_once(everything)
    # The lists come first: without them, switch and DHCP server do not accept the softphones.
    # They contain all desks, regardless of the hosts of a run.
    listed = well(play(tmp_path, "--tags", "voip_macvlan_lists", "--limit", "desk2", voip_macvlan_lists=LISTS))
    assert listed.changes == {"desk2": 1}
    listed = well(play(tmp_path, "--tags", "voip_macvlan_lists", voip_macvlan_lists=LISTS, voip_serial=2))
    assert not any(listed.changes.values()), listed.said
    lab("vlans", str(tmp_path / "switch.nft"))
    lab("leases", str(tmp_path / "dnsmasq.conf"))
    reservations = json.loads((tmp_path / "kea.json").read_text())
    assert reservations[0] == {"hw-address": DESKS[0].voice, "hostname": "desk1", "ip-address": "10.30.0.11"}
    assert [one["hw-address"] for one in reservations] == [desk.voice for desk in DESKS]
    assert f"host desk2-voice {{ hardware ethernet {DESKS[1].voice}; fixed-address 10.30.0.12; }}" in (
        (tmp_path / "dhcpd.conf").read_text()
    )
    assert (tmp_path / "comware.txt").read_text().splitlines() == [
        "voice-vlan mac-address 0004-f200-0000 mask ffff-ff00-0000 description softphones",
        f"voice-vlan mac-address {_in_threes(DESKS[3].voice)} mask ffff-ffff-ffff description softphone",
    ]

    told = well(play(tmp_path, "--check", "--diff"))
    assert_as_before(before)
    done = well(play(tmp_path))
    assert done.changes == told.changes
    assert all(done.changes.values())
    warned = re.findall(r"WARNING: (\S+) is locally administered", done.said)
    assert warned == [DESKS[3].voice]
    again = well(play(tmp_path))
    assert not any(again.changes.values()), again.said
    assert ",UP" in trapped.sh("ip -n voice link show dev lo").stdout

    assert at_once(lambda desk: desk.judged()) == {desk.name: [] for desk in DESKS}
    _sipp_calls()

    # Changes by another program, and the resulting faults of a call. The softphone reports success each time.
    DESKS[0].sh("nft flush ruleset")
    DESKS[1].sh("ip rule del priority 5060")
    found = at_once(lambda desk: desk.judged())
    assert found["desk1"] == ["SIP is sent with the mark -", "RTP is sent with the mark -"]
    assert found["desk2"] == ["RTP is sent by the NIC MAC (10.10.0.12 > 10.40.0.20)", "no RTP was received"]
    assert found["desk3"] == found["desk4"] == []
    # Without its link, the softphone has no route, not even through the network card.
    DESKS[1].sh("ip link set voice0 down")
    assert "No route to host" in DESKS[1].sh("ip route get 10.40.0.20 from 10.30.0.12 2>&1 || :").stdout
    mended = well(play(tmp_path, "--limit", "desk1,desk2"))
    assert mended.changes == {"desk1": 1, "desk2": 1}, mended.said
    assert at_once(lambda desk: desk.judged()) == {desk.name: [] for desk in DESKS}

    well(play(tmp_path, voip_macvlan_state="absent"))
    assert_as_before(before)


def _in_threes(mac: str) -> str:
    digits = mac.replace(":", "")
    return "-".join((digits[:4], digits[4:8], digits[8:]))


def _sipp_calls() -> None:
    """Call with another softphone, bound to its address, and not bound."""
    call = "cd /run && timeout 8 sipp -sn uac -s echo -i {} -p 5070 -m 1 -timeout 3s -timeout_error -nostdin 10.30.0.1:5060"
    bound = DESKS[1].sh(call.format("10.30.0.12"), check=False)
    assert bound.returncode == 0, bound.stdout
    unbound = DESKS[1].sh(call.format("10.10.0.12"), check=False)
    assert unbound.returncode not in (0, 124), "it had a call by the network card"


REFUSED = {
    "two hosts with one MAC address": (
        {"voip_macvlan_address": "00:04:F2:00:00:09"},
        "desk1 and desk2 and desk3 and desk4 share the MAC address 00:04:f2:00:00:09. "
        "Set voip_macvlan_address to another address for one of them.",
    ),
    "nobody to bind": (
        {"voip_macvlan_bind": "user", "voip_macvlan_user": ""},
        "voip_macvlan_user is required with voip_macvlan_bind=user. Set it to the user that the softphone runs as.",
    ),
    "a user who is not there": (
        {"voip_macvlan_bind": "user", "voip_macvlan_user": "nobody-knows"},
        "voip_macvlan_user: the user nobody-knows does not exist on this host. Create it first.",
    ),
    "a name that is too long": (
        {"voip_macvlan_vlan": 4000, "voip_macvlan_vlan_name": "the-voice-of-4000"},
        "voip_macvlan_vlan_name: the name of the VLAN link has more than 15 characters. Set a shorter one.",
    ),
    "no folder": (
        {"voip_macvlan_lists": ["kea"], "voip_macvlan_lists_folder": ""},
        "voip_macvlan_lists_folder is required with voip_macvlan_lists. Set it to a folder on the controller.",
    ),
}


@pytest.mark.parametrize("written", REFUSED)
def test_refusals(tmp_path: Path, written: str) -> None:
    """Invalid variables are refused with a message before any change."""
    more, sentence = REFUSED[written]
    done = play(tmp_path, **more)
    assert done.failed
    assert sentence in done.said.replace("\n", " ")
    assert not any(done.changes.values())

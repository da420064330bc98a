# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbook macvtap_guest: the user of a guest opens its node and communicates with the network, and guests use NAT."""

from __future__ import annotations

import itertools
import os
import re
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import pytest

from ansible_collections.patchbay.netdev.tests.integration.device_nodes import own_nodes
from ansible_collections.patchbay.netdev.tests.integration.host import CLONE, Host, assert_equal, dump, hosts, ip
from ansible_collections.patchbay.netdev.tests.integration.playbooks import LAN, Site, changes, command_line, start_switch

MAC, ADDRESS = "52:54:00:12:34:01", "192.0.2.101"
GUEST = {"name": "guest1", "lower_device": "eth0", "address": MAC, "device_owner": "nobody", "device_mode": "0600"}
# a guest that replies to ARP requests, given its node, MAC address and IP address: each frame has a header of ten bytes
ANSWERS = """
import os, socket, sys
node, mac, own = os.open(sys.argv[1], os.O_RDWR), bytes.fromhex(sys.argv[2].replace(":", "")), socket.inet_aton(sys.argv[3])
print("open", flush=True)
while True:
    frame = os.read(node, 2000)[10:]
    if frame[12:14] == b"\\x08\\x06" and frame[20:22] == b"\\0\\1" and frame[38:42] == own:
        os.write(node, bytes(10) + frame[6:12] + mac + frame[12:20] + b"\\0\\2" + mac + own + frame[22:32])
"""
_numbers = itertools.count(1)


# --- links and their nodes, which only exist on the machine itself ---


def play(host: Host, *words: str, **variables: Any) -> str:
    """Return the output of ansible-playbook in the namespace of the host, without a gateway and without boot configuration."""
    given = {"macvtap_guest_links": [GUEST], "macvtap_guest_gateway": {}, "macvtap_guest_persist": "none", **variables}
    command = ["nsenter", f"--net=/run/netns/{host.netns}", *command_line("macvtap_guest", *words, **given)]
    done = subprocess.run(command, cwd=CLONE, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_guest_on_the_network(host: Host) -> None:
    """Its user, and no other user, opens the node, the network sees its MAC address, and absent restores the state before."""
    with own_nodes(host.netns):
        before = dump([host.netns])
        assert changes(play(host, "--check", "--diff")) == 1
        assert_equal(dump([host.netns]), before, "check mode changed something")
        printed = play(host)
        assert changes(printed) == 1
        node = f"/dev/tap{host.link('guest1')['ifindex']}"
        qemu = f"-netdev tap,id=guest1,fd=3,vhost=off -device virtio-net-pci,netdev=guest1,mac={MAC} 3<>{node}"
        assert qemu in printed
        assert f"<mac address='{MAC}'" in printed.replace('\\"', "'")
        assert changes(play(host)) == 0
        far = f"{host.netns}-wire"
        ip("address", "add", f"{LAN}/24", "dev", "eth0", netns=far)
        ask = ["ip", "netns", "exec", far, "arping", "-c", "1", "-w", "3", "-I", "eth0", ADDRESS]
        assert subprocess.run(ask, capture_output=True, check=False).returncode == 1
        with subprocess.Popen(guest_of("65534", node), stdout=subprocess.PIPE, text=True) as guest:
            assert guest.stdout is not None
            assert guest.stdout.readline() == "open\n"
            said = subprocess.run(ask, capture_output=True, text=True, check=False).stdout
            guest.kill()
        assert f"[{MAC}]".upper() in said.upper()
        other = subprocess.run(guest_of("2", node), capture_output=True, text=True, check=False)
        assert "PermissionError" in other.stderr
        assert changes(play(host, macvtap_guest_state="absent")) == 1
        assert_equal(dump([host.netns]), before)
        assert not os.path.exists(node)


def guest_of(user: str, node: str) -> list[str]:
    """Return the command that runs a guest as an unprivileged user."""
    plain = ["setpriv", "--reuid", user, "--regid", "65534", "--clear-groups", "--inh-caps=-all"]
    return [*plain, "/usr/bin/python3", "-c", ANSWERS, node, MAC, ADDRESS]


# --- the gateway ---


@pytest.fixture
def site() -> Iterator[Site]:
    """Create a host with an address on the network."""
    made = Site(f"hypervisor{next(_numbers)}")
    start_switch()
    hosts("start", made.name)
    try:
        start(made)
        yield made
    finally:
        hosts("stop", made.name, "wire")


def start(site: Site) -> None:
    """Connect the host."""
    site.plug("eth0")
    site.sh("ip address add 192.0.2.10/24 dev eth0")


def make_guest(site: Site) -> None:
    """Create a guest in the network 10.99.0.0/24 without a device node, because frames are the same."""
    site.sh(
        f"ip netns add guest; ip link add eth0 link eth0 netns guest address {MAC} type macvlan mode bridge;"
        "ip -n guest address add 10.99.0.2/24 dev eth0; ip -n guest link set eth0 up; ip -n guest route add default via 10.99.0.1"
    )


def wire(command: str, check: bool = True) -> str:
    """Return the output of a shell command at the other end of the cable."""
    return hosts("enter", "wire", "sh", "-euc", command, check=check).stdout


def assert_uses_nat(site: Site) -> None:
    """Verify that the network sees only the IP address and MAC address of the host, and has no route to the guest."""
    site.sh("ip neigh flush all; ip -n guest neigh flush all")
    wire("ip neigh flush all")
    watch = "timeout 4 tcpdump -l -e -n -i br0 icmp 2>/dev/null"
    with subprocess.Popen(
        [str(CLONE / "tests/hosts/host"), "enter", "wire", "sh", "-c", watch], stdout=subprocess.PIPE, text=True
    ) as watching:
        time.sleep(1)
        assert site.hears(LAN, "guest")
        said = str(watching.communicate()[0])
    card = site.sh("cat /sys/class/net/eth0/address").stdout.strip()
    asked = [line for line in said.splitlines() if "echo request" in line]
    assert asked
    assert all(f"{card} >" in line and f"192.0.2.10 > {LAN}" in line for line in asked), said
    assert site.hears("10.99.0.2")
    assert site.hears("192.0.2.10", "guest")


def who_answers_for_the_host() -> set[str]:
    """Return all MAC addresses that reply for the host on the network."""
    said = wire(f"arping -c 3 -w 3 -I br0 -s {LAN} 192.0.2.10", check=False)
    return {mac.lower() for mac in re.findall(r"\[([0-9A-Fa-f:]{17})\]", said)}


def test_gateway(site: Site) -> None:
    """The gateway is created and deleted, and parts that another program deleted in between are restored."""
    one = {"lower_device": "eth0", "addresses": "10.99.0.1/24"}  # a single value without a list
    given = {"macvtap_guest_links": [], "macvtap_guest_gateway": one, "macvtap_guest_persist": "none"}
    disk, before, rules = site.disk(), site.settled(), site.sh("nft list ruleset").stdout
    site.climb("macvtap_guest", **given)
    kernel = site.settled()
    make_guest(site)
    assert_uses_nat(site)
    assert who_answers_for_the_host() == {site.sh("cat /sys/class/net/eth0/address").stdout.strip()}
    site.sh("nft flush ruleset; ip netns exec guest true")
    assert not site.hears(LAN, "guest", 1)
    assert site.play("macvtap_guest", **given) == 1
    assert_uses_nat(site)
    site.sh("ip netns del guest")
    assert_equal(site.settled(), kernel)
    assert_equal(site.disk(), disk, "without persist, nothing is for the next boot")
    site.climb("macvtap_guest", **given, macvtap_guest_state="absent")
    assert_equal(site.settled(), before)
    assert site.sh("nft list ruleset").stdout == rules
    assert site.sh("ls /run").stdout.count("patchbay-gw0") == 0


def test_reboot(site: Site) -> None:
    """The example sets persist: replay. The test runs the command of the unit, because the host has no systemd."""
    disk = site.disk()
    told = site.play("macvtap_guest", "--check", macvtap_guest_links=[])
    assert site.play("macvtap_guest", macvtap_guest_links=[]) == told
    hosts("restart", site.name)
    start(site)
    assert site.replay()[0] == 0
    (wanted,) = site.path("/etc/systemd/system/multi-user.target.wants").glob("patchbay-nat-*")
    (unit,) = site.path("/etc/systemd/system").glob("patchbay-nat-*")
    assert os.readlink(wanted) == f"/etc/systemd/system/{unit.name}"
    (command,) = re.findall("^ExecStart=(.*)$", unit.read_text(), re.MULTILINE)
    site.sh(command)
    make_guest(site)
    assert_uses_nat(site)
    assert site.play("macvtap_guest", macvtap_guest_links=[]) == 0
    site.sh("ip netns del guest")
    assert site.play("macvtap_guest", macvtap_guest_links=[], macvtap_guest_state="absent") > 0
    changed = [path for path, found in site.disk().items() if disk.get(path) != found]
    left = [path for path in changed if re.search("nat|gw0|eth0", path)]
    assert left == []


def test_name_that_is_invalid_in_a_rule(site: Site) -> None:
    """Such a name is refused before any change."""
    odd = {"lower_device": "eth0", "addresses": ["10.99.0.1/24"], "outgoing": 'eth0" drop; #', "forwarding": False}
    before = site.settled()
    said = " ".join(site.ran("macvtap_guest", check=False, macvtap_guest_links=[], macvtap_guest_gateway=odd).split())
    assert 'macvtap_guest_gateway: eth0\\" drop; # is not a valid link name in nftables rules' in said
    assert_equal(site.settled(), before)


def test_without_nft(site: Site) -> None:
    """The error names the missing program."""
    site.sh("rm /usr/sbin/nft")
    said = " ".join(site.ran("macvtap_guest", check=False, macvtap_guest_links=[]).split())
    assert "nft does not run on this host" in said
    assert "Install the package nftables" in said

# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests that the kernel would refuse or ignore: an error with cause and fix, and no change."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest

from ansible_collections.patchbay.netdev.tests.integration.host import Host
from ansible_collections.patchbay.netdev.tests.integration.ladder import Case, refuse

MAC1, MAC2 = "02:00:00:00:00:01", "02:00:00:00:00:02"
ETH0 = "02:00:00:00:00:e0"


def on_eth0(**params: Any) -> dict[str, Any]:
    """Return the options of a macvlan on eth0."""
    return {"name": "mv0", "lower_device": "eth0", **params}


CASES = {
    "no lower device": Case(
        {"name": "mv0"}, "mv0: the link does not exist, and lower_device is required to create it. Set lower_device", awaits=True
    ),
    "lower device missing": Case(
        on_eth0(lower_device="eth9"),
        "mv0: lower device eth9 does not exist in the namespace of the task. Available: eth0, eth1. Set another "
        "lower_device, or lower_device_netns, or create it first with the module of its kind",
        awaits=True,
    ),
    "lower device missing elsewhere": Case(
        on_eth0(lower_device_netns="guest"),
        "mv0: lower device eth0 does not exist in netns guest. Available: none. "
        "Set another lower_device, or lower_device_netns, or create it first with the module of its kind",
        awaits=True,
    ),
    "loopback": Case(
        on_eth0(lower_device="lo"),
        "mv0: lower device lo is the loopback device. Set lower_device to an Ethernet device, which macvlan requires",
    ),
    "no Ethernet": Case(
        on_eth0(lower_device="tun0"),
        "mv0: lower device tun0 is not an Ethernet device. Set lower_device to an Ethernet device, which macvlan requires",
        ip=("tuntap add dev tun0 mode tun",),
    ),
    "bridge port": Case(
        on_eth0(),
        "mv0: lower device eth0 is a port of bridge br0, so no macvlan can receive from it. Use br0 as "
        "lower_device, or detach eth0 first",
        ip=("link add br0 type bridge", "link set eth0 master br0"),
    ),
    "passthru beside another": Case(
        on_eth0(mode="passthru"),
        "mv0: mode passthru needs lower device eth0 exclusively, but mv1 uses it. Delete those links first, or set "
        "another lower_device or mode",
        tasks=(("macvlan", {"name": "mv1", "lower_device": "eth0"}),),
    ),
    "passthru beside a macvtap": Case(
        on_eth0(mode="passthru"),
        "mv0: mode passthru needs lower device eth0 exclusively, but mt1, mt2 use it. Delete those links first, or set"
        " another lower_device or mode",
        ip=("link add mt1 link eth0 type macvtap", "link add mt2 link eth0 type macvtap"),
    ),
    "beside a passthru": Case(
        on_eth0(),
        "mv0: mv1 uses lower device eth0 exclusively (mode passthru). Delete mv1 first, or use another lower_device",
        tasks=(("macvlan", {"name": "mv1", "lower_device": "eth0", "mode": "passthru"}),),
    ),
    "on a passthru macvlan": Case(
        on_eth0(lower_device="mv1"),
        "mv0: mv1 uses lower device eth0 exclusively (mode passthru). Delete mv1 first, or use another lower_device",
        tasks=(("macvlan", {"name": "mv1", "lower_device": "eth0", "mode": "passthru"}),),
    ),
    "passthru and nopromisc while down": Case(
        {"name": "mv0", "nopromisc": True},
        "mv0: nopromisc false -> true: it changes safely only on a passthru link that is up. Set recreate: "
        "when_required to delete the link and create it again, with its contents where the kernel allows it",
        tasks=(("macvlan", {"name": "mv0", "lower_device": "eth0", "mode": "passthru"}),),
    ),
    "another lower device": Case(
        {"name": "mv0", "lower_device": "eth1"},
        "mv0: lower_device eth0 -> eth1: it is fixed when the link is created. Set recreate: when_required to "
        "delete the link and create it again, with its contents where the kernel allows it",
        tasks=(("macvlan", {"name": "mv0", "lower_device": "eth0"}),),
    ),
    "MAC of the lower device": Case(
        on_eth0(address=ETH0, admin_state="up"),
        f"mv0: {ETH0} is the MAC address of its lower device eth0, which the kernel allows no macvlan to have. Set "
        f"another address (the filter patchbay.netdev.stable_mac makes one)",
    ),
    "MAC changed to that of the lower device": Case(
        {"name": "mv0", "address": ETH0},
        f"mv0: {ETH0} is the MAC address of its lower device eth0, which the kernel allows no macvlan to have. Set "
        f"another address (the filter patchbay.netdev.stable_mac makes one)",
        tasks=(("macvlan", {"name": "mv0", "lower_device": "eth0"}),),
    ),
    "MAC of a sibling": Case(
        on_eth0(address=MAC1, admin_state="up"),
        f"mv0: mv1 on the same lower device eth0 is up with the MAC address {MAC1}, and only one of two links with one "
        f"address can be up. Set another address, or take that link down first",
        tasks=(("macvlan", {"name": "mv1", "lower_device": "eth0", "address": MAC1, "admin_state": "up"}),),
    ),
    "MAC changed to that of a sibling": Case(
        {"name": "mv0", "address": MAC1},
        f"mv0: mv1 on the same lower device eth0 is up with the MAC address {MAC1}, and only one of two links with one "
        f"address can be up. Set another address, or take that link down first",
        tasks=(
            ("macvlan", {"name": "mv1", "lower_device": "eth0", "address": MAC1, "admin_state": "up"}),
            ("macvlan", on_eth0(address=MAC2)),
        ),
    ),
    "brought up with the MAC of a sibling": Case(
        {"name": "mv0", "admin_state": "up"},
        f"mv0: mv1 on the same lower device eth0 is up with the MAC address {MAC1}, and only one of two links with one "
        f"address can be up. Set another address, or take that link down first",
        tasks=(
            ("macvlan", {"name": "mv1", "lower_device": "eth0", "address": MAC1, "admin_state": "up"}),
            ("macvlan", on_eth0(address=MAC1)),
        ),
    ),
    "MAC as a number": Case(
        on_eth0(address=41135085296),
        "address: 41135085296 is a number, as YAML reads an unquoted 52:54:00:12:34:56. Quote it",
    ),
    "multicast MAC": Case(
        on_eth0(address="01:00:5e:00:00:01"),
        "address: 01:00:5e:00:00:01 is a multicast address (the lowest bit of its first octet is set). Set a unicast address",
    ),
    "zero MAC": Case(on_eth0(address="00:00:00:00:00:00"), "address: 00:00:00:00:00:00 is not a valid MAC address"),
    "no MAC": Case(on_eth0(address="02:00:00:00:00"), "address: '02:00:00:00:00' is not a MAC address such as 00:16:3e:11:11:01"),
    "MTU above the lower device": Case(
        on_eth0(mtu=1501),
        "mv0: mtu 1501 is above the MTU of its lower device eth0, which is 1500. Raise the MTU of eth0 first, "
        "or set mtu to 1500 or less",
    ),
    "MTU raised above the lower device": Case(
        {"name": "mv0", "mtu": 9000},
        "mv0: mtu 9000 is above the MTU of its lower device eth0, which is 1500. Raise the MTU of eth0 first, "
        "or set mtu to 1500 or less",
        tasks=(("macvlan", on_eth0()),),
    ),
    "MTU too small": Case(on_eth0(mtu=67), "mtu: 67 is not between 68 and 65535"),
    "source addresses in another mode": Case(
        on_eth0(mode="bridge", source_addresses=[MAC1]),
        "mv0: source_addresses require mode source, but the mode is bridge. Set mode: source, or omit source_addresses",
    ),
    "source addresses for a living link of another mode": Case(
        {"name": "mv0", "source_addresses": [MAC1]},
        "mv0: source_addresses require mode source, but the mode is vepa. Set mode: source, or omit source_addresses",
        tasks=(("macvlan", on_eth0()),),
    ),
    "multicast source address": Case(
        on_eth0(mode="source", source_addresses=["33:33:00:00:00:01"]),
        "source_addresses: 33:33:00:00:00:01 is a multicast address (the lowest bit of its first octet is set). "
        "Set a unicast address",
    ),
    "too many source addresses": Case(
        on_eth0(mode="source", source_addresses=[f"02:00:00:00:{i >> 8:02x}:{i & 255:02x}" for i in range(1001)]),
        "source_addresses: it has 1001 entries, more than 1000",
    ),
    "queues": Case(on_eth0(num_tx_queues=0), "num_tx_queues: 0 is not between 1 and 4096"),
    "name of another kind": Case(
        on_eth0(name="br0"),
        "br0: the link with this name is a bridge, not a macvlan, and is not changed. "
        "Choose another name, or delete that link first",
        ip=("link add br0 type bridge",),
    ),
    "delete another kind": Case(
        {"name": "eth1", "state": "absent"},
        "eth1: the link with this name is a veth, not a macvlan, and is not deleted. "
        "Choose another name, or delete that link first",
    ),
    "name that is an alternative one": Case(
        on_eth0(name="uplink"),
        "uplink: the name is already an alternative name of eth1. Choose another name, or remove uplink from the altnames"
        " of eth1 first",
        ip=("link property add dev eth1 altname uplink",),
    ),
    "long name": Case(
        on_eth0(name="a-name-too-long0"),
        "name: 'a-name-too-long0' cannot be the name of a link: it has 16 bytes, but the kernel allows at most 15",
    ),
    "long name in bytes": Case(
        on_eth0(name="ünïcödé-ünïcö"),
        "name: 'ünïcödé-ünïcö' cannot be the name of a link: it has 20 bytes, but the kernel allows at most 15",
    ),
    "empty name": Case(on_eth0(name=""), "name: '' cannot be the name of a link: it is empty"),
    "template": Case(
        on_eth0(name="a%db"),
        "name: 'a%db' cannot be the name of a link: the kernel treats \"%\" as a template and would create another name",
    ),
    "dot": Case(on_eth0(name=".."), "name: '..' cannot be the name of a link: it would be another directory in /sys and /proc"),
    "all": Case(
        on_eth0(name="all"),
        "name: 'all' cannot be the name of a link: "
        "the kernel reserves it for the settings of all links or of new ones (/proc/sys/net/ipv4/conf)",
    ),
    "slash": Case(on_eth0(name="a/b"), "name: 'a/b' cannot be the name of a link: the kernel refuses \"/\""),
    "colon": Case(on_eth0(name="a:b"), "name: 'a:b' cannot be the name of a link: the kernel refuses \":\""),
    "space": Case(on_eth0(name="a b"), "name: 'a b' cannot be the name of a link: it contains white space"),
    "control character": Case(
        on_eth0(name="a\x07"), "name: 'a\\x07' cannot be the name of a link: it contains a control character"
    ),
    "altname that is a link": Case(on_eth0(altnames=["eth1"]), "mv0: altname eth1 is already a name of eth1. Set another one"),
    "altname of another link": Case(
        on_eth0(altnames=["uplink"]),
        "mv0: altname uplink is already a name of eth1. Set another one",
        ip=("link property add dev eth1 altname uplink",),
    ),
    "altname that is its own name": Case(
        {"name": "mv0", "altnames": ["mv0"]},
        "mv0: altname mv0 is already a name of mv0. Set another one",
        tasks=(("macvlan", on_eth0()),),
    ),
    "long altname": Case(on_eth0(altnames=["x" * 128]), "altnames: it has 128 bytes, but the kernel allows at most 127"),
    "long alias": Case(on_eth0(alias="x" * 256), "alias: it has 256 bytes, but the kernel allows at most 255"),
    "controller missing": Case(
        on_eth0(controller="br9"),
        "mv0: controller br9 does not exist in the namespace of the link. "
        "Create it first with the module bridge or vrf, or set another controller",
        awaits=True,
    ),
    "controller that is no bridge": Case(
        on_eth0(controller="eth1"),
        "mv0: controller eth1 is a veth. Set controller to a bridge or a VRF (other kinds are not supported)",
    ),
    "controller that it sits on": Case(
        on_eth0(lower_device="br0", controller="br0"),
        "mv0: controller br0 is also its lower device, which would be a loop. Set another controller",
        ip=("link add br0 type bridge",),
    ),
    "secret that is not there": Case(
        on_eth0(address_generation_mode="stable_secret"),
        "create mv0: macvlan on eth0, address_generation_mode stable_secret failed: the kernel refused to "
        "set address_generation_mode of mv0: Invalid argument. "
        "stable_secret requires net.ipv6.conf.LINK.stable_secret to be set first. All changes were rolled back",
    ),
    "IPv6 below its least MTU": Case(
        on_eth0(mtu=1000, address_generation_mode="none"),
        "mv0: address_generation_mode needs IPv6, which the kernel removes from a link with an MTU below 1280; it "
        "is 1000. Raise mtu, or omit address_generation_mode",
    ),
    "IPv6 setting below its least MTU": Case(
        on_eth0(mtu=1000, sysctls={"ipv6.accept_ra": 0}),
        "mv0: ipv6.accept_ra needs IPv6, which the kernel removes from a link with an MTU below 1280; it is 1000. "
        "Raise mtu, or omit ipv6.accept_ra",
    ),
    "unknown setting": Case(
        on_eth0(sysctls={"ipv4.arp_ignroe": 1}),
        "mv0: this kernel has no setting ipv4.arp_ignroe under /proc/sys/net. Remove it from sysctls",
    ),
    "setting out of range": Case(on_eth0(sysctls={"ipv4.arp_ignore": 9}), "sysctls: ipv4.arp_ignore: 9 is not between 0 and 8"),
    "setting that is no setting": Case(
        on_eth0(sysctls={"arp_ignore": 1}),
        "sysctls: 'arp_ignore' is not a per-link setting such as ipv4.arp_ignore or ipv6.accept_ra",
    ),
    "setting that is no number": Case(
        on_eth0(sysctls={"ipv4.arp_ignore": "on"}), "sysctls: ipv4.arp_ignore requires an integer, not 'on'"
    ),
    "group without a number": Case(
        on_eth0(group="voice"),
        "mv0: group: /etc/iproute2/group and /usr/lib/iproute2/group have no link group voice. Set its number",
    ),
    "namespace missing": Case(
        on_eth0(netns="nowhere"),
        "There is no network namespace nowhere (/run/netns/nowhere does not exist). "
        "Correct the name, or create it first with the module netns",
        awaits=True,
    ),
    "namespace of the lower device missing": Case(
        on_eth0(lower_device_netns="nowhere"),
        "There is no network namespace nowhere (/run/netns/nowhere does not exist). "
        "Correct the name, or create it first with the module netns",
        awaits=True,
    ),
    "namespace that is none": Case(
        on_eth0(netns="a/b"), "netns: 'a/b' is neither the name of a network namespace nor an absolute path to one"
    ),
    "path that is no namespace": Case(
        on_eth0(netns="/etc/hostname"),
        "The network namespace /etc/hostname cannot be entered: Invalid argument (/etc/hostname)",
    ),
    "place of a lower device that is not written": Case(
        {"name": "mv0", "lower_device_netns": "guest"}, "lower_device_netns is set without lower_device. Set both"
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_refused(request: pytest.FixtureRequest, host: Host, case: Case) -> None:
    """See refuse."""
    host.ip("link", "set", "eth0", "address", ETH0)
    if "macvtap" in str(case.ip):
        request.getfixturevalue("nodes")
    refuse(host, "macvlan", case)


# module: its options, the rest of the operation, and the driver of the kernel
DRIVERS: dict[str, tuple[dict[str, Any], str, str]] = {
    "vlan": ({"lower_device": "eth0", "id": 5}, " on eth0, id 5", "8021q"),
    "vrf": ({"table": 10}, ", table 10", "vrf"),
    "dummy": ({}, "", "dummy"),
}


@pytest.mark.parametrize("kind", DRIVERS)
def test_kind_that_the_kernel_may_not_have(host: Host, kind: str) -> None:
    """If ip cannot create the kind either, the message names the fix. The other kernel's tests cover the other case."""
    needs, rest, driver = DRIVERS[kind]
    words = {"vlan": "link eth0 name probe0 type vlan id 6", "vrf": "probe0 type vrf table 11", "dummy": "probe0 type dummy"}
    probed = subprocess.run(
        ["ip", "-n", host.netns, "link", "add", *words[kind].split()], capture_output=True, text=True, check=False
    )
    result = host.run(kind, name="new0", **needs)
    if probed.returncode == 0:
        assert result.get("changed"), result
        return
    assert "Unknown device type" in probed.stderr
    assert result["msg"] == (
        f"create new0: {kind}{rest} failed: the kernel refused to create new0: Unknown device type. "
        f"This kernel has no {kind}: try modprobe {driver}. All changes were rolled back"
    )
    assert host.link("new0") == {}


def test_place_in_the_input(host: Host) -> None:
    """The message of topology names the position of the error in its input."""
    result = host.run("topology", macvlan=[on_eth0(), on_eth0(name="mv1", address="x")])
    assert result["msg"] == "macvlan[1] (mv1): address: 'x' is not a MAC address such as 00:16:3e:11:11:01"
    assert host.link("mv0") == {}


def test_two_entries_for_one_link(host: Host) -> None:
    """Equal values are merged, different values are refused with both positions."""
    same = host.apply("topology", macvlan=[on_eth0(mode="bridge"), {"name": "mv0", "alias": "both"}])
    assert len(same["operations"]) == 1
    assert host.link("mv0")["ifalias"] == "both"
    result = host.run("topology", macvlan=[on_eth0(mode="bridge"), on_eth0(mode="vepa")])
    assert result["msg"] == (
        "mv0: listed twice with different options: mode is bridge in macvlan[0] (mv0) and vepa in macvlan[1] (mv0). "
        "Set one value only"
    )


def test_bc_cutoff_of_one_lower_device(host: Host) -> None:
    """The value belongs to the lower device: two values in one task are refused."""
    result = host.run("topology", macvlan=[on_eth0(bc_cutoff=2), on_eth0(name="mv1", bc_cutoff=3)])
    assert result["msg"] == (
        "mv0: bc_cutoff 2 contradicts another entry of the same task, which sets it to 3, "
        "and all links on eth0 share it. Set one value only"
    )
    assert host.link("mv0") == {}


def test_overridden_setting_is_warned_of(host: Host) -> None:
    """The module warns if arp_ignore for all is larger than that of the link."""
    host.ip("netns", "exec", host.netns, "sh", "-c", "echo 2 > /proc/sys/net/ipv4/conf/all/arp_ignore")
    done = host.apply("macvlan", **on_eth0(sysctls={"ipv4.arp_ignore": 1}))
    assert "mv0: ipv4.arp_ignore = 1 has no effect while net.ipv4.conf.all.arp_ignore is 2" in str(done["warnings"])

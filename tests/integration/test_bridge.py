# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of bridge on the real kernel, its deletion with ports, and its errors."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.patchbay.netdev.tests.integration.host import Host, assert_equal, dump, ip
from ansible_collections.patchbay.netdev.tests.integration.ladder import (
    Case,
    Rung,
    bridge_link,
    climb,
    common_ladders,
    data,
    refuse,
    shown,
    stay,
    sysfs,
)

MAC = "02:00:00:00:00:b0"

LADDERS: dict[str, list[Rung]] = {
    **common_ladders("br0"),
    "stp_state": [(True, data("br0", "stp_state"), 1), (False, data("br0", "stp_state"), 0)],
    "forward_delay": [(delay, data("br0", "forward_delay"), delay * 100) for delay in (4, 0, 30, 2.5, 15)],
    "hello_time": [(time, data("br0", "hello_time"), time * 100) for time in (1, 10, 1.5, 2)],
    "max_age": [(age, data("br0", "max_age"), age * 100) for age in (6, 40, 7.5, 20)],
    "ageing_time": [(age, data("br0", "ageing_time"), age * 100) for age in (60, 0, 0.5, 300)],
    "priority": [(priority, data("br0", "priority"), priority) for priority in (4096, 0, 65535, 32768)],
    "multicast_snooping": [(False, data("br0", "mcast_snooping"), 0), (True, data("br0", "mcast_snooping"), 1)],
    "multicast_querier": [(True, data("br0", "mcast_querier"), 1), (False, data("br0", "mcast_querier"), 0)],
    "group_fwd_mask": [
        (0x8, data("br0", "group_fwd_mask"), "0x8"),
        (0xFFF8, data("br0", "group_fwd_mask"), "0xfff8"),
        (0, data("br0", "group_fwd_mask"), "0"),
    ],
}


@pytest.mark.parametrize("others", ["down", "up"])
@pytest.mark.parametrize("option", LADDERS)
def test_option(host: Host, option: str, others: str) -> None:
    """The option is set at creation, changed to each other value, and the bridge is deleted twice."""
    common = {"name": "br0", "address": MAC, **({"admin_state": "up"} if others == "up" else {})}
    for value, read, expected in LADDERS[option]:
        climb(host, "bridge", **{**common, option: value})
        assert read(host) == expected
        if option != "admin_state":
            assert ("UP" in host.link("br0")["flags"]) == (others == "up")
    climb(host, "bridge", name="br0", state="absent")
    assert host.link("br0") == {}
    stay(host, "bridge", name="br0", state="absent")


@pytest.mark.parametrize("option", ["num_tx_queues", "num_rx_queues"])
def test_queues(host: Host, option: str) -> None:
    """Queues can be set only at creation. A change requires the bridge to be recreated."""
    climb(host, "bridge", name="br0", **{option: 3})
    assert host.link("br0")[option] == 3
    refused = host.run("bridge", name="br0", **{option: 2})
    assert refused["msg"] == (
        f"br0: {option} 3 -> 2: it is fixed when the link is created. Set recreate: when_required to delete the link "
        "and create it "
        "again, with its contents where the kernel allows it"
    )
    climb(host, "bridge", name="br0", recreate="when_required", **{option: 2})
    assert host.link("br0")[option] == 2


@pytest.mark.parametrize("netns", [None, "guest"])
def test_everything_at_once(host: Host, netns: str | None) -> None:
    """All options are set in one task, in this and in another namespace."""
    climb(
        host,
        "bridge",
        name="br0",
        netns=netns,
        stp=True,
        forward_delay=2,
        hello_time=1,
        max_age=6,
        ageing_time=10,
        priority=100,
        mcast_snooping=False,
        mcast_querier=True,
        group_fwd_mask=0x4008,
        mac=MAC,
        mtu=1400,
        tx_queue_len=10,
        num_tx_queues=2,
        num_rx_queues=3,
        group="5",
        alias="all of it",
        address_generation_mode="none",
        altnames=["a long alternative name"],
        sysctls={"ipv4.arp_ignore": 1, "ipv6.accept_ra": 0},
        promiscuous=True,
        allmulticast=True,
        admin_state="up",
    )
    link = host.link("br0", netns)
    found = host.kind_data("br0", netns)
    assert {name: found[name] for name in ("stp_state", "forward_delay", "hello_time", "max_age", "ageing_time", "priority")} == {
        "stp_state": 1,
        "forward_delay": 200,
        "hello_time": 100,
        "max_age": 600,
        "ageing_time": 1000,
        "priority": 100,
    }
    assert (found["mcast_snooping"], found["mcast_querier"], found["group_fwd_mask"]) == (0, 1, "0x4008")
    assert (link["address"], link["mtu"], link["txqlen"], link["group"], link["ifalias"]) == (MAC, 1400, 10, "5", "all of it")
    assert (link["num_tx_queues"], link["num_rx_queues"], link["altnames"]) == (2, 3, ["a long alternative name"])
    assert {"UP", "PROMISC", "ALLMULTI"} <= set(link["flags"])
    assert link["inet6_addr_gen_mode"] == "none"
    assert host.setting("ipv4/conf/br0/arp_ignore", netns) == "1"
    assert "fe80" not in ip("address", "show", "dev", "br0", netns=netns or host.netns), "the mode came too late"
    if netns:
        assert host.link("br0") == {}, "it was never here"
    climb(host, "bridge", name="br0", netns=netns, state="absent")


def test_mac_is_in_the_creating_request(host: Host) -> None:
    """The kernel records a given MAC address as set by a user (3), so neither udev nor the ports change it."""
    host.apply("topology", bridge=[{"name": "br0", "address": MAC}, {"name": "br1"}])
    assert [sysfs(host, f"{name}/addr_assign_type") for name in ("br0", "br1")] == ["3", "1"]
    host.ip("link", "set", "eth0", "master", "br0")
    assert host.link("br0")["address"] == MAC


def test_stp_raises_the_delay(host: Host) -> None:
    """If STP is enabled, the kernel may raise the delay, so the task must set the delay too."""
    host.apply("bridge", name="br0", forward_delay=0)
    refused = host.run("bridge", name="br0", stp_state=True)
    assert (
        refused["msg"]
        == "br0: forward_delay 0 is outside the 2 to 30 seconds that STP requires. Set another forward_delay, or stp_state: false"
    )
    climb(host, "bridge", name="br0", stp_state=True, forward_delay=2)
    assert (host.kind_data("br0")["stp_state"], host.kind_data("br0")["forward_delay"]) == (1, 200)
    climb(host, "bridge", name="br0", stp_state=False, forward_delay=0)
    assert (host.kind_data("br0")["stp_state"], host.kind_data("br0")["forward_delay"]) == (0, 0)


@pytest.mark.parametrize("bridge_state", ["down", "up"])
def test_deletion_leaves_the_ports(host: Host, bridge_state: str) -> None:
    """The ports keep their attributes and are detached."""
    host.apply("bridge", name="br0", admin_state=bridge_state)
    host.ip("link", "set", "eth1", "alias", "a port")
    before = {port: host.link(port) for port in ("eth0", "eth1")}
    for port in before:
        host.apply("bridge_port", port=port, bridge="br0", hairpin=True)
    climb(host, "bridge", name="br0", state="absent")
    assert host.link("br0") == {}
    for port, was in before.items():
        now = host.link(port)
        assert "master" not in now
        for name in ("ifindex", "address", "mtu", "flags", "ifalias", "linkinfo"):
            assert now.get(name) == was.get(name), name
        assert bridge_link(host, port) == {}


def test_recreated_with_its_ports(host: Host) -> None:
    """A recreated bridge gets its ports back, or a warning names those that it lost."""
    host.apply("bridge", name="br0", address=MAC, alias="kept", forward_delay=4, admin_state="up", num_tx_queues=2)
    host.apply("bridge_port", port="eth1", bridge="br0", isolated=True)
    host.ip("address", "add", "192.0.2.1/24", "dev", "br0")
    done = climb(host, "bridge", name="br0", num_tx_queues=3, recreate="when_required")
    link = host.link("br0")
    assert (link["num_tx_queues"], link["address"], link["ifalias"]) == (3, MAC, "kept")
    assert host.kind_data("br0")["forward_delay"] == 400
    assert "192.0.2.1/24" in host.ip("address", "show", "dev", "br0")
    if shown("eth1", "master")(host) == "br0":
        assert bridge_link(host, "eth1")["isolated"] is True
    else:
        assert "eth1" in str(done.get("warnings")), "a port was lost without a word"


def test_idempotent_with_a_bridge_made_by_ip(host: Host) -> None:
    """A bridge that ip created requires no change."""
    host.ip("link", "add", "br0", "type", "bridge", "forward_delay", "400", "stp_state", "1", "group_fwd_mask", "8")
    stay(host, "bridge", name="br0", forward_delay=4, stp_state=True, group_fwd_mask=8, multicast_snooping=True)
    climb(host, "bridge", name="br0", forward_delay=5)


def _on_br0(**params: Any) -> dict[str, Any]:
    return {"name": "br0", **params}


_MADE = (("bridge", _on_br0()),)
_RANGES: dict[str, tuple[Any, str]] = {
    "hello_time small": ({"hello_time": 0.5}, "hello_time: 0.5 is not between 1 and 10 seconds"),
    "hello_time large": ({"hello_time": 11}, "hello_time: 11 is not between 1 and 10 seconds"),
    "max_age small": ({"max_age": 5}, "max_age: 5 is not between 6 and 40 seconds"),
    "max_age large": ({"max_age": 41}, "max_age: 41 is not between 6 and 40 seconds"),
    "forward_delay negative": ({"forward_delay": -1}, "forward_delay: -1 is not between 0 and 2.14748e+06 seconds"),
    "ageing_time negative": ({"ageing_time": -1}, "ageing_time: -1 is not between 0 and 1e+07 seconds"),
    "priority negative": ({"priority": -1}, "priority: -1 is not between 0 and 65535"),
    "priority large": ({"priority": 65536}, "priority: 65536 is not between 0 and 65535"),
    "vlan_default_pvid": ({"vlan_default_pvid": 4095}, "vlan_default_pvid: 4095 is not between 0 and 4094"),
    "mask bit 0": ({"group_fwd_mask": 1}, "group_fwd_mask: 0x1 sets bits of 0x7, which the kernel reserves"),
    "mask bit 1": ({"group_fwd_mask": 2}, "group_fwd_mask: 0x2 sets bits of 0x7, which the kernel reserves"),
    "mask bit 2": ({"group_fwd_mask": 4}, "group_fwd_mask: 0x4 sets bits of 0x7, which the kernel reserves"),
    "mask of 17 bits": ({"group_fwd_mask": 0x10008}, "group_fwd_mask: 65544 is not between 0 and 65535"),
    "mtu small": ({"mtu": 67}, "mtu: 67 is not between 68 and 65535"),
    "mtu large": ({"mtu": 65536}, "mtu: 65536 is not between 68 and 65535"),
}
CASES: dict[str, Case] = {
    **{name: Case(_on_br0(**params), told) for name, (params, told) in _RANGES.items()},
    **{
        f"STP with a delay of {delay}": Case(
            _on_br0(stp_state=True, forward_delay=delay),
            f"br0: forward_delay {delay} is outside the 2 to 30 seconds that STP requires. Set another "
            "forward_delay, or stp_state: false",
        )
        for delay in (0, 1, 1.99, 30.01, 31)
    },
    "delay for a living bridge with STP": Case(
        _on_br0(forward_delay=1),
        "br0: forward_delay 1 is outside the 2 to 30 seconds that STP requires. Set another forward_delay, or stp_state: false",
        tasks=(("bridge", _on_br0(stp_state=True)),),
    ),
    "name of another kind": Case(
        {"name": "eth1", "forward_delay": 4},
        "eth1: the link with this name is a veth, not a bridge, and is not changed. "
        "Choose another name, or delete that link first",
    ),
    "delete another kind": Case(
        {"name": "eth1", "state": "absent"},
        "eth1: the link with this name is a veth, not a bridge, and is not deleted. "
        "Choose another name, or delete that link first",
    ),
    "name that is an alternative one": Case(
        {"name": "uplink"},
        "uplink: the name is already an alternative name of eth1. Choose another name, or remove uplink from the altnames"
        " of eth1 first",
        ip=("link property add dev eth1 altname uplink",),
    ),
    "bridge in a bridge": Case(
        _on_br0(controller="br1"),
        "br0: a bridge cannot be attached to a bridge, which the kernel refuses as a loop. Connect it to br1 with a veth pair",
        ip=("link add br1 type bridge",),
    ),
    "bridge in itself": Case(
        _on_br0(controller="br0"),
        "br0: a link cannot be attached to itself. Set another controller",
        tasks=_MADE,
    ),
    "something sits on it": Case(
        _on_br0(state="absent"),
        "br0: mv0 sits on it and would be deleted with it, so it is not deleted. Delete mv0 first, or in the same task",
        tasks=(*_MADE, ("macvlan", {"name": "mv0", "lower_device": "br0"})),
    ),
    "namespace missing": Case(
        _on_br0(netns="nowhere"),
        "There is no network namespace nowhere (/run/netns/nowhere does not exist). "
        "Correct the name, or create it first with the module netns",
        awaits=True,
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_refused(host: Host, case: Case) -> None:
    """See refuse."""
    refuse(host, "bridge", case)


_NO_VLANS = "This kernel has no VLAN filtering on bridges (CONFIG_BRIDGE_VLAN_FILTERING). All changes were rolled back"


@pytest.mark.parametrize(("option", "value", "said"), [("vlan_filtering", True, "true"), ("vlan_default_pvid", 5, "5")])
@pytest.mark.parametrize("there", [False, True], ids=["new", "living"])
def test_vlans_on_a_kernel_without(host: Host, option: str, value: object, said: str, there: bool) -> None:
    """On a kernel without VLAN filtering the error names the missing part and nothing changes.

    Other kernels apply the options.
    """
    host.ip("link", "add", "probe", "type", "bridge")
    has = _filters_vlans(host)
    host.ip("link", "del", "probe")
    if has:
        host.apply("bridge", name="br0", **{option: value})
        return
    if there:
        host.apply("bridge", name="br0")
    before = dump([host.netns])
    result = host.run("bridge", name="br0", alias="never", **{option: value})
    assert result.get("failed"), result
    if option == "vlan_filtering":
        assert result["msg"].endswith(f". {_NO_VLANS}")
        assert result["msg"].startswith("set br0: " if there else "create br0: bridge, ")
        assert f"{option} {said}" in result["msg"] or f"-> {said}" in result["msg"]
    elif there:
        assert result["msg"] == (
            "br0: vlan_default_pvid requires VLAN filtering, which this kernel lacks (CONFIG_BRIDGE_VLAN_FILTERING). Omit it"
        )
    else:  # only the verification detects it: the kernel acknowledges the request without applying it
        assert result["msg"] == (
            "the kernel acknowledged all requests but did not apply this: br0: vlan_default_pvid requires VLAN "
            "filtering, which this kernel lacks (CONFIG_BRIDGE_VLAN_FILTERING). Omit it. "
            "All changes were rolled back"
        )
    assert_equal(dump([host.netns]), before)


def _filters_vlans(host: Host) -> bool:
    try:
        host.ip("link", "set", "probe", "type", "bridge", "vlan_filtering", "1")
    except AssertionError:
        return False
    return True

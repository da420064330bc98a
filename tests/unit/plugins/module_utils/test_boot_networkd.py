# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files for systemd-networkd: their whole text, the sentences where they cannot say something, and when they are read."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.patchbay.netdev.plugins.module_utils._argspec import desired_topology
from ansible_collections.patchbay.netdev.plugins.module_utils._boot._networkd import HEADER, render
from ansible_collections.patchbay.netdev.plugins.module_utils._boot._planning import BootPlan, plan_boot
from ansible_collections.patchbay.netdev.plugins.module_utils._boot._rendering import Engine
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._table import describe_attribute
from ansible_collections.patchbay.netdev.plugins.module_utils._model._boot import BootState, File
from ansible_collections.patchbay.netdev.plugins.module_utils._model._desired import merge
from ansible_collections.patchbay.netdev.plugins.module_utils._model._errors import InvalidValue
from ansible_collections.patchbay.netdev.plugins.module_utils._model._links import Link, LinkKey
from ansible_collections.patchbay.netdev.plugins.module_utils._model._state import State
from ansible_collections.patchbay.netdev.tests.unit.manager_samples import declared, desired_objects
from ansible_collections.patchbay.netdev.tests.unit.plugins.module_utils.test_boot_planning import Disk, sentences

NETWORKD = "/etc/systemd/network"
FOLDER = "/etc/patchbay/networkd.d"
MAC, OTHER_MAC = "02:00:00:00:00:0a", "02:00:00:00:00:0b"
BOOT = BootState(
    managers=frozenset({"networkd"}),
    versions={"networkd": 257},
    governed={"eth0": ("/run/systemd/network/10-netplan-eth0.network", True), "eth1": (f"{NETWORKD}/20-eth1.network", False)},
    netdevs={"br9": "bridge"},
)
OLDER = {"networkd": 252}
MV0 = {"name": "mv0", "lower_device": "eth0", "mode": "bridge", "address": MAC, "admin_state": "up"}
IPV6 = "\n\n[IPv6AcceptRA]\nUseDNS=false\nUseDomains=false\nDHCPv6Client=false"


def network(name: str, link: str = "", more: str = "", state: str = "manual", ipv6: bool = True, in_network: str = "") -> str:
    """The text of the .network file of a link that is made."""
    both = "LinkLocalAddressing=ipv6\nIPv6AcceptRA=true" if ipv6 else "LinkLocalAddressing=no\nIPv6AcceptRA=false"
    return (
        f"{HEADER}[Match]\nName={name}\n\n[Link]\nRequiredForOnline=false\nActivationPolicy={state}\n{link}"
        f"\n[Network]\nConfigureWithoutCarrier=true\nKeepConfiguration=static\n{both}{in_network}"
        f"{IPV6 if ipv6 else ''}{more}\n"
    )


def texts(boot: BootState = BOOT, **lists: Any) -> dict[str, str]:
    """What is rendered of entries, by path below the folder."""
    return {path[len(NETWORKD) + 1 :]: file.content.decode() for path, file in render(boot, desired_objects(lists)).items()}


def test_macvlan() -> None:
    """The link, its configuration, and the drop-in for the file of its lower device, whatever folder that is in."""
    assert texts(macvlan=[{**MV0, "mtu": 1400, "addresses": ["192.0.2.1/24", "2001:db8::1/64"]}]) == {
        "05-patchbay-mv0.netdev": f"{HEADER}[NetDev]\nName=mv0\nKind=macvlan\nMACAddress={MAC}\n\n[MACVLAN]\nMode=bridge\n",
        "05-patchbay-mv0.network": network(
            "mv0",
            "MTUBytes=1400\n",
            "\n\n[Address]\nAddress=192.0.2.1/24\nBroadcast=false\n\n[Address]\nAddress=2001:db8::1/64",
            "up",
        ),
        "10-netplan-eth0.network.d/05-patchbay-mv0.conf": f"{HEADER}[Network]\nMACVLAN=mv0\n",
    }


def test_passthru() -> None:
    """It has the MAC address of its lower device, and networkd must not derive one."""
    found = texts(macvlan=[{"name": "mv0", "lower_device": "eth1", "mode": "passthru"}])
    assert "\nMACAddress=none\n" in found["05-patchbay-mv0.netdev"]


def test_below_the_mtu_of_ipv6() -> None:
    """networkd would raise the MTU for IPv6."""
    found = texts(macvlan=[{**MV0, "mtu": 1200}])
    assert found["05-patchbay-mv0.network"] == network("mv0", "MTUBytes=1200\n", state="up", ipv6=False)


SETTINGS = {"ipv6.accept_ra": 0, "ipv6.ndisc_notify": 1}


def test_sysctls() -> None:
    """The .network file only says which router advertisements are accepted; udev sets the rest."""
    boot = replace(BOOT, udev=True)
    found = texts(boot, macvlan=[{**MV0, "sysctls": SETTINGS}], link=[{"name": "nobodys", "sysctls": {"ipv4.arp_ignore": 1}}])
    assert "IPv6AcceptRA=false" in found["05-patchbay-mv0.network"]
    assert "[IPv6AcceptRA]" not in found["05-patchbay-mv0.network"]
    assert not any("nobodys" in path for path in found)
    found = texts(boot, macvlan=[{**MV0, "sysctls": {"ipv6.accept_ra_defrtr": 0, "ipv6.accept_ra_pinfo": 0, "ipv6.autoconf": 0}}])
    assert f"{IPV6}\nUseGateway=false\nUseAutonomousPrefix=false\n" in found["05-patchbay-mv0.network"]


@pytest.mark.parametrize(
    ("udev", "name", "settings", "sentence"),
    [
        (False, "mv0", SETTINGS, "udev, which sets sysctls at each boot, does not run on this host"),
        (True, "mv0", {"ipv6.accept_ra": 2}, "systemd-networkd itself sets ipv6.accept_ra to 0"),
        (True, "mv*", SETTINGS, "systemd-sysctl, which sets sysctls at each boot, does not support the name of the link"),
    ],
)
def test_unsupported_sysctls_are_refused(udev: bool, name: str, settings: dict[str, int], sentence: str) -> None:
    """With the reason and the way out."""
    with pytest.raises(InvalidValue, match=re.escape(f"{name}: persist: networkd: {sentence}. Set persist: replay")):
        texts(replace(BOOT, udev=udev), macvlan=[{**MV0, "name": name, "sysctls": settings}])


def test_pair() -> None:
    """One .netdev file, two .network files."""
    end = {"name": "vb", "address": OTHER_MAC, "addresses": ["10.0.0.2/24"]}
    found = texts(veth=[{"name": "va", "address": MAC, "controller": "br9", "admin_state": "up", "peer": end}])
    assert found == {
        "05-patchbay-va.netdev": f"{HEADER}[NetDev]\nName=va\nKind=veth\nMACAddress={MAC}\n\n"
        f"[Peer]\nName=vb\nMACAddress={OTHER_MAC}\n",
        "05-patchbay-va.network": network("va", state="up", in_network="\nBridge=br9"),
        "05-patchbay-vb.network": network("vb", more="\n\n[Address]\nAddress=10.0.0.2/24\nBroadcast=false"),
    }


def test_bridge_and_port() -> None:
    """The settings of a port are in its own file; a card that others configure has a drop-in."""
    port = {"hairpin": True, "bpdu_guard": True, "cost": 7, "learning": True, "isolated": False}
    found = texts(
        bridge=[{"name": "br0", "forward_delay": 4.5, "priority": 4096}],
        dummy=[{"name": "d0", "address": MAC, "controller": "br0"}],
        bridge_port=[{"port": "d0", **port}, {"port": "eth1", "cost": 9}],
        link=[{"name": "eth1", "controller": "br0", "mtu": 1400}],
    )
    assert found["05-patchbay-br0.netdev"] == (
        f"{HEADER}[NetDev]\nName=br0\nKind=bridge\nMACAddress=none\n\n[Bridge]\nForwardDelaySec=4.5\nPriority=4096\n"
    )
    lines = "Isolated=false\nHairPin=true\nLearning=true\nUseBPDU=false\nCost=7".splitlines()
    section = found["05-patchbay-d0.network"].partition("[Bridge]\n")[2].partition("\n\n")[0].splitlines()
    assert sorted(section) == sorted(lines)
    assert found["20-eth1.network.d/05-patchbay-eth1.conf"] == (
        f"{HEADER}[Link]\nMTUBytes=1400\n\n[Bridge]\nCost=9\n\n[Network]\nBridge=br0\n"
    )


def test_vlan_on_a_declared_link() -> None:
    """A drop-in for its file, as for files of others; the MAC address is that of the lower device."""
    found = texts(macvlan=[MV0], vlan=[{"name": "v7", "lower_device": "mv0", "id": 7}])
    assert found["05-patchbay-v7.netdev"] == f"{HEADER}[NetDev]\nName=v7\nKind=vlan\n\n[VLAN]\nId=7\n"
    assert found["05-patchbay-mv0.network.d/05-patchbay-v7.conf"] == f"{HEADER}[Network]\nVLAN=v7\n"


def test_vrf() -> None:
    """A link is attached to it by a key of its own."""
    found = texts(vrf=[{"name": "red", "table": 7, "address": MAC}], macvlan=[{**MV0, "controller": "red"}])
    assert "\n\n[VRF]\nTable=7\n" in found["05-patchbay-red.netdev"]
    assert "\nVRF=red\n" in found["05-patchbay-mv0.network"]


ROUTE = {"destination": "203.0.113.0/24", "family": "ipv4", "table": "107", "metric": 0}
RULE = {"priority": 107, "family": "ipv4"}


@pytest.mark.parametrize(
    ("lists", "section"),
    [
        (
            {"routes": [{**ROUTE, "gateway": "192.0.2.254", "link": "mv0", "onlink": True}]},
            "[Route]\nDestination=203.0.113.0/24\nTable=107\nGateway=192.0.2.254\nGatewayOnLink=true",
        ),
        (
            {"routes": [{**ROUTE, "link": "mv0"}, {**ROUTE, "destination": "0.0.0.0/0", "type": "unreachable", "metric": 9}]},
            "[Route]\nDestination=0.0.0.0/0\nTable=107\nMetric=9\nType=unreachable",
        ),
        (
            {"rules": [{**RULE, "iif": "mv0", "table": "7"}]},
            "[RoutingPolicyRule]\nPriority=107\nFamily=ipv4\nIncomingInterface=mv0\nTable=7",
        ),
        (
            {"rules": [{**RULE, "from": "192.0.2.1/32", "action": "lookup", "table": "7"}]},
            "[RoutingPolicyRule]\nPriority=107\nFamily=ipv4\nFrom=192.0.2.1/32\nTable=7",
        ),
        (
            {"routes": [{**ROUTE, "link": "mv0"}], "rules": [{**RULE, "fwmark": "0x1", "table": 107}]},
            "[RoutingPolicyRule]\nPriority=107\nFamily=ipv4\nFirewallMark=0x1\nTable=107",
        ),
    ],
    ids=["by the link", "by the table of another route", "by iif", "by an address", "by a table"],
)
def test_routes_and_rules_are_in_the_file_of_their_link(lists: dict[str, Any], section: str) -> None:
    """A rule belongs to a link by name, by address or by table."""
    found = texts(macvlan=[{**MV0, "addresses": ["192.0.2.1/24"]}], **lists)
    assert f"\n\n{section}\n" in found["05-patchbay-mv0.network"]


def test_route_by_a_link_that_others_create() -> None:
    """In a drop-in for the file that configures the link."""
    found = texts(routes=[{**ROUTE, "link": "eth1"}])
    assert found == {
        "20-eth1.network.d/05-patchbay-eth1.conf": f"{HEADER}[Route]\nDestination=203.0.113.0/24\nTable=107\n",
    }


WAY_OUT = ". Set persist: replay, which restores everything"
NO_SETTING = "mv0: persist: networkd: systemd-networkd has no setting for"


@pytest.mark.parametrize(
    ("lists", "sentence"),
    [
        ({"macvlan": [{**MV0, "alias": "x"}]}, f"{NO_SETTING} alias"),
        ({"macvlan": [{**MV0, "tx_queue_len": 5}]}, f"{NO_SETTING} tx_queue_len"),
        ({"macvlan": [{**MV0, "nopromisc": True}]}, f"{NO_SETTING} nopromisc"),
        (
            {"macvtap": [{**MV0, "device_owner": 7}]},
            "mv0: persist: networkd: udev, which sets device_owner at each boot, does not run on this host",
        ),
        ({"macvtap": [{**MV0, "bc_queue_len": 7}]}, f"{NO_SETTING} bc_queue_len"),
        (
            {"dummy": [{"name": "mv0", "controller": "br9"}], "bridge_port": [{"port": "mv0", "locked": True}]},
            f"{NO_SETTING} locked",
        ),
        (
            {"macvlan": [{**MV0, "address_generation_mode": "stable_secret"}]},
            "mv0: persist: networkd: systemd-networkd cannot set address_generation_mode to stable_secret",
        ),
        ({"netns": [{"name": "blue"}]}, "netns blue: persist: networkd: systemd-networkd does not create network namespaces"),
        (
            {"macvlan": [{**MV0, "netns": "blue"}]},
            "mv0 in netns blue: persist: networkd: systemd-networkd manages only the namespace of the host itself",
        ),
        (
            {"veth": [{"name": "va", "peer": {"name": "vb", "netns": "blue"}}]},
            "vb in netns blue: persist: networkd: systemd-networkd manages only the namespace of the host itself",
        ),
        (
            {"macvlan": [{**MV0, "lower_device": "eth7"}]},
            "mv0: persist: networkd: its lower device eth7 is not configured by systemd-networkd (networkctl status eth7 "
            "shows no .network file), and only with the file of that link can it create or change links",
        ),
        (
            {"macvlan": [{**MV0, "controller": "br1"}]},
            "mv0: persist: networkd: its controller br1 is created by no .netdev file, so systemd-networkd would not "
            "attach the link. Declare br1 with persist: networkd too, or",
        ),
        (
            {"link": [{"name": "eth1", "addresses": ["192.0.2.1/24"]}]},
            "eth1: persist: networkd: addresses of a link that other files configure can only be set in these files",
        ),
        (
            {"routes": [ROUTE]},
            "route to 203.0.113.0/24 table 107: persist: networkd: systemd-networkd keeps a route in the file of a link, "
            "but link is not set, and no route of its table has one. Set link, or",
        ),
        (
            {"rules": [{**RULE, "from": "192.0.2.7/32", "table": "9"}]},
            "IPv4 rule 107: persist: networkd: systemd-networkd keeps a rule in the file of a link, but the rule has neither "
            "a link nor an address or a table of a link with persist: networkd",
        ),
        (
            {"macvlan": [MV0], "rules": [{**RULE, "iif": "mv0", "action": "nop"}]},
            "IPv4 rule 107: persist: networkd: systemd-networkd cannot set action to nop",
        ),
        (
            {"macvlan": [{**MV0, "dhcp4": {"client_id": "mac"}}]},
            "mv0: persist: networkd: the files of systemd-networkd do not support the DHCP client of dhcp4",
        ),
    ],
)
def test_unsupported_declarations_are_refused(lists: dict[str, Any], sentence: str) -> None:
    """With the reason and the way out."""
    with pytest.raises(InvalidValue) as caught:
        texts(**lists)
    way_out = WAY_OUT.replace(". Set", " set") if sentence.endswith(", or") else WAY_OUT
    assert str(caught.value) == sentence + way_out


def test_setting_of_a_later_release_is_refused() -> None:
    """With both versions."""
    with pytest.raises(InvalidValue, match="can set bc_cutoff from version 256 on, and this host has 252"):
        texts(BootState(versions=OLDER, governed=BOOT.governed), macvlan=[{**MV0, "bc_cutoff": 7}])


def test_defaults_need_no_setting() -> None:
    """So they are supported everywhere."""
    plain = texts(macvlan=[MV0])
    assert (
        texts(macvlan=[{**MV0, "alias": "", "tx_queue_len": 1000, "altnames": [], "nodst": False, "bc_cutoff": 1}]).keys()
        == plain.keys()
    )


def test_every_setting_is_a_line_of_a_file() -> None:
    """Of all that each release supports."""
    for version in (252, 257):
        boot = BootState(versions={"networkd": version}, governed=BOOT.governed)
        for path, file in render(boot, declared("networkd", version)).items():
            sections = file.content.decode().split("\n\n")
            lines = [line for section in sections for line in section.splitlines()[1:]]
            assert all("=" in line or line.startswith("[") for line in lines), path


# --- planning ---


class Host(Disk):
    """A disk beside which networkd runs."""


def host(version: int = 257) -> Host:
    """With nothing declared."""
    return Host(
        BootState(
            init="systemd",
            managers=frozenset({"networkd"}),
            versions={"networkd": version},
            governed=BOOT.governed,
        )
    )


ENGINE_FILES = "/usr/local/lib/patchbay/replay.pyz"
SOURCE_ROUTING = {"table": "7", "rule_priority": 7}
ON_ETH1 = {"name": "mv0", "lower_device": "eth1", "mode": "bridge"}
OWN = f"write {NETWORKD}/05-patchbay-mv0.netdev, write {NETWORKD}/05-patchbay-mv0.network"
DROP_IN = f"{NETWORKD}/20-eth1.network.d/05-patchbay-mv0.conf"


def test_files_for_udev() -> None:
    """They are written before the link is created; also for a link that no .network file configures."""
    disk = host()
    disk.boot = replace(disk.boot, udev=True)
    eth7 = {"name": "eth7", "sysctls": {"ipv4.arp_ignore": 1}}
    tap = {"name": "mt.0", "lower_device": "eth1", "device_mode": "0660", "sysctls": {"ipv6.accept_dad": 2, "ipv4.arp_notify": 1}}
    found = disk.run("networkd", macvtap=[tap], link=[eth7])
    udev, sysctl = "/etc/udev/rules.d/90-patchbay-mt.0.rules", "/etc/sysctl.d/90-patchbay-{}.conf".format
    assert sentences(found)[0] == f"prepare the next boot: write {sysctl('mt.0')}, write {udev}, write {sysctl('eth7')}"
    assert disk.boot.files[sysctl("mt.0")].content.decode().splitlines()[1:] == [
        "net/ipv4/conf/mt.0/arp_notify = 1",
        "net/ipv6/conf/mt.0/accept_dad = 2",
    ]
    assert disk.boot.files[sysctl("eth7")].content.decode().splitlines()[1:] == ["net/ipv4/conf/eth7/arp_ignore = 1"]
    assert 'MODE="0660"' in disk.boot.files[udev].content.decode()
    found = disk.run("replay", macvtap=[tap])
    assert sentences(found)[-1] == f"remove files that are no longer needed: delete {sysctl('mt.0')}"
    disk.run("none", macvtap=[tap], link=[eth7])
    assert disk.boot.files == {}


def test_released_link_is_reapplied_as_the_task_says() -> None:
    """Not as it was declared before."""
    disk = host()
    disk.boot = replace(disk.boot, udev=True)
    before = {**ON_ETH1, "mtu": 1400, "addresses": ["192.0.2.1/24"], "sysctls": {"ipv4.arp_ignore": 1, "ipv4.arp_notify": 1}}
    disk.run("networkd", macvlan=[before])
    found = disk.run("none", macvlan=[{"name": "mv0", "mtu": 1300, "sysctls": {"ipv4.arp_ignore": 0}}])
    [again] = found.reapply
    assert again.attributes["mtu"] == 1300
    assert [str(address) for address in again.attributes["addresses"]] == ["192.0.2.1/24"]
    assert again.attributes["sysctls"] == {"ipv4.arp_ignore": 0, "ipv4.arp_notify": 1}


@pytest.mark.parametrize(
    "way",
    [{"link": [{"name": "v0", "controller": ""}]}, {"bridge": [{"name": "br0", "state": "absent"}]}],
    ids=["detached", "bridge absent"],
)
def test_released_port_without_its_bridge(way: dict[str, Any]) -> None:
    """It is applied again without its controller and the settings of a port."""
    disk = host()
    pair = {"name": "v0", "controller": "br0", "mtu": 1400, "peer": {"name": "v1"}}
    disk.run("networkd", bridge=[{"name": "br0"}], veth=[pair], bridge_port=[{"port": "v0", "hairpin": True}])
    found = disk.plan("none", **{"link": [{"name": "v0"}], **way})
    ports = [item.attributes for item in found.reapply if str(item.key) == "v0"]
    assert {"mtu": 1400}.items() <= {key: value for one in ports for key, value in one.items()}.items()
    assert not {"controller", "hairpin"} & {name for one in ports for name in one}


def test_files_of_the_link_are_read_before_the_drop_in() -> None:
    """Or networkd would try to create a link that exists; the boot program is not needed."""
    found = host().run("networkd", macvlan=[ON_ETH1])
    assert sentences(found) == [
        f"save declarations: write {FOLDER}/link-mv0.json",
        f"configure systemd-networkd: {OWN}",
        f"configure systemd-networkd: write {DROP_IN}",
    ]
    assert [step.reloads for step in found.settle] == [(), ("networkd",), ("networkd",)]  # type: ignore[attr-defined]
    assert found.warnings == ()


@pytest.mark.parametrize("lower", ["eth0", "eth1"])
def test_older_release_is_not_reloaded(lower: str) -> None:
    """It would remove the addresses of the lower device for a moment; the task warns."""
    disk = host(252)
    found = disk.run("networkd", macvlan=[{**ON_ETH1, "lower_device": lower}])
    told = [getattr(step, "reloads", ()) for step in (*found.prepare, *found.settle)]
    if lower == "eth1":
        assert ("networkd",) in told
        assert found.warnings == ()
        return
    assert not any(told)
    assert sentences(found)[0] == "postpone the reload of systemd-networkd to the next boot: write /run/patchbay-networkd-waits"
    assert found.warnings == (
        "systemd-networkd 252 briefly removes the addresses of a link when it reloads a file of that link, here of eth0. It "
        "is therefore not reloaded, and its new files take effect at the next boot. The kernel already has all changes",
    )
    later = disk.run("networkd", macvlan=[{"name": "mv0", "mtu": 1400}])
    assert not any(getattr(step, "reloads", ()) for step in (*later.prepare, *later.settle))
    assert len(later.warnings) == 1


def test_to_another_backend_and_back() -> None:
    """A released link is applied again; its former .network file now keeps networkd off it."""
    disk = host()
    disk.run("networkd", macvlan=[ON_ETH1], rules=[{"priority": 105, "iif": "mv0", "table": "105"}])
    found = disk.run("replay", macvlan=[ON_ETH1])
    first = [str(step) for step in found.prepare]
    assert f"release links from systemd-networkd: write {NETWORKD}/05-patchbay-mv0.network, " in first[0]
    assert found.releases_links
    assert [str(item.key) for item in found.reapply] == ["mv0"]
    assert b"Unmanaged=yes" in disk.boot.files[f"{NETWORKD}/05-patchbay-mv0.network"].content
    assert f"{FOLDER}/link-mv0.json" not in disk.boot.files
    found = disk.run("networkd", macvlan=[ON_ETH1])
    assert not found.releases_links
    assert b"Unmanaged" not in disk.boot.files[f"{NETWORKD}/05-patchbay-mv0.network"].content
    assert ENGINE_FILES not in disk.boot.files


@pytest.mark.parametrize("way", ["absent", "none"])
def test_files_are_removed_before_the_link(way: str) -> None:
    """A crash in between leaves a link, and none that is restored."""
    disk = host()
    disk.run("networkd", macvlan=[ON_ETH1])
    if way == "absent":
        found = disk.run(None, macvlan=[{"name": "mv0", "state": "absent"}], state=State())
    else:
        found = disk.run("none", macvlan=[ON_ETH1])
    assert disk.boot.files == {}
    assert [str(step).partition(":")[0] for step in found.prepare] == [
        "release links from systemd-networkd",
        "remove declarations",
    ]
    assert found.settle == ()
    assert [str(item.key) for item in found.reapply] == ([] if way == "absent" else ["mv0"])


def test_drift_is_corrected() -> None:
    """By any task that names the object; one without persist that contradicts the declaration warns."""
    disk = host()
    disk.run("networkd", macvlan=[ON_ETH1])
    path = f"{NETWORKD}/05-patchbay-mv0.network"
    good = disk.boot.files[path]
    disk.boot = BootState(**{**vars(disk.boot), "files": {**disk.boot.files, path: File(b"[Match]\n")}})
    found = disk.run(None, macvlan=[ON_ETH1])
    assert [change[0] for change in found.changes] == [path]
    assert disk.boot.files[path] == good
    found = disk.run(None, macvlan=[{"name": "mv0", "mtu": 1300}])
    assert found.changes == ()
    assert found.warnings == (
        f"mv0: the declaration for the next boot ({FOLDER}/link-mv0.json) differs from this task. Set persist: networkd to "
        "update it, or persist: none to delete it",
    )


def test_manager_that_does_not_run_is_refused() -> None:
    """With both ways out."""
    with pytest.raises(InvalidValue) as caught:
        Disk().run("networkd", macvlan=[ON_ETH1])
    assert str(caught.value) == (
        "mv0: persist: networkd: systemd-networkd does not run on this host. Start it (systemctl enable --now "
        "systemd-networkd), or set persist: replay, which needs no network manager"
    )


def test_declaration_that_is_no_longer_supported() -> None:
    """Of another object than the task's: its files stay, and a warning says why. Of the task's own: an error."""
    disk = host()
    disk.run("networkd", macvlan=[ON_ETH1, {**ON_ETH1, "name": "mv1"}])
    before = dict(disk.boot.files)
    gone = {name: file for name, file in BOOT.governed.items() if name != "eth1"}
    disk.boot = BootState(**{**vars(disk.boot), "governed": gone})
    assert disk.plan(None, macvlan=[{"name": "mv2", "lower_device": "eth0"}]).changes == ()
    found = disk.plan("networkd", netns=[{"name": "room", "persist": "none"}])
    assert found.changes == ()
    assert [note.partition(":")[0] for note in found.warnings] == ["mv0", "mv1"]
    assert disk.boot.files == before
    with pytest.raises(InvalidValue, match="mv0: persist: networkd: its lower device eth1 is not configured by systemd-networkd"):
        disk.plan("networkd", macvlan=[ON_ETH1])


def test_only_the_files_of_an_unsupported_declaration_stay() -> None:
    """Not those of a link whose name continues behind a dot, which is deleted."""
    disk = host()
    lan10 = {"name": "lan.10", "lower_device": "eth0", "mode": "bridge"}
    disk.run("networkd", macvlan=[{**ON_ETH1, "name": "lan"}, lan10])
    gone = {name: file for name, file in BOOT.governed.items() if name != "eth1"}
    disk.boot = BootState(**{**vars(disk.boot), "governed": gone})
    disk.run(None, macvlan=[{"name": "lan.10", "state": "absent"}])
    assert [path for path in disk.boot.files if "lan.10" in path] == []
    assert f"{NETWORKD}/05-patchbay-lan.netdev" in disk.boot.files


@pytest.mark.parametrize(
    ("lists", "lost", "files"),
    [
        ({"veth": [{"name": "va", "controller": "br9", "peer": {"name": "vb"}}]}, {"netdevs": {}}, ["va", "vb"]),
        ({"routes": [{**ROUTE, "link": "eth1"}]}, {"governed": {}}, ["eth1"]),
        ({"macvlan": [{**ON_ETH1, "source_routing": SOURCE_ROUTING}]}, {"governed": {}}, ["mv0"]),
    ],
    ids=["both ends of a pair", "the drop-in with a route", "a link with source routing"],
)
def test_files_of_an_unsupported_declaration_stay_together(lists: dict[str, Any], lost: dict[str, Any], files: list[str]) -> None:
    """One warning for all that depends on one link."""
    disk = host()
    disk.boot = replace(disk.boot, netdevs=BOOT.netdevs)
    disk.run("networkd", **lists)
    disk.boot = replace(disk.boot, **lost)
    found = disk.plan("none", dummy=[{"name": "d0"}])
    assert found.changes == ()
    (note,) = found.warnings
    assert note.partition(":")[0] == files[0]
    assert all(any(f"patchbay-{name}." in path for path in disk.boot.files) for name in files)


def test_source_routing_is_taken_away() -> None:
    """Its rule goes from the file of the link, and its addresses get their routes in the main table back."""
    disk = host()
    disk.run("networkd", macvlan=[{**ON_ETH1, "addresses": ["192.0.2.1/24"], "source_routing": SOURCE_ROUTING}])
    path = f"{NETWORKD}/05-patchbay-mv0.network"
    assert b"[RoutingPolicyRule]" in disk.boot.files[path].content
    disk.run("networkd", macvlan=[{"name": "mv0", "source_routing": {}}])
    content = disk.boot.files[path].content
    assert b"[RoutingPolicyRule]" not in content
    assert b"AddPrefixRoute=false" not in content


def test_released_link_of_another_kind_is_not_reapplied() -> None:
    """The task has created another link in its place."""
    disk = host()
    disk.run("networkd", macvlan=[ON_ETH1])
    dummy = State([Link(LinkKey("", "mv0"), "dummy", {"address": MAC}, index=7)])
    assert disk.run("replay", state=dummy, dummy=[{"name": "mv0"}]).reapply == ()


def test_other_manager_does_not_manage_the_link() -> None:
    """NetworkManager leaves the links of networkd alone."""
    disk = host()
    disk.boot = BootState(**{**vars(disk.boot), "managers": frozenset({"networkd", "networkmanager"})})
    disk.run("networkd", macvlan=[ON_ETH1])
    assert "/etc/NetworkManager/conf.d/90-patchbay-mv0.conf" in disk.boot.files


def test_files_do_not_depend_on_the_order_of_declarations() -> None:
    """Or a run would write them again."""
    link = Link(LinkKey("", "mv0"), "macvlan", {"lower_device": LinkKey("", "eth1"), "mode": "bridge", "address": MAC}, index=3)
    routes = [{"destination": f"{ip}/32", "link": "mv0", "table": "107"} for ip in ("203.0.113.1", "198.51.100.1")]

    def files(some: list[dict[str, Any]]) -> BootPlan:
        items = merge(desired_topology({"routes": some, "macvlan": [ON_ETH1], "persist": "networkd"}), describe_attribute)
        return plan_boot(items, State([link]), host().boot, Engine(b"program", (1, 0, 0)))

    there, back = (files(some) for some in (routes, routes[::-1]))
    assert {path: new for path, _old, new in there.changes} == {path: new for path, _old, new in back.changes}

# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Profiles for NetworkManager: their whole text, the sentences where they cannot say something, and who is told."""

from __future__ import annotations

import subprocess
import uuid
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.patchbay.netdev.plugins.module_utils._boot._networkmanager import FOLDER, render
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway import _commands
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.host import _managers
from ansible_collections.patchbay.netdev.plugins.module_utils._model._boot import BootState
from ansible_collections.patchbay.netdev.plugins.module_utils._model._errors import InvalidValue, RequestFailed
from ansible_collections.patchbay.netdev.tests.unit.manager_samples import desired_objects
from ansible_collections.patchbay.netdev.tests.unit.plugins.module_utils.test_boot_planning import Disk, sentences

HEADER = "# Written by patchbay.netdev, from declarations with persist: networkmanager.\n"
MAC, OTHER_MAC = "02:00:00:00:00:0a", "02:00:00:00:00:0b"
BOOT = BootState(managers=frozenset({"networkmanager"}), versions={"networkmanager": 152})
MV0 = {"name": "mv0", "lower_device": "eth0", "mode": "bridge", "address": MAC, "admin_state": "up"}
DECLARED = "/etc/patchbay/networkmanager.d"


def texts(version: int = 152, **lists: Any) -> dict[str, str]:
    """What is rendered of entries, by name of the file, without the identity of each profile."""
    found = {}
    for path, file in render(BootState(versions={"networkmanager": version}), desired_objects(lists)).items():
        lines = file.content.decode().splitlines(keepends=True)
        assert file.mode == (0o600 if path.startswith(FOLDER) else 0o644)
        assert lines[0] == HEADER
        found[path.rpartition("/")[2]] = "".join(line for line in lines[1:] if not line.startswith(("id=", "uuid=")))
    return found


def head(name: str, kind: str, more: str = "") -> str:
    """The first section."""
    return f"[connection]\ntype={kind}\ninterface-name={name}\n{more}"


def test_macvlan() -> None:
    """One profile; its addresses bring their routes as the kernel does."""
    found = texts(macvlan=[{**MV0, "mtu": 1400, "addresses": ["192.0.2.1/24", "2001:db8::1/64"]}])
    assert found == {
        "patchbay-mv0.nmconnection": head("mv0", "macvlan")
        + "\n[macvlan]\nparent=eth0\nmode=2\n"
        + f"\n[ethernet]\ncloned-mac-address={MAC.upper()}\nmtu=1400\n"
        + "\n[ipv4]\nmethod=manual\nroute-metric=0\naddress1=192.0.2.1/24\n"
        + "\n[ipv6]\nmethod=manual\nroute-metric=256\naddress1=2001:db8::1/64\n"
    }


def test_uuid_is_the_same_each_time() -> None:
    """And valid."""

    def identity() -> str:
        file = render(BOOT, desired_objects({"macvlan": [MV0]}))[f"{FOLDER}/patchbay-mv0.nmconnection"]
        return file.content.decode().partition("uuid=")[2].partition("\n")[0]

    assert identity() == identity() == str(uuid.UUID(identity()))


def test_macvtap() -> None:
    """A kind of macvlan for NetworkManager; without addresses, IPv6 is left to the kernel."""
    found = texts(macvtap=[{**MV0, "name": "mt0"}])["patchbay-mt0.nmconnection"]
    assert found.startswith(head("mt0", "macvlan") + "\n[macvlan]\ntap=true\nparent=eth0\nmode=2\n")
    assert found.endswith("\n[ipv4]\nmethod=disabled\n\n[ipv6]\nmethod=ignore\n")


@pytest.mark.parametrize(
    ("version", "words"), [(142, "master=br0\nslave-type=bridge\n"), (152, "controller=br0\nport-type=bridge\n")]
)
def test_pair_bridge_and_port(version: int, words: str) -> None:
    """A profile for each end, and a file that has NetworkManager manage it; STP is off if it is omitted."""
    up = {"admin_state": "up"}
    found = texts(
        version,
        bridge=[{"name": "br0", "forward_delay": 4, "priority": 32768, **up}],
        veth=[{"name": "va", "address": MAC, "controller": "br0", **up, "peer": {"name": "vb", "address": OTHER_MAC, **up}}],
        bridge_port=[{"port": "va", "hairpin": True}],
    )
    none = "\n[ipv4]\nmethod=disabled\n\n[ipv6]\nmethod=ignore\n"
    expected = {
        "patchbay-br0.nmconnection": head("br0", "bridge") + f"\n[bridge]\nstp=false\nforward-delay=4\n{none}",
        "patchbay-va.nmconnection": head("va", "veth", words)
        + f"\n[veth]\npeer=vb\n\n[ethernet]\ncloned-mac-address={MAC.upper()}\n\n[bridge-port]\nhairpin-mode=true\npath-cost=2\n",
        "patchbay-vb.nmconnection": head("vb", "veth")
        + f"\n[veth]\npeer=va\n\n[ethernet]\ncloned-mac-address={OTHER_MAC.upper()}\n{none}",
        "90-patchbay-va.conf": "[device-patchbay-va]\nmatch-device=interface-name:=va\nmanaged=1\n",
        "90-patchbay-vb.conf": "[device-patchbay-vb]\nmatch-device=interface-name:=vb\nmanaged=1\n",
    }
    assert {path: sections(text) for path, text in found.items()} == {path: sections(text) for path, text in expected.items()}


def sections(text: str) -> list[str]:
    """In whatever order."""
    return sorted(text.rstrip("\n").split("\n\n"))


def test_routes_and_rules() -> None:
    """In the section of their family, numbered."""
    route = {"destination": "203.0.113.0/24", "family": "ipv4", "table": "107", "metric": 0, "link": "mv0"}
    found = texts(
        macvlan=[{**MV0, "addresses": ["192.0.2.1/24"]}],
        routes=[
            {**route, "gateway": "192.0.2.254", "mtu": 1400},
            {**route, "destination": "0.0.0.0/0", "type": "unreachable", "metric": 9, "link": None},
            {**route, "destination": "198.51.100.0/24", "table": "254"},
        ],
        rules=[{"priority": 107, "family": "ipv4", "from": "192.0.2.1/32", "action": "lookup", "table": "107", "iif": "mv0"}],
    )["patchbay-mv0.nmconnection"]
    assert found.partition("[ipv4]\n")[2].partition("\n\n")[0].splitlines() == [
        "method=manual",
        "route-metric=0",
        "address1=192.0.2.1/24",
        "route1=0.0.0.0/0,0.0.0.0,9",
        "route1_options=table=107,type=unreachable",
        "route2=198.51.100.0/24,0.0.0.0,0",
        "route3=203.0.113.0/24,192.0.2.254,0",
        "route3_options=mtu=1400,table=107",
        "routing-rule1=priority 107 from 192.0.2.1 iif mv0 table 107",
    ]


WAY_OUT = ". Set persist: replay, which restores everything"
SAYS = "mv0: persist: networkmanager: NetworkManager"


NETWORK = {"destination": "192.0.2.0/24", "family": "ipv4", "metric": 0, "link": "mv0"}
BARE = {**MV0, "addresses": [{"ip": "192.0.2.1/24", "noprefixroute": True}]}


def test_route_to_its_network_in_another_table() -> None:
    """NetworkManager creates it itself in that table, so it is no route of the profile."""
    main = {"destination": "203.0.113.0/24", "family": "ipv4", "metric": 0, "link": "mv0", "gateway": "192.0.2.9", "table": "254"}
    found = texts(macvlan=[BARE], routes=[{**NETWORK, "table": "105"}, {**NETWORK, "table": "105", "metric": 9}, main])
    ipv4 = found["patchbay-mv0.nmconnection"].partition("[ipv4]\n")[2].partition("\n\n")[0].splitlines()
    assert ipv4 == [
        "method=manual",
        "route-metric=0",
        "address1=192.0.2.1/24",
        "route-table=105",
        "route1=192.0.2.0/24,0.0.0.0,9",
        "route2=203.0.113.0/24,192.0.2.9,0",
        "route2_options=table=254",
    ]


@pytest.mark.parametrize(
    ("addresses", "tables"),
    [
        (["192.0.2.1/24"], []),
        (["192.0.2.1/24", "198.51.100.1/24"], ["105"]),
        (["192.0.2.1/24", "198.51.100.1/24"], ["105", "106"]),
    ],
    ids=["none", "one of two", "two tables"],
)
def test_unsupported_routes_to_its_networks_are_refused(addresses: list[str], tables: list[str]) -> None:
    """With the reason."""
    link = {**MV0, "addresses": [{"ip": ip, "noprefixroute": True} for ip in addresses]}
    networks = ["192.0.2.0/24", "198.51.100.0/24"]
    routes = [{**NETWORK, "destination": network, "table": table} for network, table in zip(networks, tables)]
    with pytest.raises(InvalidValue, match="NetworkManager creates a route to the network of each address, and all in one table"):
        texts(macvlan=[link], routes=routes)


def test_generation_of_the_link_local_address() -> None:
    """It is left to the kernel where NetworkManager does no IPv6."""
    assert texts(macvlan=[{**MV0, "addresses": ["192.0.2.1/24"], "address_generation_mode": "eui64"}])
    for more in ({"addresses": ["2001:db8::1/64"], "address_generation_mode": "eui64"}, {"address_generation_mode": "none"}):
        with pytest.raises(InvalidValue, match="NetworkManager supports address_generation_mode eui64 only"):
            texts(macvlan=[{**MV0, **more}])


def test_sysctls_of_a_link_that_others_create() -> None:
    """udev sets them, and no profile is changed; but the sysctls that NetworkManager sets cannot be changed."""
    boot = replace(BOOT, udev=True)
    assert render(boot, desired_objects({"link": [{"name": "eth7", "sysctls": {"ipv4.arp_ignore": 1}}]})) == {}
    with pytest.raises(InvalidValue, match=r"NetworkManager itself sets ipv6\.forwarding to 0"):
        render(boot, desired_objects({"link": [{"name": "eth7", "sysctls": {"ipv6.forwarding": 1}}]}))


@pytest.mark.parametrize(
    ("lists", "sentence"),
    [
        ({"macvlan": [{**MV0, "source_addresses": [OTHER_MAC]}]}, f"{SAYS} has no setting for source_addresses"),
        (
            {"macvtap": [{**MV0, "device_mode": "0660"}]},
            "mv0: persist: networkmanager: udev, which sets device_mode at each boot, does not run on this host",
        ),
        ({"macvlan": [MV0], "bridge_port": [{"port": "mv0", "isolated": True}]}, f"{SAYS} has no setting for isolated"),
        (
            {"macvlan": [{**MV0, "admin_state": "down"}]},
            f"{SAYS} brings up each link that it creates, so admin_state has to be up",
        ),
        (
            {"macvlan": [{**MV0, "admin_state": None}]},
            f"{SAYS} brings up each link that it creates, so admin_state has to be up",
        ),
        (
            {"macvlan": [{**MV0, "addresses": [{"ip": "192.0.2.1/24", "label": "mv0:1"}]}]},
            f"{SAYS} has no setting for label of an address",
        ),
        (
            {"bridge": [{"name": "mv0", "admin_state": "up", "forward_delay": 4.5}]},
            f"{SAYS} takes whole seconds for forward_delay",
        ),
        (
            {"macvlan": [{**MV0, "controller": "br9"}]},
            f"{SAYS[:29]} its controller br9 has no profile with persist: networkmanager. "
            "Declare br9 with persist: networkmanager too, or",
        ),
        (
            {
                "bridge": [{"name": "br0", "admin_state": "up"}],
                "macvlan": [{**MV0, "controller": "br0", "addresses": ["192.0.2.1/24"]}],
            },
            f"{SAYS} gives a bridge port no addresses, routes or rules",
        ),
        (
            {"link": [{"name": "mv0", "mtu": 1400}]},
            "mv0: persist: networkmanager: the profile of mv0, which another program created, is not changed",
        ),
        (
            {"macvlan": [MV0], "rules": [{"priority": 7, "family": "ipv6", "iif": "mv0", "table": "7"}]},
            "IPv6 rule 7: persist: networkmanager: mv0 has no IPv6 address, and without one NetworkManager sets no routes and "
            "rules",
        ),
        ({"macvlan": [{**MV0, "netns": "blue"}]}, f"mv0 in netns blue{SAYS[3:]} manages only the namespace of the host itself"),
    ],
)
def test_unsupported_declarations_are_refused(lists: dict[str, Any], sentence: str) -> None:
    """With the reason and the way out."""
    with pytest.raises(InvalidValue) as caught:
        texts(**lists)
    way_out = WAY_OUT.replace(". Set", " set") if sentence.endswith(", or") else WAY_OUT
    assert str(caught.value) == sentence + way_out


def test_setting_of_a_later_release_is_refused() -> None:
    """Its versions are written with a dot."""
    with pytest.raises(InvalidValue, match=r"can set tx_queue_len from version 1\.44 on, and this host has 1\.42"):
        texts(142, macvlan=[{**MV0, "tx_queue_len": 7}])


def test_to_another_backend_and_back() -> None:
    """It releases a link before a file keeps it off, which alone would remove the addresses; in the end no file is left."""
    disk = Disk(BOOT)
    found = disk.run("networkmanager", macvlan=[MV0])
    udev = "/etc/systemd/network/05-patchbay-mv0.link"
    assert sentences(found) == [
        f"prepare the next boot: write {udev}",
        f"save declarations: write {DECLARED}/link-mv0.json",
        f"configure NetworkManager: write {FOLDER}/patchbay-mv0.nmconnection",
    ]
    assert [step.reloads for step in found.prepare] == [("udev",)]  # type: ignore[attr-defined]
    text = disk.boot.files[udev].content.decode()
    assert text.endswith("\n[Match]\nOriginalName=mv0\n\n[Link]\nMACAddressPolicy=none\n")
    found = disk.run("replay", macvlan=[MV0])
    assert udev not in disk.boot.files
    assert [str(step).partition(":")[0] for step in found.prepare][:2] == [
        "release links from NetworkManager",
        "prepare the next boot",
    ]
    assert [step.reloads for step in found.prepare[:1]] == [("profiles",)]  # type: ignore[attr-defined]
    assert [str(item.key) for item in found.reapply] == ["mv0"]
    disk.run("networkmanager", macvlan=[MV0])
    disk.run("none", macvlan=[MV0])
    assert disk.boot.files == {}


@pytest.mark.parametrize(
    ("printed", "status", "sentence"),
    [
        ("[connection]\nid=x\n\n[ipv4]\nrouting-rule1=priority 7 table 7 from 192.0.2.1\n", 0, ""),
        (
            "[connection]\nid=x\n",
            0,
            r"does not understand this in /etc/x: \[ipv4\] routing-rule1=priority 7 from 192.0.2.1 table 7",
        ),
        ("", 1, "does not accept /etc/x: bad"),
    ],
)
def test_profile_is_read_back(monkeypatch: pytest.MonkeyPatch, printed: str, status: int, sentence: str) -> None:
    """What is missing from what it prints, it did not understand; the words of a rule have no order."""

    def run(command: list[str], **_options: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(command, status, printed, "bad")

    monkeypatch.setattr(_commands.subprocess, "run", run)
    content = b"# x\n[connection]\nid=x\n\n[ipv4]\nrouting-rule1=priority 7 from 192.0.2.1 table 7\n"
    if not sentence:
        _managers.check_profile("/etc/x", content)
        return
    with pytest.raises(RequestFailed, match=sentence):
        _managers.check_profile("/etc/x", content)


def test_links_are_let_go_of(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Or NetworkManager would delete them; one that it did not make is nothing to it. A profile has to be among those it has."""
    monkeypatch.setattr(_managers.networkmanager, "FOLDER", str(tmp_path))
    monkeypatch.setattr(_managers, "is_running", lambda _program: True)
    asked: list[str] = []

    def run(command: list[str]) -> str:
        asked.append(" ".join(command))
        if "GENERAL.CONNECTION" in command:
            return f"patchbay-{command[-1]}\n" if command[-1] == "mv0" else ""
        return f"{tmp_path}/patchbay-mv2.nmconnection\n" if "FILENAME" in command else ""

    monkeypatch.setattr(_commands, "run", run)
    (tmp_path / "patchbay-mv2.nmconnection").write_text("")
    paths = [f"{tmp_path}/patchbay-{name}.nmconnection" for name in ("mv0", "mv1", "mv2")]
    _managers.load_profiles(paths)
    assert [command for command in asked if "managed" in command] == ["nmcli device set mv0 managed no"]
    assert asked.index("nmcli connection reload") > asked.index("nmcli device set mv0 managed no")
    (tmp_path / "patchbay-mv3.nmconnection").write_text("")
    with pytest.raises(RequestFailed, match=r"does not load .*mv3"):
        _managers.load_profiles([f"{tmp_path}/patchbay-mv3.nmconnection"])

# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`persist: networkmanager` keeps an existing link, and NetworkManager creates the same link at the next boot."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.patchbay.netdev.plugins.module_utils._boot._networkmanager import FOLDER, render
from ansible_collections.patchbay.netdev.plugins.module_utils._model._boot import BootState
from ansible_collections.patchbay.netdev.tests.integration.host import _without, assert_equal
from ansible_collections.patchbay.netdev.tests.systemd_hosts.system import (
    System,
    files,
    index,
    monitored,
    pinged,
    wait_until,
)
from ansible_collections.patchbay.netdev.tests.systemd_hosts.test_persist_networkd import TOPOLOGY as OF_NETWORKD
from ansible_collections.patchbay.netdev.tests.unit.manager_samples import declared

OLD = {
    "name": "old",
    "lower_device": "eth0",
    "mode": "bridge",
    "address": "00:16:3e:11:11:01",
    "mtu": 1400,
    "addresses": ["198.51.100.5/24", "203.0.113.6/24", "2001:db8:1::5/64"],
    "admin_state": "up",
}
TOPOLOGY: dict[str, Any] = {
    "persist": "networkmanager",
    "bridge": OF_NETWORKD["bridge"],
    "veth": OF_NETWORKD["veth"],
    "macvlan": [
        *({"name": f"mv-{mode}", "lower_device": "eth1", "mode": mode, "admin_state": "up"} for mode in ("private", "vepa")),
        OLD,
    ],
    "macvtap": [{"name": "mt0", "lower_device": "eth1", "mode": "bridge", "admin_state": "up"}],
    "bridge_port": [{"port": "va", "hairpin": True, "cost": 7}],
    "routes": [
        {"destination": "198.51.100.0/24", "link": "old", "table": "105"},
        {"destination": "default", "gateway": "198.51.100.1", "link": "old", "table": "105"},
        {"destination": "default", "type": "unreachable", "metric": 4278198272, "table": "105"},
        {"destination": "2001:db8:7::/48", "gateway": "2001:db8::1", "link": "vb"},
    ],
    "rules": [{"priority": 105, "from": "198.51.100.5", "table": "105"}],
}


@pytest.fixture
def manager() -> str:
    """Return the default manager of these tests."""
    return "networkmanager"


@pytest.fixture
def ready(system: System) -> System:
    """Create a host whose second card is up and unmanaged."""
    system.enter("ip", "link", "set", "eth1", "up")
    return system


def settled(system: System) -> None:
    """Wait until the manager has created the links of all profiles."""

    def left() -> set[str]:
        profiles = {place.stem for place in (system.root / FOLDER[1:]).glob("patchbay-*")}
        shown = system.enter("nmcli", "--terse", "--fields", "STATE,CONNECTION", "device").splitlines()
        return profiles - {line.partition(":")[2] for line in shown if line.startswith("connected:")}

    wait_until(lambda: not left(), f"{left()} did not come back")


def test_every_setting_is_supported(ready: System) -> None:
    """The manager supports all settings of the table for its release."""
    major, minor = ready.enter("NetworkManager", "--version").split(".")[:2]
    version = int(major) * 100 + int(minor)
    some = declared("networkmanager", version)
    lost = []
    for path, file in render(BootState(versions={"networkmanager": version}), some).items():
        if path.startswith(FOLDER):
            ready.put("/root/profile", file.content.decode())
            command = "nmcli --offline connection modify connection.autoconnect yes </root/profile"
            read = {words(line) for line in ready.enter("sh", "-c", command).splitlines()}
            lost += [f"{path}: {line}" for line in file.content.decode().splitlines()[1:] if words(line) not in read]
    assert "\n".join(lost) == ""


def words(line: str) -> tuple[str, ...]:
    """Return the parts of a rule, whose order differs."""
    return tuple(sorted(line.split()))


def compared(system: System) -> dict[str, Any]:
    """Return the state without the routes to the networks of addresses and IPv6 settings, which the manager sets itself."""
    found = _without(system.dump(), {"noprefixroute", "inet6_addr_gen_mode"})
    for shown in found[f"{system.name} address"]:
        for address in shown["addr_info"]:
            address.pop("broadcast", None)
        if shown["ifname"] == "va":  # a bridge port has no IPv6 there
            shown["addr_info"] = []
    routes = f"{system.name} route show table all"
    found[routes] = [route for route in found[routes] if not (route.get("dev") == "va" and route["dst"].startswith("fe80:"))]
    for route in found[routes]:
        if route["dst"] == "fe80::/64":
            route.pop("metric")
        if route["type"] == "unreachable":
            route.pop("scope")
    del found[f"{system.name} settings"]
    return found


def test_reboot(ready: System) -> None:
    """The state is equal after a reboot, as check mode predicted."""
    foretold = ready.run("patchbay.netdev.topology", check=True, **TOPOLOGY)
    done = ready.apply("patchbay.netdev.topology", **TOPOLOGY)
    assert done["operations"] == foretold["operations"]
    again = ready.apply("patchbay.netdev.topology", **TOPOLOGY)
    assert not again["changed"], again["operations"]
    before = compared(ready)
    ready.reboot()
    settled(ready)
    assert ready.failed_units() == []
    assert_equal(compared(ready), before)
    again = ready.apply("patchbay.netdev.topology", **TOPOLOGY)
    assert not again["changed"], again["operations"]
    # without that, udev may set another MAC address while the manager creates the link
    assert "ID_NET_LINK_FILE=/etc/systemd/network/05-patchbay-old.link" in ready.enter("udevadm", "info", "/sys/class/net/old")


def test_adoption(ready: System) -> None:
    """An existing link keeps its index, MAC address and addresses, and is created in the same way at the next boot."""
    ready.apply("patchbay.netdev.macvlan", **OLD)
    number = index(ready, "old")
    with pinged(ready) as answers, monitored(ready, "old") as lost:
        ready.apply("patchbay.netdev.macvlan", persist="networkmanager", **OLD)
        ready.apply("patchbay.netdev.macvlan", persist="networkmanager", name="old", mtu=1300)
    assert lost == []
    assert answers[0] == answers[1] > 20
    assert index(ready, "old") == number
    before = compared(ready)
    ready.reboot()
    settled(ready)
    assert_equal(compared(ready), before)
    number = index(ready, "old")
    with monitored(ready, "old") as lost:
        ready.apply("patchbay.netdev.macvlan", persist="networkmanager", name="old", mtu=1400)
    assert lost == []
    assert index(ready, "old") == number


@pytest.mark.parametrize("made_by", ["task", "manager"])
def test_another_backend(ready: System, made_by: str) -> None:
    """One task each changes the boot backend and back. The link is kept with all its attributes."""
    topology = {
        "macvlan": [OLD],
        "routes": [{"destination": "default", "gateway": "198.51.100.1", "link": "old", "table": "105"}],
        "rules": [{"priority": 105, "from": "198.51.100.5", "table": "105"}],
    }
    listed = files(ready)
    ready.apply("patchbay.netdev.topology", persist="networkmanager", **topology)
    if made_by == "manager":
        ready.reboot()
        settled(ready)
    number, before = index(ready, "old"), compared(ready)
    for backend in ("replay", "networkmanager", "none"):
        done = ready.apply("patchbay.netdev.topology", persist=backend, **topology)
        assert done["changed"]
        again = ready.apply("patchbay.netdev.topology", persist=backend, **topology)
        assert not again["changed"], (backend, again["operations"])
        assert index(ready, "old") == number
        assert_equal(compared(ready), before, backend)
    assert files(ready) == listed


def test_absent(ready: System) -> None:
    """Files and kernel state are restored, also if the manager created everything, and a reboot restores nothing."""
    before, listed = ready.dump(), files(ready)
    identity = ("name", "destination", "table", "metric", "priority")
    gone = {
        kind: [{key: entry[key] for key in identity if key in entry} | {"state": "absent"} for entry in TOPOLOGY[kind]]
        for kind in ("bridge", "veth", "macvlan", "macvtap", "routes", "rules")
    }
    ready.apply("patchbay.netdev.topology", **TOPOLOGY)
    ready.reboot()
    settled(ready)
    with pinged(ready) as answers:
        ready.apply("patchbay.netdev.topology", **gone)
    assert answers[0] == answers[1] > 20
    assert files(ready) == listed
    assert {"old", "br0", "va", "mt0"} & set(ready.links()) == set()
    ready.reboot()
    assert {"old", "br0", "va", "mt0"} & set(ready.links()) == set()
    ready.enter("ip", "link", "set", "eth1", "up")
    assert_equal(ready.dump(), before)


def test_refusals(system: System) -> None:
    """No file is written, and no link is created."""
    before, listed = system.dump(), files(system)
    for sentence, options in {
        "itself sets ipv6.accept_ra to 0": {**OLD, "sysctls": {"ipv6.accept_ra": 2}},
        "so admin_state has to be up": {**OLD, "admin_state": "down"},
    }.items():
        for check in (True, False):
            failed = system.run("patchbay.netdev.macvlan", check=check, persist="networkmanager", **options)
            assert sentence in failed["msg"]
            assert "set persist: replay" in failed["msg"].lower()
    # promiscuous can be off only in passthru mode, which NetworkManager itself sets
    failed = system.run("patchbay.netdev.macvlan", persist="networkmanager", **{**OLD, "nopromisc": True})
    assert "NetworkManager does not accept" in failed["msg"]
    assert "All changes were rolled back" in failed["msg"]
    assert files(system) == listed
    assert_equal(system.dump(), before)

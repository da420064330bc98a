# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is declared with `persist: networkmanager` is left as it is, and made by NetworkManager at the next boot as it was."""

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
    """Unless a test says otherwise."""
    return "networkmanager"


@pytest.fixture
def ready(system: System) -> System:
    """A host whose second card is up, and nobody's."""
    system.enter("ip", "link", "set", "eth1", "up")
    return system


def settled(system: System) -> None:
    """Until the manager has made all that it has profiles of ours for."""

    def left() -> set[str]:
        profiles = {place.stem for place in (system.root / FOLDER[1:]).glob("patchbay-*")}
        shown = system.enter("nmcli", "--terse", "--fields", "STATE,CONNECTION", "device").splitlines()
        return profiles - {line.partition(":")[2] for line in shown if line.startswith("connected:")}

    wait_until(lambda: not left(), f"{left()} did not come back")


def test_every_word_is_understood(ready: System) -> None:
    """Of all that the table has for this release, its manager leaves nothing out."""
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
    """Those of a rule come in another order."""
    return tuple(sorted(line.split()))


def compared(system: System) -> dict[str, Any]:
    """All of it but for what is the manager's own: it makes the routes to the networks of addresses, and IPv6 itself."""
    found = _without(system.dump(), {"noprefixroute", "inet6_addr_gen_mode"})
    for shown in found[f"{system.name} address"]:
        for address in shown["addr_info"]:
            address.pop("broadcast", None)
        if shown["ifname"] == "va":  # a port of a bridge has no IPv6 there
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
    """Everything is equal; check mode told the same."""
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
    # without that, udev may give the link another MAC address while the manager does
    assert "ID_NET_LINK_FILE=/etc/systemd/network/05-patchbay-old.link" in ready.enter("udevadm", "info", "/sys/class/net/old")


def test_adoption(ready: System) -> None:
    """A link that is there keeps its number, its MAC address and its addresses, and is made so at the next boot."""
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
    """In one task each, there and back: the link stays the same one, with all that it has."""
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
    """Files and kernel are as before, also when the manager has made it all, and a reboot brings nothing back."""
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
    """Nothing is written and nothing made."""
    before, listed = system.dump(), files(system)
    for sentence, options in {
        "itself sets ipv6.accept_ra to 0": {**OLD, "sysctls": {"ipv6.accept_ra": 2}},
        "takes admin_state: up alone": {**OLD, "admin_state": "down"},
    }.items():
        for check in (True, False):
            failed = system.run("patchbay.netdev.macvlan", check=check, persist="networkmanager", **options)
            assert sentence in failed["msg"]
            assert "set persist: replay" in failed["msg"].lower()
    # promiscuous can be off in passthru mode alone, which NetworkManager itself says
    failed = system.run("patchbay.netdev.macvlan", persist="networkmanager", **{**OLD, "nopromisc": True})
    assert "NetworkManager does not accept" in failed["msg"]
    assert "All changes were rolled back" in failed["msg"]
    assert files(system) == listed
    assert_equal(system.dump(), before)

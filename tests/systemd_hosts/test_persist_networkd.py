# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`persist: networkd` adopts an existing link, and systemd-networkd creates the same link at the next boot."""

from __future__ import annotations

import re
from typing import Any

import pytest

from ansible_collections.patchbay.netdev.plugins.module_utils._boot._networkd import render
from ansible_collections.patchbay.netdev.plugins.module_utils._model._boot import BootState
from ansible_collections.patchbay.netdev.tests.integration.host import assert_equal
from ansible_collections.patchbay.netdev.tests.systemd_hosts.system import System, files, index, monitored, pinged, wait_until
from ansible_collections.patchbay.netdev.tests.unit.manager_samples import declared


@pytest.fixture
def manager() -> str:
    """Return the default manager of these tests."""
    return "networkd"


ETH1 = "/etc/systemd/network/20-eth1.network"
OLD = {
    "name": "old",
    "lower_device": "eth0",
    "mode": "bridge",
    "address": "00:16:3e:11:11:01",
    "mtu": 1400,
    "addresses": ["198.51.100.5/24", "198.51.100.6/24", "2001:db8:1::5/64"],
    "admin_state": "up",
}
TOPOLOGY: dict[str, Any] = {
    "persist": "networkd",
    "bridge": [
        {
            "name": "br0",
            "address": "02:00:00:00:b0:00",
            "admin_state": "up",
            "priority": 4096,
            "forward_delay": 4,
            "addresses": ["10.0.0.1/24"],
        }
    ],
    "veth": [
        {
            "name": "va",
            "controller": "br0",
            "admin_state": "up",
            "peer": {"name": "vb", "addresses": ["10.1.0.2/24", "2001:db8::2/64"], "admin_state": "up"},
        }
    ],
    "macvlan": [
        *({"name": f"mv-{mode}", "lower_device": "eth1", "mode": mode, "admin_state": "up"} for mode in ("private", "vepa")),
        {"name": "mv-source", "lower_device": "eth1", "mode": "source", "source_addresses": ["02:00:00:00:00:77"]},
        OLD,
    ],
    "macvtap": [{"name": "mt0", "lower_device": "eth1", "mode": "bridge", "group": 7, "admin_state": "up"}],
    "bridge_port": [{"port": "va", "hairpin": True, "cost": 7, "bpdu_guard": True}],
    "routes": [
        {"destination": "198.51.100.0/24", "link": "old", "table": "105"},
        {"destination": "default", "gateway": "198.51.100.1", "link": "old", "table": "105"},
        {"destination": "default", "type": "unreachable", "metric": 4278198272, "table": "105"},
        {"destination": "2001:db8:7::/48", "gateway": "2001:db8::1", "link": "vb"},
    ],
    "rules": [{"priority": 105, "from": "198.51.100.5", "table": "105"}],
}


ON_ETH1 = {**OLD, "lower_device": "eth1"}
# The manager sets these two itself on each link, regardless of its files.
ITS_OWN = ("accept_ra", "promote_secondaries")


@pytest.fixture
def ready(system: System) -> System:
    """Create a host whose second card the manager manages too, without an address."""
    system.put(ETH1, "[Match]\nName=eth1\n[Network]\nLinkLocalAddressing=no\n")
    system.enter("networkctl", "reload")
    wait_until(lambda: "configured" in system.enter("networkctl", "status", "eth1"), "eth1 is not set up")
    return system


def compared(system: System) -> dict[str, Any]:
    """Return the state without what the manager sets itself."""
    found = system.dump()
    settings = found[f"{system.name} settings"]
    found[f"{system.name} settings"] = {path: value for path, value in settings.items() if not path.endswith(ITS_OWN)}
    return found


def waits(system: System) -> bool:
    """Return whether this release removes addresses of a lower device while it reads a file about it."""
    return system.release == "bookworm"


def deferred(system: System) -> bool:
    """Return whether the manager reads a file only at the next boot."""
    return "patchbay-networkd-waits" in system.enter("ls", "/run").split()


def test_reboot(ready: System) -> None:
    """The state is equal after a reboot, as check mode predicted."""
    foretold = ready.run("patchbay.netdev.topology", check=True, **TOPOLOGY)
    done = ready.apply("patchbay.netdev.topology", **TOPOLOGY)
    assert done["operations"] == foretold["operations"]
    assert deferred(ready) == waits(ready)
    again = ready.apply("patchbay.netdev.topology", **TOPOLOGY)
    assert not again["changed"], again["operations"]
    before = compared(ready)
    ready.reboot()
    wait_until(lambda: "old" in ready.links() and ready.addresses("old"), "it did not come back")
    wait_until(lambda: "configuring" not in ready.enter("networkctl", "list", "old"), "it is still at work")
    assert_equal(compared(ready), before)
    assert ready.failed_units() == []
    again = ready.apply("patchbay.netdev.topology", **TOPOLOGY)
    assert not again["changed"], again["operations"]


@pytest.mark.parametrize("lower", ["eth0", "eth1"])
def test_adoption(ready: System, lower: str) -> None:
    """An existing link keeps its index, MAC address and addresses, and its lower device replies all the time."""
    link = {**OLD, "lower_device": lower}
    ready.apply("patchbay.netdev.macvlan", **link)
    number = index(ready, "old")
    with pinged(ready) as answers, monitored(ready, "old") as lost:
        ready.apply("patchbay.netdev.macvlan", persist="networkd", **link)
        ready.apply("patchbay.netdev.macvlan", persist="networkd", name="old", mtu=1300)
    assert lost == []
    assert answers[0] == answers[1] > 20
    assert index(ready, "old") == number
    assert deferred(ready) == (waits(ready) and lower == "eth0")
    assert "failed" not in ready.enter("networkctl", "list", "old", lower)
    before = compared(ready)
    ready.reboot()
    wait_until(lambda: "old" in ready.links() and ready.addresses("old"), "it did not come back")
    assert_equal(compared(ready), before)


def test_absent(ready: System) -> None:
    """Files and kernel state are restored, the lower device replies all the time, and a reboot restores nothing."""
    before, listed = compared(ready), files(ready)
    identity = ("name", "destination", "table", "metric", "priority")
    gone = {
        kind: [{key: entry[key] for key in identity if key in entry} | {"state": "absent"} for entry in TOPOLOGY[kind]]
        for kind in ("bridge", "veth", "macvlan", "macvtap", "routes", "rules")
    }
    with pinged(ready) as answers:
        ready.apply("patchbay.netdev.topology", **TOPOLOGY)
        assert files(ready) != listed
        ready.apply("patchbay.netdev.topology", **gone)
    assert answers[0] == answers[1] > 20
    assert files(ready) == listed
    assert_equal(compared(ready), before)
    ready.reboot()
    assert not {"old", "br0", "va", "mt0"} & set(ready.links())


@pytest.mark.parametrize("lower", ["eth0", "eth1"])
def test_another_backend(ready: System, lower: str) -> None:
    """One task each changes the boot backend and back. The link is kept with all its attributes."""
    topology = {
        "macvlan": [{**OLD, "lower_device": lower}],
        "routes": [{"destination": "default", "gateway": "198.51.100.1", "link": "old", "table": "105"}],
        "rules": [{"priority": 105, "from": "198.51.100.5", "table": "105"}],
    }
    listed = files(ready)
    ready.apply("patchbay.netdev.topology", **topology)
    number, before = index(ready, "old"), compared(ready)
    for backend in ("replay", "networkd", "replay", "networkd", "none", "networkd"):
        done = ready.apply("patchbay.netdev.topology", persist=backend, **topology)
        assert done["changed"]
        again = ready.apply("patchbay.netdev.topology", persist=backend, **topology)
        assert not again["changed"], (backend, again["operations"])
        assert index(ready, "old") == number
        assert_equal(compared(ready), before, backend)
        if backend == "none":
            assert files(ready) == listed
    for backend in ("networkd", "replay"):
        ready.apply("patchbay.netdev.topology", persist=backend, **topology)
        ready.reboot()
        wait_until(lambda: "old" in ready.links() and ready.addresses("old"), "it did not come back")
        assert_equal(compared(ready), before, backend)


def test_every_setting_is_supported(ready: System) -> None:
    """The manager logs no error about any setting of the table for its release."""
    version = int(ready.enter("networkctl", "--version").split()[1])
    boot = BootState(versions={"networkd": version}, governed={"eth0": ("20-eth0.network", False)})
    for path, file in render(boot, declared("networkd", version)).items():
        ready.put(path, file.content.decode())
    ready.enter("networkctl", "reload")
    said = ready.enter("journalctl", "--unit", "systemd-networkd", "--output", "cat", "--no-pager").splitlines()
    assert "\n".join(line for line in said if line.startswith("/etc/systemd/network/")) == ""


@pytest.mark.parametrize("release", ["trixie"])
def test_manager_refuses_a_value(ready: System) -> None:
    """The manager refuses a value that the kernel accepts: its log line is the error, and everything is restored."""
    before, listed = compared(ready), files(ready)
    failed = ready.run("patchbay.netdev.macvlan", persist="networkd", bc_cutoff=-2, **ON_ETH1)
    assert failed["failed"]
    said = "configure systemd-networkd: write .* failed: systemd-networkd does not understand .*05-patchbay-old.netdev:9: "
    assert re.match(f"{said}Invalid BroadcastQueueThreshold= value .* All changes were rolled back", failed["msg"])
    assert files(ready) == listed
    assert_equal(compared(ready), before)


def test_refusals(system: System) -> None:
    """No file is written, and no link is created."""
    before, listed = system.dump(), files(system)
    refused = {
        "its lower device eth1 is not configured by systemd-networkd": ON_ETH1,
        "itself sets ipv6.accept_ra to 0": {**OLD, "sysctls": {"ipv6.accept_ra": 2}},
        "bc_cutoff": {**OLD, "bc_cutoff": 5},
    }
    for sentence, options in refused.items():
        if sentence == "bc_cutoff" and not waits(system):
            continue
        for check in (True, False):
            failed = system.run("patchbay.netdev.macvlan", check=check, persist="networkd", **options)
            assert sentence in failed["msg"]
            assert "set persist: replay" in failed["msg"].lower()
    assert files(system) == listed
    assert_equal(system.dump(), before)


@pytest.mark.parametrize("manager", ["none", "networkmanager"])
def test_missing_manager(system: System) -> None:
    """A missing manager is reported."""
    failed = system.run("patchbay.netdev.macvlan", persist="networkd", **OLD)
    assert "systemd-networkd does not run on this host" in failed["msg"]
    assert "old" not in system.links()


def test_drift(ready: System) -> None:
    """Check mode shows a file that another program changed, and a real run restores it."""
    ready.apply("patchbay.netdev.macvlan", persist="networkd", **ON_ETH1)
    path = "/etc/systemd/network/05-patchbay-old.network"
    good = ready.enter("cat", path)
    ready.put(path, "[Match]\nName=old\n")
    shown = ready.run("patchbay.netdev.macvlan", check=True, **ON_ETH1)
    assert shown["operations"] == [f"configure systemd-networkd: write {path}"]
    assert ready.apply("patchbay.netdev.macvlan", **ON_ETH1)["operations"] == shown["operations"]
    assert ready.enter("cat", path) == good


def test_older_release_reloads_after_it_has_read_them(ready: System) -> None:
    """After the boot no file is pending, and new files are read at once unless the lower device must be read again."""
    ready.apply("patchbay.netdev.macvlan", persist="networkd", **OLD)
    ready.reboot()
    wait_until(lambda: "old" in ready.links() and ready.addresses("old"), "it did not come back")
    with pinged(ready) as answers, monitored(ready, "old") as lost:
        ready.apply("patchbay.netdev.macvlan", persist="networkd", name="old", addresses=[*OLD["addresses"], "198.51.100.7/24"])
    assert not deferred(ready)
    assert lost == []
    assert answers[0] == answers[1] > 20
    assert "198.51.100.7" in ready.enter("networkctl", "status", "old")

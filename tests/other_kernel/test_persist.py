# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Device nodes that the boot program restores, on a kernel with its own /dev and an /etc in memory."""

from __future__ import annotations

import contextlib
import json
import os
import stat
import subprocess
from collections.abc import Iterator

from ansible_collections.patchbay.netdev.tests.integration.host import Host, hosts
from ansible_collections.patchbay.netdev.tests.systemd_hosts.system import SWITCH, command_host, made_system, wait_until

ENGINE = "/usr/local/lib/patchbay/replay.pyz"
MACVTAP = {"name": "mt0", "lower_device": "eth0", "device_owner": "nobody", "device_group": "games", "device_mode": "0640"}


def node(host: Host) -> tuple[int, int, str]:
    """Return owner, group and mode of the node of mt0."""
    index = json.loads(host.ip("-j", "link", "show", "mt0"))[0]["ifindex"]
    state = os.stat(f"/dev/tap{index}")
    return state.st_uid, state.st_gid, f"{stat.S_IMODE(state.st_mode):04o}"


def replay(host: Host, *words: str) -> int:
    """Return the exit status of the boot program."""
    command = ["ip", "netns", "exec", host.netns, "/usr/bin/python3", "-I", ENGINE, *words]
    return subprocess.run(command, check=False).returncode


@contextlib.contextmanager
def made_switch() -> Iterator[None]:
    """Create the switch of the network, and delete it, because other tests have one of their own."""
    command_host("switch", SWITCH, "192.0.2.1/24")
    try:
        yield
    finally:
        hosts("stop", "switch")


def test_node_is_restored(host: Host) -> None:
    """The new node gets its owner, group and mode. Other values are drift."""
    done = host.apply("macvtap", persist="replay", **MACVTAP)
    was = node(host)
    assert was == (65534, 60, "0640")
    assert replay(host, "--check") == 0
    os.chmod(done["link"]["device"], 0o600)
    assert replay(host, "--check") == 2
    assert replay(host) == 0
    assert node(host) == was
    host.ip("link", "delete", "mt0")
    assert replay(host, "--check") == 2
    assert replay(host) == 0
    assert node(host) == was
    assert replay(host, "--check") == 0
    host.apply("macvtap", name="mt0", state="absent")
    assert not os.path.exists(ENGINE)


def test_reboot_with_systemd_and_udev() -> None:
    """The node of the new link is restored, by udev alone as well, which sees it first."""
    with made_switch(), made_system("bookworm", "none") as system:
        options = {**MACVTAP, "lower_device": "eth1", "persist": "replay"}
        made = system.apply("patchbay.netdev.macvtap", **options)["link"]
        system.reboot()
        nodes = "stat -c '%n %U %G %a' /dev/tap*"
        expected = f"{made['device']} nobody games 640\n"
        wait_until(lambda: system.enter("sh", "-c", f"{nodes} || true") == expected, "the node is not there")
        assert not system.run("patchbay.netdev.macvtap", **options)["changed"]
        system.enter(
            "sh", "-c", "chmod 600 /dev/tap*; chown root:root /dev/tap*; udevadm trigger --settle /sys/class/macvtap/tap*"
        )
        assert system.enter("sh", "-c", nodes) == expected
        system.apply("patchbay.netdev.macvtap", name="mt0", state="absent")
        assert system.enter("sh", "-c", "ls /etc/udev/rules.d /dev | grep -e ^tap -e patchbay || true") == ""

# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host for playbooks as users run them, with the example inventories: its own files, a cable to a switch, and reboots."""

from __future__ import annotations

import json
import time
from typing import Any

from ansible_collections.patchbay.netdev.tests.integration.host import CLONE, assert_equal, hosts
from ansible_collections.patchbay.netdev.tests.integration.machine import Machine

INVENTORIES = CLONE / "playbooks/inventories"
PYTHON = CLONE / ".venv/bin/python"
LAN = "192.0.2.1"  # the switch, which is a host of that network too


def start_switch() -> None:
    """Start the switch that the network cards of a site are connected to."""
    hosts("switch", "wire", f"{LAN}/24")
    hosts("enter", "wire", "sh", "-euc", "echo 0 >/proc/sys/net/ipv6/conf/br0/accept_dad; ip address add 2001:db8::1/64 dev br0")


def command_line(playbook: str, *words: str, **variables: Any) -> list[str]:
    """Return the command line that a user types on the host itself."""
    given = {"ansible_connection": "local", "ansible_python_interpreter": str(PYTHON), **variables}
    command = [str(PYTHON), "-m", "ansible", "playbook", f"patchbay.netdev.{playbook}"]
    return [*command, "--inventory", str(INVENTORIES / f"{playbook}.yml"), "--extra-vars", json.dumps(given), *words]


def changes(printed: str) -> int:
    """Return the number of tasks that made changes."""
    recap = printed.rpartition("PLAY RECAP")[2]
    return sum(int(word.partition("=")[2]) for word in recap.split() if word.startswith("changed="))


class Site(Machine):
    """The host that a playbook runs on."""

    def plug(self, *cards: str) -> None:
        """Connect network cards, set them up, and connect them to the switch if there is one."""
        super().plug(*cards)
        into = "[ ! -e /sys/class/net/br0 ] || for link in /sys/class/net/p*; do ip link set ${link##*/} master br0; done"
        hosts("enter", "wire", "sh", "-euc", into)
        self.sh("".join(f"ip link set {card} up;" for card in cards))
        end = time.monotonic() + 10
        while self.sh("ip -6 -o address show scope link").stdout.count("fe80") < len(cards):
            assert time.monotonic() < end, "the cards did not come up"
            time.sleep(0.1)

    def ran(self, playbook: str, *words: str, check: bool = True, **variables: Any) -> str:
        """Return the output of ansible-playbook."""
        done = hosts("enter", self.name, *command_line(playbook, *words, **variables), check=check)
        assert check or done.returncode == 2, done.stdout + done.stderr
        return done.stdout

    def play(self, playbook: str, *words: str, **variables: Any) -> int:
        """Return the number of tasks of a playbook that made changes."""
        return changes(self.ran(playbook, *words, **variables))

    def climb(self, playbook: str, **variables: Any) -> None:
        """Verify that check mode predicts the changes without making them, and that the second real run makes no changes."""
        disk, kernel = self.disk(), self.settled()
        told = self.play(playbook, "--check", "--diff", **variables)
        assert told > 0
        assert_equal(self.disk(), disk, "check mode wrote something")
        assert_equal(self.settled(), kernel, "check mode changed something")
        assert self.play(playbook, **variables) == told
        assert self.play(playbook, **variables) == 0

    def hears(self, address: str, netns: str = "", seconds: int = 5) -> bool:
        """Return whether an address replies to pings from the host or from one of its namespaces."""
        into = f"ip netns exec {netns} " if netns else ""
        return self.sh(f"{into}ping -n -c 1 -i 0.2 -w {seconds} {address}", check=False).returncode == 0

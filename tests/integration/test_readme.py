# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tasks of the README, run verbatim on the real kernel. Tasks with leases or files of the next boot have other tests."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.patchbay.netdev.tests.integration.host import Host
from ansible_collections.patchbay.netdev.tests.integration.ladder import stay

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
COLLECTION = "patchbay.netdev."


def tasks() -> list[tuple[str, dict[str, Any]]]:
    """(module, options) of every task in a block of YAML."""
    blocks = [yaml.safe_load(block) for block in re.findall(r"^```yaml\n(.*?)^```", README, re.MULTILINE | re.DOTALL)]
    entries = [entry for block in blocks if isinstance(block, list) for entry in block]
    return [
        (name[len(COLLECTION) :], options) for entry in entries for name, options in entry.items() if name.startswith(COLLECTION)
    ]


RUNNABLE = [(module, options) for module, options in tasks() if not {"dhcp4", "persist"} & options.keys()]


def test_tasks_are_found() -> None:
    """The first one is the one that a reader sees first."""
    assert RUNNABLE[0][1]["name"] == "old-mail"
    assert len(RUNNABLE) >= 4


@pytest.mark.parametrize(("module", "options"), RUNNABLE, ids=lambda value: value if isinstance(value, str) else "")
def test_task(host: Host, module: str, options: dict[str, Any]) -> None:
    """Check mode promises what the real run does, and the next runs have nothing to do."""
    host.ip("address", "add", "192.0.2.2/24", "dev", "eth1")  # of the network that the examples are about
    if any(space["name"] == "guest" for space in options.get("netns", ())):
        host.ip("link", "add", "old-print", "link", "eth0", "type", "macvlan", "mode", "bridge")
    promised = host.run(module, check=True, **options)
    assert not promised.get("failed"), promised
    done = host.apply(module, **options)
    assert done["changed"]
    assert done["operations"] == promised["operations"]
    stay(host, module, **options)


def test_first_example_keeps_its_mac(host: Host) -> None:
    """The kernel sends packets from the old address by the old MAC's link, also in the network of the host itself."""
    host.ip("address", "add", "192.0.2.2/24", "dev", "eth0")
    module, options = RUNNABLE[0]
    host.apply(module, **options)
    for destination in ("192.0.2.9", "198.51.100.1"):
        (route,) = json.loads(host.ip("-j", "route", "get", destination, "from", "192.0.2.25"))
        assert route["dev"] == "old-mail"

# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One host for all tests on the other kernel, where starting a process takes a tenth of a second."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from ansible_collections.patchbay.netdev.tests.integration import ladder
from ansible_collections.patchbay.netdev.tests.integration.conftest import made_host
from ansible_collections.patchbay.netdev.tests.integration.host import _VOLATILE, Host, _without, in_sandbox, ip


def pytest_sessionstart() -> None:
    """Refuse to run on the network of the machine itself."""
    if not in_sandbox():
        pytest.exit(
            "These tests change links: run them as tests/hosts/other-kernel tests/sandbox pytest tests/other_kernel", returncode=2
        )


@pytest.fixture(scope="session")
def machine() -> Iterator[Host]:
    """See made_host."""
    with made_host() as made:
        yield made


@pytest.fixture
def host(machine: Host, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    """Return the host with only its two cards, and restore this state afterwards."""
    monkeypatch.setattr(ladder, "dump", links_and_addresses)
    yield machine
    for netns in (machine.netns, "guest"):
        for link in json.loads(ip("-j", "link", "show", netns=netns)):
            if link["ifname"] not in ("lo", "eth0", "eth1"):
                # it may have been deleted together with its lower device
                subprocess.run(["ip", "-n", netns, "link", "del", link["ifname"]], capture_output=True, check=False)
    for port in ("eth0", "eth1"):
        machine.ip("link", "set", port, "up")


def links_and_addresses(namespaces: Iterable[str]) -> dict[str, Any]:
    """Return less than host.dump in a sixth of its time. Other tests compare routes and sysctls."""
    return {netns: _without(json.loads(ip("-d", "-j", "address", netns=netns)), _VOLATILE) for netns in namespaces}

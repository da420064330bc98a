# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts with systemd, a new one for each test, which run only in tests/sandbox."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ansible_collections.patchbay.netdev.tests.integration.host import in_sandbox
from ansible_collections.patchbay.netdev.tests.systemd_hosts.system import (
    MANAGERS,
    RELEASES,
    SWITCH,
    System,
    command_host,
    made_system,
)


def pytest_sessionstart() -> None:
    """Refuse to run on the network of the machine itself."""
    if not in_sandbox():
        pytest.exit("These tests reboot hosts: run them as tests/sandbox pytest tests/systemd_hosts", returncode=2)


@pytest.fixture(scope="session")
def switch() -> Iterator[str]:
    """Start the switch that each card is connected to."""
    command_host("switch", SWITCH, "192.0.2.1/24")
    yield SWITCH
    command_host("stop", SWITCH)


@pytest.fixture(params=RELEASES)
def release(request: pytest.FixtureRequest) -> str:
    """Return the Debian release. A test selects releases with @pytest.mark.parametrize("release", ["trixie"])."""
    return request.param


@pytest.fixture(params=MANAGERS)
def manager(request: pytest.FixtureRequest) -> str:
    """Return the network manager. A test selects managers in the same way."""
    return request.param


@pytest.fixture
def system(switch: str, release: str, manager: str) -> Iterator[System]:
    """Create a new host for each test, release and manager."""
    with made_system(release, manager) as made:
        yield made

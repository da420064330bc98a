# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Temporary hosts for the tests on the real kernel, which run only in tests/sandbox."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator

import pytest

from ansible_collections.patchbay.netdev.tests.integration.device_nodes import own_nodes
from ansible_collections.patchbay.netdev.tests.integration.host import (
    Host,
    dump,
    in_sandbox,
    make_netns,
    plug_in,
    remove_netns,
    settle,
)

_numbers = itertools.count()


def pytest_sessionstart() -> None:
    """Refuse to run on the network of the machine itself."""
    if not in_sandbox():
        pytest.exit("These tests change links: run them as tests/sandbox pytest tests/integration", returncode=2)


@contextlib.contextmanager
def made_host() -> Iterator[Host]:
    """Create a host with eth0 and eth1, whose peers are in the namespace of a switch, and an empty namespace guest."""
    name = f"host{next(_numbers)}"
    wire = f"{name}-wire"
    try:
        make_netns(name, wire, "guest")
        plug_in(name, wire, "eth0", "eth1")
        for port in ("eth0", "eth1"):
            settle(port, name)
            settle(port, wire)
        yield Host(name)
    finally:
        remove_netns("guest", wire, name)


@pytest.fixture
def host() -> Iterator[Host]:
    """See made_host."""
    with made_host() as made:
        yield made


@pytest.fixture
def nodes(host: Host) -> Iterator[None]:
    """For tests that create macvtaps, see own_nodes."""
    with own_nodes(host.netns, "guest"):
        yield


@pytest.fixture
def untouched(host: Host) -> Iterator[None]:
    """Verify that a test changes nothing: full dumps before and after it are equal."""
    before = dump([host.netns, "guest"])
    yield
    assert dump([host.netns, "guest"]) == before

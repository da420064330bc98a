# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The contract of the gateways on the real kernel, with the pyroute2 that is first on the path."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator

import pytest

from ansible_collections.patchbay.netdev.plugins.module_utils._gateway import _codec
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway._kernel import KernelGateway
from ansible_collections.patchbay.netdev.tests.integration.host import bring_up, ip, make_netns
from ansible_collections.patchbay.netdev.tests.unit.gateway_contract import GatewayContract
from ansible_collections.patchbay.netdev.tests.unit.world import World

_numbers = itertools.count()


class TestOnKernel(GatewayContract):
    """Each test has namespaces of its own."""

    @pytest.fixture
    def world(self) -> Iterator[World]:
        """Two cables to a third namespace, a bridge with a port, and an empty namespace."""
        here, other, wire = (f"{word}{next(_numbers)}" for word in ("here", "other", "wire"))
        try:
            for netns in (here, other, wire):
                make_netns(netns)
            ip("link", "add", "br0", "address", "02:00:5e:00:00:b0", "type", "bridge", netns=here)
            for port in ("eth0", "eth1", "port0"):
                ip("link", "add", port, "type", "veth", "peer", "name", port, "netns", wire, netns=here)
                ip("link", "set", port, "up", netns=wire)
                bring_up(port, here)
            ip("link", "set", "port0", "master", "br0", netns=here)
            bring_up("br0", here)
            with KernelGateway() as gateway:
                yield World(gateway, here, other)
        finally:
            for netns in (here, other, wire):
                ip("netns", "del", netns)


def test_it_is_the_release_that_was_asked_for() -> None:
    """Or the tests of older releases would be tests of the newest."""
    expected = os.environ.get("EXPECTED_PYROUTE2")
    place = _codec.Codec().link.__module__
    import sys

    found = str(sys.modules[place].__file__)
    assert expected is None or found.startswith(expected)

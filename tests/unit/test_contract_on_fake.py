# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fake gateway keeps the contract; tests/integration has the same for the kernel."""

from __future__ import annotations

import pytest

from ansible_collections.patchbay.netdev.tests.unit.fake_gateway import FakeGateway
from ansible_collections.patchbay.netdev.tests.unit.gateway_contract import GatewayContract, World


class TestFakeGateway(GatewayContract):
    """Everything of the contract."""

    @pytest.fixture(params=[True, False], ids=["VLAN filtering", "no VLAN filtering"])
    def world(self, request: pytest.FixtureRequest) -> World:
        """The links that it asks for, on either kind of kernel."""
        gateway = FakeGateway(["here", "other"])
        gateway.vlan_filtering = request.param
        for name in ("eth0", "eth1"):
            gateway.add(name, "here")
        gateway.add("br0", "here", "bridge", address="02:00:00:00:00:b0")
        gateway.add("port0", "here", controller="br0")
        return World(gateway, "here", "other")

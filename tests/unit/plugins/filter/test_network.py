# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter network."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.patchbay.netdev.plugins.filter.network import FilterModule, network


@pytest.mark.parametrize(
    ("address", "found"),
    [
        ("192.0.2.101/24", "192.0.2.0/24"),
        ("192.0.2.101/32", "192.0.2.101/32"),
        ("2001:DB8::65/64", "2001:db8::/64"),
    ],
)
def test_network(address: str, found: str) -> None:
    """Of both families."""
    assert FilterModule().filters()["network"](address) == found


@pytest.mark.parametrize("address", ["192.0.2.101", "192.0.2.101/33", "eth0/24", 42, ""])
def test_bad_input(address: Any) -> None:
    """Says what it got."""
    with pytest.raises(AnsibleFilterError, match=r"network: .+"):
        network(address)

# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter network."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable

from ansible.errors import AnsibleFilterError


def network(address: str) -> str:
    """The network that an address with its prefix length is in; AnsibleFilterError for bad input."""
    if not isinstance(address, str) or "/" not in address:
        raise AnsibleFilterError(f"network: {address!r} is not an address with its prefix length, such as 192.0.2.101/24")
    try:
        return str(ipaddress.ip_interface(address).network)
    except ValueError as error:
        raise AnsibleFilterError(f"network: {error}") from error


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., str]]:
        """By name."""
        return {"network": network}

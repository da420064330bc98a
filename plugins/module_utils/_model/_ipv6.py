# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When a link has IPv6, and what it loses together with IPv6."""

from __future__ import annotations

from ansible_collections.patchbay.netdev.plugins.module_utils._model._links import Attributes, AttributeView, Link

DISABLE_IPV6 = "ipv6.disable_ipv6"  # the per-link setting
IPV6_MINIMUM_MTU = 1280  # RFC 8200, section 5: below it the kernel removes IPv6 from the link


def has_ipv6(mtu: int | None) -> bool:
    """Whether the kernel provides IPv6 on a link with this MTU."""
    return mtu is None or mtu >= IPV6_MINIMUM_MTU


def is_without_ipv6(attributes: Attributes) -> bool:
    """Whether a link with these attributes has no IPv6: its MTU is too small, or IPv6 is disabled."""
    view = AttributeView(attributes)
    return not has_ipv6(view.mtu) or view.sysctls.get(DISABLE_IPV6) == 1


def loses_ipv6_addresses(link: Link, after: Attributes) -> bool:
    """Whether a change removes the IPv6 addresses from a link: the link goes down, or loses IPv6."""
    goes_down = after.get("admin_state") == "down" and link.admin_state != "down"
    return goes_down or is_without_ipv6(after)


def loses_ipv6_settings(link: Link, after: Attributes) -> bool:
    """Whether a change of the MTU removes IPv6 from a link, or enables it again with default settings."""
    return "mtu" in after and has_ipv6(link.mtu) != has_ipv6(AttributeView(after).mtu)


def without_ipv6_settings(link: Link) -> dict[str, object]:
    """The settings of a link after it has lost those of IPv6."""
    return {
        "address_generation_mode": None,
        "sysctls": {name: value for name, value in link.sysctls.items() if not name.startswith("ipv6.")},
    }

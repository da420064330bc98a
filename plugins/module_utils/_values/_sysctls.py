# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The per-link settings under /proc/sys/net, as the value of an option: their names and ranges."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.patchbay.netdev.plugins.module_utils._model._errors import InvalidValue
from ansible_collections.patchbay.netdev.plugins.module_utils._values._base import Difference, Type
from ansible_collections.patchbay.netdev.plugins.module_utils._values._numbers import Integer

# Ranges of the keys that the documentation names, because the kernel itself checks almost none of them.
_RANGES = {
    "ipv4.accept_local": (0, 1),
    "ipv4.accept_redirects": (0, 1),
    "ipv4.accept_source_route": (0, 1),
    "ipv4.arp_accept": (0, 2),
    "ipv4.arp_announce": (0, 2),
    "ipv4.arp_evict_nocarrier": (0, 1),
    "ipv4.arp_filter": (0, 1),
    "ipv4.arp_ignore": (0, 8),
    "ipv4.arp_notify": (0, 1),
    "ipv4.drop_gratuitous_arp": (0, 1),
    "ipv4.drop_unicast_in_l2_multicast": (0, 1),
    "ipv4.forwarding": (0, 1),
    "ipv4.ignore_routes_with_linkdown": (0, 1),
    "ipv4.log_martians": (0, 1),
    "ipv4.promote_secondaries": (0, 1),
    "ipv4.proxy_arp": (0, 1),
    "ipv4.proxy_arp_pvlan": (0, 1),
    "ipv4.route_localnet": (0, 1),
    "ipv4.rp_filter": (0, 2),
    "ipv4.send_redirects": (0, 1),
    "ipv4.src_valid_mark": (0, 1),
    "ipv6.accept_dad": (0, 2),
    "ipv6.accept_ra": (0, 2),
    "ipv6.accept_ra_defrtr": (0, 1),
    "ipv6.accept_ra_pinfo": (0, 1),
    "ipv6.accept_redirects": (0, 1),
    "ipv6.autoconf": (0, 1),
    "ipv6.disable_ipv6": (0, 1),
    "ipv6.enhanced_dad": (0, 1),
    "ipv6.forwarding": (0, 1),
    "ipv6.ignore_routes_with_linkdown": (0, 1),
    "ipv6.keep_addr_on_down": (-1, 1),
    "ipv6.ndisc_notify": (0, 1),
    "ipv6.optimistic_dad": (0, 1),
    "ipv6.proxy_ndp": (0, 1),
    "ipv6.use_optimistic": (0, 1),
    "ipv6.use_tempaddr": (-1, 2),
}
_ELSEWHERE = {
    "ipv6.addr_gen_mode": "set the option address_generation_mode instead",
    "ipv6.stable_secret": "its value is a secret and no integer. Set it with another tool",
    "ipv4.mc_forwarding": "the kernel sets it itself. Omit it",
    "ipv6.mc_forwarding": "the kernel sets it itself. Omit it",
}


@dataclass(frozen=True)
class Sysctls(Type):
    """Per-link settings under /proc/sys/net/{ipv4,ipv6}/conf/LINK: `ipv4.arp_ignore` -> number. Omitted keys are not managed."""

    def argument(self) -> dict[str, Any]:
        """A dict."""
        return {"type": "dict"}

    def parse(self, value: Any) -> Mapping[str, int]:
        """The numbers by key, within bounds that are stricter than those of the kernel for the keys in _RANGES."""
        parsed = {}
        for key, setting in sorted(value.items()):
            if not re.fullmatch(r"ipv[46]\.[a-z0-9_]+", key):
                raise InvalidValue(f"{key!r} is not a per-link setting such as ipv4.arp_ignore or ipv6.accept_ra")
            if key in _ELSEWHERE:
                raise InvalidValue(f"{key} cannot be set here: {_ELSEWHERE[key]}")
            if isinstance(setting, bool):
                setting = int(setting)
            if not re.fullmatch(r"-?\d{1,10}", str(setting)):
                raise InvalidValue(f"{key} requires an integer, not {setting!r}")
            low, high = _RANGES.get(key, (-(1 << 31), (1 << 31) - 1))
            try:
                parsed[key] = Integer(low, high).parse(int(setting))
            except InvalidValue as error:
                raise InvalidValue(f"{key}: {error}") from error
        return parsed

    def difference(self, current: Any, desired: Any) -> Difference:
        """Only the keys that differ."""
        current = current or {}
        keys = [key for key in desired if current.get(key) != desired[key]]
        return ({key: current.get(key) for key in keys}, {key: desired[key] for key in keys}) if keys else None

    def describe(self, value: Any) -> str:
        """The settings in a row."""
        return ", ".join(f"{key} {'unknown' if setting is None else setting}" for key, setting in value.items())

    def returned(self, value: Any) -> Any:
        """A dictionary."""
        return dict(value)

# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter stable_mac."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable

from ansible.errors import AnsibleFilterError

NAMESPACE = "patchbay.netdev"
# Prefixes that others make addresses under: Docker's containers, QEMU's guests.
TAKEN = ((0x02, 0x42), (0x52, 0x54))


def stable_mac(host: str, link: str, oui: str | None = None, secret: str = "") -> str:
    """A unicast MAC address for a link of a host: the same on every run and every machine.

    host, link: any text, not empty. oui: one to five octets that the address starts with, such as "00:04:f2"; without them
    the address is locally administered. secret: text that keeps others from deriving the same addresses.
    Returns lower case with colons. AnsibleFilterError for bad input.
    """
    for name, value in (("host", host), ("link", link), ("secret", secret)):
        if not isinstance(value, str) or (not value and name != "secret"):
            raise AnsibleFilterError(f"stable_mac: {name} must be a {'' if name == 'secret' else 'non-empty '}string")
    digest = hashlib.sha256("\0".join((NAMESPACE, secret, host, link)).encode()).digest()
    octets = list(digest[:6])
    if oui:
        start = _octets(oui)
        octets[: len(start)] = start
    else:
        octets[0] = octets[0] & 0xF0 | 0x02  # unicast, locally administered, of the quadrant for own use (IEEE 802c)
        if (octets[0], octets[1]) in TAKEN:
            octets[1] ^= 0xFF
    return ":".join(f"{octet:02x}" for octet in octets)


def _octets(oui: str) -> list[int]:
    if not isinstance(oui, str) or not re.fullmatch(r"[0-9a-fA-F]{2}([:-][0-9a-fA-F]{2}){0,4}", oui):
        raise AnsibleFilterError(f"stable_mac: oui {oui!r} is not one to five octets such as '00:04:f2' (quote it)")
    octets = [int(octet, 16) for octet in re.split("[:-]", oui)]
    if octets[0] & 1:
        raise AnsibleFilterError(
            f"stable_mac: oui {oui} results in multicast addresses (the lowest bit of its first octet is set). Set a unicast OUI"
        )
    return octets


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., str]]:
        """By name."""
        return {"stable_mac": stable_mac}

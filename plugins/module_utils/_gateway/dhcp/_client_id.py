# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The client identifier of a DHCP client (option 61)."""

from __future__ import annotations

import hashlib
import hmac

from ansible_collections.patchbay.netdev.plugins.module_utils._gateway._atomic_files import read_text

MACHINE_ID = "/etc/machine-id"


def machine_id() -> str:
    """The id of this machine; empty if it has none."""
    return (read_text(MACHINE_ID) or "").strip()


def identifier(client_id: str, address: str) -> bytes | None:
    """The identifier of a client for a link with this MAC address; None if the client sends none."""
    if client_id == "none":
        return None
    mac = bytes.fromhex(address.replace(":", ""))
    if client_id == "mac":
        return b"\1" + mac
    return _duid(mac) if client_id == "duid" else bytes.fromhex(client_id.replace(":", ""))


def _duid(mac: bytes) -> bytes:
    """RFC 4361: ff, the last four bytes of the MAC address for the link, and a DUID-UUID (RFC 6355) for the machine.

    The machine's id cannot be derived from it.
    """
    uuid = hmac.new(machine_id().encode(), b"patchbay.netdev dhcp4", hashlib.sha256).digest()[:16]
    return b"\xff" + mac[-4:].rjust(4, b"\0") + b"\0\4" + uuid

# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which DHCP client serves a link, and why others cannot."""

from __future__ import annotations

import shutil

from ansible_collections.patchbay.netdev.plugins.module_utils._gateway._commands import PATH
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.dhcp import _client_records as client_records
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.dhcp import _networkd_client as networkd_client
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.dhcp import _resolver as resolver
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.dhcp._client_id import MACHINE_ID, machine_id
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.dhcp._programs import PROGRAMS
from ansible_collections.patchbay.netdev.plugins.module_utils._model._clients import Dhcp4
from ansible_collections.patchbay.netdev.plugins.module_utils._model._errors import Refused
from ansible_collections.patchbay.netdev.plugins.module_utils._model._lease import record_path
from ansible_collections.patchbay.netdev.plugins.module_utils._model._links import LinkKey
from ansible_collections.patchbay.netdev.plugins.module_utils._values._dhcp4 import CLIENTS, NETWORKD


def choose(key: LinkKey, options: Dhcp4 | None) -> str | None:
    """The client for a link: the one that was set, that serves the link now, or the first that this host has.

    None without options. Refused if this host cannot run it.
    """
    if options is None or not options.enabled:
        return None
    if options.client_id == "duid" and not machine_id():
        raise Refused(
            f"{key}: dhcp4: client_id duid is derived from {MACHINE_ID}, which is empty or missing. "
            "Create it (systemd-machine-id-setup), or set another client_id"
        )
    if options.use_dns:
        try:
            resolver.backend(key.netns, key.name)
        except Refused as error:
            raise Refused(f"{key}: dhcp4: {error}") from error
    if options.client is not None:
        refusal = _refusal(options.client, key, options)
        if refusal:
            raise Refused(f"{key}: dhcp4: {refusal}, or omit client")
        return options.client
    record = client_records.read(record_path(key.netns, key.name))
    current = [record["options"].get("client")] if record is not None else []
    for name in (*current, *CLIENTS):
        if not _refusal(name, key, options):
            return str(name)
    names = ", ".join(PROGRAMS)
    packages = " or ".join(program.package for program in PROGRAMS.values())
    if networkd_client.is_available():
        raise Refused(
            f"{key}: dhcp4: the only DHCP client of this host is systemd-networkd, which does not support these options: "
            f"{networkd_client.refusal(key, options)}, or install another client (Debian: apt install {packages})"
        )
    raise Refused(f"{key}: dhcp4: this host has no DHCP client ({names}). Install one (Debian: apt install {packages})")


def _refusal(name: str, key: LinkKey, options: Dhcp4) -> str:
    """Why a client cannot serve a link, and what to do; empty if it can."""
    if name == NETWORKD:
        return networkd_client.refusal(key, options)
    program = PROGRAMS.get(name)
    if program is None:
        return f"{name} is not supported by this release. Set another client"
    if shutil.which(name, path=PATH) is None:
        return f"{name} is not installed. Install it (Debian: apt install {program.package})"
    if key.name.startswith("-") and not program.has_option_for_link:
        return f"{name} would read the link name {key.name} as an option. Set client: udhcpc"
    return ""

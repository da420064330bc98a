# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The links that the management path uses: those that Ansible's connection arrives by."""

from __future__ import annotations

import socket
from collections.abc import Sequence

from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.kernel import _codec as codec
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.kernel._address_messages import read_address
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.kernel._kernel import Kernel
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.kernel._netlink import NetlinkError
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.kernel._observation import read_routes
from ansible_collections.patchbay.netdev.plugins.module_utils._model._links import HERE, LinkKey
from ansible_collections.patchbay.netdev.plugins.module_utils._model._routing import is_default
from ansible_collections.patchbay.netdev.plugins.module_utils._model._state import Connection


def connection(kernel: Kernel, ssh: tuple[str, str] | None) -> Connection:
    """The links that have the server's address of an SSH connection or lead to the client; without SSH, to anywhere else.

    ssh: the addresses of client and server.
    """
    if ssh is None:
        routes = [route for route in read_routes(kernel, HERE, kernel.dump_links(HERE)) if is_default(route)]
        links = dict.fromkeys(link for route in routes for link in route.links)
        is_ipv6 = all(route.key.family == 6 for route in routes)
        return Connection(tuple(links), "the default route", is_ipv6)
    client, server = ssh
    dump = kernel.dump(HERE, kernel.codec.address, codec.RTM_GETADDR, {})
    indexes = [address["index"] for address in dump if read_address(address).ip == server]
    indexes += _links_towards(kernel, client)
    return Connection(_keys(kernel, indexes), f"the connection from {client}", ":" in client, client, server)


def _keys(kernel: Kernel, indexes: Sequence[int]) -> tuple[LinkKey, ...]:
    links = kernel.dump_links(HERE) if indexes else {}
    return tuple(LinkKey(HERE, links[index].name) for index in dict.fromkeys(indexes) if index in links)


def _links_towards(kernel: Kernel, address: str) -> list[int]:
    """The index of the link that packets to an address leave by; none if it is unreachable."""
    family, length = (socket.AF_INET6, 128) if ":" in address else (socket.AF_INET, 32)
    header = {"family": family, "dst_len": length}
    try:
        routes = kernel.ask(HERE, kernel.codec.route, codec.RTM_GETROUTE, header, [["RTA_DST", address]])
    except NetlinkError:
        return []
    return [index for index in (route.get("RTA_OIF") for route in routes) if index]

# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""veth: pairs of links, each the other's peer."""

from __future__ import annotations

from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._bridge_port import PORT
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._every_link import (
    ROWS_OF_EVERY_LINK,
    kind_with_article,
    name_taken,
    without_initial,
)
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._rows import (
    At,
    Attribute,
    Kind,
    ManagerSetting,
    Situation,
    Store,
    always,
    netdev_setting,
)
from ansible_collections.patchbay.netdev.plugins.module_utils._model._errors import Refused
from ansible_collections.patchbay.netdev.plugins.module_utils._values._names import Reference


def _check_peer(case: Situation) -> None:
    peer = case.desired.peer
    if not peer or not case.is_new:
        return
    other = case.state.get(peer)
    if other is not None and other.kind == "veth" and other.peer:
        raise Refused(
            f"{case.key}: peer {peer} is already paired with {other.get('peer')}. "
            f"Choose another name, or delete {peer.name} first"
        )
    if other is not None:
        raise Refused(f"{case.key}: the name of its peer {peer} is taken by {kind_with_article(other.kind)}. Choose another name")
    owner = case.state.owner_of_altname(peer)
    if owner is not None:
        raise name_taken(peer, owner)


VETH = Kind(  # with as many queues as the machine has processors
    "veth",
    (
        Attribute(
            "peer",
            Reference(),
            Store.PEER,
            at=At.CREATION,
            recreate_if=always,
            networkd=netdev_setting("Peer", "Name"),
            networkmanager=ManagerSetting("veth", "peer"),
            check=_check_peer,
        ),
        *without_initial(ROWS_OF_EVERY_LINK, "num_tx_queues", "num_rx_queues"),
    ),
    needs=("peer",),
    port=PORT,
)

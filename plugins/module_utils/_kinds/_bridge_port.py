# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ports of a bridge: the attributes that a link has while it is one, and their checks."""

from __future__ import annotations

from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._rows import (
    INVERTED,
    U32,
    At,
    Attribute,
    ManagerSetting,
    Situation,
    Store,
)
from ansible_collections.patchbay.netdev.plugins.module_utils._model._errors import Missing, Refused
from ansible_collections.patchbay.netdev.plugins.module_utils._model._links import AttributeView, Link, LinkKey
from ansible_collections.patchbay.netdev.plugins.module_utils._values._base import Boolean, Choice
from ansible_collections.patchbay.netdev.plugins.module_utils._values._names import LinkName
from ansible_collections.patchbay.netdev.plugins.module_utils._values._numbers import Integer, Mask


def bridge_of(case: Situation) -> Link | None:
    """The bridge that the link is to be a port of; None when it is none."""
    name = AttributeView(case.after).controller
    controller = case.state.get(LinkKey(case.key.netns, name)) if name else None
    return controller if controller is not None and case.kind_of(controller.kind).has_ports else None


def check_port(case: Situation) -> None:
    """Refuse settings of a bridge port on a link that is none, and those that the kernel is too old for."""
    desired = [row for row in case.kind.port if row.name in case.desired.attributes]
    if not desired:
        return
    bridge = bridge_of(case)
    if bridge is None:
        here = [link for link in case.state if link.key.netns == case.key.netns]
        bridges = sorted(link.key.name for link in here if case.kind_of(link.kind).has_ports)
        available = f"Available bridges: {', '.join(bridges)}" if bridges else "There is no bridge in its namespace"
        raise Missing(
            f"{case.key}: it is not a bridge port, so {desired[0].name} cannot be set",
            f"{available}. Attach it first (bridge_port: port={case.key.name} bridge={bridges[0] if bridges else 'BRIDGE'})",
        )
    before = case.before
    if before is None or before.controller != bridge.key.name:
        return
    for row in desired:
        if before.get(row.name) is None:
            since = f" (since Linux {row.since})" if row.since else ""
            raise Refused(f"{case.key}: this kernel has no {row.name} for bridge ports{since}. Omit it")


def _check_mab(case: Situation) -> None:
    effective = [case.after.get(name) for name in ("locked", "learning")]
    is_locked, is_learning = effective[0], effective[1] is not False
    if case.after.get("mab") and not (is_locked and is_learning):
        raise Refused(f"{case.key}: mab requires locked and learning. Set locked: true and learning: true")


def _check_backup_port(case: Situation) -> None:
    backup, bridge = AttributeView(case.changed).text("backup_port"), bridge_of(case)
    if not backup or bridge is None:
        return
    other = case.state.get(LinkKey(case.key.netns, backup))
    if backup == case.key.name:
        raise Refused(f"{case.key}: a port cannot be its own backup_port. Set another one")
    if other is None or other.controller != bridge.key.name:
        raise Missing(
            f"{case.key}: backup_port {backup} is not another port of {bridge.key.name}", "Attach it first, or set another one"
        )


def _check_stp_state(case: Situation) -> None:
    bridge = bridge_of(case)
    if not case.changed.get("stp_state") or bridge is None:
        return
    if bridge.get("stp_state"):
        raise Refused(f"{case.key}: {bridge.key.name} runs STP, which sets stp_state itself. Set stp_state: false on the bridge")
    if case.after.get("admin_state") == "down":
        raise Missing(f"{case.key}: stp_state can be set only while the port is up", "Set admin_state: up")


PORT = (
    Attribute(
        "hairpin",
        Boolean(),
        Store.PORT,
        "IFLA_BRPORT_MODE",
        at=At.AFTER,
        initial=False,
        aliases=("reflective_relay",),
        networkd=ManagerSetting("Bridge", "HairPin"),
        networkmanager=ManagerSetting("bridge-port", "hairpin-mode"),
    ),
    Attribute(
        "learning",
        Boolean(),
        Store.PORT,
        "IFLA_BRPORT_LEARNING",
        at=At.AFTER,
        initial=True,
        networkd=ManagerSetting("Bridge", "Learning"),
        check=_check_mab,
    ),
    Attribute(
        "unicast_flood",
        Boolean(),
        Store.PORT,
        "IFLA_BRPORT_UNICAST_FLOOD",
        at=At.AFTER,
        initial=True,
        aliases=("flood",),
        networkd=ManagerSetting("Bridge", "UnicastFlood"),
    ),
    Attribute(
        "multicast_flood",
        Boolean(),
        Store.PORT,
        "IFLA_BRPORT_MCAST_FLOOD",
        at=At.AFTER,
        initial=True,
        aliases=("mcast_flood",),
        networkd=ManagerSetting("Bridge", "MulticastFlood"),
    ),
    Attribute(
        "broadcast_flood", Boolean(), Store.PORT, "IFLA_BRPORT_BCAST_FLOOD", at=At.AFTER, initial=True, aliases=("bcast_flood",)
    ),
    Attribute(
        "isolated",
        Boolean(),
        Store.PORT,
        "IFLA_BRPORT_ISOLATED",
        at=At.AFTER,
        initial=False,
        since="4.18",
        networkd=ManagerSetting("Bridge", "Isolated"),
    ),
    Attribute(
        "locked",
        Boolean(),
        Store.PORT,
        "IFLA_BRPORT_LOCKED",
        at=At.AFTER,
        initial=False,
        since="5.18",
        check=_check_mab,
    ),
    Attribute(
        "mab",
        Boolean(),
        Store.PORT,
        "IFLA_BRPORT_MAB",
        at=At.AFTER,
        initial=False,
        since="6.2",
        check=_check_mab,
    ),
    Attribute(
        "neigh_suppress",
        Boolean(),
        Store.PORT,
        "IFLA_BRPORT_NEIGH_SUPPRESS",
        at=At.AFTER,
        initial=False,
        since="4.15",
        networkd=ManagerSetting("Bridge", "NeighborSuppression"),
    ),
    Attribute(
        "neigh_vlan_suppress", Boolean(), Store.PORT, "IFLA_BRPORT_NEIGH_VLAN_SUPPRESS", at=At.AFTER, initial=False, since="6.4"
    ),
    Attribute(
        "proxy_arp",
        Boolean(),
        Store.PORT,
        "IFLA_BRPORT_PROXYARP",
        at=At.AFTER,
        initial=False,
        networkd=ManagerSetting("Bridge", "ProxyARP"),
    ),
    Attribute(
        "proxy_arp_wifi",
        Boolean(),
        Store.PORT,
        "IFLA_BRPORT_PROXYARP_WIFI",
        at=At.AFTER,
        initial=False,
        networkd=ManagerSetting("Bridge", "ProxyARPWiFi"),
    ),
    Attribute(
        "bpdu_guard",
        Boolean(),
        Store.PORT,
        "IFLA_BRPORT_GUARD",
        at=At.AFTER,
        initial=False,
        aliases=("guard",),
        networkd=ManagerSetting("Bridge", "UseBPDU", INVERTED),
    ),
    Attribute(
        "root_block",
        Boolean(),
        Store.PORT,
        "IFLA_BRPORT_PROTECT",
        at=At.AFTER,
        initial=False,
        networkd=ManagerSetting("Bridge", "AllowPortToBeRoot", INVERTED),
    ),
    Attribute(
        "fast_leave",
        Boolean(),
        Store.PORT,
        "IFLA_BRPORT_FAST_LEAVE",
        at=At.AFTER,
        initial=False,
        aliases=("fastleave",),
        networkd=ManagerSetting("Bridge", "FastLeave"),
    ),
    Attribute(
        "multicast_to_unicast",
        Boolean(),
        Store.PORT,
        "IFLA_BRPORT_MCAST_TO_UCAST",
        at=At.AFTER,
        initial=False,
        aliases=("mcast_to_unicast",),
        networkd=ManagerSetting("Bridge", "MulticastToUnicast"),
    ),
    Attribute(
        "vlan_tunnel",
        Boolean(),
        Store.PORT,
        "IFLA_BRPORT_VLAN_TUNNEL",
        at=At.AFTER,
        initial=False,
        since="4.11",
    ),
    Attribute(
        "multicast_router",
        Integer(0, 3),
        Store.PORT,
        "IFLA_BRPORT_MULTICAST_ROUTER",
        at=At.AFTER,
        initial=1,
        aliases=("mcast_router",),
        networkd=ManagerSetting("Bridge", "MulticastRouter", {0: "no", 1: "query", 2: "permanent", 3: "temporary"}),
    ),
    Attribute(
        "multicast_max_groups",
        Integer(0, U32),
        Store.PORT,
        "IFLA_BRPORT_MCAST_MAX_GROUPS",
        at=At.AFTER,
        initial=0,
        aliases=("mcast_max_groups",),
        since="6.3",
    ),
    Attribute(
        "priority",
        Integer(0, 63),
        Store.PORT,
        "IFLA_BRPORT_PRIORITY",
        at=At.AFTER,
        initial=32,
        networkd=ManagerSetting("Bridge", "Priority"),
        networkmanager=ManagerSetting("bridge-port", "priority"),
    ),
    Attribute(
        "cost",
        Integer(1, 65535),
        Store.PORT,
        "IFLA_BRPORT_COST",
        at=At.AFTER,
        usual=2,
        networkd=ManagerSetting("Bridge", "Cost"),
        networkmanager=ManagerSetting("bridge-port", "path-cost"),
    ),
    Attribute("group_fwd_mask", Mask(0, 0xFFFF, never=0x2), Store.PORT, "IFLA_BRPORT_GROUP_FWD_MASK", at=At.AFTER, initial=0),
    Attribute(
        "backup_port",
        LinkName(empty=True, or_altname=True),
        Store.PORT,
        "IFLA_BRPORT_BACKUP_PORT",
        at=At.AFTER,
        initial="",
        names_link=True,
        check=_check_backup_port,
    ),
    Attribute(
        "stp_state",
        # The kernel passes through the three others by itself; from blocking at once.
        Choice(
            {"disabled": 0, "listening": 1, "learning": 2, "forwarding": 3, "blocking": 4}, settable=("disabled", "forwarding")
        ),
        Store.PORT,
        "IFLA_BRPORT_STATE",
        at=At.AFTER,
        derived=True,
        only_while_up=True,
        check=_check_stp_state,
    ),
)

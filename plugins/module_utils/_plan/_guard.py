# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The guard of the management path: no plan may cut the connection of its task, unless the task allows it. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._macvlan import PASSTHRU, SOURCE
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._routing import REJECTS
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._table import kind_of
from ansible_collections.patchbay.netdev.plugins.module_utils._model._errors import Refused
from ansible_collections.patchbay.netdev.plugins.module_utils._model._ip import DEFAULT, family_of, inside
from ansible_collections.patchbay.netdev.plugins.module_utils._model._ipv6 import IPV6_MINIMUM_MTU
from ansible_collections.patchbay.netdev.plugins.module_utils._model._links import HERE, Link, LinkKey
from ansible_collections.patchbay.netdev.plugins.module_utils._model._routing import Route, RouteKey, RulePriority, is_default
from ansible_collections.patchbay.netdev.plugins.module_utils._model._state import Connection, State
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._links import Rename
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._operation import Operation
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._prediction import predicted_changes

# A host asks for TCP segments of at least 256 bytes (net.ipv4.route.min_adv_mss), and its link drops what is larger than its MTU.
IPV4_MINIMUM_MTU = 296
_NO_ARP_REPLIES = 8  # net.ipv4.conf.LINK.arp_ignore: no reply for any address


def check_lockout(operations: Iterable[Operation], state: State, connection: Connection) -> None:
    """Raise Refused for the first operation that would cut the management path.

    state: the one that the operations start from, with the links of the connection, and with addresses, routes and rules
    of the namespace that the task runs in.
    """
    path = _management_path(state, connection)
    state = state.copy()
    return_path = _return_path(state, connection)
    cut: tuple[Operation, str] | None = None
    for operation in operations:
        changes = predicted_changes(operation, state)
        for key, after in changes.items():
            if not isinstance(key, LinkKey) or isinstance(operation, Rename):
                continue
            reason = _reason_of_link(key, state.get(key), after, path) or _reason_of_port(key, state, after, path)
            if reason:
                raise _lockout(operation, reason, path.links, connection)
        state.update(changes)
        if any(isinstance(key, (RouteKey, RulePriority)) or after != state.get(key) for key, after in changes.items()):
            reason = _reason_of_routing(return_path, _return_path(state, connection), connection)
            cut = (cut or (operation, reason)) if reason else None  # a cut that a later operation repairs does no harm
    if cut is not None:
        raise _lockout(*cut, path.links, connection)


def _lockout(operation: Operation, reason: str, path: frozenset[LinkKey], connection: Connection) -> Refused:
    links = ", ".join(str(key) for key in sorted(path))
    return Refused(
        f"{operation}: this would cut the management path: {reason}, and {connection.description} uses {links}. "
        "Set allow_lockout: true to do it anyway"
    )


# --- the links of the management path ---


@dataclass(frozen=True)
class ManagementPath:
    """The links that the connection uses.

    links: all of them. ends: those with the addresses. inner, outer: ports of bridges, towards the ends and towards the wire.
    """

    links: frozenset[LinkKey]
    ends: frozenset[LinkKey]
    inner: frozenset[LinkKey]
    outer: frozenset[LinkKey]
    ipv6: bool


def _management_path(state: State, connection: Connection) -> ManagementPath:
    below = _reachable(state, connection.links, _links_below)
    inner: set[LinkKey] = set()
    outer: set[LinkKey] = set()
    for bridge in (key for key in below if _is_bridge(state.get(key))):
        ports = state.attached_to(bridge)
        inner |= {port.key for port in ports if port.key in below}
        others = {port.key: _guest_likelihood(port, state) for port in ports if port.key not in below}
        # Only the forwarding table tells which port is used, and only for a while: a network card rather than a guest's port.
        outer |= {port for port, likelihood in others.items() if likelihood == min(others.values())}
    links = management_links(state, connection.links)
    return ManagementPath(links, frozenset(connection.links), frozenset(inner), frozenset(outer), connection.ipv6)


def management_links(state: State, ends: Iterable[LinkKey]) -> frozenset[LinkKey]:
    """The links that a connection over these ends depends on: lower devices, peers, bridges and all their ports."""

    def neighbors(link: Link) -> Iterator[LinkKey]:
        yield from _links_below(link)
        yield from (port.key for port in state.attached_to(link.key))
        yield from (upper.key for upper in state.links_on(link.key) if _is_passthru(upper))  # all frames pass through it

    return _reachable(state, ends, neighbors)


def _links_below(link: Link) -> Iterator[LinkKey]:
    yield from (key for key in (link.lower_device, link.peer) if key is not None)
    if link.controller:
        yield LinkKey(link.key.netns, link.controller)


def _reachable(state: State, ends: Iterable[LinkKey], neighbors: Callable[[Link], Iterable[LinkKey]]) -> frozenset[LinkKey]:
    reached: set[LinkKey] = set()
    pending = list(ends)
    while pending:
        key = pending.pop()
        link = state.get(key)
        if link is not None and key not in reached:
            reached.add(key)
            pending += neighbors(link)
    return frozenset(reached)


_KINDS_OF_GUESTS = ("veth", "tun")  # containers have the one, virtual machines the other


def _guest_likelihood(port: Link, state: State) -> int:
    """How likely it is that a port leads to a guest of this machine, and not to the wire."""
    if port.kind not in _KINDS_OF_GUESTS:
        return 0
    return 1 if kind_of(port.kind).has_peer and state.get(port.peer) is None else 2


def _is_bridge(link: Link | None) -> bool:
    return link is not None and kind_of(link.kind).has_ports


# --- the return path: routes and rules ---


@dataclass(frozen=True)
class ReturnPath:
    """How packets return to the controller of the task.

    has_address: whether the host has the address that the task connected to. routes: the route that the packets take, or,
    where the controller is not known, all default routes.
    """

    has_address: bool
    routes: tuple[Route, ...]


def _return_path(state: State, connection: Connection) -> ReturnPath:
    if connection.client is None or connection.server is None:
        return ReturnPath(True, tuple(route for routes in state.routes.values() for route in routes if is_default(route)))
    route = route_towards(state, connection.client, connection.server)
    return ReturnPath(bool(state.links_with_ip(HERE, connection.server)), (route,) if route else ())


def _reason_of_routing(before: ReturnPath, after: ReturnPath, connection: Connection) -> str:
    """How the return path is cut; empty when it is not."""
    if before.has_address and not after.has_address:
        return f"the address {connection.server} of this host is removed"
    towards = f"the route to {connection.client}" if connection.client else "the default route"
    if before.routes and not after.routes:
        return f"{towards} is removed"
    for old, new in zip(before.routes, after.routes) if connection.client else ():
        if (old.link, old.get("gateway")) != (new.link, new.get("gateway")):
            return f"{towards} changes its next hop"
    return ""


def route_towards(state: State, ip: str, source: str) -> Route | None:
    """The route that a packet takes from an address of this host to another host; None when there is none.

    As in the kernel, the rules are tried in the order of their priorities, and in each table the longest prefix counts. Rules
    that select by mark, port, protocol, user or incoming link never match, because these are not known here.
    """
    candidates = list(state.routes_matching(HERE, ip))
    rules = [rule for key, same in state.rules.items() if (key.netns, key.family) == (HERE, family_of(ip)) for rule in same]
    for rule in sorted(rules, key=lambda rule: rule.key.priority):
        if set(rule.attributes) - {"from", "to", "action", "table", "suppress_prefix_length"}:
            continue
        if not inside(source, rule.text("from") or DEFAULT[rule.key.family]):
            continue
        if not inside(ip, rule.text("to") or DEFAULT[rule.key.family]):
            continue
        if rule.get("action") in REJECTS:
            return None
        suppressed = rule.number("suppress_prefix_length")
        route = next((route for route in candidates if route.key.table == rule.get("table")), None)
        if route is None or route.get("type") == "throw":
            continue
        if suppressed is not None and int(route.key.destination.partition("/")[2]) <= suppressed:
            continue
        return None if route.get("type") in REJECTS else route
    return None


# --- why a change cuts the path ---


def _reason_of_link(key: LinkKey, before: Link | None, after: Link | None, path: ManagementPath) -> str:
    """How the change of a link cuts the path; empty when it does not."""
    if key in path.links and before is not None:
        if after is None:
            return f"{key} is deleted"
        if before.admin_state != "down" and after.admin_state == "down":
            return f"{key} goes down"
        if after.address and before.address and after.address != before.address:
            return f"the MAC of {key} changes"
        if before.controller != after.controller:
            return f"{key} is {'attached to ' + after.controller if after.controller else 'detached'}"
        minimum = IPV6_MINIMUM_MTU if path.ipv6 else IPV4_MINIMUM_MTU
        if (after.mtu or minimum) < minimum and before.mtu != after.mtu:
            return f"an MTU of {after.mtu} on {key} is too small for {'IPv6' if path.ipv6 else 'IPv4'}"
        if key in path.ends and path.ipv6 and _becomes(before, after, "ipv6.disable_ipv6", 1):
            return f"{key} loses its IPv6 addresses"
        if key in path.ends and not path.ipv6 and _becomes(before, after, "ipv4.arp_ignore", _NO_ARP_REPLIES):
            return f"{key} no longer answers ARP requests"
    if after is None or after.lower_device not in path.links:
        return ""
    lower = after.lower_device
    if _is_passthru(after) and not (before is not None and _is_passthru(before)):
        return f"mode passthru takes over {lower}"
    same = before is not None and _takes_frames(before) and before.get("source_addresses") == after.get("source_addresses")
    if _takes_frames(after) and not same:
        return f"nodst takes frames away from {lower}"
    return ""


def _reason_of_port(key: LinkKey, state: State, after: Link | None, path: ManagementPath) -> str:
    """How a setting of a bridge port cuts the path; empty when it does not."""
    before = state.get(key)
    if key not in path.inner | path.outer or before is None or after is None or not after.controller:
        return ""
    stp_state = after.get("stp_state")
    if stp_state not in (None, "forwarding") and before.get("stp_state") in (None, "forwarding"):
        return f"{key} forwards nothing in stp_state {stp_state}"
    if after.get("locked") and not before.get("locked"):
        return f"locked port {key} drops frames from senders that the bridge does not know"
    if after.get("isolated") and not before.get("isolated"):
        others = path.outer if key in path.inner else path.inner
        ports = state.attached_to(LinkKey(key.netns, after.controller or ""))
        isolated = sorted(port.key for port in ports if port.get("isolated") and port.key in others and port.key != key)
        if isolated:
            return f"{key} is isolated, and so is {isolated[0]}"
    if key in path.outer and after.get("hairpin") and not before.get("hairpin"):
        return f"with hairpin, {key} reflects frames, so that the switch outside learns their senders at the wrong port"
    if key in path.outer and _receives_nothing(after) and not _receives_nothing(before):
        return f"without learning and unicast_flood, the bridge sends nothing out of {key}"
    return ""


def _becomes(before: Link, after: Link, setting: str, value: int) -> bool:
    """Whether a change gives a setting this value."""
    return after.sysctls.get(setting) == value != before.sysctls.get(setting)


def _receives_nothing(port: Link) -> bool:
    """Whether the bridge neither learns addresses behind the port nor floods it with frames for unknown addresses."""
    return port.get("learning") is False and port.get("unicast_flood") is False


def _is_passthru(link: Link) -> bool:
    return bool(link.mode == PASSTHRU)


def _takes_frames(link: Link) -> bool:
    return bool(link.mode == SOURCE and link.get("nodst"))

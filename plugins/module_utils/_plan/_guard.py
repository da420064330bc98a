# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The guard of the management path: no plan may cut the connection that it came by, unless that is asked for. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._macvlan import PASSTHRU, SOURCE
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._routing import REJECTS
from ansible_collections.patchbay.netdev.plugins.module_utils._model._errors import Refused
from ansible_collections.patchbay.netdev.plugins.module_utils._model._ip import DEFAULT, family_of, inside
from ansible_collections.patchbay.netdev.plugins.module_utils._model._links import HERE, Link, LinkKey
from ansible_collections.patchbay.netdev.plugins.module_utils._model._routing import Route, RouteKey, RuleKey, is_default
from ansible_collections.patchbay.netdev.plugins.module_utils._model._state import Connection, State
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._ipv6 import IPV6_MINIMUM_MTU
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._links import Rename
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._operation import Operation
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._prediction import predicted_changes

# Whatever its MTU, a host asks for segments of at least 256 bytes (net.ipv4.route.min_adv_mss), and its link drops what comes.
IPV4_MINIMUM_MTU = 296
_NO_ARP = 8  # net.ipv4.conf.LINK.arp_ignore: no answer for any address


def management_path(state: State, links: Iterable[LinkKey]) -> frozenset[LinkKey]:
    """The links that carry the connection, with all that they hang on: lower devices, bridges and their ports, other ends."""
    found: set[LinkKey] = set()
    left = list(links)
    while left:
        key = left.pop()
        link = state.get(key)
        if link is None or key in found:
            continue
        found.add(key)
        left += [other for other in (link.get("lower_device"), link.get("peer")) if other is not None]
        if link.get("controller"):
            left.append(LinkKey(key.netns, link.get("controller")))
        left += [port.key for port in state.attached(key)]
        left += [upper.key for upper in state.above(key) if _takes_over(upper)]  # what comes in, comes through it
    return frozenset(found)


@dataclass(frozen=True)
class _Path:
    """links: all of it. ends: those with the addresses. inner, outer: ports of bridges towards these, and towards the wire."""

    links: frozenset[LinkKey]
    ends: frozenset[LinkKey]
    inner: frozenset[LinkKey]
    outer: frozenset[LinkKey]
    ipv6: bool


def _path(state: State, connection: Connection) -> _Path:
    links = management_path(state, connection.links)
    near: set[LinkKey] = set()
    left = list(connection.links)
    while left:
        key = left.pop()
        link = state.get(key)
        if link is None or key in near:
            continue
        near.add(key)
        left += [other for other in (link.get("lower_device"), link.get("peer")) if other is not None]
        if link.get("controller"):
            left.append(LinkKey(key.netns, link.get("controller")))
    inner: set[LinkKey] = set()
    outer: set[LinkKey] = set()
    for bridge in (key for key in near if _is_bridge(state.get(key))):
        ports = state.attached(bridge)
        inner |= {port.key for port in ports if port.key in near}
        others = {port.key: _likely_guest(port, state) for port in ports if port.key not in near}
        # Which one carries it, the forwarding table knows, and only while it does: a card does rather than the port of a guest.
        outer |= {port for port, likely in others.items() if likely == min(others.values())}
    return _Path(links, frozenset(connection.links), frozenset(inner), frozenset(outer), connection.ipv6)


def check_lockout(operations: Iterable[Operation], around: State, connection: Connection) -> None:
    """Raise Refused with a sentence that names the path if an operation would cut it.

    around: the state that the operations start from, with the links of the connection, and with addresses, routes and rules
    of the namespace that the task runs in.
    """
    path = _path(around, connection)
    state = around.copy()
    way = _way(around, connection)
    cut: tuple[Operation, str] | None = None
    for operation in operations:
        changes = predicted_changes(operation, state)
        for key, after in changes.items():
            if not isinstance(key, LinkKey) or isinstance(operation, Rename):
                continue
            why = _cuts(key, state.get(key), after, path) or _cuts_at_port(key, state, after, path)
            if why:
                raise _lockout(operation, why, path.links, connection)
        state.update(changes)
        if any(isinstance(key, (RouteKey, RuleKey)) or after != around.get(key) for key, after in changes.items()):
            why = _leads_elsewhere(way, _way(state, connection), connection)
            cut = (cut or (operation, why)) if why else None  # what is put right later in the plan does no harm
    if cut is not None:
        raise _lockout(*cut, path.links, connection)


def _lockout(operation: Operation, why: str, path: frozenset[LinkKey], connection: Connection) -> Refused:
    by = ", ".join(str(part) for part in sorted(path))
    return Refused(
        f"{operation}: that would cut this host off: {why}, and {connection.said} uses {by}. "
        "Write allow_lockout: true if that is meant"
    )


@dataclass(frozen=True)
class _Way:
    """How packets go back to where the task came from: our address is there, and the route that they take (or the defaults)."""

    address: bool
    routes: tuple[Route, ...]


def _way(state: State, connection: Connection) -> _Way:
    if connection.client is None or connection.server is None:
        return _Way(True, tuple(route for some in state.routes.values() for route in some if is_default(route)))
    route = route_towards(state, connection.client, connection.server)
    return _Way(bool(state.holders(HERE, connection.server)), (route,) if route else ())


def _leads_elsewhere(before: _Way, after: _Way, connection: Connection) -> str:
    """How the way back changed for the worse; empty when it did not."""
    if before.address and not after.address:
        return f"its address {connection.server} goes"
    towards = f"the route to {connection.client}" if connection.client else "the default route"
    if before.routes and not after.routes:
        return f"{towards} goes"
    for old, new in zip(before.routes, after.routes) if connection.client else ():
        if (old.link, old.get("gateway")) != (new.link, new.get("gateway")):
            return f"{towards} leads elsewhere"
    return ""


def route_towards(state: State, ip: str, source: str) -> Route | None:
    """The route that a packet from one of our addresses to another host takes; None when it takes none.

    The rules are asked in their order, and of each table the longest prefix, as the kernel does. Rules for marks, ports,
    protocols, users and incoming links do not fit: who asks knows nothing of them.
    """
    ways = list(state.routes_towards(HERE, ip))
    rules = [rule for key, some in state.rules.items() if (key.netns, key.family) == (HERE, family_of(ip)) for rule in some]
    for rule in sorted(rules, key=lambda one: one.key.priority):
        if set(rule.attributes) - {"from", "to", "action", "table", "suppress_prefix_length"}:
            continue
        if not inside(source, rule.get("from") or DEFAULT[rule.key.family]):
            continue
        if not inside(ip, rule.get("to") or DEFAULT[rule.key.family]):
            continue
        if rule.get("action") in REJECTS:
            return None
        least = rule.get("suppress_prefix_length")
        found = next((way for way in ways if way.key.table == rule.get("table")), None)
        if found is None or found.get("type") == "throw":
            continue
        if least is not None and int(found.key.destination.partition("/")[2]) <= least:
            continue
        return None if found.get("type") in REJECTS else found
    return None


def _cuts(key: LinkKey, before: Link | None, after: Link | None, path: _Path) -> str:
    """How the change of one link cuts the path; empty when it does not."""
    if key in path.links and before is not None:
        if after is None:
            return f"{key} goes"
        if before.get("admin_state") != "down" and after.get("admin_state") == "down":
            return f"{key} goes down"
        if after.get("address") and before.get("address") and after.get("address") != before.get("address"):
            return f"the MAC of {key} changes"
        if before.get("controller") != after.get("controller"):
            return f"{key} is {'attached to ' + after.get('controller') if after.get('controller') else 'detached'}"
        least = IPV6_MINIMUM_MTU if path.ipv6 else IPV4_MINIMUM_MTU
        if (after.get("mtu") or least) < least and before.get("mtu") != after.get("mtu"):
            return f"an MTU of {after.get('mtu')} on {key} is too small for {'IPv6' if path.ipv6 else 'it'}"
        if key in path.ends and path.ipv6 and _turns(before, after, "ipv6.disable_ipv6", 1):
            return f"{key} loses its IPv6 addresses"
        if key in path.ends and not path.ipv6 and _turns(before, after, "ipv4.arp_ignore", _NO_ARP):
            return f"{key} answers nobody who asks for its MAC"
    if after is None or after.get("lower_device") not in path.links:
        return ""
    lower = after.get("lower_device")
    if _takes_over(after) and not (before is not None and _takes_over(before)):
        return f"in mode passthru it takes {lower} over"
    consumed = before is not None and _consumes(before) and before.get("source_addresses") == after.get("source_addresses")
    if _consumes(after) and not consumed:
        return f"with nodst it takes frames away from {lower}"
    return ""


def _cuts_at_port(key: LinkKey, state: State, after: Link | None, path: _Path) -> str:
    """How a setting of a port of a bridge cuts the path; empty when it does not."""
    before = state.get(key)
    if key not in path.inner | path.outer or before is None or after is None or not after.get("controller"):
        return ""
    stp_state = after.get("stp_state")
    if stp_state not in (None, "forwarding") and before.get("stp_state") in (None, "forwarding"):
        return f"in the state {stp_state} nothing passes {key}"
    if after.get("locked") and not before.get("locked"):
        return f"locked, {key} drops what comes from senders that the bridge does not know"
    if after.get("isolated") and not before.get("isolated"):
        others = path.outer if key in path.inner else path.inner
        apart = [port.key for port in state.attached(LinkKey(key.netns, after.get("controller"))) if port.get("isolated")]
        there = sorted(other for other in apart if other in others and other != key)
        if there:
            return f"{key} is isolated, and so is {there[0]}"
    if key in path.outer and after.get("hairpin") and not before.get("hairpin"):
        return f"with hairpin, {key} sends back what it receives, and a switch takes it for the sender"
    if key in path.outer and _finds_nobody(after) and not _finds_nobody(before):
        return f"without learning and unicast_flood, nothing leaves by {key}"
    return ""


def _likely_guest(port: Link, state: State) -> int:
    """How likely a port leads to somebody on this machine and not to the wire."""
    if port.kind not in ("veth", "tun"):
        return 0
    return 1 if port.kind == "veth" and state.get(port.get("peer")) is None else 2


def _is_bridge(link: Link | None) -> bool:
    return link is not None and link.kind == "bridge"


def _turns(before: Link, after: Link, setting: str, value: int) -> bool:
    """Whether a setting comes to have this value."""
    return (after.get("sysctls") or {}).get(setting) == value != (before.get("sysctls") or {}).get(setting)


def _finds_nobody(port: Link) -> bool:
    """The bridge neither remembers who is behind the port nor sends it what is for somebody unknown."""
    return port.get("learning") is False and port.get("unicast_flood") is False


def _takes_over(link: Link) -> bool:
    return bool(link.get("mode") == PASSTHRU)


def _consumes(link: Link) -> bool:
    return bool(link.get("mode") == SOURCE and link.get("nodst"))

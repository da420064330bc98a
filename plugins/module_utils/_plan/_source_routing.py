# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Planning of links with a routing table of their own, for static addresses and leases alike. Pure.

The table holds the networks of the addresses, the routes out of them and, last, an unreachable default: while the link is down,
packets from its addresses are rejected instead of leaving by another link. Rules look the table up for packets from the addresses
and from sockets that are bound to the link.

The kernel says which table a link has: a rule for the link looks up a table that ends in that unreachable default. So an earlier
table is found and removed without any record of it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace

from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._routing import REJECTS
from ansible_collections.patchbay.netdev.plugins.module_utils._model._clients import Client, ClientKey, Dhcp4
from ansible_collections.patchbay.netdev.plugins.module_utils._model._desired import (
    Desired,
    DesiredKey,
    DesiredLink,
    DesiredRoute,
    DesiredRule,
)
from ansible_collections.patchbay.netdev.plugins.module_utils._model._errors import InvalidValue, Refused
from ansible_collections.patchbay.netdev.plugins.module_utils._model._ip import (
    BITS,
    DEFAULT,
    family_of,
    inside,
    is_link_local,
    network,
)
from ansible_collections.patchbay.netdev.plugins.module_utils._model._lease import ON_LINK, Lease
from ansible_collections.patchbay.netdev.plugins.module_utils._model._links import Address, LinkKey, NetnsKey
from ansible_collections.patchbay.netdev.plugins.module_utils._model._routing import (
    LOOKUP,
    MAIN_TABLE,
    RTPROT_STATIC,
    Route,
    RouteKey,
    RuleKey,
    RulePriority,
)
from ansible_collections.patchbay.netdev.plugins.module_utils._model._source_routing import LAST_METRIC, SourceRouting
from ansible_collections.patchbay.netdev.plugins.module_utils._model._state import State
from ansible_collections.patchbay.netdev.plugins.module_utils._plan._dhcp import client_options, current_lease
from ansible_collections.patchbay.netdev.plugins.module_utils._values._addresses import (
    NOPREFIXROUTE,
    STATIC,
    connected,
    owner,
)
from ansible_collections.patchbay.netdev.plugins.module_utils._values._dhcp4 import NETWORKD

Routing = dict[DesiredKey, "DesiredRoute | DesiredRule"]
_USUAL_METRIC = {4: 0, 6: 1024}  # where no metric is set


# --- what a link needs ---


def source_routing_of(
    link: LinkKey,
    routing: SourceRouting | None,
    addresses: Iterable[Address],
    options: Dhcp4 | None = None,
    lease: Lease | None = None,
) -> Routing:
    """The routes and rules of a link with these static addresses.

    options: of its DHCP client, None without one; lease: None before there is one.
    """
    if routing is None or routing.table is None:
        if options is None or lease is None or not options.use_main_table:
            return {}
        return _by_key(_lease_routes(link, MAIN_TABLE, options, lease, has_default=True))
    table = routing.table
    addresses = [address for address in addresses if not is_link_local(address.ip)]
    reachable = [destination for destination, _address in _networks(addresses)]
    reachable += [network(lease.ip, lease.prefix_length)] if lease else []
    reachable += [route.destination for route in routing.routes if not route.attributes.get("gateway")]

    def attributes_towards(gateway: str) -> dict[str, object] | None:
        """How a route reaches its gateway; None before the lease that brings the network of the gateway."""
        if is_link_local(gateway) or any(inside(gateway, destination) for destination in reachable):
            return {}
        if options is not None and family_of(gateway) == 4:
            return None if lease is None else {"onlink": True}
        if any(address.family == family_of(gateway) for address in addresses):
            raise Refused(
                f"{link}: source_routing: gateway {gateway} is in no network of the link. Correct it, or set the default route "
                "in routes, with onlink: true"
            )
        return {}

    def routes() -> Iterator[DesiredRoute]:
        for route in routing.routes:
            gateway = route.text("gateway")
            gateway_attributes = attributes_towards(gateway) if gateway and not route.attributes.get("onlink") else {}
            link_attribute = {} if route.attributes.get("type") in REJECTS else {"link": link.name}
            if gateway_attributes is not None:
                attributes = {**link_attribute, **gateway_attributes, **route.attributes}
                yield _route(link, table, route.family, route.destination, route.metric, **attributes)
        for destination, address in _networks(addresses):
            yield _route(link, table, address.family, destination, None, link=link.name, source=address.ip)
        for gateway in routing.gateways:
            gateway_attributes = attributes_towards(gateway)
            if gateway_attributes is not None:
                family = family_of(gateway)
                yield _route(link, table, family, DEFAULT[family], None, gateway=gateway, link=link.name, **gateway_attributes)
        if options is not None and lease is not None:
            has_default = not any(family_of(gateway) == 4 for gateway in routing.gateways)
            yield from _lease_routes(link, table, options, lease, has_default)
        for family in families:
            yield _route(link, table, family, DEFAULT[family], LAST_METRIC, type="unreachable")

    def rules() -> Iterator[DesiredRule]:
        for family in families:
            yield _rule(link, routing, family, "oif", link.name)
        for ip in dict.fromkeys([*(address.ip for address in addresses), *([lease.ip] if lease else [])]):
            yield _rule(link, routing, family_of(ip), "from", f"{ip}/{BITS[family_of(ip)]}")

    families = sorted(
        {address.family for address in addresses}
        | {family_of(gateway) for gateway in routing.gateways}
        | {route.family for route in routing.routes}
        | ({4} if options is not None else set())
    )
    return _by_key([*routes(), *rules()])


def _networks(addresses: Iterable[Address]) -> Iterator[tuple[str, Address]]:
    """(network, address) of the addresses that are in one."""
    without_flag = tuple(replace(address, flags=address.flags & ~NOPREFIXROUTE) for address in addresses)
    for destination, address in connected(without_flag):
        if address.peer_ip or address.prefix_length < BITS[address.family]:
            yield destination, address


def _lease_routes(link: LinkKey, table: int | str, options: Dhcp4, lease: Lease, has_default: bool) -> Iterator[DesiredRoute]:
    """The routes of a lease: its network, then those that the server names. has_default: with the default route."""
    if options.client == NETWORKD:  # which adds them itself
        return
    reachable = [network(lease.ip, lease.prefix_length)]
    server_routes = lease.effective_routes if options.use_routes else ()
    reachable += [destination for destination, gateway in server_routes if gateway == ON_LINK]
    common = {"link": link.name, "source": lease.ip}
    for destination in reachable:
        yield _route(link, table, 4, destination, options.metric, **common)
    for destination, gateway in server_routes:
        if gateway == ON_LINK or (destination == DEFAULT[4] and not has_default):
            continue
        onlink = {} if any(inside(gateway, destination) for destination in reachable) else {"onlink": True}
        yield _route(link, table, 4, destination, options.metric, gateway=gateway, **common, **onlink)


def _route(
    owner_link: LinkKey, table: int | str, family: int, destination: str, metric: int | None, /, **attributes: object
) -> DesiredRoute:
    key = RouteKey(owner_link.netns, table, family, destination, metric or _USUAL_METRIC[family])
    return DesiredRoute(key, True, attributes, origin=f"{owner_link}: source_routing")


def _rule(link: LinkKey, routing: SourceRouting, family: int, selector: str, value: str) -> DesiredRule:
    key = RuleKey(RulePriority(link.netns, family, routing.rule_priority), ((selector, value),))
    attributes = {selector: value, "action": LOOKUP, "table": routing.table}
    return DesiredRule(key, True, attributes, origin=f"{link}: source_routing")


def _by_key(items: Iterable[DesiredRoute | DesiredRule]) -> Routing:
    """The first of each key counts: a route that the user sets comes before one that is derived."""
    by_key: Routing = {}
    for item in items:
        by_key.setdefault(item.key, item)
    return by_key


def with_derived_routing(item: Desired) -> Iterator[Desired]:
    """The object; instead of a link with source routing, the link without it, with its routes and rules."""
    routing = item.source_routing if isinstance(item, DesiredLink) else None
    if not isinstance(item, DesiredLink) or routing is None:
        yield item
        return
    addresses = item.addresses
    flagged = {"addresses": _without_prefix_routes(addresses, routing)} if addresses else {}
    yield replace(item, attributes={**item.attributes, **flagged}, source_routing=None)
    yield from source_routing_of(item.key, routing, addresses).values()


# --- what it changes ---


def with_source_routing(item: DesiredLink, state: State) -> DesiredLink:
    """The link with what source routing changes of its addresses and its DHCP client."""
    if not item.present or (item.source_routing is None and item.dhcp4 is None):
        return item
    routing, dhcp4, client = item.source_routing, item.dhcp4, state.clients.get(ClientKey(item.key))
    if dhcp4 is None and routing is not None and client is not None:
        dhcp4 = client.options
    if dhcp4 is not None and dhcp4.enabled:
        known = client.options.source_routing if client is not None else None
        dhcp4 = replace(dhcp4, source_routing=known if routing is None else None if routing.table is None else routing)
    return replace(item, dhcp4=dhcp4, attributes={**item.attributes, **_flagged_addresses(item, state)})


def _flagged_addresses(item: DesiredLink, state: State) -> dict[str, object]:
    """The static addresses, which get no route in the main table unless the user wants one."""
    routing = item.source_routing
    if routing is None:
        return {}
    addresses = _static_addresses(item, state)
    if routing.table is not None and not routing.connected_in_main:
        flagged = list(_without_prefix_routes(addresses, routing))
    elif routing.table is not None or _tables_of(item.key, state):
        written = item.addresses
        flagged = [
            address
            if address in written and address.flags & NOPREFIXROUTE
            else replace(address, flags=address.flags & ~NOPREFIXROUTE, unset=address.unset | NOPREFIXROUTE)
            for address in addresses
        ]
    else:
        return {}
    return {"addresses": tuple(flagged)} if addresses or "addresses" in item.attributes else {}


def _without_prefix_routes(addresses: Iterable[Address], routing: SourceRouting) -> tuple[Address, ...]:
    """The addresses as source routing needs them, where the user sets nothing else for one."""
    if routing.table is None or routing.connected_in_main:
        return tuple(addresses)
    return tuple(
        address if address.unset & NOPREFIXROUTE else replace(address, flags=address.flags | NOPREFIXROUTE)
        for address in addresses
    )


def _static_addresses(item: DesiredLink, state: State) -> tuple[Address, ...]:
    """Those that the task sets, or that the link has where the task sets none."""
    if "addresses" in item.attributes:
        return item.addresses
    link = state.get(item.key)
    return tuple(address for address in (link.addresses if link else ()) if owner(address) == STATIC)


def routing_changes(
    links: Sequence[DesiredLink], removed: Collection[DesiredKey], state: State
) -> list[DesiredRoute | DesiredRule]:
    """The routes and rules that source routing and leases need, and those that they needed earlier, as absent."""
    old: Routing = {}
    new: Routing = {}
    present = {item.key: item for item in links if item.present}
    for item in present.values():
        if item.source_routing is None and item.dhcp4 is None:
            continue
        client, lease = state.clients.get(ClientKey(item.key)), current_lease(item, state)
        addresses = _static_addresses(item, state)
        options = client_options(item)
        options = options if options is not None and options.enabled else None
        routing = item.source_routing
        if routing is None and options is not None:
            routing = options.source_routing
        elif routing is None and client is not None and addresses:  # it ends, and static addresses stay
            routing = client.options.source_routing
        old.update(_routing_of_earlier_leases(client, addresses))
        if item.source_routing is not None:
            tables = _tables_of(item.key, state) | ({item.source_routing.table} - {None})
            old.update(_kernel_routing_of(item.key, tables, state))
        new.update(source_routing_of(item.key, routing, addresses, options, lease))
    for key in removed:
        if isinstance(key, LinkKey):
            old.update(_routing_of_earlier_leases(state.clients.get(ClientKey(key)), ()))
            if NetnsKey(key.netns) not in removed:  # the routes and rules of a namespace are deleted with it
                old.update(_kernel_routing_of(key, _tables_of(key, state), state))
    absent = [replace(item, present=False, attributes=_table_of_rule(item)) for key, item in old.items() if key not in new]
    return [*absent, *_routes_out_of_reach(old, new, state), *new.values()]


def _routes_out_of_reach(old: Routing, new: Routing, state: State) -> Iterator[DesiredRoute]:
    """The routes whose gateway is in no network any more, as absent: they are deleted before the network is, so that a rollback
    restores the network first."""
    networks = [key for key, item in new.items() if isinstance(key, RouteKey) and not item.attributes.get("gateway")]
    for key in old.keys() & new.keys():
        if not isinstance(key, RouteKey):
            continue
        for route in state.routes.get(key, ()):
            gateway = route.gateway
            if gateway == new[key].attributes.get("gateway") or route.get("onlink"):
                continue
            destinations = [
                network_key.destination
                for network_key in networks
                if (network_key.netns, network_key.table) == (key.netns, key.table) and network_key.metric != LAST_METRIC
            ]
            if gateway and not is_link_local(gateway) and not any(inside(gateway, network_) for network_ in destinations):
                yield DesiredRoute(key, False)


def _table_of_rule(item: DesiredRoute | DesiredRule) -> dict[str, object]:
    return {"table": item.attributes["table"]} if isinstance(item, DesiredRule) else {}


def _routing_of_earlier_leases(client: Client | None, addresses: Sequence[Address]) -> Routing:
    routing: Routing = {}
    if client is not None:
        for lease in (*client.former, *((client.lease,) if client.lease else ())):
            routing.update(source_routing_of(client.key.link, client.options.source_routing, addresses, client.options, lease))
    return routing


def _tables_of(link: LinkKey, state: State) -> set[int]:
    """The tables that the kernel has for a link: a rule for it looks up a table that ends in the unreachable default."""
    selectors = (("oif", link.name),)
    tables: set[int | None] = set()
    for at, rules in state.rules.items():
        if at.netns == link.netns:
            tables |= {
                rule.number("table") for rule in rules if rule.protocol == RTPROT_STATIC and rule.key.selectors == selectors
            }
    return {table for table in tables if table is not None and _ends_unreachable(link.netns, table, state)}


def _ends_unreachable(netns: str, table: int, state: State) -> bool:
    keys = [RouteKey(netns, table, family, DEFAULT[family], LAST_METRIC) for family in (4, 6)]
    return any(route.get("type") == "unreachable" for key in keys for route in state.routes.get(key, ()))


def _kernel_routing_of(link: LinkKey, tables: Collection[int | str | None], state: State) -> Routing:
    """The routes and rules in the kernel that belong to these tables of a link; what other programs added stays."""
    if not tables:
        return {}
    routes = [
        DesiredRoute(key, True)
        for key, same in state.routes.items()
        if key.netns == link.netns and key.table in tables and all(_is_own(route, link) for route in same)
    ]
    rules = [
        DesiredRule(rule.key, True, {"table": rule.get("table")})
        for at, same in state.rules.items()
        if at.netns == link.netns
        for rule in same
        if rule.is_representable and rule.protocol == RTPROT_STATIC and rule.get("table") in tables
        if [name for name, _value in rule.key.selectors or ()] in (["oif"], ["from"])
    ]
    return _by_key([*routes, *rules])


def _is_own(route: Route, link: LinkKey) -> bool:
    return route.is_representable and route.protocol == RTPROT_STATIC and (route.link == link or route.get("type") in REJECTS)


def check_tables(links: Sequence[DesiredLink], removed: Collection[DesiredKey], state: State) -> None:
    """Raise InvalidValue where two links would share a table, or one would use a table of the kernel."""
    users: dict[tuple[str, object], LinkKey] = {}
    named = {item.key for item in links}
    for link in state:
        if link.key not in named and link.key not in removed:
            users.update({(link.key.netns, table): link.key for table in _tables_of(link.key, state)})
    for client in state.clients.values():
        routing, link_key = client.options.source_routing, client.key.link
        if routing is not None and link_key not in named and link_key not in removed:
            users[link_key.netns, routing.table] = link_key
    for item in links:
        routing = item.source_routing or (item.dhcp4.source_routing if item.dhcp4 is not None else None)
        if not item.present or routing is None or routing.table is None:
            continue
        other = users.setdefault((item.key.netns, routing.table), item.key)
        if other != item.key:
            raise InvalidValue(
                f"{item.key}: source_routing: table {routing.table} is already the table of {other}. Set another table"
            )

# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role host_consolidation derives from its list of old hosts: the lists of one topology."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.patchbay.netdev.plugins.module_utils._model._errors import InvalidValue
from ansible_collections.patchbay.netdev.plugins.module_utils._model._ip import BITS, family_of, inside, is_link_local, network
from ansible_collections.patchbay.netdev.plugins.module_utils._model._links import Address
from ansible_collections.patchbay.netdev.plugins.module_utils._model._routing import SHARED_TABLES
from ansible_collections.patchbay.netdev.plugins.module_utils._values._addresses import Addresses
from ansible_collections.patchbay.netdev.plugins.module_utils._values._ip import Ip, ip_interface
from ansible_collections.patchbay.netdev.plugins.module_utils._values._mac import Mac

Entries = list[dict[str, Any]]
Interface = tuple[str, int]  # IP address, prefix length

ROUTES = "routes"
VRF = "vrf"
NETNS = "netns"
# Options of an entry that are not options of a macvlan.
ROLE_OPTIONS = ("host", "expected_address", "gateway", "table", "priority", "routes", "services")
# The default table is derived from the last three bytes of the MAC address: it stays the same whatever happens to the list, and
# numbers above FIRST_TABLE are used by no distribution.
FIRST_TABLE = 1 << 24
# Old hosts may share a priority, since each rule names an address or a link. It is above those of the kernel (0, and 1000 for
# VRFs) and below the main table (32766).
DEFAULT_PRIORITY = 2000
SLAAC_LENGTH = 64  # of the network of an address that a host makes from a router advertisement


@dataclass(frozen=True)
class Settings:
    """The variables of the role that hold for all old hosts."""

    isolation: str
    state: str
    sysctls: Mapping[str, int]
    sysctls_afterwards: Mapping[str, int]
    ipv6: bool
    wait: float


@dataclass(frozen=True)
class OldHost:
    """One entry, parsed. gateways: by family; netns: "" for that of the new host."""

    entry: Mapping[str, Any]
    label: str  # how messages name it
    name: str
    netns: str
    is_present: bool
    mac: str
    static: tuple[Address, ...]
    expected: tuple[Interface, ...]
    gateways: Mapping[int, str]
    has_client: bool
    table: int
    priority: int

    @property
    def ips(self) -> list[str]:
        """The IP addresses that are known before the first lease."""
        return list(dict.fromkeys([*(address.ip for address in self.static), *(ip for ip, _length in self.expected)]))

    @property
    def lower_device(self) -> str:
        """Name of its lower device."""
        return str(self.entry.get("lower_device"))

    @property
    def announced(self) -> list[Interface]:
        """The IPv6 addresses that the kernel adds after a router advertisement, so that no option of the link names them."""
        return [(ip, length) for ip, length in self.expected if family_of(ip) == 6]

    @property
    def services(self) -> list[str]:
        """The units that run in its namespace."""
        return [name if "." in name else f"{name}.service" for name in _listed(self.entry.get("services"))]

    def has_address_of(self, family: int) -> bool:
        """Whether it has, or gets, an address of this family."""
        return (
            (family == 4 and self.has_client)
            or any(address.family == family for address in self.static)
            or any(family_of(ip) == family for ip, _length in self.expected)
        )


def consolidation(
    hosts: Sequence[Mapping[str, Any]],
    isolation: str = ROUTES,
    state: str = "present",
    sysctls: Mapping[str, int] | None = None,
    sysctls_afterwards: Mapping[str, int] | None = None,
    ipv6: bool = True,
    wait: float = 30,
) -> dict[str, Any]:
    """The lists of a topology, a summary of each host, and error messages. See consolidation.yml."""
    settings = Settings(isolation, state, sysctls or {}, sysctls_afterwards or {}, ipv6, wait)
    old_hosts: list[OldHost] = []
    problems: list[str] = []
    for position, entry in enumerate(hosts):
        label = f"host_consolidation_hosts[{position}] ({entry.get('name')})"
        try:
            old_hosts.append(_parsed(entry, label, settings))
        except InvalidValue as error:
            problems.append(f"{label}: {error}")
    problems += _collisions(old_hosts, isolation)
    return {
        "problems": problems,
        "topology": {
            "netns": _namespaces(old_hosts),
            "vrf": _vrfs(old_hosts) if isolation == VRF else [],
            "macvlan": [_macvlan(host, settings) for host in old_hosts],
            "link": [*_lower_devices(old_hosts, settings), *_loopbacks(old_hosts)],
            "routes": [route for host in old_hosts for route in _routes_in_namespace(host)] if isolation == NETNS else [],
            "rules": [rule for host in old_hosts for rule in _rules_of_announced(host)] if isolation == ROUTES else [],
        },
        "hosts": [_summary(host) for host in old_hosts],
        "lower_devices": [
            {
                "name": name,
                "addresses": [ip for host in old_hosts if host.is_present and host.lower_device == name for ip in host.ips],
            }
            for name in dict.fromkeys(host.lower_device for host in old_hosts if host.is_present)
        ],
    }


def consolidation_duplicates(claims: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[str]:
    """An error message for each MAC or IP address that two old hosts have. See consolidation_duplicates.yml."""
    owners: dict[tuple[str, str], list[str]] = {}
    for new_host, hosts in claims.items():
        for entry in hosts:
            if entry.get("state") == "absent":
                continue
            owner = f"{entry.get('host')} ({entry.get('name')} on {new_host})"
            for address in _claimed(entry):
                owners.setdefault(address, []).append(owner)
    return [
        f"{description} {value}: assigned to {' and '.join(names)}"
        for (description, value), names in owners.items()
        if len(names) > 1
    ]


def _claimed(entry: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The values that only one old host can have. Invalid values have an error message of their own."""
    try:
        yield "MAC address", Mac().parse(entry.get("address"))
        for address in Addresses().parse(_listed(entry.get("addresses"))):
            yield "IP address", address.ip
        for value in _listed(entry.get("expected_address")):
            yield "IP address", _expected(value)[0]
    except InvalidValue:
        return


def _parsed(entry: Mapping[str, Any], label: str, settings: Settings) -> OldHost:
    static = _option("addresses", Addresses().parse, _listed(entry.get("addresses")))
    gateways: dict[int, str] = {}
    for value in _listed(entry.get("gateway")):
        gateway = _option("gateway", Ip().parse, value)
        if family_of(gateway) in gateways:
            raise InvalidValue(
                f"gateway: {gateways[family_of(gateway)]} and {gateway} belong to the same family. Set one per family"
            )
        gateways[family_of(gateway)] = gateway
    client = entry.get("dhcp4") or {}
    mac = _option("address", Mac().parse, entry.get("address"))
    host = OldHost(
        entry,
        label,
        str(entry.get("name")),
        str(entry.get("netns") or entry.get("host")) if settings.isolation == NETNS else "",
        "absent" not in (settings.state, entry.get("state")),
        mac,
        static,
        tuple(_option("expected_address", _expected, value) for value in _listed(entry.get("expected_address"))),
        gateways,
        bool(client["enabled"]) if "enabled" in client else not any(address.family == 4 for address in static),
        int(entry["table"]) if entry.get("table") is not None else FIRST_TABLE + int(mac.replace(":", "")[6:], 16),
        int(entry["priority"]) if entry.get("priority") is not None else DEFAULT_PRIORITY,
    )
    _check(host, settings.isolation)
    return host


def _option(name: str, parse: Callable[[Any], Any], value: Any) -> Any:
    try:
        return parse(value)
    except InvalidValue as error:
        raise InvalidValue(f"{name}: {error}") from error


def _expected(value: Any) -> Interface:
    """An address whose prefix length may be omitted: that of IPv4 comes with the lease."""
    text = str(value)
    return ip_interface(text if "/" in text else f"{text}/{SLAAC_LENGTH if ':' in text else BITS[4]}")


def _check(host: OldHost, isolation: str) -> None:
    """Raise InvalidValue for options that do not fit together."""
    if host.name == host.lower_device and isolation != NETNS:
        raise InvalidValue("name: the lower device has the same name. Set the name of the new link")
    if host.table in SHARED_TABLES:
        raise InvalidValue(f"table: {host.table} is reserved by the kernel. Set another number, or omit table")
    if "source_routing" in host.entry:
        raise InvalidValue("source_routing: the role sets this option. Set table, priority, gateway and routes instead")
    if any(family_of(ip) == 4 for ip, _length in host.expected) and not host.has_client:
        raise InvalidValue("expected_address: the link has no DHCP client. Move the address to addresses")
    for family, gateway in host.gateways.items():
        if not host.has_address_of(family):
            raise InvalidValue(
                f"gateway: {gateway} is set, but the link has no address of that family. Set addresses or expected_address"
            )
        networks = [network(address.ip, address.prefix_length) for address in host.static if address.family == family]
        reached = is_link_local(gateway) or any(inside(gateway, one) for one in networks)
        if networks and not host.entry.get("routes") and not reached:
            raise InvalidValue(
                f"gateway: {gateway} is not in the network of the addresses ({', '.join(networks)}). "
                "Correct one of them, or set the default route in routes, with onlink: true"
            )
    if isolation == VRF and len(_vrf_of(host).encode()) > 15:
        raise InvalidValue(
            f"name: the VRF would be named {_vrf_of(host)}, which exceeds 15 bytes. Use a name of at most 11 bytes"
        )
    if host.entry.get("controller"):
        raise InvalidValue("controller: the link of an old host cannot be a bridge port. Omit controller")
    if isolation != NETNS:
        for option in ("services", "netns"):
            if host.entry.get(option):
                raise InvalidValue(f"{option}: requires host_consolidation_isolation=netns. Set it, or omit {option}")


_COLLISIONS = {
    "name": "{1}: the name is listed twice. Set another name",
    "MAC address": "{1}: address {2} is also that of {0}. Correct one, or remove one with state: absent in an earlier run",
    "table": "{1}: table {2} is also that of {0}. Set table to another number for one of them",
    "service": "{1}: services: {2} is also listed for {0}. A service runs for one old host: remove it from one of them",
}


def _collisions(hosts: Sequence[OldHost], isolation: str) -> Iterator[str]:
    """An error message for the first thing of a host that another one has already, and that only one can have."""
    owners: dict[tuple[str, Any], OldHost] = {}
    for host in hosts:
        claims: list[tuple[str, Any]] = [("name", (host.netns, host.name)), *(("service", name) for name in host.services)]
        if isolation != NETNS:
            claims += [("MAC address", host.mac), ("table", host.table)]
        for what, value in claims:
            owner = owners.setdefault((what, value), host)
            if owner is not host:
                yield _COLLISIONS[what].format(owner.label, host.label, value)
                break


def _namespaces(hosts: Sequence[OldHost]) -> Entries:
    names = dict.fromkeys(host.netns for host in hosts if host.netns)
    kept = {host.netns for host in hosts if host.is_present}
    return [{"name": name, "state": "present" if name in kept else "absent"} for name in names]


def _loopbacks(hosts: Sequence[OldHost]) -> Entries:
    names = dict.fromkeys(host.netns for host in hosts if host.netns and host.is_present)
    return [{"name": "lo", "netns": name, "admin_state": "up"} for name in names]


def _vrf_of(host: OldHost) -> str:
    return f"vrf-{host.name}"


def _vrfs(hosts: Sequence[OldHost]) -> Entries:
    return [
        {"name": _vrf_of(host), "table": host.table, "admin_state": "up"}
        if host.is_present
        else {"name": _vrf_of(host), "state": "absent"}
        for host in hosts
    ]


def _lower_devices(hosts: Sequence[OldHost], settings: Settings) -> Entries:
    """A link answers ARP for its own addresses only if its lower device does so as well."""
    if settings.isolation == NETNS:  # the addresses are in other namespaces, so the lower device never answers for them
        return []
    kept = {host.lower_device for host in hosts if host.is_present}
    return [
        {"name": name, "sysctls": dict(settings.sysctls)}
        if name in kept
        else {"name": name, "sysctls": dict(settings.sysctls_afterwards), "persist": "none"}
        for name in dict.fromkeys(host.lower_device for host in hosts)
    ]


def _macvlan(host: OldHost, settings: Settings) -> dict[str, Any]:
    netns = {"netns": host.netns} if host.netns else {}
    if not host.is_present:
        return {"name": host.name, **netns, "state": "absent"}
    options = {name: value for name, value in host.entry.items() if name not in ROLE_OPTIONS}
    shares_namespace = settings.isolation != NETNS
    sysctls = {"ipv4.arp_notify": 1, **(settings.sysctls if shares_namespace else {})}
    derived: dict[str, Any] = {"mode": "bridge", "lower_device_state": "up", "announce": True, "admin_state": "up"}
    if settings.ipv6:
        derived["address_generation_mode"] = "eui64"
        sysctls.update({"ipv6.ndisc_notify": 1, "ipv6.use_tempaddr": 0})
        if settings.isolation == ROUTES:  # the new host would use a default route in the main table
            sysctls["ipv6.accept_ra_defrtr"] = 0
    if settings.wait and any(address.family == 6 for address in host.static):
        derived["wait_dad"] = settings.wait
    if settings.isolation == VRF:
        derived["controller"] = _vrf_of(host)
    if shares_namespace:
        derived["source_routing"] = _source_routing(host)
    return {
        **derived,
        **options,
        **netns,
        "addresses": _listed(host.entry.get("addresses")),
        "sysctls": {**sysctls, **(options.get("sysctls") or {})},
        "dhcp4": _client(host, settings),
    }


def _client(host: OldHost, settings: Settings) -> dict[str, Any]:
    if not host.has_client:
        return {"enabled": False}
    derived: dict[str, Any] = {"hostname": host.entry.get("host")}
    if settings.wait:
        derived["wait"] = settings.wait
    if settings.isolation == NETNS:
        derived.update(use_main_table=True, use_routes=4 not in host.gateways)
    derived.update(host.entry.get("dhcp4") or {})
    return {name: value for name, value in derived.items() if value not in (None, "")}


def _source_routing(host: OldHost) -> dict[str, Any]:
    suboptions: dict[str, Any] = {"table": str(host.table), "rule_priority": host.priority}
    if host.gateways:
        suboptions["gateway"] = list(host.gateways.values())
    announced = dict.fromkeys(network(ip, length) for ip, length in host.announced)
    routes = [{"destination": destination} for destination in announced]
    routes += [dict(route) for route in _listed(host.entry.get("routes"))]
    return {**suboptions, "routes": routes} if routes else suboptions


def _rules_of_announced(host: OldHost) -> Entries:
    """The rules for addresses that the kernel adds, because these are not among the addresses of the link."""
    state = {} if host.is_present else {"state": "absent"}
    return [{"from": ip, "table": str(host.table), "priority": host.priority, **state} for ip, _length in host.announced]


def _routes_in_namespace(host: OldHost) -> Iterator[dict[str, Any]]:
    """The routes in the main table of the namespace of an old host, which are deleted with the namespace."""
    if not host.is_present:
        return
    for family in (4, 6):
        common = {"netns": host.netns, "family": f"ipv{family}", "link": host.name}
        # The address is added after the route.
        onlink = {"onlink": True} if family == 4 and host.has_client else {}
        if family in host.gateways:
            yield {**common, "destination": "default", "gateway": host.gateways[family], **onlink}
        for route in _listed(host.entry.get("routes")):
            if family_of(f"{route.get('destination', '')}{route.get('gateway', '')}") == family:
                yield {**common, **(onlink if route.get("gateway") else {}), **route, "netns": host.netns}


def _summary(host: OldHost) -> dict[str, Any]:
    return {
        "host": host.entry.get("host"),
        "name": host.name,
        "netns": host.netns or None,
        "lower_device": host.lower_device,
        "address": host.mac,
        "present": host.is_present,
        "dhcp": host.has_client,
        "expected_lease": next((ip for ip, _length in host.expected if family_of(ip) == 4), None),
        "addresses": host.ips,
        "announced": [ip for ip, _length in host.announced],
        "services": host.services,
    }


def _listed(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, (list, tuple)) else [value]


def checked(filter_: Callable[..., Any]) -> Callable[..., Any]:
    """The filter, which raises AnsibleFilterError for input that is not a list of old hosts."""

    def call(value: Any, *more: Any, **named: Any) -> Any:
        try:
            return filter_(value, *more, **named)
        except (AttributeError, TypeError, ValueError) as error:
            raise AnsibleFilterError(f"{filter_.__name__}: {error}") from error

    return call


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """By name."""
        return {filter_.__name__: checked(filter_) for filter_ in (consolidation, consolidation_duplicates)}

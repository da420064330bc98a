# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role host_consolidation makes of its list of old hosts: the lists of one topology."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Union

from ansible.errors import AnsibleFilterError

Interface = Union[ipaddress.IPv4Interface, ipaddress.IPv6Interface]
Network = Union[ipaddress.IPv4Network, ipaddress.IPv6Network]
Entries = list[dict[str, Any]]

ROUTES = "routes"
VRF = "vrf"
NETNS = "netns"
# Of an entry, what is no option of a macvlan
OWN = ("host", "expected_address", "gateway", "table", "priority", "routes", "services")
LAST_METRIC = 4278198272  # behind every route that anybody makes
# Tables and priorities that nobody wrote come from the last three bytes of the MAC address: they stay the same whatever becomes
# of the list. Tables from here on are nobody's. Rules stand behind those of the kernel (0, 1000), before the main table (32766).
FIRST_TABLE = 1 << 24
FIRST_PRIORITY = 2000
ROOM = 4  # for the rules of one old host
PLACES = 7000
KERNELS_OWN_TABLES = (0, 253, 254, 255)


class _Wrong(Exception):
    """A sentence about an entry."""


@dataclass(frozen=True)
class _Settings:
    isolation: str
    state: str
    sysctls: Mapping[str, int]
    sysctls_afterwards: Mapping[str, int]
    ipv6: bool
    wait: float


@dataclass(frozen=True)
class _OldHost:
    """One entry, understood."""

    entry: Mapping[str, Any]
    name: str
    netns: str
    present: bool
    mac: str
    static: tuple[tuple[Interface, Mapping[str, Any]], ...]  # with what was written of each besides
    expected: tuple[Interface, ...]
    gateways: Mapping[int, str]  # by family
    dhcp: bool
    table: int
    priority: int
    place: Mapping[str, str] = field(default_factory=dict)  # of everything in its namespace

    @property
    def ips(self) -> list[str]:
        """Its addresses, as far as they are known beforehand."""
        return list(dict.fromkeys(str(one.ip) for one in (*(address for address, _more in self.static), *self.expected)))

    @property
    def lower_device(self) -> str:
        """Its name."""
        return str(self.entry.get("lower_device"))

    def of(self, family: int) -> list[Interface]:
        """Those whose routes and rules are known beforehand: a lease brings its own."""
        found = [address for address, _more in self.static if address.version == family]
        return found + [one for one in self.expected if one.version == family and (family == 6 or not self.dhcp)]


def consolidation(
    hosts: Sequence[Mapping[str, Any]],
    isolation: str = ROUTES,
    state: str = "present",
    sysctls: Mapping[str, int] | None = None,
    sysctls_afterwards: Mapping[str, int] | None = None,
    ipv6: bool = True,
    wait: float = 30,
) -> dict[str, Any]:
    """The lists of a topology, the hosts in short, and sentences about what is wrong. See consolidation.yml."""
    settings = _Settings(isolation, state, sysctls or {}, sysctls_afterwards or {}, ipv6, wait)
    found: list[_OldHost] = []
    problems: list[str] = []
    for position, entry in enumerate(hosts):
        try:
            found.append(_understood(entry, settings))
        except _Wrong as error:
            problems.append(f"{entry.get('name') or f'host_consolidation_hosts[{position}]'}: {error}")
    problems += _clashes(found, isolation)
    return {
        "problems": problems,
        "topology": {
            "netns": _namespaces(found),
            "vrf": _vrfs(found) if isolation == VRF else [],
            "macvlan": [_macvlan(one, settings) for one in found],
            "link": [*_lower_devices(found, settings), *_loopbacks(found)],
            "routes": [route for one in found for route in _routes(one, isolation)],
            "rules": [rule for one in found for rule in _rules(one)] if isolation == ROUTES else [],
        },
        "hosts": [_in_short(one) for one in found],
        "lower_devices": [
            {"name": name, "addresses": [ip for one in found if one.present and one.lower_device == name for ip in one.ips]}
            for name in dict.fromkeys(one.lower_device for one in found if one.present)
        ],
    }


def consolidation_duplicates(claims: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[str]:
    """A sentence for each MAC address, and each IP address, that two old hosts have. See consolidation_duplicates.yml."""
    owners: dict[tuple[str, str], list[str]] = {}
    for new_host, hosts in claims.items():
        for entry in hosts:
            if entry.get("state") == "absent":
                continue
            who = f"{entry.get('host')} ({entry.get('name')} on {new_host})"
            for what in _claimed(entry):
                owners.setdefault(what, []).append(who)
    return [f"The {what} {value} is that of {' and of '.join(who)}" for (what, value), who in owners.items() if len(who) > 1]


HEADS = ("old host", "link", "MAC address", "address", "holds for", "who listens")
DOUBTFUL = " (!)"


def consolidation_report(
    hosts: Sequence[Mapping[str, Any]],
    links: Sequence[Mapping[str, Any]],
    listeners: Sequence[Mapping[str, Any]] = (),
    isolation: str = ROUTES,
) -> dict[str, Any]:
    """What came of the old hosts, by what link_info and listener_info found. See consolidation_report.yml."""
    there = {(link["netns"], link["name"]): link for link in links}
    faults, rows, missing = [], [HEADS], 0
    doubtful: dict[str, None] = {}
    for host in hosts:
        link = there.get((host["netns"], host["name"]))
        if not host["present"]:
            continue
        if link is None:
            faults.append(f"{host['name']}: there is no such link. Run the role again")
            continue
        found = {one["ip"].partition("/")[0]: one for one in link["addresses"] if not one["ip"].startswith("fe80:")}
        for ip in host["addresses"]:
            if ip not in found or not found[ip]["settled"]:
                missing += 1
                faults.append(_fault(host, ip, found))
        cells = [(host["host"], _called(host), host["address"]), *[("", "", "")] * (len(found) - 1)]
        for ends, (ip, one) in zip(cells, found.items() or [("none yet", {})]):
            who = _listening(host, ip, listeners, isolation)
            doubtful.update(dict.fromkeys(name for name, is_doubtful in who if is_doubtful))
            names = [name + (DOUBTFUL if is_doubtful else "") for name, is_doubtful in who]
            rows.append((*ends, ip, _until(one), ", ".join(names) or "-"))
    return {"missing": missing, "faults": faults, "table": [*_table(rows), *_advice(doubtful)]}


def _listening(
    host: Mapping[str, Any], ip: str, listeners: Sequence[Mapping[str, Any]], isolation: str
) -> list[tuple[str, bool]]:
    """Who would answer on an address; and whether from another one, as datagrams of a socket that has no address do."""
    family = "ipv6" if ":" in ip else "ipv4"
    links = (host["name"], f"vrf-{host['name']}") if isolation == VRF else (host["name"], None)
    found: dict[tuple[str, bool], None] = {}
    for one in listeners:
        everywhere = one["address"] is None and one["link"] in links
        if one["netns"] == host["netns"] and family in one["families"] and (one["address"] == ip or everywhere):
            name = f"{one['protocol']} {one['port']} {one['process'] or ''}".strip()
            found[name, everywhere and isolation == ROUTES and one["protocol"] == "udp" and one["link"] is None] = None
    return list(found)


def _advice(doubtful: Iterable[str]) -> list[str]:
    names = ", ".join(doubtful)
    if not names:
        return []
    return [
        "",
        f"{DOUBTFUL.strip()} {names}: on all addresses, by UDP. Its answers leave from the new host's own address, not from",
        "    the one that was asked. Bind it to the old address, or write host_consolidation_isolation: netns.",
    ]


def _called(host: Mapping[str, Any]) -> str:
    return f"{host['name']} in {host['netns']}" if host["netns"] else str(host["name"])


def _fault(host: Mapping[str, Any], ip: str, found: Mapping[str, Mapping[str, Any]]) -> str:
    who = f"{host['name']} ({host['host']})"
    if ip in found:
        return f"{who}: another host on the network has {ip} (duplicate address detection). Is the old host off?"
    if ip == host["expected_lease"]:
        leased = [one for one, what in found.items() if what["owner"] == "dhcp" and "." in one]
        return (
            f"{who}: the DHCP server was to lease {ip}, and leased {' '.join(leased) or 'nothing'}. Give {host['address']} its "
            "reservation there, and run the role once with state: absent for it, for the client keeps the lease that it has. "
            "Or write in dhcp4 the client_id that the old host had"
        )
    if ip in host["awaited"]:
        return (
            f"{who}: no router has announced {ip}, or the MAC address {host['address']} makes another one. Write it in addresses"
        )
    return f"{who}: the link has lost {ip}. Run the role again"


def _until(address: Mapping[str, Any]) -> str:
    if not address:
        return "-"
    seconds = address["valid_seconds"]
    return "ever" if seconds is None else f"{seconds} s ({address['owner']})"


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["   ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]


def consolidation_answers(
    hosts: Sequence[Mapping[str, Any]], answers: Sequence[Mapping[str, Any]], moved: bool = False
) -> list[str]:
    """A sentence for each address that is answered by whom it should not be. See consolidation_answers.yml."""
    owners = {ip: host for host in hosts if host["present"] for ip in host["addresses"]}
    return [
        _strange(owners[one["address"]], one["address"], one["macs"], moved)
        for one in answers
        if one["macs"] != ([owners[one["address"]]["address"]] if moved else [])
    ]


def _strange(host: Mapping[str, Any], ip: str, macs: Sequence[str], moved: bool) -> str:
    who = " and ".join(macs) or "nobody"
    if moved:
        return f"{ip} ({host['host']}) is to be answered by {host['address']} alone, and {who} did"
    if host["address"] in macs:
        return f"{host['host']} is not off: {who} answers for {ip} on {host['lower_device']}. Switch it off first"
    return f"{ip}, the address of {host['host']}, is answered by {who} on {host['lower_device']}. Who is that?"


def _claimed(entry: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What is wrong in itself is a problem of its own, with a sentence of its own."""
    try:
        yield "MAC address", _mac(entry.get("address"))
        written = [*_listed(entry.get("addresses")), *_listed(entry.get("expected_address"))]
        for ip in dict.fromkeys(str(_interface("", _ip_of(one)).ip) for one in written):
            yield "address", ip
    except _Wrong:
        return


def _understood(entry: Mapping[str, Any], settings: _Settings) -> _OldHost:
    mac = _mac(entry.get("address"))
    static = tuple((_static(_ip_of(one)), one if isinstance(one, Mapping) else {}) for one in _listed(entry.get("addresses")))
    expected = tuple(_interface("expected_address", one) for one in _listed(entry.get("expected_address")))
    gateways: dict[int, str] = {}
    for one in _listed(entry.get("gateway")):
        gateway = _interface("gateway", one).ip
        if gateway.version in gateways:
            raise _Wrong(f"gateway: {gateways[gateway.version]} and {gateway} are of one family. Write one of each")
        gateways[gateway.version] = str(gateway)
    written = entry.get("dhcp4") or {}
    has_static = any(address.version == 4 for address, _more in static)
    low = int(mac.replace(":", "")[6:], 16)
    isolated = settings.isolation == NETNS
    netns = str(entry.get("netns") or entry.get("host")) if isolated else ""
    one = _OldHost(
        entry,
        str(entry.get("name")),
        netns,
        "absent" not in (settings.state, entry.get("state")),
        mac,
        static,
        expected,
        gateways,
        bool(written["enabled"]) if "enabled" in written else not has_static,
        int(entry["table"]) if entry.get("table") is not None else FIRST_TABLE + low,
        int(entry["priority"]) if entry.get("priority") is not None else FIRST_PRIORITY + ROOM * (low % PLACES),
        {"netns": netns} if isolated else {},
    )
    _check(one, settings.isolation)
    return one


def _check(one: _OldHost, isolation: str) -> None:
    if one.name == one.lower_device and isolation != NETNS:
        raise _Wrong("its lower device has the same name. Write another name: it is that of the new link")
    if one.table in KERNELS_OWN_TABLES:
        raise _Wrong(f"table {one.table} is not the old host's alone. Write another number, or leave it out")
    for name in ("table", "rule_priority"):
        if name in (one.entry.get("dhcp4") or {}):
            raise _Wrong(f"dhcp4: {name} is made by the role. Write {'table' if name == 'table' else 'priority'} beside dhcp4")
    if any(address.version == 4 for address in one.expected) and not one.dhcp:
        raise _Wrong("expected_address is what a DHCP server leases, and there is no DHCP client. Write it in addresses")
    for family, gateway in one.gateways.items():
        if not one.of(family) and not (family == 4 and one.dhcp) and isolation != NETNS:
            raise _Wrong(f"gateway {gateway} is the way for packets from which address? Write addresses or expected_address")
        networks = [address.network for address, _more in one.static if address.version == family]
        if networks and not one.entry.get("routes") and not _reached(gateway, networks):
            raise _Wrong(
                f"gateway {gateway} is not in the network of its addresses ({', '.join(map(str, networks))}). "
                "Correct one of them, or write the router into routes, with onlink: true"
            )
    if isolation == VRF and len(_vrf_of(one).encode()) > 15:
        raise _Wrong(f"the VRF would be called {_vrf_of(one)}, and a link has at most 15 bytes. Write a name of at most 11")
    if isolation != VRF and one.entry.get("controller"):
        raise _Wrong("controller: an old host hangs on no bridge. Leave it out")
    if isolation != NETNS and (one.entry.get("services") or one.entry.get("netns")):
        raise _Wrong("netns and services are for host_consolidation_isolation: netns. Write that, or leave them out")


def _reached(gateway: str, networks: Sequence[Network]) -> bool:
    found = ipaddress.ip_address(gateway)
    return found.is_link_local or any(found in network for network in networks)


_CLASHES = {
    "name": "{1} is there twice in host_consolidation_hosts. Give each link a name of its own",
    "MAC address": "{0} and {1} have the same MAC address {2}. Correct one of them, or take one away in a run before this one",
    "table": "{0} and {1} would both have the table {2}. Write table, another one for each",
    "rule": "{0} and {1} would both have a rule of the priority {2}. Write priority, and leave numbers behind it free",
    "service": "{2} can run for one old host only, and {0} and {1} both have it in services",
}


def _clashes(hosts: Sequence[_OldHost], isolation: str) -> Iterator[str]:
    """A sentence for the first thing of an entry that another one has already, and that only one can have."""
    owners: dict[tuple[str, Any], int] = {}
    for number, one in enumerate(hosts):
        claims: list[tuple[str, Any]] = [("name", (one.netns, one.name)), *(("service", name) for name in _services(one))]
        if isolation != NETNS:
            claims += [("MAC address", one.mac), ("table", one.table)]
            claims += [("rule", one.priority + 1)] if one.dhcp else []
        if isolation == ROUTES:
            claims += [("rule", priority) for priority in sorted({rule["priority"] for rule in _rules(one)})]
        for what, value in claims:
            owner = owners.setdefault((what, value), number)
            if owner != number:
                yield _CLASHES[what].format(hosts[owner].name, one.name, value)
                break


def _namespaces(hosts: Sequence[_OldHost]) -> Entries:
    names = dict.fromkeys(one.netns for one in hosts if one.netns)
    kept = {one.netns for one in hosts if one.present}
    return [{"name": name, "state": "present" if name in kept else "absent"} for name in names]


def _loopbacks(hosts: Sequence[_OldHost]) -> Entries:
    names = dict.fromkeys(one.netns for one in hosts if one.netns and one.present)
    return [{"name": "lo", "netns": name, "admin_state": "up"} for name in names]


def _vrf_of(one: _OldHost) -> str:
    return f"vrf-{one.name}"


def _vrfs(hosts: Sequence[_OldHost]) -> Entries:
    made = {True: {"admin_state": "up"}, False: {"state": "absent"}}
    return [{"name": _vrf_of(one), **({"table": one.table} if one.present else {}), **made[one.present]} for one in hosts]


def _lower_devices(hosts: Sequence[_OldHost], settings: _Settings) -> Entries:
    """A link answers ARP for its own addresses alone only if its lower device does so too: it has the addresses of none."""
    if settings.isolation == NETNS:  # the addresses are in other namespaces, and it never hears of them
        return []
    kept = {one.lower_device for one in hosts if one.present}
    found = []
    for name in dict.fromkeys(one.lower_device for one in hosts):
        if name in kept:
            found.append({"name": name, "sysctls": dict(settings.sysctls)})
        else:
            found.append({"name": name, "sysctls": dict(settings.sysctls_afterwards), "persist": "none"})
    return found


def _macvlan(one: _OldHost, settings: _Settings) -> dict[str, Any]:
    if not one.present:
        return {"name": one.name, **one.place, "state": "absent"}
    own = {name: value for name, value in one.entry.items() if name not in OWN}
    routed = settings.isolation != NETNS
    sysctls = {"ipv4.arp_notify": 1, **(settings.sysctls if routed else {})}
    made: dict[str, Any] = {"mode": "bridge", "lower_device_state": "up", "announce": True, "admin_state": "up"}
    if settings.ipv6:
        made["address_generation_mode"] = "eui64"
        sysctls.update({"ipv6.ndisc_notify": 1, "ipv6.use_tempaddr": 0})
        if settings.isolation == ROUTES:  # a default route in the main table would be the new host's
            sysctls["ipv6.accept_ra_defrtr"] = 0
    if any(address.version == 6 for address, _more in one.static) and settings.wait:
        made["wait_dad"] = settings.wait
    if settings.isolation == VRF:
        made["controller"] = _vrf_of(one)
    return {
        **made,
        **own,
        **one.place,
        "addresses": [_address(address, more, routed) for address, more in one.static],
        "sysctls": {**sysctls, **(own.get("sysctls") or {})},
        "dhcp4": _client(one, settings),
    }


def _address(address: Interface, more: Mapping[str, Any], routed: bool) -> dict[str, Any]:
    """Without a route in the main table, which the new host's own packets to that network could take."""
    return {**({"noprefixroute": True} if routed else {}), **more, "ip": str(address)}


def _client(one: _OldHost, settings: _Settings) -> dict[str, Any]:
    if not one.dhcp:
        return {"enabled": False}
    made: dict[str, Any] = {"hostname": one.entry.get("host"), "use_routes": 4 not in one.gateways}
    if settings.wait:
        made["wait"] = settings.wait
    if settings.isolation == NETNS:
        made["table"] = "main"
    else:
        made.update(table=str(one.table), rule_priority=one.priority + 1)
    made.update(one.entry.get("dhcp4") or {})
    return {name: value for name, value in made.items() if value not in (None, "")}


def _routes(one: _OldHost, isolation: str) -> Iterator[dict[str, Any]]:
    """What the table of an old host holds: its networks, the ways out of them, and an end.

    Without the end, packets would fall through to the main table while the link is down, and leave with another MAC address.
    """
    isolated = isolation == NETNS
    if isolated and not one.present:
        return  # they go with the namespace
    place = {**one.place, **({} if isolated else {"table": str(one.table)}), **({} if one.present else {"state": "absent"})}
    for family in (4, 6):
        own = {**place, "family": f"ipv{family}"}
        networks = [str(address.network) for address in one.of(family) if address.network.num_addresses > 1]
        for network in dict.fromkeys(networks) if not isolated else ():
            yield {**own, "destination": network, "link": one.name}
        # the address comes later than the route
        onlink = {"onlink": True} if family == 4 and one.dhcp else {}
        if family in one.gateways:
            yield {**own, "destination": "default", "gateway": one.gateways[family], "link": one.name, **onlink}
        for route in one.entry.get("routes") or ():
            if (":" in str(route.get("destination", "")) + str(route.get("gateway", ""))) == (family == 6):
                # what was written comes before what the role would say
                yield {**own, "link": one.name, **(onlink if route.get("gateway") else {}), **route, **place}
        if one.of(family) and not isolated:
            yield {**own, "destination": "default", "type": "unreachable", "metric": LAST_METRIC}


def _rules(one: _OldHost) -> Iterator[dict[str, Any]]:
    """By the device that a socket is bound to, and by the address that it has."""
    for family in (4, 6):
        leased = family == 4 and one.dhcp
        if not one.of(family) and not leased:
            continue
        rule = {"family": f"ipv{family}", "table": str(one.table), **({} if one.present else {"state": "absent"})}
        yield {**rule, "oif": one.name, "priority": one.priority}
        for number, address in enumerate(one.of(family), one.priority + (2 if leased else 1)):
            yield {**rule, "from": str(address.ip), "priority": number}


def _in_short(one: _OldHost) -> dict[str, Any]:
    leased = next((str(address.ip) for address in one.expected if address.version == 4), None)
    return {
        "host": one.entry.get("host"),
        "name": one.name,
        "netns": one.netns or None,
        "lower_device": one.lower_device,
        "address": one.mac,
        "present": one.present,
        "dhcp": one.dhcp,
        "expected_lease": leased,
        "addresses": one.ips,
        "awaited": [str(address.ip) for address in one.expected if address.version == 6],
        "services": _services(one),
    }


def _services(one: _OldHost) -> list[str]:
    return [name if "." in name else f"{name}.service" for name in _listed(one.entry.get("services"))]


def _mac(value: Any) -> str:
    digits = re.sub(r"[:.-]", "", value).lower() if isinstance(value, str) else ""
    if not re.fullmatch(r"[0-9a-f]{12}", digits):
        raise _Wrong(f"address {value} is no MAC address such as '00:16:3e:11:11:01'. Write it in quotes")
    return ":".join(digits[place : place + 2] for place in range(0, 12, 2))


def _interface(option: str, value: Any) -> Interface:
    """An address; one of IPv6 that nobody has given a length is in a network of 64 bits."""
    text = str(value)
    try:
        return ipaddress.ip_interface(text if "/" in text or ":" not in text else f"{text}/64")
    except ValueError as error:
        raise _Wrong(f"{option}: {error}. Write an address such as 192.0.2.101/24") from error


def _static(value: Any) -> Interface:
    """An address that says how large its network is."""
    found = _interface("addresses", value)
    if found.version == 4 and "/" not in str(value):
        raise _Wrong(f"addresses: {value} has no prefix length. Write that of the old host's network, such as {value}/24")
    return found


def _ip_of(value: Any) -> Any:
    return value.get("ip") if isinstance(value, Mapping) else value


def _listed(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, (list, tuple)) else [value]


def _checked(filter_: Callable[..., Any]) -> Callable[..., Any]:
    """What is no list of old hosts at all is an error, not a problem."""

    def checked(value: Any, *more: Any, **named: Any) -> Any:
        try:
            return filter_(value, *more, **named)
        except (AttributeError, TypeError, ValueError) as error:
            raise AnsibleFilterError(f"{filter_.__name__}: {error}") from error

    return checked


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """By name."""
        found = (consolidation, consolidation_answers, consolidation_duplicates, consolidation_report)
        return {filter_.__name__: _checked(filter_) for filter_ in found}

# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role host_consolidation reports: whether the old hosts have their addresses, who answers for them, and who listens."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.patchbay.netdev.plugins.filter.consolidation import ROUTES, VRF, checked

HEADER = ("old host", "link", "MAC address", "IP address", "valid for", "listening")
WRONG_SOURCE = " (!)"  # marks a service that replies from another address


def consolidation_report(
    hosts: Sequence[Mapping[str, Any]],
    links: Sequence[Mapping[str, Any]],
    listeners: Sequence[Mapping[str, Any]] = (),
    isolation: str = ROUTES,
) -> dict[str, Any]:
    """The state of the old hosts, as link_info and listener_info found it. See consolidation_report.yml."""
    links_by_key = {(link["netns"], link["name"]): link for link in links}
    faults, rows, missing = [], [HEADER], 0
    marked: dict[str, None] = {}
    for host in hosts:
        link = links_by_key.get((host["netns"], host["name"]))
        if not host["present"]:
            continue
        if link is None:
            faults.append(f"{host['name']}: the link does not exist. Run the role again")
            continue
        addresses = {one["ip"].partition("/")[0]: one for one in link["addresses"] if not one["ip"].startswith("fe80:")}
        for ip in host["addresses"]:
            if ip not in addresses or not addresses[ip]["settled"]:
                missing += 1
                faults.append(_fault(host, ip, addresses))
        first_cells = [(host["host"], _link_name(host), host["address"]), *[("", "", "")] * (len(addresses) - 1)]
        for cells, (ip, address) in zip(first_cells, addresses.items() or [("none yet", {})]):
            services = _services(host, ip, listeners, isolation)
            marked.update(dict.fromkeys(name for name, is_marked in services if is_marked))
            names = [name + (WRONG_SOURCE if is_marked else "") for name, is_marked in services]
            rows.append((*cells, ip, _validity(address), ", ".join(names) or "-"))
    return {"missing": missing, "faults": faults, "table": [*_table(rows), *_advice(marked)]}


def consolidation_answers(
    hosts: Sequence[Mapping[str, Any]], answers: Sequence[Mapping[str, Any]], moved: bool = False
) -> list[str]:
    """An error message for each address with unexpected replies. See consolidation_answers.yml."""
    owners = {ip: host for host in hosts if host["present"] for ip in host["addresses"]}
    return [
        _unexpected_reply(owners[answer["address"]], answer["address"], answer["macs"], moved)
        for answer in answers
        if answer["macs"] != ([owners[answer["address"]]["address"]] if moved else [])
    ]


def _services(host: Mapping[str, Any], ip: str, listeners: Sequence[Mapping[str, Any]], isolation: str) -> list[tuple[str, bool]]:
    """The services that listen on an address, each with whether it replies from another one: a UDP socket without an address
    does."""
    family = "ipv6" if ":" in ip else "ipv4"
    links = (host["name"], f"vrf-{host['name']}") if isolation == VRF else (host["name"], None)
    services: dict[tuple[str, bool], None] = {}
    for listener in listeners:
        wildcard = listener["address"] is None and listener["link"] in links
        if listener["netns"] == host["netns"] and family in listener["families"] and (listener["address"] == ip or wildcard):
            name = f"{listener['protocol']} {listener['port']} {listener['process'] or ''}".strip()
            services[name, wildcard and isolation == ROUTES and listener["protocol"] == "udp" and listener["link"] is None] = None
    return list(services)


def _advice(marked: Iterable[str]) -> list[str]:
    names = ", ".join(marked)
    if not names:
        return []
    return [
        "",
        f"{WRONG_SOURCE.strip()} {names}: UDP on all addresses. The replies leave from the new host's own address instead of",
        "    the requested one. Bind the service to the old address, or set host_consolidation_isolation=netns.",
    ]


def _link_name(host: Mapping[str, Any]) -> str:
    return f"{host['name']} in {host['netns']}" if host["netns"] else str(host["name"])


def _fault(host: Mapping[str, Any], ip: str, addresses: Mapping[str, Mapping[str, Any]]) -> str:
    label = f"{host['name']} ({host['host']})"
    if ip in addresses:
        return (
            f"{label}: duplicate address detection found {ip} on another host. Switch the old host off, then run the role again"
        )
    if ip == host["expected_lease"]:
        leased = [one for one, address in addresses.items() if address["owner"] == "dhcp" and "." in one]
        return (
            f"{label}: the DHCP server leased {' '.join(leased) or 'no address'} instead of {ip}. Reserve {ip} for "
            f"{host['address']} on the server, then run the role once with state: absent for this entry (the client keeps its "
            "lease) and once more with state: present. Or set dhcp4.client_id to the client identifier of the old host"
        )
    if ip in host["announced"]:
        return (
            f"{label}: {ip} was not generated from a router advertisement: either no router announced the network, or the MAC "
            f"address {host['address']} results in another address. Set it in addresses"
        )
    return f"{label}: {ip} is missing on the link. Run the role again"


def _validity(address: Mapping[str, Any]) -> str:
    if not address:
        return "-"
    seconds = address["valid_seconds"]
    return "forever" if seconds is None else f"{seconds} s ({address['owner']})"


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["   ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]


def _unexpected_reply(host: Mapping[str, Any], ip: str, macs: Sequence[str], moved: bool) -> str:
    repliers = " and ".join(macs) or "nobody"
    if moved:
        return f"{ip} ({host['host']}): expected a reply from {host['address']} only, got replies from {repliers}"
    if host["address"] in macs:
        return f"{host['host']} is online: {repliers} replied for {ip} on {host['lower_device']}. Switch it off first"
    return (
        f"{host['host']}: {ip} is in use: unexpected reply from {repliers} on {host['lower_device']}. "
        "Take the address off that machine, or correct host_consolidation_hosts"
    )


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """By name."""
        return {filter_.__name__: checked(filter_) for filter_ in (consolidation_report, consolidation_answers)}

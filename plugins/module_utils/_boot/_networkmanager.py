# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The profiles of NetworkManager that restore links at boot. Pure."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence

from ansible_collections.patchbay.netdev.plugins.module_utils._boot._manager_files import (
    UDEV_STORES,
    ManagedLink,
    Renderer,
    header,
)
from ansible_collections.patchbay.netdev.plugins.module_utils._boot._systemd_files import (
    NETWORKMANAGER,
    networkmanager_literal,
)
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._rows import Store
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._table import LINK
from ansible_collections.patchbay.netdev.plugins.module_utils._model._boot import BootState, File
from ansible_collections.patchbay.netdev.plugins.module_utils._model._desired import Desired, DesiredRoute, DesiredRule
from ansible_collections.patchbay.netdev.plugins.module_utils._model._ip import BITS, DEFAULT, network
from ansible_collections.patchbay.netdev.plugins.module_utils._model._links import Address
from ansible_collections.patchbay.netdev.plugins.module_utils._model._routing import MAIN_TABLE
from ansible_collections.patchbay.netdev.plugins.module_utils._values._addresses import NODAD, NOPREFIXROUTE
from ansible_collections.patchbay.netdev.plugins.module_utils._values._mac import Mac
from ansible_collections.patchbay.netdev.plugins.module_utils._values._numbers import Seconds

# What it sets on a link that has an IPv6 address.
OWN_SYSCTLS = {"ipv6.accept_ra": 0, "ipv6.disable_ipv6": 0, "ipv6.forwarding": 0, "ipv6.use_tempaddr": 0}
FOLDER = "/etc/NetworkManager/system-connections"
PROFILES = "profiles"  # the program that a Reload names to have it read profiles
_UUIDS = uuid.UUID("f6ea44dc-6d3b-5a0f-9a4f-0f4bd5f0a9a1")  # with the name of a link, the same profile each time
_CONTROLLER_KEYS_SINCE = 146
_NETWORK_METRICS = {4: "0", 6: "256"}  # of the routes to the networks of addresses, as the kernel has them
# What it assumes where a key is missing, and so leaves out when it writes a profile itself.
_DEFAULTS = {
    "bridge": {
        "stp": "true",
        "forward-delay": "15",
        "hello-time": "2",
        "max-age": "20",
        "ageing-time": "300",
        "priority": "32768",
        "vlan-filtering": "false",
        "vlan-default-pvid": "1",
        "multicast-snooping": "true",
        "multicast-querier": "false",
        "group-forward-mask": "0",
    },
    "bridge-port": {"hairpin-mode": "false", "priority": "32", "path-cost": "100"},
    "vlan": {"protocol": "802.1Q"},
    "macvlan": {"promiscuous": "true"},
}
Profile = dict[str, dict[str, str]]  # section -> key -> value


def path_prefix(name: str) -> str:
    """What the path of a link's profile begins with."""
    return f"{FOLDER}/patchbay-{name}"


def render(boot: BootState, declared: Iterable[Desired]) -> dict[str, File]:
    """The profiles for these declarations, by path; NotExpressible for what they cannot express."""
    return _NetworkManagerRenderer(boot, declared).files()


class _NetworkManagerRenderer(Renderer):
    def __init__(self, boot: BootState, declared: Iterable[Desired]) -> None:
        super().__init__("networkmanager", boot, OWN_SYSCTLS, declared)

    def files(self) -> dict[str, File]:
        files = {}
        for link in self.links.values():
            if link.is_created or not self._is_left_to_udev(link):
                files[f"{path_prefix(link.name)}.nmconnection"] = File(_text(self._profile(link)).encode(), 0o600)
        for name in (link.name for link in self.links.values() if link.kind.has_peer):  # its rule for udev excludes pairs
            match = {"match-device": f"interface-name:={networkmanager_literal(name)}", "managed": "1"}
            files[f"{NETWORKMANAGER}/90-patchbay-{name}.conf"] = File(_text({f"device-patchbay-{name}": match}).encode(), 0o644)
        return files

    def _is_left_to_udev(self, link: ManagedLink) -> bool:
        """Whether a link that others create needs no change of its profile."""
        settings = [self.setting_of(link.key, row, value) for row, value in link.values if row.store in UDEV_STORES]
        return len(settings) == len(link.values) and not link.routes and not link.rules

    def _profile(self, link: ManagedLink) -> Profile:
        if not link.is_created:
            raise self.refuse(link.key, f"the profile of {link.name}, which another program created, is not changed")
        if link.link.admin_state != "up":
            raise self.refuse(link.key, f"{self.program} brings up each link that it creates, so admin_state has to be up")
        profile: Profile = {
            "connection": {
                "id": f"patchbay-{link.name}",
                "uuid": str(uuid.uuid5(_UUIDS, link.name)),
                "type": link.kind.name,
                "interface-name": link.name,
            }
        }
        for section, keys in link.kind.networkmanager.items():
            profile.setdefault(section, {}).update(keys)
        for row, value in link.values:
            if row.store is Store.INET6:
                self._check_address_generation(link, value)
                continue
            if isinstance(row.type, Seconds) and value % 100:
                raise self.refuse(link.key, f"{self.program} takes whole seconds for {row.name}")
            setting = self.setting_of(link.key, row, value)
            if setting is not None:
                text = setting[1].upper() if isinstance(row.type, Mac) else setting[1]
                profile.setdefault(setting[0].section, {})[setting[0].key] = text
        if not self._attach(link, profile):
            self._add_traffic(link, profile)
        return {
            section: {key: value for key, value in keys.items() if _DEFAULTS.get(section, {}).get(key) != value}
            for section, keys in profile.items()
        }

    def _check_address_generation(self, link: ManagedLink, mode: str) -> None:
        """The kernel generates the link-local address, in its default mode, where NetworkManager leaves IPv6 to it."""
        if mode != "eui64" or any(address.family == 6 for address in link.link.addresses):
            raise self.refuse(
                link.key,
                f"{self.program} supports address_generation_mode eui64 only, and only on a link without IPv6 addresses",
            )

    def _attach(self, link: ManagedLink, profile: Profile) -> bool:
        """Attach a link to its controller; whether it is a bridge port, which has no addresses."""
        name = link.link.controller
        if not name:
            return False
        controller = self.links.get(name)
        if controller is None or not controller.is_created:
            raise self.refuse(
                link.key,
                f"its controller {name} has no profile with persist: {self.backend}",
                f"Declare {name} with persist: {self.backend} too",
            )
        keys = ("controller", "port-type") if self.version >= _CONTROLLER_KEYS_SINCE else ("master", "slave-type")
        profile["connection"].update(zip(keys, (name, controller.kind.name)))
        if not controller.kind.has_ports:
            return False
        if link.link.addresses or link.routes or link.rules:
            raise self.refuse(link.key, f"{self.program} gives a bridge port no addresses, routes or rules")
        port = profile.setdefault("bridge-port", {})
        port.setdefault("path-cost", str(LINK["cost"].usual))  # its own default differs from the kernel's
        return True

    def _add_traffic(self, link: ManagedLink, profile: Profile) -> None:
        """Add addresses, routes and rules, a section for each family."""
        for family in (4, 6):
            addresses = [address for address in link.link.addresses if address.family == family]
            routes = [route for route in link.routes if route.key.family == family]
            rules = [rule for rule in link.rules if rule.key.family == family]
            table = self._table_of_networks(link, addresses, routes)
            section = {f"address{number}": self._address(link, address) for number, address in enumerate(addresses, 1)}
            if table != MAIN_TABLE:  # of all routes in it, it creates those to the networks of the addresses itself
                section["route-table"] = str(table)
                networks = {_network(address) for address in addresses}
                routes = [route for route in routes if _network_of_route(route) not in networks or route.key.table != table]
            for number, route in enumerate(routes, 1):
                section.update(self._route(route, number, table))
            for number, rule in enumerate(rules, 1):
                section[f"routing-rule{number}"] = self._rule(rule)
            if not addresses and (routes or rules):
                raise self.refuse(
                    routes[0].key if routes else rules[0].key,
                    f"{link.name} has no IPv{family} address, and without one {self.program} sets no routes and rules",
                )
            if addresses:
                section = {"method": "manual", "route-metric": _NETWORK_METRICS[family], **section}
            else:  # IPv6 is left to the kernel
                section = {"method": "disabled" if family == 4 else "ignore"}
            profile[f"ipv{family}"] = section

    def _table_of_networks(self, link: ManagedLink, addresses: Sequence[Address], routes: Sequence[DesiredRoute]) -> int:
        """The one table in which it creates the routes to the networks of all addresses."""
        without_route = [address for address in addresses if address.flags & NOPREFIXROUTE]
        if not without_route:
            return MAIN_TABLE
        declared = {_network_of_route(route): route.key.table_number for route in routes}
        tables = {declared.get(_network(address)) if address in without_route else MAIN_TABLE for address in addresses}
        table: int | None = tables.pop()
        if tables or table is None:
            raise self.refuse(
                link.key,
                f"{self.program} creates a route to the network of each address, and all in one table. With noprefixroute, "
                "declare these routes for all addresses of a family, in one table",
            )
        return table

    def _address(self, link: ManagedLink, address: Address) -> str:
        more = {
            "peer_ip": address.peer_ip,
            "label": address.label,
            "metric": address.metric,
            "nodad": address.flags & NODAD,
        }
        for name, value in more.items():
            if value:
                raise self.refuse(link.key, f"{self.program} has no setting for {name} of an address")
        return str(address)

    def _route(self, route: DesiredRoute, number: int, default_table: int) -> dict[str, str]:
        """The keys of a route; default_table: the one that a route without `table` is in."""
        key = route.key
        settings = dict(self.settings_of_routing(route))
        gateway = settings.pop("gateway", "0.0.0.0" if key.family == 4 else "::")
        options = {"table": str(key.table), **settings}
        if key.table == default_table:
            del options["table"]
        if options.get("type") == "unicast":
            del options["type"]
        keys = {f"route{number}": f"{key.destination},{gateway},{key.metric}"}
        if options:
            keys[f"route{number}_options"] = ",".join(f"{name}={value}" for name, value in sorted(options.items()))
        return keys

    def _rule(self, rule: DesiredRule) -> str:
        family = rule.key.family
        parts = {"priority": str(rule.key.priority), "from": DEFAULT[family], **dict(self.settings_of_routing(rule))}
        for name in ("from", "to"):
            if name in parts:
                parts[name] = parts[name].removesuffix(f"/{BITS[family]}")
        return " ".join(f"{name} {value}" for name, value in parts.items())


def _network_of_route(route: DesiredRoute) -> str | None:
    """The network that it leads to in the way of the route that an address brings."""
    return None if route.attributes.get("gateway") or route.key.metric else route.key.destination


def _network(address: Address) -> str:
    return network(address.ip, address.prefix_length)


def _text(profile: Profile) -> str:
    parts = ["\n".join([f"[{name}]", *(f"{key}={value}" for key, value in keys.items())]) for name, keys in profile.items()]
    return header("networkmanager") + "\n\n".join(parts) + "\n"

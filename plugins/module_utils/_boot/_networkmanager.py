# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The profiles of NetworkManager that bring links back at boot: which there are to be, and what stands in them. Pure."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.patchbay.netdev.plugins.module_utils._boot._declarations import Fragment
from ansible_collections.patchbay.netdev.plugins.module_utils._boot._manager_files import (
    BESIDE,
    Backend,
    Declared,
    credit,
    values,
    what,
)
from ansible_collections.patchbay.netdev.plugins.module_utils._boot._systemd_files import NETWORKMANAGER, listed
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._bridge import BRIDGE
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._macvlan import MACVTAP
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._routing import ROUTE, RULE
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._rows import Store
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._table import LINK
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._veth import VETH
from ansible_collections.patchbay.netdev.plugins.module_utils._model._boot import BootState, File
from ansible_collections.patchbay.netdev.plugins.module_utils._model._ip import network
from ansible_collections.patchbay.netdev.plugins.module_utils._model._links import Address
from ansible_collections.patchbay.netdev.plugins.module_utils._values._addresses import NODAD, NOPREFIXROUTE
from ansible_collections.patchbay.netdev.plugins.module_utils._values._mac import Mac
from ansible_collections.patchbay.netdev.plugins.module_utils._values._numbers import Seconds

# What it sets of a link that has an IPv6 address.
SETS = {"ipv6.accept_ra": 0, "ipv6.disable_ipv6": 0, "ipv6.forwarding": 0, "ipv6.use_tempaddr": 0}
FOLDER = "/etc/NetworkManager/system-connections"
PROFILES = "profiles"  # what is told to read them
_NAMES = uuid.UUID("f6ea44dc-6d3b-5a0f-9a4f-0f4bd5f0a9a1")  # with the name of a link, the same profile each time
_NEW_WORDS = 146
MAIN = "254"
_METRICS = {4: "0", 6: "256"}  # of the routes to the networks of addresses, as the kernel has them
# What it has where nothing is written, and so leaves out when it writes a profile itself.
_UNWRITTEN = {
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


def stem(name: str) -> str:
    """What the profile of a link begins with."""
    return f"{FOLDER}/patchbay-{name}"


def rendered(boot: BootState, declared: Mapping[str, Fragment]) -> dict[str, File]:
    """The profiles of all that is declared, by place of its declaration. NotExpressible for what has no word there."""
    return _Renderer(boot, declared).files()


class _Renderer(Backend):
    def __init__(self, boot: BootState, declared: Mapping[str, Fragment]) -> None:
        super().__init__("networkmanager", boot, SETS)
        self.links = self.gather(declared)

    def files(self) -> dict[str, File]:
        found = {}
        for link in self.links.values():
            if link.is_made or not self._has_settings_alone(link):
                found[f"{stem(link.name)}.nmconnection"] = File(_text(self._profile(link)).encode(), 0o600)
        for name in (link.name for link in self.links.values() if link.kind is VETH):  # which its rule for udev leaves alone
            settings = {f"device-patchbay-{name}": {"match-device": f"interface-name:={listed(name)}", "managed": "1"}}
            found[f"{NETWORKMANAGER}/90-patchbay-{name}.conf"] = File(_text(settings).encode(), 0o644)
        return found

    def _has_settings_alone(self, link: Declared) -> bool:
        """Of one that others make: whether their profile is none of our business."""
        said = [self.said(link.place, link.key, row, value) for row, value in link.rows if row.store in BESIDE]
        return len(said) == len(link.rows) and not link.routes and not link.rules

    def _profile(self, link: Declared) -> Profile:
        if not link.is_made:
            place = link.place if link.options else [*link.routes, *link.rules][0][0]
            raise self.refuse(place, link.key, "the profile of a link that others make is theirs to change")
        if link.options.get("admin_state") != "up":
            raise self.refuse(
                link.place, link.key, f"{self.program} brings up each link that it makes, so it takes admin_state: up alone"
            )
        found: Profile = {
            "connection": {
                "id": f"patchbay-{link.name}",
                "uuid": str(uuid.uuid5(_NAMES, link.name)),
                "type": "macvlan" if link.kind is MACVTAP else link.kind.name,
                "interface-name": link.name,
            }
        }
        if link.kind is BRIDGE:
            found["bridge"] = {"stp": "false"}  # unwritten, it would be on
        if link.kind is MACVTAP:
            found["macvlan"] = {"tap": "true"}
        for row, value in link.rows:
            if row.name in ("addresses", "controller", "admin_state"):
                continue
            if row.store is Store.INET6:
                self._check_generation(link, value)
                continue
            if isinstance(row.type, Seconds) and value % 100:
                raise self.refuse(link.place, link.key, f"{self.program} takes whole seconds for {row.name}")
            said = self.said(link.place, link.key, row, value)
            if said is not None:
                text = said[1].upper() if isinstance(row.type, Mac) else said[1]
                found.setdefault(said[0].section, {})[said[0].key] = text
        if not self._attach(link, found):
            self._traffic(link, found)
        return {
            section: {key: value for key, value in keys.items() if _UNWRITTEN.get(section, {}).get(key) != value}
            for section, keys in found.items()
        }

    def _check_generation(self, link: Declared, mode: str) -> None:
        """The kernel makes it on a link on which the manager does no IPv6, in the way that it begins with."""
        if mode != "eui64" or any(one.family == 6 for one in link.addresses):
            raise self.refuse(
                link.place,
                link.key,
                f"{self.program} can leave address_generation_mode at eui64, on a link without IPv6 addresses, and no more",
            )

    def _attach(self, link: Declared, found: Profile) -> bool:
        """Whether it is a port of a bridge, which has no addresses."""
        name = link.options.get("controller")
        if not name:
            return False
        made = self.links.get(name)
        if made is None or not made.is_made:
            raise self.refuse(
                link.place,
                link.key,
                f"its controller {name} has no profile of ours. Declare {name} with persist: {self.name} too",
            )
        words = ("controller", "port-type") if self.version >= _NEW_WORDS else ("master", "slave-type")
        found["connection"].update(zip(words, (name, made.kind.name)))
        if made.kind is not BRIDGE:
            return False
        if link.options.get("addresses") or link.routes or link.rules:
            raise self.refuse(link.place, link.key, f"{self.program} gives no addresses, routes and rules to a port of a bridge")
        port = found.setdefault("bridge-port", {})
        port.setdefault("path-cost", str(LINK["cost"].usual))  # or it would be another one
        return True

    def _traffic(self, link: Declared, found: Profile) -> None:
        for family in (4, 6):
            section: dict[str, str] = {}
            own = [one for one in link.addresses if one.family == family]
            for number, address in enumerate(own, 1):
                section[f"address{number}"] = self._address(link, address)
            routes = [(place, entry) for place, entry in link.routes if entry["family"] == f"ipv{family}"]
            table = self._table_of_networks(link, own, [entry for _place, entry in routes])
            if table != MAIN:
                section["route-table"] = table
                networks = {_network(one) for one in own}
                routes = [
                    (place, entry) for place, entry in routes if _to_network(entry) not in networks or entry["table"] != table
                ]
            for number, (place, entry) in enumerate(routes, 1):
                section.update(self._route(place, entry, number, table))
            rules = [(place, entry) for place, entry in link.rules if entry["family"] == f"ipv{family}"]
            for number, (place, entry) in enumerate(rules, 1):
                section[f"routing-rule{number}"] = self._rule(place, entry)
            if not own and (routes or rules):
                place, entry = (*routes, *rules)[0]
                key = what("routes" if routes else "rules", entry)
                raise self.refuse(place, key, f"{link.name} has no IPv{family} address, without which {self.program} sets none")
            if own:
                section = {"method": "manual", "route-metric": _METRICS[family], **section}
            else:  # what IPv6 does by itself, the kernel does
                section = {"method": "disabled" if family == 4 else "ignore"}
            found[f"ipv{family}"] = section

    def _table_of_networks(self, link: Declared, addresses: Sequence[Address], routes: Sequence[Mapping[str, Any]]) -> str:
        """Where the routes to the networks of its addresses are, which it always makes itself, and in one table."""
        elsewhere = [one for one in addresses if one.flags & NOPREFIXROUTE]
        if not elsewhere:
            return MAIN
        declared = {_to_network(entry): entry["table"] for entry in routes}
        tables = {declared.get(_network(one)) if one in elsewhere else MAIN for one in addresses}
        table = tables.pop()
        if tables or table is None:
            raise self.refuse(
                link.place,
                link.key,
                f"{self.program} makes a route to the network of each address, and all in one table. With noprefixroute, declare "
                "these routes for all its addresses of a family, in one table",
            )
        return table

    def _address(self, link: Declared, address: Address) -> str:
        more = {
            "peer_ip": address.peer_ip,
            "label": address.label,
            "metric": address.metric,
            "nodad": address.flags & NODAD,
        }
        for name, value in more.items():
            if value:
                raise self.refuse(link.place, link.key, f"{self.program} has no setting for {name} of an address")
        return str(address)

    def _route(self, place: str, entry: Mapping[str, Any], number: int, usual: str) -> dict[str, str]:
        """usual: the table of a route of which nothing is said."""
        key = what("routes", entry)
        words = dict(self._parts(place, key, values(ROUTE, entry)))
        gateway = words.pop("gateway", "0.0.0.0" if entry["family"] == "ipv4" else "::")
        options = {"table": entry["table"], **words}
        if options["table"] == usual:
            del options["table"]
        if options.get("type") == "unicast":
            del options["type"]
        found = {f"route{number}": f"{entry['destination']},{gateway},{entry['metric']}"}
        if options:
            found[f"route{number}_options"] = ",".join(f"{name}={value}" for name, value in sorted(options.items()))
        return found

    def _rule(self, place: str, entry: Mapping[str, Any]) -> str:
        everything = "0.0.0.0/0" if entry["family"] == "ipv4" else "::/0"
        words = dict(self._parts(place, what("rules", entry), values(RULE, entry)))
        found = {"priority": str(entry["priority"]), "from": everything, **words}
        for name in ("from", "to"):
            if found.get(name):
                found[name] = found[name].removesuffix("/32" if entry["family"] == "ipv4" else "/128")
        return " ".join(f"{name} {value}" for name, value in found.items())

    def _parts(self, place: str, key: object, rows: list[tuple[Any, Any]]) -> list[tuple[str, str]]:
        found = []
        for row, value in rows:
            if (row.name, value) == ("action", "lookup") or row is ROUTE["link"]:
                continue
            said = self.said(place, key, row, value)
            if said is not None:
                found.append((said[0].key, said[1]))
        return found


def _to_network(route: Mapping[str, Any]) -> str | None:
    """The network that it leads to as the route of an address does."""
    destination: str = route["destination"]
    return None if route.get("gateway") or route["metric"] else destination


def _network(address: Address) -> str:
    return network(address.ip, address.prefix_length)


def _text(profile: Profile) -> str:
    parts = ["\n".join([f"[{name}]", *(f"{key}={value}" for key, value in keys.items())]) for name, keys in profile.items()]
    return credit("networkmanager") + "\n\n".join(parts) + "\n"

# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the files of network managers have in common: whose words can be said, which object belongs to which link. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.patchbay.netdev.plugins.module_utils._boot._declarations import Fragment
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._rows import Attribute, Kind, ManagerSetting, Store
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._table import KINDS, LINK
from ansible_collections.patchbay.netdev.plugins.module_utils._model._boot import BootState, File
from ansible_collections.patchbay.netdev.plugins.module_utils._model._errors import InvalidValue
from ansible_collections.patchbay.netdev.plugins.module_utils._model._ip import BITS
from ansible_collections.patchbay.netdev.plugins.module_utils._model._links import HERE, Address, LinkKey
from ansible_collections.patchbay.netdev.plugins.module_utils._model._routing import RouteKey, RulePriority
from ansible_collections.patchbay.netdev.plugins.module_utils._values._base import SetOf
from ansible_collections.patchbay.netdev.plugins.module_utils._values._names import Reference

PROGRAMS = {"networkd": "systemd-networkd", "networkmanager": "NetworkManager"}  # by backend: what the manager is called
_CREDIT = "# Written by patchbay.netdev, from what was declared with persist: "
_WAY_OUT = "Write persist: replay, which brings back everything"
# What no manager has words for, but udev does, beside it: it has files of its own for a link, whoever makes that.
BESIDE = (Store.SYSCTL, Store.NODE)


def credit(backend: str) -> str:
    """The first line of each of its files."""
    return f"{_CREDIT}{backend}.\n"


def is_manager_file(file: File | None) -> bool:
    """Whether it is a file of a manager's own, by which it makes or sets up a link."""
    return file is not None and file.content.startswith(_CREDIT.encode())


class NotExpressible(InvalidValue):
    """A declaration that a manager's files cannot express; `place`: which."""

    def __init__(self, place: str, sentence: str) -> None:
        super().__init__(sentence)
        self.place = place


@dataclass
class Declared:
    """A link with all that is declared of it: what a manager keeps in its files for it.

    kind: LINK for one that somebody else makes. options: as in a task, a peer by its name. second: of a pair, the end that is
    made along with the other one. routes, rules: (place, entry).
    """

    place: str  # of its declaration
    name: str
    kind: Kind
    options: dict[str, Any]
    second: bool = False
    routes: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    rules: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    @property
    def key(self) -> LinkKey:
        """As sentences name it."""
        return LinkKey(HERE, self.name)

    @property
    def is_made(self) -> bool:
        """Whether it is made by these files, and not by others."""
        return self.kind is not LINK

    @property
    def rows(self) -> list[tuple[Attribute, Any]]:
        """What is declared of it, in the order of the table: rows with values in normal form."""
        return values(self.kind, self.options)

    @property
    def hosts(self) -> list[str]:
        """Its addresses as a rule names them."""
        return [f"{one.ip}/{BITS[one.family]}" for one in self.addresses]

    @property
    def addresses(self) -> tuple[Address, ...]:
        """Those that are declared."""
        found: tuple[Address, ...] = next((value for row, value in self.rows if row.name == "addresses"), ())
        return found


def values(kind: Kind, options: Mapping[str, Any]) -> list[tuple[Attribute, Any]]:
    """Rows with values in normal form; a link that is referred to is a name."""
    found = []
    for row in kind.attributes:
        value = options.get(row.name)
        if value is not None:
            found.append((row, value if isinstance(row.type, Reference) else row.type.parse(value)))
    return found


class Backend:
    """Of one manager: what it can say, and the sentences where it cannot."""

    def __init__(self, name: str, boot: BootState, sets: Mapping[str, int]) -> None:
        """name: as `persist` has it. sets: the settings of each of its links that it sets itself, with its values."""
        self.name = name
        self.program = PROGRAMS[name]
        self.sets = sets
        self.udev = boot.udev
        self.version = boot.versions.get(name, 0)

    def refuse(self, place: str, what: object, why: str) -> NotExpressible:
        """The error for a declaration."""
        return NotExpressible(place, f"{what}: persist: {self.name}: {why}. {_WAY_OUT}")

    def spelled(self, row: Attribute) -> ManagerSetting | None:
        """How it writes an attribute."""
        found: ManagerSetting | None = getattr(row, self.name)
        return found

    def said(self, place: str, what: object, row: Attribute, value: Any) -> tuple[ManagerSetting, str] | None:
        """An attribute as it stands in the file; None for what a new link has by itself, or udev gives it."""
        if row.store in BESIDE:
            if value and not self.udev:
                raise self.refuse(place, what, f"udev, which would make {row.name} at each boot, does not run on this host")
            if row.store is Store.SYSCTL:
                self._check_settings(place, what, value)
            return None
        spelled = self.spelled(row)
        usual = row.initial is not None and value == row.initial
        if spelled is None:
            if usual:
                return None
            raise self.refuse(place, what, f"{self.program} has no setting for {row.name}")
        if spelled.since > self.version:
            if usual:
                return None
            raise self.refuse(
                place,
                what,
                f"{self.program} can set {row.name} from version {self._said(spelled.since)} on, and this host has "
                f"{self._said(self.version)}",
            )
        if spelled.value_map is None:
            return spelled, " ".join(value) if isinstance(row.type, SetOf) else str(row.type.describe(value))
        if value not in spelled.value_map:
            raise self.refuse(place, what, f"{self.program} cannot set {row.name} to {row.type.describe(value)}")
        return spelled, spelled.value_map[value]

    def _check_settings(self, place: str, what: object, settings: Mapping[str, int]) -> None:
        for name, value in settings.items():
            if self.sets.get(name, value) != value:
                raise self.refuse(place, what, f"{self.program} itself sets {name} to {self.sets[name]}")
        if isinstance(what, LinkKey) and set(what.name) & set("=*?["):
            raise self.refuse(place, what, "systemd-sysctl, which makes the settings, cannot tell a link of this name")

    def _said(self, version: int) -> str:
        return f"{version // 100}.{version % 100}" if self.name == "networkmanager" else str(version)

    def gather(self, declared: Mapping[str, Fragment]) -> dict[str, Declared]:
        """Links by name, each with its port, its routes and its rules. declared: by the place of the declaration."""
        links: dict[str, Declared] = {}
        routing: list[tuple[str, str, dict[str, Any]]] = []
        for place, fragment in sorted(declared.items()):  # whatever was declared last, the files are the same
            for kind, entries in sorted(fragment.items()):
                for entry in entries:
                    self._check_place(place, kind, entry)
                    if kind in ("routes", "rules"):
                        routing.append((place, kind, entry))
                        continue
                    self._add(links, place, kind, entry)
        for place, kind, entry in routing:
            link = self._home(links, place, kind, entry, declared)
            (link.routes if kind == "routes" else link.rules).append((place, entry))
        return links

    def _add(self, links: dict[str, Declared], place: str, kind: str, entry: Mapping[str, Any]) -> None:
        if kind == "bridge_port":
            link = links.setdefault(entry["port"], Declared(place, entry["port"], LINK, {}))
            link.options.update({name: value for name, value in entry.items() if name != "port"})
            return
        ends = [entry, entry["peer"]] if entry.get("peer") else [entry]
        for end in ends:
            before = links.pop(end["name"], None)
            options = {name: value for name, value in end.items() if name != "name"}
            port = before.options if before else {}
            links[end["name"]] = Declared(place, end["name"], KINDS.get(kind, LINK), {**options, **port})
        if len(ends) > 1:
            links[entry["peer"]["name"]].second = True
            links[entry["peer"]["name"]].options["peer"] = entry["name"]
            links[entry["name"]].options["peer"] = entry["peer"]["name"]

    def _check_place(self, place: str, kind: str, entry: Mapping[str, Any]) -> None:
        if kind == "netns":
            raise self.refuse(place, f"netns {entry['name']}", f"{self.program} makes no network namespaces")
        for end in (entry, entry.get("peer") or {}):
            if end.get("netns"):
                raise self.refuse(place, what(kind, end or entry), f"{self.program} works in the namespace of the host alone")
            if end.get("dhcp4") and end["dhcp4"].get("enabled", True):
                raise self.refuse(place, what(kind, end), f"the DHCP client of dhcp4 has no place in the files of {self.program}")
        if entry.get("lower_device_netns"):
            raise self.refuse(
                place,
                what(kind, entry),
                f"its lower device is in netns {entry['lower_device_netns']}, and {self.program} works in the namespace of the "
                "host alone",
            )

    def _home(
        self,
        links: dict[str, Declared],
        place: str,
        kind: str,
        entry: Mapping[str, Any],
        declared: Mapping[str, Fragment],
    ) -> Declared:
        """The link in whose file a route or a rule stands."""
        if entry.get("link"):
            return links.setdefault(entry["link"], Declared(place, entry["link"], LINK, {}))
        named = [links[entry[word]] for word in ("iif", "oif") if entry.get(word) in links]
        table = str(entry.get("table"))
        found = [
            *named,
            *(link for link in links.values() for word in ("from", "to") if entry.get(word) in link.hosts),
            *(
                links[route["link"]]
                for fragment in declared.values()
                for route in fragment.get("routes", ())
                if route.get("link") in links and route["table"] == table and table != "254"
            ),
        ]
        if found:
            return found[0]
        if kind == "routes":
            way = "its link is not written, and no route of that table has one. Write link"
        else:
            way = "it names no link, and neither an address nor a table of a link that is declared so"
        raise self.refuse(place, what(kind, entry), f"{self.program} keeps it in the file of a link; {way}")


def what(kind: str, entry: Mapping[str, Any]) -> object:
    """What an entry is called in sentences."""
    netns = entry.get("netns") or ""
    if kind == "routes":
        table = int(entry["table"]) if entry["table"].isdigit() else entry["table"]
        return RouteKey(netns, table, _family(entry), entry["destination"], entry["metric"])
    if kind == "rules":
        return RulePriority(netns, _family(entry), entry["priority"])
    return LinkKey(netns, entry.get("name") or entry["port"])


def _family(entry: Mapping[str, Any]) -> int:
    return 6 if entry["family"] == "ipv6" else 4

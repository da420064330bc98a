# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the files of all network managers have in common: which values they can express, and whose file holds what. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.patchbay.netdev.plugins.module_utils._boot._declarations import path_of, with_both_ends
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._rows import Attribute, Kind, ManagerSetting, Store
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._table import LINK, kind_of
from ansible_collections.patchbay.netdev.plugins.module_utils._model._boot import BootState, File
from ansible_collections.patchbay.netdev.plugins.module_utils._model._desired import (
    Desired,
    DesiredKey,
    DesiredLink,
    DesiredNetns,
    DesiredRoute,
    DesiredRule,
)
from ansible_collections.patchbay.netdev.plugins.module_utils._model._errors import InvalidValue
from ansible_collections.patchbay.netdev.plugins.module_utils._model._ip import BITS
from ansible_collections.patchbay.netdev.plugins.module_utils._model._links import HERE, LinkKey
from ansible_collections.patchbay.netdev.plugins.module_utils._model._routing import MAIN_TABLE
from ansible_collections.patchbay.netdev.plugins.module_utils._plan._source_routing import with_derived_routing
from ansible_collections.patchbay.netdev.plugins.module_utils._values._base import SetOf

PROGRAMS = {"networkd": "systemd-networkd", "networkmanager": "NetworkManager"}  # by boot backend: what the manager is called
UDEV_STORES = (Store.SYSCTL, Store.NODE)  # what no manager can set, but udev does, for links of any origin
_HEADER = "# Written by patchbay.netdev, from declarations with persist: "


def header(backend: str) -> str:
    """The first line of each file of a manager."""
    return f"{_HEADER}{backend}.\n"


def is_manager_file(file: File | None) -> bool:
    """Whether it is a file by which a manager creates or configures a link."""
    return file is not None and file.content.startswith(_HEADER.encode())


class NotExpressible(InvalidValue):
    """A declaration that the files of a manager cannot express; key: of its object."""

    def __init__(self, key: DesiredKey, sentence: str) -> None:
        super().__init__(sentence)
        self.key = key


@dataclass
class ManagedLink:
    """A link with the routes and rules that a manager keeps in the file of the link."""

    link: DesiredLink
    routes: list[DesiredRoute] = field(default_factory=list)
    rules: list[DesiredRule] = field(default_factory=list)

    @property
    def key(self) -> LinkKey:
        """Of the link."""
        return self.link.key

    @property
    def name(self) -> str:
        """Of the link."""
        return self.link.key.name

    @property
    def kind(self) -> Kind:
        """LINK for one that others create."""
        return kind_of(self.link.kind or LINK.name)

    @property
    def is_created(self) -> bool:
        """Whether only the manager creates the link."""
        return self.link.kind is not None

    @property
    def values(self) -> list[tuple[Attribute, Any]]:
        """What is declared of it, in the order of the table."""
        return [(row, self.link.attributes[row.name]) for row in self.kind.rows(self.link.attributes)]


class Renderer:
    """Renders declarations as files of one manager, and refuses what these cannot express."""

    def __init__(self, backend: str, boot: BootState, own_sysctls: Mapping[str, int], declared: Iterable[Desired]) -> None:
        """own_sysctls: those that the manager sets on each of its links, with its values."""
        self.backend = backend
        self.program = PROGRAMS[backend]
        self.own_sysctls = own_sysctls
        self.udev = boot.udev
        self.version = boot.versions.get(backend, 0)
        self._declared_as: dict[DesiredKey, DesiredKey] = {}  # the link whose source_routing brings a route or a rule
        self.links = self._managed_links(declared)

    def refuse(self, key: DesiredKey, why: str, fix: str = "") -> NotExpressible:
        """The error for a declaration; fix: an alternative to persist: replay."""
        way_out = f"{fix}, or set persist: replay" if fix else "Set persist: replay"
        sentence = f"{key}: persist: {self.backend}: {why}. {way_out}, which restores everything"
        return NotExpressible(self._declared_as.get(key, key), sentence)

    def setting_of(self, key: DesiredKey, row: Attribute, value: Any) -> tuple[ManagerSetting, str] | None:
        """An attribute as it is written in the file; None for a default, what udev sets, and what is no single setting."""
        if row.store in UDEV_STORES:
            self._check_udev(key, row, value)
            return None
        setting: ManagerSetting | None = getattr(row, self.backend)
        if setting is not None and not setting.is_single:
            return None
        is_initial = row.initial is not None and value == row.initial
        if is_initial and (setting is None or setting.since > self.version or value not in (setting.value_map or (value,))):
            return None
        if setting is None:
            raise self.refuse(key, f"{self.program} has no setting for {row.name}")
        if setting.since > self.version:
            since, version = self._version_text(setting.since), self._version_text(self.version)
            raise self.refuse(key, f"{self.program} can set {row.name} from version {since} on, and this host has {version}")
        if setting.value_map is None:
            return setting, " ".join(value) if isinstance(row.type, SetOf) else str(row.type.describe(value))
        if value not in setting.value_map:
            raise self.refuse(key, f"{self.program} cannot set {row.name} to {row.type.describe(value)}")
        return setting, setting.value_map[value]

    def settings_of_routing(self, item: DesiredRoute | DesiredRule) -> list[tuple[str, str]]:
        """The attributes of a route or a rule but for its link, whose file they are in: keys and values."""
        settings = []
        for row in kind_of(item.kind).rows(item.attributes):
            setting = self.setting_of(item.key, row, item.attributes[row.name])
            if setting is not None:
                settings.append((setting[0].key, setting[1]))
        return settings

    def _check_udev(self, key: DesiredKey, row: Attribute, value: Any) -> None:
        if value and not self.udev:
            raise self.refuse(key, f"udev, which sets {row.name} at each boot, does not run on this host")
        if row.store is not Store.SYSCTL:
            return
        for name, number in value.items():
            if self.own_sysctls.get(name, number) != number:
                raise self.refuse(key, f"{self.program} itself sets {name} to {self.own_sysctls[name]}")
        if isinstance(key, LinkKey) and set(key.name) & set("=*?["):
            raise self.refuse(key, "systemd-sysctl, which sets sysctls at each boot, does not support the name of the link")

    def _version_text(self, version: int) -> str:
        return f"{version // 100}.{version % 100}" if self.backend == "networkmanager" else str(version)

    def _managed_links(self, declared: Iterable[Desired]) -> dict[str, ManagedLink]:
        """Links by name, each with its routes and rules; in an order of their own, so that the files do not depend on history."""
        links_first = sorted(with_both_ends(declared), key=lambda item: not isinstance(item, DesiredLink))
        derived = [(part, item) for item in links_first for part in with_derived_routing(item)]
        by_key = {part.key: part for part, _item in derived}  # what is declared itself counts
        self._declared_as = {part.key: item.key for part, item in derived}
        items = sorted(by_key.values(), key=lambda item: path_of(item.key))
        for item in items:
            self._check(item)
        links = {item.key.name: ManagedLink(item) for item in items if isinstance(item, DesiredLink)}
        routes = [item for item in items if isinstance(item, DesiredRoute)]
        for name in (route.text("link") for route in routes):
            if name:
                links.setdefault(name, ManagedLink(DesiredLink(LinkKey(HERE, name), None, True)))
        for route in routes:
            self._link_of_route(route, links, routes).routes.append(route)
        for rule in items:
            if isinstance(rule, DesiredRule):
                self._link_of_rule(rule, links, routes).rules.append(rule)
        return links

    def _check(self, item: Desired) -> None:
        """Refuse what no file of a network manager can express."""
        if isinstance(item, DesiredNetns):
            raise self.refuse(item.key, f"{self.program} does not create network namespaces")
        only_here = f"{self.program} manages only the namespace of the host itself"
        if item.key.netns:
            raise self.refuse(item.key, only_here)
        if not isinstance(item, DesiredLink):
            return
        if item.lower_device is not None and item.lower_device.netns:
            raise self.refuse(item.key, f"its lower device is in netns {item.lower_device.netns}, and {only_here}")
        if item.dhcp4 is not None and item.dhcp4.enabled:
            raise self.refuse(item.key, f"the files of {self.program} do not support the DHCP client of dhcp4")

    def _link_of_route(self, route: DesiredRoute, links: Mapping[str, ManagedLink], routes: list[DesiredRoute]) -> ManagedLink:
        """The link that a route leaves by; of one without a link, the one of another route of its table."""
        name = route.text("link") or self._link_of_table(route.key.table, links, routes)
        if not name:
            raise self.refuse(
                route.key,
                f"{self.program} keeps a route in the file of a link, but link is not set, and no route of its table has one",
                "Set link",
            )
        return links[name]

    def _link_of_rule(self, rule: DesiredRule, links: Mapping[str, ManagedLink], routes: list[DesiredRoute]) -> ManagedLink:
        """The link that a rule names, that has its address, or that has a route of its table."""
        hosts = {f"{address.ip}/{BITS[address.family]}": link.name for link in links.values() for address in link.link.addresses}
        named = [rule.text(option) or "" for option in ("iif", "oif")]
        by_address = [hosts.get(rule.text(option) or "", "") for option in ("from", "to")]
        by_table = self._link_of_table(rule.get("table"), links, routes)
        name = next((name for name in (*named, *by_address, by_table) if name in links), None)
        if name is None:
            raise self.refuse(
                rule.key,
                f"{self.program} keeps a rule in the file of a link, but the rule has neither a link nor an address or a table "
                f"of a link with persist: {self.backend}",
            )
        return links[name]

    def _link_of_table(self, table: object, links: Mapping[str, ManagedLink], routes: list[DesiredRoute]) -> str | None:
        names = (route.text("link") or "" for route in routes if route.key.table == table != MAIN_TABLE)
        return next((name for name in names if name in links), None)

# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a row of the table says: the attributes of links, the kinds that have them, and what the checks of both are given."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from typing import Any

from ansible_collections.patchbay.netdev.plugins.module_utils._model._desired import DesiredLink
from ansible_collections.patchbay.netdev.plugins.module_utils._model._links import Attributes, Link, LinkKey
from ansible_collections.patchbay.netdev.plugins.module_utils._model._state import State
from ansible_collections.patchbay.netdev.plugins.module_utils._values._base import Type

IFF_UP, IFF_PROMISC, IFF_ALLMULTI = 0x1, 0x100, 0x200  # linux/if.h
U32 = 0xFFFFFFFF
INVERTED = {True: "false", False: "true"}


class Store(Enum):
    """Where the kernel keeps an attribute, and so which request reads and sets it."""

    MESSAGE = "an attribute of the link message"
    LOWER_DEVICE = "the link that it sits on, which may be in another namespace (IFLA_LINK)"
    FLAG = "a bit of the link's flags"
    DATA = "an attribute of the kind's data (IFLA_INFO_DATA)"
    DATA_FLAG = "a bit of the kind's flag word, which is always written whole"
    SOURCES = "the list of MAC addresses of source mode"
    INET6 = "an IPv6 setting in the link message (IFLA_AF_SPEC)"
    ALTNAME = "the link's properties (RTM_NEWLINKPROP)"
    SYSCTL = "/proc/sys/net"
    PORT = "an attribute of a bridge port (IFLA_PROTINFO)"
    NODE = "the owner and the mode of the link's device node"
    PEER = "the other end of a pair, which is a link of its own"
    ADDRESS = "the IP addresses of the link (RTM_NEWADDR)"
    ROUTE = "a route (RTM_NEWROUTE)"
    RULE = "a policy rule (RTM_NEWRULE)"


class At(Enum):
    """When the kernel takes an attribute: it silently ignores some at creation, and some afterwards."""

    ANY = "at creation and later"
    CREATION = "only at creation"
    AFTER = "only after creation"


@dataclass(frozen=True)
class ManagerSetting:
    """The setting of a network manager for an attribute: section and key of its file.

    created: of networkd, in the .netdev file, which creates the link; else in the .network file, which configures it.
    value_map: its spelling of values that the options spell otherwise; it cannot express a value that is missing there.
    since: its first version that has the setting; 144 is NetworkManager 1.44.
    is_single: false for an attribute that is more than this setting, or in another file: the renderer knows how it is written.
    """

    section: str
    key: str
    value_map: Mapping[Any, str] | None = None
    since: int = 0
    created: bool = False
    is_single: bool = True


def netdev_setting(section: str, key: str, value_map: Mapping[Any, str] | None = None, since: int = 0) -> ManagerSetting:
    """A setting in the .netdev file of networkd."""
    return ManagerSetting(section, key, value_map, since, created=True)


def never(_before: Attributes, _after: Attributes) -> str | None:
    """The kernel changes the attribute on an existing link."""
    return None


def always(_before: Attributes, _after: Attributes) -> str | None:
    """The kernel takes the attribute at creation only."""
    return "it is fixed when the link is created"


@dataclass(frozen=True)
class Situation:
    """One desired link before it is planned.

    before: the link as it is; None for one that is to be created. after: all attributes as they are to be. changed: those that
    differ. lower: the device that the link really sits on; None where that is unknown or missing. kind_of: the table, which the
    files of the kinds cannot import.
    """

    desired: DesiredLink
    before: Link | None
    after: Attributes
    changed: Attributes
    lower: Link | None
    state: State
    kind_of: Callable[[str], Kind]

    @property
    def key(self) -> LinkKey:
        """The desired link."""
        return self.desired.key

    @property
    def kind_name(self) -> str:
        """The kernel's name for its kind: that of the existing link, where the task names none."""
        return self.before.kind if self.before is not None else str(self.desired.kind)

    @property
    def kind(self) -> Kind:
        """Its kind."""
        return self.kind_of(self.kind_name)

    @property
    def is_new(self) -> bool:
        """Whether the link has to be created."""
        return self.before is None


Check = Callable[[Situation], None]  # raises Refused with a sentence if the kernel would not do what is desired
Warn = Callable[[Situation], Iterator[str]]  # what the kernel will do, although it may not be what is meant
# Of a desired link, its lower device and the state: the links that hold what the kernel allows only one link to have.
Holders = Callable[[DesiredLink, LinkKey, State], Iterator[LinkKey]]


class AddressSource(Enum):
    """Where the MAC address of a new link comes from when the task sets none."""

    RANDOM = "drawn at random, and kept"
    COPIED = "a copy of that of the lower device"
    SHARED = "always that of the lower device"
    VARYING = "that of a port, or one that udev derives from the name"


@dataclass(frozen=True)
class Attribute:
    """One option that is an attribute of a link, a route or a rule.

    nla: the netlink attribute, as the kernel's headers and pyroute2 spell it. bit: for a flag, its value in the word.
    initial: the value on a new link when the option is omitted; None where the kernel chooses. usual: what the kernel mostly
    chooses then, so that it is not kept when the link is created again.
    recreate_if: why a change needs the link to be deleted and created again, from its attributes before and after; None if not.
    per_lower_device: the kernel keeps it with the lower device, so that setting it on one link sets it on all its siblings.
    names_link: the value is the name of a link in the same namespace, which the kernel knows by its index.
    derived: the kernel derives it until it is set, so it is neither kept nor set back.
    only_in_mode: the mode of the link in which the kernel accepts it; in every other mode it has its initial value.
    ignored_in_mode: the mode in which the kernel ignores it at creation. only_while_up: the kernel sets it only while the link is
    up.
    is_declared: each declaration for the next boot contains it, whether the task sets it or not.
    since: the first kernel that has it; an older one ignores it silently, which verification notices.
    networkd, networkmanager: the setting of systemd-networkd and NetworkManager; None where they have none.
    check, warn: run for a link on which the attribute is set. hints: by errno, what may have made the kernel refuse to set it.
    """

    name: str
    type: Type
    store: Store
    nla: str = ""
    bit: int = 0
    at: At = At.ANY
    initial: Any = None
    recreate_if: Callable[[Attributes, Attributes], str | None] = never
    per_lower_device: bool = False
    names_link: bool = False
    derived: bool = False
    only_in_mode: str = ""
    ignored_in_mode: str = ""
    only_while_up: bool = False
    is_declared: bool = False
    usual: Any = None
    aliases: tuple[str, ...] = ()
    since: str = ""
    networkd: ManagerSetting | None = None
    networkmanager: ManagerSetting | None = None
    check: Check | None = None
    warn: Warn | None = None
    hints: Mapping[int, str] = field(default_factory=dict)

    def is_accepted_in(self, mode: object) -> bool:
        """Whether the kernel accepts the attribute, even with its initial value, in this mode of the link."""
        return self.only_in_mode in ("", mode)


@dataclass(frozen=True)
class Kind:
    """One kind of link: the kernel's name for it, its attributes, and how it behaves.

    options: the attributes that are options of its module. port: those that it has besides as a bridge port, which are options of
    bridge_port; none for a kind that cannot be one. needs: the options that creating one requires.
    module: the kernel module that provides it, if that has another name. checks, warn: run for each link of this kind. admits:
    run for each link that is to be attached to one of this kind. hints: by errno, what may have made the kernel refuse to create
    one; {lower} stands for the lower device.
    holders: the links that hold what one of this kind is to have, so that they are changed before.
    siblings: the kinds that share one lower device with it, itself among them; on top of a sibling, the kernel places a new link
    on the lower device of that one. excludes: the kinds that the kernel does not allow beside it on one lower device.
    is_controller: links can be attached to it. has_ports: those are bridge ports then.
    address: where its MAC address comes from. follows_state: it goes up and down with its lower device. follows_mtu: each change
    of the lower device's MTU sets its own, which is not bounded by it.
    networkd_key: the key in the .network file of a link by which networkd attaches it to one of this kind. networkmanager: what
    NetworkManager's profile of a link of this kind has besides the settings of its attributes.
    """

    name: str
    options: tuple[Attribute, ...]
    needs: tuple[str, ...] = ()
    port: tuple[Attribute, ...] = ()
    module: str = ""
    checks: tuple[Check, ...] = ()
    warn: Warn | None = None
    admits: tuple[Check, ...] = ()
    hints: Mapping[int, str] = field(default_factory=dict)
    holders: Holders | None = None
    siblings: tuple[str, ...] = ()
    excludes: tuple[str, ...] = ()
    is_controller: bool = False
    has_ports: bool = False
    address: AddressSource = AddressSource.RANDOM
    follows_state: bool = False
    follows_mtu: bool = False
    networkd_key: str = ""
    networkmanager: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @property
    def attributes(self) -> tuple[Attribute, ...]:
        """All that a link of this kind can have."""
        return self.options + self.port

    @property
    def can_be_port(self) -> bool:
        """Whether a bridge takes it as a port."""
        return bool(self.port)

    @property
    def has_lower_device(self) -> bool:
        """Whether it sits on another link."""
        return "lower_device" in self.needs

    @property
    def has_routing_table(self) -> bool:
        """Whether the links that are attached to it use a routing table of its own."""
        return self.is_controller and "table" in self.needs

    @property
    def has_node(self) -> bool:
        """Whether it comes with a device node."""
        return any(row.store is Store.NODE for row in self.options)

    @property
    def has_peer(self) -> bool:
        """Whether it is one end of a pair."""
        return "peer" in self.needs

    @cached_property
    def _rows_by_name(self) -> Mapping[str, Attribute]:
        return {row.name: row for row in self.attributes}

    def __getitem__(self, name: str) -> Attribute:
        """The row of an attribute; KeyError for one that this kind does not have."""
        return self._rows_by_name[name]

    def rows(self, attributes: Attributes) -> list[Attribute]:
        """The rows of these attributes, in the order of the table."""
        return [row for row in self.attributes if row.name in attributes]

    def reset_by_mode(self, current: Attributes, changed: Attributes) -> dict[str, Any]:
        """The attributes that the kernel sets back to their initial values because the mode changes."""
        rows = [row for row in self.attributes if "mode" in changed and not row.is_accepted_in(changed["mode"])]
        return {row.name: row.initial for row in rows if current.get(row.name) not in (None, row.initial)}

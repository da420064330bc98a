# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a row of the table says: the attributes of links, and the kinds that have them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from ansible_collections.patchbay.netdev.plugins.module_utils._model._links import Attributes
from ansible_collections.patchbay.netdev.plugins.module_utils._values._base import Type

IFF_UP, IFF_PROMISC, IFF_ALLMULTI = 0x1, 0x100, 0x200  # linux/if.h
U32 = 0xFFFFFFFF
INVERTED = {True: "false", False: "true"}


class Store(Enum):
    """Where the kernel keeps an attribute, and so which request reads and writes it."""

    MESSAGE = "an attribute of the link message"
    FLAG = "a bit of the link's flags"
    DATA = "an attribute of the kind's data (IFLA_INFO_DATA)"
    DATA_FLAG = "a bit of the kind's flag word, which is always written whole"
    SOURCES = "the list of MAC addresses of source mode"
    INET6 = "an IPv6 setting inside the link message (IFLA_AF_SPEC)"
    ALTNAME = "the link's properties (RTM_NEWLINKPROP)"
    SYSCTL = "/proc/sys/net"
    PORT = "an attribute of the port of a bridge (IFLA_PROTINFO)"
    NODE = "the owner and the mode of the link's device node"
    PEER = "the other end of a pair, which is a link of its own"
    ADDRESS = "the IP addresses of the link (RTM_NEWADDR)"
    ROUTE = "a route (RTM_NEWROUTE)"
    RULE = "a policy rule (RTM_NEWRULE)"


class At(Enum):
    """When the kernel honours an attribute: it silently ignores some at creation and some afterwards."""

    ANY = "at creation and later"
    CREATION = "only at creation"
    AFTER = "only after creation"


@dataclass(frozen=True)
class ManagerSetting:
    """How a network manager writes an attribute: the section and the key of its file.

    created: of networkd, in the .netdev file, which makes the link; else in the .network file, which sets it up.
    value_map: for values that it spells otherwise than the options do; one that is missing there it cannot express.
    since: its first version that can; of NetworkManager 1.44, 144.
    """

    section: str
    key: str
    value_map: Mapping[Any, str] | None = None
    since: int = 0
    created: bool = False


def netdev_setting(section: str, key: str, value_map: Mapping[Any, str] | None = None, since: int = 0) -> ManagerSetting:
    return ManagerSetting(section, key, value_map, since, created=True)


def never(_before: Attributes, _after: Attributes) -> bool:
    """The attribute can be changed on a living link."""
    return False


def always(_before: Attributes, _after: Attributes) -> bool:
    """The attribute is fixed at creation."""
    return True


@dataclass(frozen=True)
class Attribute:
    """One option that is an attribute of a link.

    nla: the netlink attribute, as the kernel's headers and pyroute2 spell it; bit: for a flag, its value in the word.
    initial: what a new link has when the option is not written; None where the kernel chooses.
    recreate_if: whether a change needs the link to be deleted and created again, from the link's attributes before and after.
    per_lower_device: the kernel keeps it with the lower device, so setting it on one link sets it on all its siblings.
    names_link: the value is the name of a link in the same namespace, for which the kernel has its number.
    derived: the kernel sets it by itself until it is written, so it is neither kept nor set back.
    usual: what a new link mostly has where that is not certain (initial None): not kept, for it comes again.
    since: the first kernel that has it; an older one ignores it without a word, which verification catches.
    networkd, networkmanager: how systemd-networkd and NetworkManager write it; None where they cannot.
    """

    name: str
    type: Type
    store: Store
    nla: str = ""
    bit: int = 0
    at: At = At.ANY
    initial: Any = None
    recreate_if: Callable[[Attributes, Attributes], bool] = never
    per_lower_device: bool = False
    names_link: bool = False
    derived: bool = False
    usual: Any = None
    aliases: tuple[str, ...] = ()
    since: str = ""
    networkd: ManagerSetting | None = None
    networkmanager: ManagerSetting | None = None


@dataclass(frozen=True)
class Kind:
    """One kind of link: the kernel's name for it, the attributes that are options of its module, and what creating one needs.

    module: the kernel module that brings it. flat: what sits on one of these, the kernel lets sit on the device below.
    takes_address: a new one has the MAC of its lower device. draws_address: a new one has a random MAC, and keeps it. follows:
    it goes up and down with its lower device.
    port: what it has beside them while it is a port of a bridge; a module of its own (bridge_port) has those as options.
    """

    name: str
    options: tuple[Attribute, ...]
    needs: tuple[str, ...] = ()
    port: tuple[Attribute, ...] = ()
    module: str = ""
    flat: bool = False
    takes_address: bool = False
    draws_address: bool = False
    follows: bool = False

    @property
    def attributes(self) -> tuple[Attribute, ...]:
        """All that a link of this kind can have."""
        return self.options + self.port

    def __getitem__(self, name: str) -> Attribute:
        """The row of an attribute; KeyError for one that this kind does not have."""
        return {row.name: row for row in self.attributes}[name]

    def rows(self, attributes: Attributes) -> list[Attribute]:
        """The rows of these attributes, in the order of the table."""
        return [row for row in self.attributes if row.name in attributes]

# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table: every kind of link, and every attribute of it, declared once.

Argument specification, comparison, planning, encoding and decoding derive from these rows. A new option is a row here, a
text in doc_fragments and a planner case; a new kind is a handful of rows and a thin module.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any

from ansible_collections.patchbay.netdev.plugins.module_utils._model import Attributes
from ansible_collections.patchbay.netdev.plugins.module_utils._values import (
    AltName,
    Boolean,
    Choice,
    GroupNumber,
    Integer,
    LinkName,
    Mac,
    Reference,
    SetOf,
    Sysctls,
    Text,
    Type,
)

IFF_UP, IFF_PROMISC, IFF_ALLMULTI = 0x1, 0x100, 0x200
U32 = 0xFFFFFFFF
PASSTHRU = "passthru"
SOURCE = "source"


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


class At(Enum):
    """When the kernel honours an attribute: it silently ignores some at creation and some afterwards."""

    ANY = "at creation and later"
    CREATION = "only at creation"
    AFTER = "only after creation"


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
    since: the first kernel that has it; an older one ignores it without a word, which verification catches.
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
    aliases: tuple[str, ...] = ()
    since: str = ""


@dataclass(frozen=True)
class Kind:
    """One kind of link: the kernel's name for it, its attributes, and the options that creating one needs."""

    name: str
    attributes: tuple[Attribute, ...]
    needs: tuple[str, ...] = ()

    def __getitem__(self, name: str) -> Attribute:
        """The row of an attribute; KeyError for one that this kind does not have."""
        return {row.name: row for row in self.attributes}[name]

    def rows(self, attributes: Attributes) -> list[Attribute]:
        """The rows of these attributes, in the order of the table."""
        return [row for row in self.attributes if row.name in attributes]


def _crosses_passthru(before: Attributes, after: Attributes) -> bool:
    """Passthru takes the lower device over, so the kernel refuses to enter or to leave it."""
    return (before.get("mode") == PASSTHRU) != (after.get("mode") == PASSTHRU)


def _unsafe_nopromisc(before: Attributes, after: Attributes) -> bool:
    """On a passthru link that is down, the kernel miscounts the promiscuity of the lower device.

    Setting the flag takes the counter to -1, clearing it leaves the device promiscuous for ever (Linux 6.18): only a link
    that is up, before or after, takes the change.
    """
    return after.get("mode") == PASSTHRU and before.get("admin_state") == after.get("admin_state") == "down"


LINK = Kind(
    "link",
    (
        Attribute("address", Mac(), Store.MESSAGE, "IFLA_ADDRESS", aliases=("mac",)),
        Attribute("mtu", Integer(68, 65535), Store.MESSAGE, "IFLA_MTU"),
        Attribute("tx_queue_len", Integer(0, U32), Store.MESSAGE, "IFLA_TXQLEN", initial=1000),
        Attribute(
            "num_tx_queues",
            Integer(1, 4096),
            Store.MESSAGE,
            "IFLA_NUM_TX_QUEUES",
            at=At.CREATION,
            initial=1,
            recreate_if=always,
        ),
        Attribute(
            "num_rx_queues",
            Integer(1, 4096),
            Store.MESSAGE,
            "IFLA_NUM_RX_QUEUES",
            at=At.CREATION,
            initial=1,
            recreate_if=always,
        ),
        Attribute("group", GroupNumber(), Store.MESSAGE, "IFLA_GROUP", initial=0),
        Attribute("alias", Text(255), Store.MESSAGE, "IFLA_IFALIAS", at=At.AFTER, initial=""),
        Attribute(
            "controller",
            LinkName(empty=True),
            Store.MESSAGE,
            "IFLA_MASTER",
            at=At.AFTER,
            initial="",
            aliases=("master",),
        ),
        Attribute(
            "address_generation_mode",
            Choice({"eui64": 0, "none": 1, "stable_secret": 2, "random": 3}),
            Store.INET6,
            "IFLA_INET6_ADDR_GEN_MODE",
            at=At.AFTER,
        ),
        Attribute("altnames", SetOf(AltName()), Store.ALTNAME, at=At.AFTER, initial=(), since="5.5"),
        Attribute("sysctls", Sysctls(), Store.SYSCTL, at=At.AFTER),
        Attribute("promiscuous", Boolean(), Store.FLAG, bit=IFF_PROMISC, initial=False),
        Attribute("allmulticast", Boolean(), Store.FLAG, bit=IFF_ALLMULTI, initial=False),
        Attribute("admin_state", Choice({"up": 1, "down": 0}), Store.FLAG, bit=IFF_UP, initial="down"),
    ),
)


def _on_lower_device(kind: str) -> tuple[Attribute, ...]:
    """The rows that macvlan and macvtap share: the kernel has the same attributes twice, under two names."""
    prefix = f"IFLA_{kind.upper()}_"
    return (
        Attribute(
            "lower_device",
            Reference(),
            Store.MESSAGE,
            "IFLA_LINK",
            at=At.CREATION,
            recreate_if=always,
            aliases=("parent",),
        ),
        Attribute(
            "mode",
            Choice({"private": 1, "vepa": 2, "bridge": 4, PASSTHRU: 8, SOURCE: 16}),
            Store.DATA,
            prefix + "MODE",
            initial="vepa",
            recreate_if=_crosses_passthru,
        ),
        Attribute(
            "nopromisc",
            Boolean(),
            Store.DATA_FLAG,
            prefix + "FLAGS",
            bit=1,
            initial=False,
            recreate_if=_unsafe_nopromisc,
        ),
        Attribute("nodst", Boolean(), Store.DATA_FLAG, prefix + "FLAGS", bit=2, initial=False, since="5.13"),
        # Above some 2,550 addresses the kernel's dumps are cut short, above 5,454 they are garbage.
        Attribute("source_addresses", SetOf(Mac(), most=1000), Store.SOURCES, prefix + "MACADDR_DATA", initial=()),
        Attribute("bc_queue_len", Integer(0, U32), Store.DATA, prefix + "BC_QUEUE_LEN", initial=1000, since="5.11"),
        Attribute(
            "bc_cutoff",
            Integer(-(1 << 31), (1 << 31) - 1),
            Store.DATA,
            prefix + "BC_CUTOFF",
            initial=1,
            per_lower_device=True,
            since="6.4",
        ),
    )


MACVLAN = Kind("macvlan", _on_lower_device("macvlan") + LINK.attributes, needs=("lower_device",))

KINDS = {kind.name: kind for kind in (MACVLAN,)}


def kind_of(name: str) -> Kind:
    """The rows of a link of this kind: those of the table, or the ones that every link has."""
    return KINDS.get(name, LINK)

# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Links, the addresses on them, and the network namespaces they are in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

HERE = ""  # the network namespace that the task runs in, wherever a namespace is named

PHYSICAL = "physical"  # the kind of a link for which the kernel names none

Attributes = Mapping[str, object]  # option name -> normal form; a missing name: not managed (desired) or not known (current)


@dataclass(frozen=True, order=True)
class LinkKey:
    """The identity of a link: its namespace and its name."""

    netns: str
    name: str

    def __str__(self) -> str:
        return f"{self.name} in netns {self.netns}" if self.netns else self.name


@dataclass(frozen=True, order=True)
class NetnsKey:
    """The identity of a named network namespace."""

    name: str

    def __str__(self) -> str:
        return f"netns {self.name}"


LEFT_BEHIND = "an empty file"  # what remains of a namespace whose mount is gone, after a crash


@dataclass(frozen=True)
class Netns:
    """A named network namespace; processes: the ids of those that run in it.

    obstacle: what has its name in /run/netns, if that is no namespace: LEFT_BEHIND, or a description of what only its owner may
    delete.
    """

    key: NetnsKey
    processes: tuple[int, ...] = ()
    obstacle: str = ""

    def __str__(self) -> str:
        return f"{self.obstacle} in the place of {self.key}" if self.obstacle else str(self.key)


@dataclass(frozen=True)
class Address:
    """An IP address on a link. family: 4 or 6. flags: IFA_F_*. preferred, valid: lifetimes in seconds (None: forever).

    A desired address has None for an omitted suboption, and "" or 0 for what it must not have; a current one has None for what
    the kernel does not report.
    client: a DHCP client of the link whose address looks like a static one. unset: flags that a desired address must not have.
    """

    ip: str
    prefix_length: int
    family: int
    flags: int = 0
    scope: int = 0
    peer_ip: str | None = None
    broadcast: str | None = None
    label: str | None = None
    metric: int | None = None
    protocol: int | None = None
    preferred: int | None = None
    valid: int | None = None
    client: str | None = None
    unset: int = 0

    @property
    def settled(self) -> bool:
        """Whether duplicate address detection is over, without a duplicate."""
        return not self.flags & 0x48  # tentative, or found to be a duplicate (linux/if_addr.h)

    def __str__(self) -> str:
        return f"{self.ip}/{self.prefix_length}"


@dataclass(frozen=True)
class Neighbor:
    """A permanent entry of the neighbor table of a link. family: 4 or 6. address: its MAC address.

    proxy: the link answers for the address itself. flags, protocol: NTF_* and the origin (RTPROT_*) as the kernel has them.
    """

    ip: str
    family: int
    address: str | None = None
    proxy: bool = False
    flags: int = 0
    protocol: int = 0

    def __str__(self) -> str:
        return f"{'proxy ' if self.proxy else ''}neighbor {self.ip}"


class TypedAttributes:
    """Access to attributes with their types; None: not known of a current object, not managed of a desired one."""

    attributes: Attributes

    def get(self, name: str) -> object:
        """The value of an attribute."""
        return self.attributes.get(name)

    def text(self, name: str) -> str | None:
        """The value of an attribute that is a text."""
        return typed(str, self.attributes.get(name))

    def number(self, name: str) -> int | None:
        """The value of an attribute that is a number."""
        return typed(int, self.attributes.get(name))


class LinkAttributes(TypedAttributes):
    """The attributes of a link that the engine itself reads."""

    @property
    def address(self) -> str | None:
        """The MAC address."""
        return self.text("address")

    @property
    def addresses(self) -> tuple[Address, ...]:
        """The IP addresses; none when they are not known or not managed."""
        found: tuple[Address, ...] | None = typed(tuple, self.attributes.get("addresses"))
        return found or ()

    @property
    def admin_state(self) -> str | None:
        """`up` or `down`."""
        return self.text("admin_state")

    @property
    def altnames(self) -> tuple[str, ...]:
        """The alternative names; none when they are not known or not managed."""
        found: tuple[str, ...] | None = typed(tuple, self.attributes.get("altnames"))
        return found or ()

    @property
    def controller(self) -> str | None:
        """The name of the bridge or VRF that the link is attached to; an empty text: attached to none."""
        return self.text("controller")

    @property
    def lower_device(self) -> LinkKey | None:
        """The link that this one sits on."""
        return typed(LinkKey, self.attributes.get("lower_device"))

    @property
    def mode(self) -> str | None:
        """The mode of a macvlan, macvtap or ipvlan."""
        return self.text("mode")

    @property
    def mtu(self) -> int | None:
        """The maximum transmission unit, in bytes."""
        return self.number("mtu")

    @property
    def peer(self) -> LinkKey | None:
        """The other end of a veth pair."""
        return typed(LinkKey, self.attributes.get("peer"))

    @property
    def sysctls(self) -> Mapping[str, int]:
        """The settings of this link below net.ipv4.conf and net.ipv6.conf; none when they are not known or not managed."""
        found: Mapping[str, int] | None = typed(dict, self.attributes.get("sysctls"))
        return found or {}


@dataclass(frozen=True)
class AttributeView(LinkAttributes):
    """The attributes of a link that stand alone: those of a change, or of a link that is to be created."""

    attributes: Attributes


_Value = TypeVar("_Value")


def typed(type_: type[_Value], value: object) -> _Value | None:
    """The value; TypeError for one of another type, which only a fault of ours can bring here."""
    if value is not None and not isinstance(value, type_):
        raise TypeError(f"{value!r} is no {type_.__name__}")
    return value


@dataclass(frozen=True)
class Link(LinkAttributes):
    """A link of the current state, observed or predicted; `attributes` by option name, in normal form.

    index: None for a link that is only predicted. ethernet: false for a loopback, or a device without Ethernet headers.
    carrier: None when it is not known. oper_state: the kernel's operational state (RFC 2863), in lower case.
    """

    key: LinkKey
    kind: str
    attributes: Attributes
    index: int | None = None
    ethernet: bool = True
    carrier: bool | None = True
    oper_state: str | None = None

    def with_attributes(self, changes: Attributes) -> Link:
        """The same link with these attributes changed."""
        return replace(self, attributes={**self.attributes, **changes})

# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Links, the addresses on them, and the network namespaces they are in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

HERE = ""  # the network namespace that the task runs in, wherever a namespace is named

PHYSICAL = "physical"  # the kind of a link for which the kernel names none

Attributes = Mapping[str, Any]  # option name -> normal form; a missing name is not managed (wanted) or not known (observed)


@dataclass(frozen=True, order=True)
class LinkKey:
    """What makes a link itself: where it is, and its name."""

    netns: str
    name: str

    def __str__(self) -> str:
        return f"{self.name} in netns {self.netns}" if self.netns else self.name


@dataclass(frozen=True, order=True)
class NetnsKey:
    """What makes a named network namespace itself."""

    name: str

    def __str__(self) -> str:
        return f"netns {self.name}"


LEFT_BEHIND = "an empty file"  # what stays of a namespace after a crash, when only its mount is gone


@dataclass(frozen=True)
class Netns:
    """A named network namespace; processes: the ids of those that live in it.

    instead: what is in its place, if that is no namespace: LEFT_BEHIND, or in words what nobody but its owner may take away.
    """

    key: NetnsKey
    processes: tuple[int, ...] = ()
    instead: str = ""

    def __str__(self) -> str:
        return f"{self.instead} in the place of {self.key}" if self.instead else str(self.key)


@dataclass(frozen=True)
class Address:
    """An IP address on a link; family 4 or 6, `flags` are IFA_F_*, lifetimes in seconds (None: for ever).

    A wanted one has None for what was not written, and "" or 0 for what it is not to have; one that the kernel reports has None
    for what it does not say.
    client: a DHCP client that serves the link, where its address looks like a static one.
    unset: of a wanted one, the flags that it must not have.
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
        """Whether duplicate address detection has passed it."""
        return not self.flags & 0x48  # tentative, or found to be a duplicate (linux/if_addr.h)

    def __str__(self) -> str:
        return f"{self.ip}/{self.prefix_length}"


class LinkAttributes:
    """Typed access to the attributes of a link; None: not known of a current link, not managed of a desired one."""

    attributes: Attributes

    def get(self, name: str) -> Any:
        """The value of an attribute; None when it has none."""
        return self.attributes.get(name)

    @property
    def address(self) -> str | None:
        """The MAC address."""
        return _typed(str, self.attributes.get("address"))

    @property
    def addresses(self) -> tuple[Address, ...]:
        """The IP addresses; none when they are not known or not managed."""
        found: tuple[Address, ...] | None = _typed(tuple, self.attributes.get("addresses"))
        return found or ()

    @property
    def admin_state(self) -> str | None:
        """`up` or `down`."""
        return _typed(str, self.attributes.get("admin_state"))

    @property
    def altnames(self) -> tuple[str, ...]:
        """The alternative names; none when they are not known or not managed."""
        found: tuple[str, ...] | None = _typed(tuple, self.attributes.get("altnames"))
        return found or ()

    @property
    def controller(self) -> str | None:
        """The name of the bridge or VRF that the link is attached to; an empty text: attached to none."""
        return _typed(str, self.attributes.get("controller"))

    @property
    def lower_device(self) -> LinkKey | None:
        """The link that this one sits on."""
        return _typed(LinkKey, self.attributes.get("lower_device"))

    @property
    def mode(self) -> str | None:
        """The mode of a macvlan, macvtap or ipvlan."""
        return _typed(str, self.attributes.get("mode"))

    @property
    def mtu(self) -> int | None:
        """The maximum transmission unit, in bytes."""
        return _typed(int, self.attributes.get("mtu"))

    @property
    def peer(self) -> LinkKey | None:
        """The other end of a veth pair."""
        return _typed(LinkKey, self.attributes.get("peer"))

    @property
    def sysctls(self) -> Mapping[str, int]:
        """The settings of this link below net.ipv4.conf and net.ipv6.conf; none when they are not known or not managed."""
        found: Mapping[str, int] | None = _typed(dict, self.attributes.get("sysctls"))
        return found or {}


_Value = TypeVar("_Value")


def _typed(type_: type[_Value], value: object) -> _Value | None:
    """The value; TypeError for one of another type, which only a fault of ours can bring here."""
    if value is not None and not isinstance(value, type_):
        raise TypeError(f"{value!r} is no {type_.__name__}")
    return value


@dataclass(frozen=True)
class Link(LinkAttributes):
    """A link as observed, or as predicted; `attributes` by option name, in normal form, None or missing when not known.

    index is None for a link that is only predicted. `ethernet` is false for a loopback or a device without Ethernet
    headers. carrier is None when it is not known. oper_state is the kernel's (RFC 2863, lower case).
    """

    key: LinkKey
    kind: str
    attributes: Attributes
    index: int | None = None
    ethernet: bool = True
    carrier: bool | None = True
    oper_state: str | None = None

    def with_attributes(self, changes: Attributes) -> Link:
        """The same link after these attributes changed."""
        return replace(self, attributes={**self.attributes, **changes})

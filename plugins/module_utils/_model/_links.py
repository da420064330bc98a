# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Links, the addresses on them, and the network namespaces they are in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

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


@dataclass(frozen=True)
class Link:
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

    def get(self, name: str) -> Any:
        """The value of an attribute; None when it is not known."""
        return self.attributes.get(name)

    def with_attributes(self, changes: Attributes) -> Link:
        """The same link after these attributes changed."""
        return replace(self, attributes={**self.attributes, **changes})

# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What operations ask of the kernel, as data: the gateway executes these, and a fake one can too.

Links are named by key and attributes by option: which message and which netlink attribute that takes is the gateway's business.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Union

from ansible_collections.patchbay.netdev.plugins.module_utils._model import Address, Attributes, LinkKey, Route


@dataclass(frozen=True)
class NewLink:
    """Create a link whole, straight in its namespace; index None lets the kernel choose. All or nothing.

    peer: for a pair, the other end and its attributes, which comes in the same request; peer_index: its index, likewise.
    """

    key: LinkKey
    kind: str
    attributes: Attributes
    index: int | None = None
    peer: tuple[LinkKey, Attributes] | None = None
    peer_index: int | None = None

    def __str__(self) -> str:
        return f"create {self.key}"


@dataclass(frozen=True)
class SetLink:
    """Change attributes of a link. Not atomic: the kernel applies them one by one and keeps those before a failure."""

    key: LinkKey
    kind: str
    attributes: Attributes

    def __str__(self) -> str:
        return f"set {', '.join(self.attributes)} of {self.key}"


@dataclass(frozen=True)
class RemoveLink:
    """Delete a link, and with it what sits on it."""

    key: LinkKey

    def __str__(self) -> str:
        return f"delete {self.key}"


@dataclass(frozen=True)
class RemoveLinks:
    """Delete several links of one namespace at once: all or nothing. The kernel waits once for all of them, not once for each."""

    keys: tuple[LinkKey, ...]

    def __str__(self) -> str:
        return f"delete {len(self.keys)} links"


@dataclass(frozen=True)
class RenameLink:
    """Give a link another name in its namespace."""

    key: LinkKey
    name: str

    def __str__(self) -> str:
        return f"rename {self.key} to {self.name}"


@dataclass(frozen=True)
class AddAltname:
    """Give a link one more name."""

    key: LinkKey
    altname: str

    def __str__(self) -> str:
        return f"add altname {self.altname} to {self.key}"


@dataclass(frozen=True)
class RemoveAltname:
    """Take an alternative name from a link."""

    key: LinkKey
    altname: str

    def __str__(self) -> str:
        return f"remove altname {self.altname} from {self.key}"


@dataclass(frozen=True)
class WriteSysctl:
    """Write one per-link setting, such as `ipv4.arp_ignore`."""

    key: LinkKey
    setting: str
    value: int

    def __str__(self) -> str:
        return f"write {self.setting} = {self.value} of {self.key}"


@dataclass(frozen=True)
class SetNode:
    """Give the device node of a link an owner, a group or a mode; never that of another link."""

    key: LinkKey
    attributes: Attributes

    def __str__(self) -> str:
        return f"set {', '.join(self.attributes)} of {self.key}"


@dataclass(frozen=True)
class AddAddress:
    """Put an address on a link; one that is there already is no error."""

    key: LinkKey
    address: Address

    def __str__(self) -> str:
        return f"add address {self.address} to {self.key}"


@dataclass(frozen=True)
class AddRoute:
    """Add a route by a link; one that is there already is no error."""

    key: LinkKey
    route: Route

    def __str__(self) -> str:
        return f"add route {self.route} by {self.key}"


@dataclass(frozen=True)
class NewNetns:
    """Make a named network namespace; left_behind: only the file that stands for one."""

    name: str
    left_behind: bool = False

    def __str__(self) -> str:
        return f"create netns {self.name}"


@dataclass(frozen=True)
class RemoveNetns:
    """Take the name of a network namespace away; the kernel deletes it once nothing refers to it.

    left_behind: only an empty file that stands for none.
    """

    name: str
    left_behind: bool = False

    def __str__(self) -> str:
        return f"delete netns {self.name}"


Request = Union[
    NewNetns,
    RemoveNetns,
    NewLink,
    SetLink,
    RemoveLink,
    RemoveLinks,
    RenameLink,
    AddAltname,
    RemoveAltname,
    WriteSysctl,
    SetNode,
    AddAddress,
    AddRoute,
]

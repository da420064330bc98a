# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What operations request of the host, as data: the gateway executes requests, and so does the fake gateway of the tests.

Links are named by key and attributes by option; the gateway knows the messages and netlink attributes for them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Union

from ansible_collections.patchbay.netdev.plugins.module_utils._model._boot import File
from ansible_collections.patchbay.netdev.plugins.module_utils._model._clients import Client
from ansible_collections.patchbay.netdev.plugins.module_utils._model._links import Address, Attributes, LinkKey, Neighbor
from ansible_collections.patchbay.netdev.plugins.module_utils._model._routing import Route, Rule


@dataclass(frozen=True)
class NewLink:
    """Create a complete link, directly in its namespace. All or nothing.

    index: the one to request; None: the kernel chooses. peer: of a pair, the other end, which the same request creates, and
    its attributes. peer_index: as index, for the other end.
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
    """Change attributes of a link. Not atomic: the kernel applies them one after the other, and keeps those before a failure."""

    key: LinkKey
    kind: str
    attributes: Attributes

    def __str__(self) -> str:
        return f"set {', '.join(self.attributes)} of {self.key}"


@dataclass(frozen=True)
class RemoveLink:
    """Delete a link, and all links that sit on it."""

    key: LinkKey

    def __str__(self) -> str:
        return f"delete {self.key}"


@dataclass(frozen=True)
class RemoveLinks:
    """Delete several links of one namespace. All or nothing. The kernel waits once for all of them, and not once for each."""

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
    """Add an alternative name to a link."""

    key: LinkKey
    altname: str

    def __str__(self) -> str:
        return f"add altname {self.altname} to {self.key}"


@dataclass(frozen=True)
class RemoveAltname:
    """Remove an alternative name from a link."""

    key: LinkKey
    altname: str

    def __str__(self) -> str:
        return f"remove altname {self.altname} from {self.key}"


@dataclass(frozen=True)
class WriteSysctl:
    """Write one sysctl of a link, such as `ipv4.arp_ignore`."""

    key: LinkKey
    setting: str
    value: int

    def __str__(self) -> str:
        return f"write {self.setting} = {self.value} of {self.key}"


@dataclass(frozen=True)
class SetNode:
    """Set owner, group or mode of the device node of a link; refused if the node belongs to another link."""

    key: LinkKey
    attributes: Attributes

    def __str__(self) -> str:
        return f"set {', '.join(self.attributes)} of {self.key}"


@dataclass(frozen=True)
class AddAddress:
    """Add an address to a link; not an error if the link has it already."""

    key: LinkKey
    address: Address

    def __str__(self) -> str:
        return f"add address {self.address} to {self.key}"


@dataclass(frozen=True)
class ReplaceAddress:
    """Change metric and flags of an address in place."""

    key: LinkKey
    address: Address

    def __str__(self) -> str:
        return f"change address {self.address} of {self.key}"


@dataclass(frozen=True)
class RemoveAddress:
    """Remove one address from a link. The other addresses of its subnet stay, which the kernel alone does not ensure."""

    key: LinkKey
    address: Address

    def __str__(self) -> str:
        return f"remove address {self.address} from {self.key}"


@dataclass(frozen=True)
class AwaitAddresses:
    """Wait until addresses have passed duplicate address detection; a duplicate is an error. seconds: the timeout."""

    key: LinkKey
    ips: tuple[str, ...]
    seconds: float

    def __str__(self) -> str:
        return f"wait for {', '.join(self.ips)} on {self.key}"


@dataclass(frozen=True)
class AnnounceAddresses:
    """Announce addresses to the neighbors of a link by gratuitous ARP and unsolicited neighbor advertisements."""

    key: LinkKey
    ips: tuple[str, ...]

    def __str__(self) -> str:
        return f"announce {', '.join(self.ips)} from {self.key}"


@dataclass(frozen=True)
class AddNeighbor:
    """Add a permanent neighbor to a link, in place of one with this IP address."""

    key: LinkKey
    neighbor: Neighbor

    def __str__(self) -> str:
        return f"add {self.neighbor} to {self.key}"


@dataclass(frozen=True)
class AddRoute:
    """Add a route; not an error if it exists already."""

    route: Route

    def __str__(self) -> str:
        return f"add {self.route}"


@dataclass(frozen=True)
class ReplaceRoute:
    """Replace the first route that has this key, without a gap."""

    route: Route

    def __str__(self) -> str:
        return f"replace {self.route}"


@dataclass(frozen=True)
class RemoveRoute:
    """Delete a route; not an error if it does not exist."""

    route: Route

    def __str__(self) -> str:
        return f"delete {self.route}"


@dataclass(frozen=True)
class AddRule:
    """Add a policy rule; not an error if an identical rule exists already."""

    rule: Rule

    def __str__(self) -> str:
        return f"add {self.rule}"


@dataclass(frozen=True)
class RemoveRule:
    """Delete the first policy rule that has all these selectors, whatever else it has."""

    rule: Rule

    def __str__(self) -> str:
        return f"delete {self.rule}"


@dataclass(frozen=True)
class NewNetns:
    """Create a named network namespace; left_behind: only the file in /run/netns, without a mount."""

    name: str
    left_behind: bool = False

    def __str__(self) -> str:
        return f"create netns {self.name}"


@dataclass(frozen=True)
class RemoveNetns:
    """Delete the name of a network namespace; the kernel deletes the namespace when nothing refers to it any more.

    left_behind: only an empty file in /run/netns is there, without a mount.
    """

    name: str
    left_behind: bool = False

    def __str__(self) -> str:
        return f"delete netns {self.name}"


@dataclass(frozen=True)
class WriteFile:
    """Write a file atomically."""

    path: str
    file: File

    def __str__(self) -> str:
        return f"write {self.path}"


@dataclass(frozen=True)
class DeleteFile:
    """Delete a file, and its directory if that was created for such files and is empty now."""

    path: str

    def __str__(self) -> str:
        return f"delete {self.path}"


@dataclass(frozen=True)
class Reload:
    """Let a program read its files again.

    program: `systemd`, `networkd`, `networkmanager` (its settings), `profiles` (those of NetworkManager), `udev`, `sysv` or
    `openrc`. paths: the files that were written or deleted; a complaint of the program about one of them is an error.
    """

    program: str
    paths: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"reload {self.program}"


@dataclass(frozen=True)
class RunSelfTest:
    """Run the boot program once without changing anything, so that an interpreter without pyroute2 is detected now."""

    interpreter: str

    def __str__(self) -> str:
        return f"test the boot program with {self.interpreter}"


@dataclass(frozen=True)
class StartClient:
    """Start the DHCP client of a link, in place of one that is running. client: with the leases that it starts from."""

    client: Client

    def __str__(self) -> str:
        return f"start the {self.client.key}"


@dataclass(frozen=True)
class StopClient:
    """Stop the DHCP client of a link. left: what stays known of a client that is started again later; None: nothing."""

    link: LinkKey
    left: Client | None = None

    def __str__(self) -> str:
        return f"stop the DHCP client of {self.link}"


@dataclass(frozen=True)
class AwaitLease:
    """Wait until the DHCP client of a link has a lease and has set its address and routes. seconds: the timeout."""

    link: LinkKey
    seconds: float

    def __str__(self) -> str:
        return f"wait for the lease of {self.link}"


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
    ReplaceAddress,
    RemoveAddress,
    AwaitAddresses,
    AnnounceAddresses,
    AddNeighbor,
    AddRoute,
    ReplaceRoute,
    RemoveRoute,
    AddRule,
    RemoveRule,
    WriteFile,
    DeleteFile,
    Reload,
    RunSelfTest,
    StartClient,
    StopClient,
    AwaitLease,
]

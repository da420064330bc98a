# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What operations ask of the kernel, as data: the gateway executes these, and a fake one can too.

Links are named by key and attributes by option: which message and which netlink attribute that takes is the gateway's business.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Union

from ansible_collections.patchbay.netdev.plugins.module_utils._model._boot import File
from ansible_collections.patchbay.netdev.plugins.module_utils._model._clients import Client
from ansible_collections.patchbay.netdev.plugins.module_utils._model._links import Address, Attributes, LinkKey
from ansible_collections.patchbay.netdev.plugins.module_utils._model._routing import Route, Rule


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
class ReplaceAddress:
    """Change the metric and the flags of an address in place."""

    key: LinkKey
    address: Address

    def __str__(self) -> str:
        return f"change address {self.address} of {self.key}"


@dataclass(frozen=True)
class RemoveAddress:
    """Take one address off a link. The others of its subnet stay, which the kernel alone would not grant."""

    key: LinkKey
    address: Address

    def __str__(self) -> str:
        return f"remove address {self.address} from {self.key}"


@dataclass(frozen=True)
class AwaitAddresses:
    """Wait until duplicate address detection has passed these, at most so many seconds; a duplicate is an error."""

    key: LinkKey
    ips: tuple[str, ...]
    seconds: float

    def __str__(self) -> str:
        return f"wait for {', '.join(self.ips)} on {self.key}"


@dataclass(frozen=True)
class AnnounceAddresses:
    """Tell the neighbours of a link who has these addresses now: gratuitous ARP, unsolicited neighbour advertisement."""

    key: LinkKey
    ips: tuple[str, ...]

    def __str__(self) -> str:
        return f"announce {', '.join(self.ips)} from {self.key}"


@dataclass(frozen=True)
class AddRoute:
    """Add a route; one that is there already is no error."""

    route: Route

    def __str__(self) -> str:
        return f"add {self.route}"


@dataclass(frozen=True)
class ReplaceRoute:
    """Put a route in the place of the first one that has its key, without a gap."""

    route: Route

    def __str__(self) -> str:
        return f"replace {self.route}"


@dataclass(frozen=True)
class RemoveRoute:
    """Delete a route; one that is not there any more is no error."""

    route: Route

    def __str__(self) -> str:
        return f"delete {self.route}"


@dataclass(frozen=True)
class AddRule:
    """Add a policy rule; one that is there already, in all its parts, is no error."""

    rule: Rule

    def __str__(self) -> str:
        return f"add {self.rule}"


@dataclass(frozen=True)
class RemoveRule:
    """Delete the first policy rule that has all these parts, whatever it has besides."""

    rule: Rule

    def __str__(self) -> str:
        return f"delete {self.rule}"


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


@dataclass(frozen=True)
class WriteFile:
    """Write a file whole, or not at all."""

    path: str
    file: File

    def __str__(self) -> str:
        return f"write {self.path}"


@dataclass(frozen=True)
class DeleteFile:
    """Delete a file, and the folder that was only there for such files."""

    path: str

    def __str__(self) -> str:
        return f"delete {self.path}"


@dataclass(frozen=True)
class Reload:
    """Have a program read its files again: `systemd`, `networkd`, `networkmanager` (its settings),
    `profiles` (those of NetworkManager), `udev`, `sysv` or `openrc`.

    paths: those that were written or deleted, of which it must have nothing to complain.
    """

    program: str
    paths: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"have {self.program} read its files"


@dataclass(frozen=True)
class RunSelfTest:
    """Run the program of the next boot once, without changing anything: an interpreter without pyroute2 shows now."""

    interpreter: str

    def __str__(self) -> str:
        return f"run the boot program with {self.interpreter}"


@dataclass(frozen=True)
class StartClient:
    """Start a DHCP client for a link, in place of one that is there; the leases are those that it is to know of."""

    client: Client

    def __str__(self) -> str:
        return f"start the {self.client.key}"


@dataclass(frozen=True)
class StopClient:
    """End the DHCP client of a link; left: what stays known of it, for it is to come again. None: nothing."""

    link: LinkKey
    left: Client | None = None

    def __str__(self) -> str:
        return f"stop the DHCP client of {self.link}"


@dataclass(frozen=True)
class AwaitLease:
    """Wait until the DHCP client of a link has a lease and all that comes of it is there, at most so many seconds."""

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

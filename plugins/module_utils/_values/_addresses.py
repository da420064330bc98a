# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The IP addresses of a link: which of them are ours to manage, what makes two the same, and how one list becomes another.

The value of the attribute `addresses` holds all that a link has, whoever made them. A wish names static ones, and only static
ones are ever removed for it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ansible_collections.patchbay.netdev.plugins.module_utils._model._errors import InvalidValue
from ansible_collections.patchbay.netdev.plugins.module_utils._model._ip import inside, network
from ansible_collections.patchbay.netdev.plugins.module_utils._model._links import Address
from ansible_collections.patchbay.netdev.plugins.module_utils._values._base import Difference, Text, Type
from ansible_collections.patchbay.netdev.plugins.module_utils._values._ip import Ip, ip_interface
from ansible_collections.patchbay.netdev.plugins.module_utils._values._numbers import Integer

# linux/if_addr.h
SECONDARY = TEMPORARY = 0x01  # the one in IPv4, the other in IPv6
NODAD, DADFAILED, TENTATIVE, PERMANENT, NOPREFIXROUTE = 0x02, 0x08, 0x40, 0x80, 0x200
KERNEL_LO, KERNEL_RA, KERNEL_LL = 1, 2, 3  # IFAPROT_*

_SCOPE_HOST = 254  # linux/rtnetlink.h

STATIC, DHCP, RA, KERNEL = "static", "dhcp", "ra", "kernel"
_SETTABLE = NODAD | NOPREFIXROUTE
_SWITCHES = (("noprefixroute", NOPREFIXROUTE), ("nodad", NODAD))
_KEYS = ("ip", "peer_ip", "label", "metric", "noprefixroute", "nodad")


def owner(address: Address) -> str:
    """Who made an address: `static`, `dhcp`, `ra` or `kernel`, as far as the kernel says.

    A client that gives its address no lifetime (udhcpc, or an infinite lease) cannot be told by the address: so the gateway
    says which client serves the link, and then no address of the link counts as static that was not declared. The gateway also
    gives the origin KERNEL_LL to link-local addresses of older kernels, which report none, and of network managers.
    """
    if address.protocol in (KERNEL_LO, KERNEL_LL) or _is_loopback(address):
        return KERNEL
    if address.protocol == KERNEL_RA:
        return RA
    lasting = address.flags & PERMANENT and address.valid is None
    if address.family == 6 and (address.flags & TEMPORARY or not lasting):
        return DHCP if address.prefix_length == 128 else RA
    return STATIC if lasting and not address.client else DHCP


def _is_loopback(address: Address) -> bool:
    return (address.ip, address.prefix_length) in (("127.0.0.1", 8), ("::1", 128))


def identity(address: Address) -> tuple[Any, ...]:
    """What distinguishes two addresses of one link in the kernel."""
    if address.family == 6:
        return (address.ip,)
    return (address.ip, address.prefix_length, network(address.peer_ip or address.ip, address.prefix_length))


def is_duplicate(address: Address) -> bool:
    """Whether duplicate address detection found the address on another host."""
    return bool(address.flags & DADFAILED)


@dataclass(frozen=True)
class AddressChanges:
    """The changes from one list of addresses to another, in order: new ones first, so that no route loses its last address.

    replace: changed in place. readd: (before, after), removed and added again, because the kernel does not change them in place.
    reorder: removed and added again, because a new primary address of their subnet must be in front of them.
    """

    add: tuple[Address, ...]
    replace: tuple[Address, ...]
    readd: tuple[tuple[Address, Address], ...]
    remove: tuple[Address, ...]
    reorder: tuple[Address, ...] = ()

    @property
    def removed(self) -> list[Address]:
        """All addresses that are removed, even if only for a moment."""
        return [*self.remove, *(before for before, _after in self.readd), *self.reorder]


def address_changes(before: tuple[Address, ...], after: tuple[Address, ...]) -> AddressChanges:
    """The changes that lead from one complete list to the other."""
    old = {identity(address): address for address in before}
    new = {identity(address): address for address in after}
    changed = [(old[key], new[key]) for key in new if key in old and _settings(old[key]) != _settings(new[key])]
    readd = tuple((was, now) for was, now in changed if not _is_changed_in_place(was, now))
    added = {key for key in new if key not in old}
    return AddressChanges(
        tuple(new[key] for key in new if key in added),
        tuple(now for was, now in changed if _is_changed_in_place(was, now)),
        readd,
        tuple(address for key, address in old.items() if key not in new),
        tuple(_to_reorder(after, added | {identity(now) for _was, now in readd})),
    )


def _to_reorder(after: tuple[Address, ...], added: set[tuple[Any, ...]]) -> Iterator[Address]:
    """The IPv4 addresses whose subnet gets a new primary address: the first one, which packets are sent from."""
    primary_is_new: dict[str, bool] = {}
    for address in after:
        if address.family == 4:
            is_new = identity(address) in added
            subnet = network(address.peer_ip or address.ip, address.prefix_length)
            if primary_is_new.setdefault(subnet, is_new) and not is_new:
                yield replace(address, flags=address.flags & ~SECONDARY)  # it is a primary address until it is removed


def replaces_only_address(before: tuple[Address, ...], after: tuple[Address, ...]) -> bool:
    """Whether the only IPv4 address is removed and added again, so that the link has none in between.

    Each of several is removed before the next one is added again.
    """
    changes = address_changes(before, after)
    ipv4 = {identity(address) for address in before + changes.add if address.family == 4}
    return len(ipv4) == 1 and ipv4 <= {identity(address) for address in changes.removed}


def in_order_of_adding(addresses: Iterable[Address]) -> list[Address]:
    """Addresses so that the kernel lists them in their order: it puts a new IPv4 address last, and a new IPv6 address first.

    The order counts: the first of a subnet is the source of packets that nobody chose one for.
    """
    listed = list(addresses)
    return [address for address in listed if address.family == 4] + [
        address for address in reversed(listed) if address.family == 6
    ]


def misplaced(before: Iterable[Address], now: Iterable[Address]) -> list[Address]:
    """The addresses to remove and add again, in the order of adding, so that all are in the order of before."""

    def restorable(addresses: Iterable[Address], family: int) -> list[Address]:
        return [
            address for address in in_order_of_adding(addresses) if address.family == family and owner(address) in (STATIC, DHCP)
        ]

    to_readd: list[Address] = []
    for family in (4, 6):
        present = [identity(address) for address in restorable(now, family)]
        old = [address for address in restorable(before, family) if identity(address) in present]
        for key in present:  # the first of the old addresses stay, as far as they are in their order
            if old and identity(old[0]) == key:
                old.pop(0)
        to_readd += old
    return to_readd


def _settings(address: Address) -> tuple[Any, ...]:
    flags = address.flags & (_SETTABLE | DADFAILED)
    return flags, address.prefix_length, address.peer_ip or None, address.label or None, address.metric or None


def _is_changed_in_place(was: Address, now: Address) -> bool:
    """Whether the kernel changes this on an existing address; it acknowledges other changes and ignores them."""
    if was.prefix_length != now.prefix_length or was.peer_ip != now.peer_ip or was.flags & DADFAILED & ~now.flags:
        return False
    if was.family == 6:
        return bool(now.metric or not was.metric)
    return was.label == now.label and was.flags & NOPREFIXROUTE == now.flags & NOPREFIXROUTE


class Addresses(Type):
    """The static addresses of a link; normal form: a tuple of Address, in the order of writing."""

    def argument(self) -> dict[str, Any]:
        """A list of texts or dictionaries."""
        return {"type": "list", "elements": "raw"}

    def parse(self, value: Any) -> tuple[Address, ...]:
        """The addresses, each once."""
        parsed: dict[tuple[Any, ...], Address] = {}
        for item in value:
            address = _parsed(item)
            other = parsed.setdefault(identity(address), address)
            if other != address:
                raise InvalidValue(f"{address} is listed twice with different options. List it once")
        return tuple(parsed.values())

    def difference(self, current: Any, desired: Any) -> Difference:
        """The lists before and after, both complete: addresses of others stay, and existing addresses are completed."""
        before = current or ()
        desired_by_identity = {identity(address): address for address in completed(before, desired)}
        kept = {
            identity(address): address
            for address in before
            if identity(address) in desired_by_identity or owner(address) != STATIC
        }
        kept.update(desired_by_identity)
        after = tuple(kept.values())
        return None if current is not None and not any(vars(address_changes(before, after)).values()) else (before, after)

    def describe(self, value: Any) -> str:
        """The static addresses in brackets."""
        return f"[{', '.join(str(address) for address in value if owner(address) == STATIC)}]"

    def change(self, current: Any, desired: Any) -> str:
        """The addresses that are added, changed and removed."""
        if current is None:
            return self.describe(desired)
        changes = address_changes(current, desired)
        words = [f"add {address}" for address in changes.add]
        words += [f"change {address}" for address in (*changes.replace, *(new for _old, new in changes.readd))]
        words += [f"remove {address}" for address in changes.remove]
        return ", ".join(words)

    def returned(self, value: Any) -> Any:
        """The static addresses, each with all its options."""
        return [long_form(address) for address in _static(value)]

    def saved(self, value: Any) -> Any:
        """As they were written, in that order: the first of a subnet is the one that packets are sent from."""
        return [_saved(address) for address in value]

    def compared(self, value: Any) -> Any:
        """The static addresses, each as short as a user would write it."""
        return [_short(address) for address in _static(value)]


def _static(value: tuple[Address, ...]) -> list[Address]:
    """The static addresses, sorted, because their order in the kernel is no wish of the user."""
    return sorted(
        (address for address in value if owner(address) == STATIC), key=lambda address: (address.family, identity(address))
    )


def _short(address: Address) -> Any:
    options = {name: part for name, part in long_form(address).items() if part}
    return options if len(options) > 1 else options["ip"]


def _saved(address: Address) -> Any:
    """With what is written to be off: nothing written leaves it as it is."""
    options = _short(address)
    off = {name: False for name, bit in _SWITCHES if address.unset & bit}
    return {**(options if isinstance(options, dict) else {"ip": options}), **off} if off else options


def long_form(address: Address) -> dict[str, Any]:
    """An address in the words of the options."""
    return {
        "ip": str(address),
        "peer_ip": address.peer_ip or None,
        "label": address.label or None,
        "metric": address.metric or None,
        "noprefixroute": bool(address.flags & NOPREFIXROUTE),
        "nodad": bool(address.flags & NODAD),
    }


def completed(current: tuple[Address, ...], desired: tuple[Address, ...]) -> tuple[Address, ...]:
    """The desired addresses, each with its current options where the user omitted them."""
    by_identity = {identity(address): address for address in current}
    by_ip = {(address.ip, address.prefix_length): address for address in current}  # whatever its peer is

    def current_of(address: Address) -> Address | None:
        unspecified_peer = by_ip.get((address.ip, address.prefix_length)) if address.peer_ip is None else None
        return by_identity.get(identity(address)) or unspecified_peer

    return tuple(_completed(current_of(address), address) for address in desired)


def as_added(address: Address) -> Address:
    """The address as the kernel adds it: an IPv6 address is tentative until duplicate address detection has passed."""
    checked = address.family == 6 and not address.flags & NODAD
    return replace(address, flags=address.flags | TENTATIVE) if checked else address


def _completed(current: Address | None, desired: Address) -> Address:
    """The current address with the options that are set of the desired one."""
    if current is None:
        return desired
    after = replace(
        current,
        prefix_length=desired.prefix_length,
        peer_ip=_written(desired.peer_ip, current.peer_ip),
        label=_written(desired.label, current.label),
        metric=_written(desired.metric, current.metric),
        flags=(current.flags | desired.flags & _SETTABLE) & ~desired.unset,
    )
    return after if _is_changed_in_place(current, after) else as_added(after)


def _written(desired: Any, current: Any) -> Any:
    """The option as set, where an empty text and 0 mean none; the current one if it is omitted."""
    return current if desired is None else desired or None


def _parsed(item: Any) -> Address:
    if isinstance(item, (list, tuple)):
        raise InvalidValue(f"{item!r} is neither an address such as 192.0.2.1/24 nor a dictionary with ip")
    options = item if isinstance(item, Mapping) else {"ip": item}
    written = {name: value for name, value in options.items() if value is not None}
    for name in written:
        if name not in _KEYS:
            raise InvalidValue(f"{name!r} is not an option of an address. Valid options: {', '.join(_KEYS)}")
    if "ip" not in written:
        raise InvalidValue(f"{dict(item)!r} has no ip. Set ip, such as 192.0.2.1/24")
    ip, length = ip_interface(written["ip"])
    family = 6 if ":" in ip else 4
    flags, unset = PERMANENT, 0
    for name, bit in _SWITCHES:
        if name in written:
            asked = _part(written, name, _parse_boolean)
            flags, unset = (flags | bit, unset) if asked else (flags, unset | bit)
    if family == 4 and "nodad" in written:
        raise InvalidValue(f"{ip}: nodad applies to IPv6 only, because the kernel detects no duplicates for IPv4. Omit nodad")
    if family == 6 and "label" in written:
        raise InvalidValue(f"{ip}: label applies to IPv4 only. Omit label")
    peer = _part(written, "peer_ip", lambda value: Ip().parse(value) if value else "") if "peer_ip" in written else None
    if peer and (6 if ":" in peer else 4) != family:
        raise InvalidValue(f"{ip}: peer_ip {peer} is of another family than the address")
    peer = "" if peer == ip else peer  # as the kernel has it
    label = _part(written, "label", lambda value: Text(15).parse(str(value))) if "label" in written else None
    metric = _part(written, "metric", _parse_metric) if "metric" in written else None
    scope = _SCOPE_HOST if ip.startswith("127.") else 0  # the kernel wants that of the subnet's primary, and `ip` picks it too
    return as_added(Address(ip, length, family, flags, scope, peer_ip=peer, label=label, metric=metric, unset=unset))


def _part(written: Mapping[str, Any], name: str, parse: Any) -> Any:
    try:
        return parse(written[name])
    except InvalidValue as error:
        raise InvalidValue(f"{written['ip']}: {name}: {error}") from error


def _parse_boolean(value: Any) -> bool:
    if str(value).lower() in ("true", "yes", "on", "1"):
        return True
    if str(value).lower() in ("false", "no", "off", "0"):
        return False
    raise InvalidValue(f"{value!r} is neither true nor false")


def _parse_metric(value: Any) -> int:
    if not re.fullmatch(r"-?\d{1,20}", str(value)):
        raise InvalidValue(f"{value!r} is not a whole number")
    return Integer(0, 0xFFFFFFFF).parse(int(value))


def connected(addresses: tuple[Address, ...]) -> Iterator[tuple[str, Address]]:
    """(destination, address) of the routes that the kernel makes along with addresses on a link that is up."""
    for address in addresses:
        if address.flags & NOPREFIXROUTE:
            continue
        if address.family == 6:
            yield network(address.ip, address.prefix_length), address
            if address.peer_ip:
                yield f"{address.peer_ip}/128", address
        elif address.prefix_length and (address.prefix_length < 32 or address.peer_ip):
            yield network(address.peer_ip or address.ip, address.prefix_length), address


def covers(addresses: tuple[Address, ...], ip: str) -> bool:
    """Whether an address is in the network of one of these."""
    return any(inside(ip, destination) for destination, _address in connected(addresses))

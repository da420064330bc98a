# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A kernel in memory, behind the same methods as the real gateway.

What it does was seen on Linux 6.18; gateway_contract.py runs on both, so that it does not lie. Where the kernel refuses, this
raises the same errno; where the kernel acknowledges and does nothing, so does this.
"""

from __future__ import annotations

import errno
import ipaddress
import itertools
import os
import socket
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ansible_collections.patchbay.netdev.plugins.module_utils._errors import InvalidValue, Refused, RequestFailed
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds import KINDS, Store, kind_of
from ansible_collections.patchbay.netdev.plugins.module_utils._model import (
    HERE,
    PHYSICAL,
    Address,
    Attributes,
    Carried,
    Link,
    LinkKey,
    Route,
    Scope,
    State,
    Wanted,
)
from ansible_collections.patchbay.netdev.plugins.module_utils._requests import (
    AddAddress,
    AddAltname,
    AddRoute,
    NewLink,
    RemoveAltname,
    RemoveLink,
    Request,
    SetLink,
    WriteSysctl,
)

LOOPBACK = "lo"
GROUPS = {"default": 0, "voice": 7}
SETTINGS = {
    "ipv4.accept_local": 0,
    "ipv4.arp_announce": 0,
    "ipv4.arp_filter": 0,
    "ipv4.arp_ignore": 0,
    "ipv4.arp_notify": 0,
    "ipv4.forwarding": 0,
    "ipv4.proxy_arp": 0,
    "ipv4.rp_filter": 0,
    "ipv6.accept_ra": 1,
    "ipv6.autoconf": 1,
    "ipv6.disable_ipv6": 0,
    "ipv6.forwarding": 0,
}
LEAST_MTU, IPV6_LEAST_MTU = 68, 1280
IFA_F_PERMANENT = 0x80
RTPROT_KERNEL = 2
UNICAST, LOCAL = 1, 2
LINK_SCOPE, HOST_SCOPE = 253, 254
MAIN, LOCAL_TABLE = 254, 255


class No(Exception):
    """The kernel's refusal inside of it: an errno, and its own sentence where it has one."""

    def __init__(self, code: int, text: str = "") -> None:
        super().__init__(code)
        self.errno = code
        self.text = text or os.strerror(code)


@dataclass
class Device:
    """A link as the kernel holds it.

    attributes: by option name. own_address: what a device gets back when a passthru link leaves it. bc_cutoff: that of all
    macvlans on this device.
    """

    key: LinkKey
    kind: str
    index: int
    attributes: dict[str, Any]
    settings: dict[str, int] = field(default_factory=dict)
    addresses: list[Address] = field(default_factory=list)
    routes: list[Route] = field(default_factory=list)
    cable: bool = True
    own_address: str | None = None
    bc_cutoff: int = 1

    @property
    def up(self) -> bool:
        """Configured to be up."""
        return bool(self.attributes["admin_state"] == "up")

    @property
    def ipv6(self) -> bool:
        """Large enough for IPv6."""
        return bool(self.attributes["mtu"] >= IPV6_LEAST_MTU)

    @property
    def passthru(self) -> bool:
        """A macvlan that has its lower device for itself."""
        return self.attributes.get("mode") == "passthru"


class FakeGateway:
    """The links of some namespaces; `executed` is every request that was sent.

    namespaces: names beside the one that the process runs in. settings: those of `all` and `default`, which differ from the
    kernel's own by (netns, "all" or "default", setting).
    """

    def __init__(self, namespaces: Iterable[str] = (), settings: Mapping[tuple[str, str, str], int] | None = None) -> None:
        self.devices: dict[LinkKey, Device] = {}
        self.executed: list[Request] = []
        self._namespaces = [HERE, *namespaces]
        self._numbers = itertools.count(1)
        self._settings = {
            (netns, which, name): value
            for netns in self._namespaces
            for which in ("all", "default")
            for name, value in SETTINGS.items()
        }
        self._settings.update(settings or {})
        for netns in self._namespaces:
            self.add(LOOPBACK, netns, address="00:00:00:00:00:00", mtu=65536)

    def add(self, name: str, netns: str = HERE, kind: str = PHYSICAL, cable: bool = True, **attributes: Any) -> LinkKey:
        """A link that is there from the start, up with an MTU of 1500 unless told otherwise; its key."""
        key = LinkKey(netns, name)
        device = self._new_device(key, kind)
        self.devices[key] = device
        device.cable = cable
        device.attributes.update({"mtu": 1500, "admin_state": "up", **attributes})
        return key

    @classmethod
    def holding(cls, state: State) -> FakeGateway:
        """A kernel in this state, with what lives on its links."""
        places = {place for link in state for place in (link.key.netns, getattr(link.get("lower_device"), "netns", HERE))}
        places |= {netns for netns, _which, _name in state.sysctls}
        gateway = cls(sorted(places - {HERE}), {place: value for place, value in state.sysctls.items() if value is not None})
        for link in state:
            gateway._put(link, state.carried.get(link.key, Carried()))
        for device in gateway.devices.values():
            lower = gateway._lower(device)
            if lower and device.kind == "macvlan":
                lower.bc_cutoff = device.attributes["bc_cutoff"]
                lower.own_address = lower.attributes["address"] if device.passthru else None
        return gateway

    def _put(self, link: Link, carried: Carried) -> None:
        attributes = {name: value for name, value in link.attributes.items() if name != "sysctls"}
        cable = link.carrier or link.get("admin_state") == "down"
        device = self.devices[self.add(link.key.name, link.key.netns, link.kind, cable, **attributes)]
        device.settings.update({**carried.sysctls, **(link.get("sysctls") or {})})
        device.addresses += carried.addresses
        device.routes += carried.routes

    # What the runner needs of a gateway beside the rest

    def __enter__(self) -> FakeGateway:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Nothing is open."""

    # Names in

    def resolve(self, items: Sequence[Wanted]) -> tuple[Wanted, ...]:
        """The same items, with numbers for names of groups; Refused when a namespace is not there."""
        return tuple(self._resolved(item) for item in items)

    def _resolved(self, item: Wanted) -> Wanted:
        attributes = dict(item.attributes)
        self.canonical(item.key.netns)
        if attributes.get("lower_device"):
            self.canonical(attributes["lower_device"].netns)
        group = attributes.get("group")
        if isinstance(group, str):
            if group not in GROUPS:
                raise InvalidValue(f"{item.key}: group: there is no group {group} in the table; write its number")
            attributes["group"] = GROUPS[group]
        return replace(item, attributes=attributes)

    def canonical(self, name: str) -> str:
        """The same name; Refused when there is no such namespace."""
        if name not in self._namespaces:
            raise Refused(
                f"There is no network namespace {name} (/run/netns/{name} does not exist). "
                f"Correct the name, or create it first: ip netns add {name}"
            )
        return name

    def all_namespaces(self) -> list[str]:
        """All."""
        return list(self._namespaces)

    # Reading

    def observe(self, scope: Scope) -> State:
        """Every link of the namespaces that the scope touches, with those that its links sit on."""
        places = {self.canonical(place) for place in {key.netns for key in scope.links} | scope.namespaces}
        for key in scope.links & self.devices.keys():
            lower = self.devices[key].attributes.get("lower_device")
            places |= {lower.netns} & set(self._namespaces) if lower else set()  # it may be in one that has no name
        links = [self._link(device, scope) for device in self.devices.values() if device.key.netns in places]
        carried = {key: self._carried(key) for key in scope.details & self.devices.keys()}
        return State(links, self._read_settings(scope, carried), carried)

    def _link(self, device: Device, scope: Scope) -> Link:
        found = dict(device.attributes)
        lower = self._lower(device)
        if lower and "bc_cutoff" in found:
            found["bc_cutoff"] = lower.bc_cutoff
        if device.key in scope.sysctls:
            found["sysctls"] = {name: self._setting(device, name) for name in sorted(scope.sysctls[device.key])}
        carrier = self._carrier(device)
        state = "up" if carrier else "down" if not device.up or "lower_device" not in found else "lowerlayerdown"
        return Link(device.key, device.kind, found, device.index, device.key.name != LOOPBACK, carrier, state)

    def _carrier(self, device: Device) -> bool:
        lower = self._lower(device)
        return device.up and device.cable and (lower is None or self._carrier(lower))

    def _carried(self, key: LinkKey) -> Carried:
        device = self.devices[key]
        settings = {name: self._setting(device, name) for name in device.settings}
        known = {name: value for name, value in settings.items() if value is not None}
        return Carried(tuple(device.addresses), tuple(device.routes), known)

    def _setting(self, device: Device, name: str) -> int | None:
        return None if name.startswith("ipv6.") and not device.ipv6 else device.settings.get(name)

    def _read_settings(self, scope: Scope, carried: Mapping[LinkKey, Carried]) -> dict[tuple[str, str, str], int | None]:
        wanted = {(key.netns, name) for key, names in scope.sysctls.items() for name in names}
        wanted |= {(key.netns, name) for key, found in carried.items() for name in found.sysctls}
        return {
            (netns, which, name): self._settings.get((netns, which, name))
            for netns, name in wanted
            for which in ("all", "default")
        }

    # Writing

    def execute(self, request: Request) -> None:
        """What the kernel does with one request; RequestFailed when it refuses."""
        self.executed.append(request)
        try:
            _METHODS[type(request)](self, request)
        except No as error:
            raise RequestFailed(f"the kernel refused to {request}: {error.text}", error.errno, error.text) from error

    def _create(self, request: NewLink) -> None:
        """All or nothing."""
        attributes = dict(request.attributes)
        named = attributes.get("lower_device")
        lower = self._device(named) if named else None
        self._check_new(request)
        device = self._new_device(request.key, request.kind, request.index)
        if request.kind == "macvlan":
            if lower is None:
                raise No(errno.EINVAL)
            lower = self._flattened(lower)
            self._check_lower(lower, attributes.get("mode", "vepa"))
            device.attributes.update(lower_device=lower.key, mtu=lower.attributes["mtu"], mode=attributes.get("mode", "vepa"))
        address = attributes.pop("address", None)  # whether it is in use is looked at when the link comes up
        if address and _multicast(address):
            raise No(errno.EADDRNOTAVAIL)
        if lower and device.passthru:
            address = lower.own_address = lower.attributes["address"]
        device.attributes["address"] = address or device.attributes["address"]
        device.attributes.update({name: attributes[name] for name in ("num_tx_queues", "num_rx_queues") if name in attributes})
        cutoff = lower.bc_cutoff if lower else 1
        self.devices[request.key] = device
        try:
            self._change(device, {name: value for name, value in attributes.items() if name not in ("alias", "altnames")})
        except No:
            del self.devices[request.key]
            if lower:
                lower.bc_cutoff = cutoff
            raise

    def _check_new(self, request: NewLink) -> None:
        if request.kind not in (*KINDS, "bridge"):
            raise No(errno.EOPNOTSUPP, "Unknown device type")
        if self._name_taken(request.key) or self._index_taken(request):
            raise No(errno.EEXIST)
        if "address_generation_mode" in request.attributes:
            raise No(errno.EAFNOSUPPORT)

    def _index_taken(self, request: NewLink) -> bool:
        here = [device.index for device in self.devices.values() if device.key.netns == request.key.netns]
        return request.index in here

    def _check_lower(self, lower: Device, mode: str) -> None:
        if lower.key.name == LOOPBACK:
            raise No(errno.EINVAL)
        if lower.attributes["controller"]:
            raise No(errno.EBUSY)
        others = self._above(lower)
        if others and (mode == "passthru" or any(other.passthru for other in others)):
            raise No(errno.EINVAL)

    def _new_device(self, key: LinkKey, kind: str, index: int | None = None) -> Device:
        number = next(self._numbers)
        attributes = {
            row.name: row.initial
            for row in kind_of(kind).attributes
            if row.store is not Store.SYSCTL and (row.initial is not None or row.name == "lower_device")
        }
        attributes.pop("lower_device", None)
        attributes.update(mtu=1500, address=f"02:fa:ce:00:{number >> 8:02x}:{number & 0xFF:02x}", address_generation_mode="eui64")
        defaults = {
            name: value for (netns, which, name), value in self._settings.items() if netns == key.netns and which == "default"
        }
        return Device(key, kind, index or number, attributes, defaults)

    def _set(self, request: SetLink) -> None:
        """Not atomic: what was done before a failure stays."""
        self._change(self._device(request.key), dict(request.attributes))

    def _change(self, device: Device, attributes: dict[str, Any]) -> None:
        """In the order of the kernel (do_setlink)."""
        if "address_generation_mode" in attributes:
            self._check_generation_mode(device, attributes["address_generation_mode"])
        if device.kind == "macvlan":
            self._change_data(device, attributes)
        if "address" in attributes:
            self._change_address(device, attributes["address"])
        if "mtu" in attributes:
            self._change_mtu(device, attributes["mtu"])
        device.attributes.update({name: attributes[name] for name in ("group", "alias") if name in attributes})
        if "admin_state" in attributes:
            self._change_admin_state(device, attributes["admin_state"])
        later = ("promiscuous", "allmulticast")
        device.attributes.update({name: attributes[name] for name in later if name in attributes})
        if "controller" in attributes:
            self._change_controller(device, attributes["controller"])
        later = ("tx_queue_len", "address_generation_mode")
        device.attributes.update({name: attributes[name] for name in later if name in attributes})

    def _check_generation_mode(self, device: Device, mode: str) -> None:
        if not device.ipv6:
            raise No(errno.EAFNOSUPPORT)
        if mode == "stable_secret":  # nobody writes a secret here
            raise No(errno.EINVAL)

    def _change_data(self, device: Device, attributes: Attributes) -> None:
        """macvlan_changelink: the mode is set last, the list of source mode is flushed first."""
        old = device.attributes["mode"]
        mode = attributes.get("mode", old)
        if (old == "passthru") != (mode == "passthru"):
            raise No(errno.EINVAL)
        if old == "source" and mode != "source":
            device.attributes["source_addresses"] = ()
        if "nopromisc" in attributes or "nodst" in attributes:  # one word
            device.attributes.update({name: attributes.get(name, False) for name in ("nopromisc", "nodst")})
        if "bc_queue_len" in attributes:
            device.attributes["bc_queue_len"] = attributes["bc_queue_len"]
        if "bc_cutoff" in attributes:
            self.devices[device.attributes["lower_device"]].bc_cutoff = attributes["bc_cutoff"]
        device.attributes["mode"] = mode
        if "source_addresses" in attributes:
            self._change_sources(device, attributes["source_addresses"])

    def _change_sources(self, device: Device, addresses: Sequence[str]) -> None:
        if device.attributes["mode"] != "source":
            raise No(errno.EINVAL)
        if any(_multicast(address) for address in addresses):
            raise No(errno.EADDRNOTAVAIL)
        device.attributes["source_addresses"] = tuple(sorted(addresses))

    def _change_address(self, device: Device, address: str) -> None:
        lower = self._lower(device)
        if _multicast(address):
            raise No(errno.EADDRNOTAVAIL)
        if device.passthru and lower:
            lower.attributes["address"] = address
        elif lower and address != device.attributes["address"] and self._in_use(device, address):
            raise No(errno.EADDRINUSE)
        device.attributes["address"] = address
        for upper in self._above(device):
            if upper.passthru:
                upper.attributes["address"] = device.own_address = address

    def _in_use(self, device: Device, address: str) -> bool:
        """By the lower device, or by a sibling that is up."""
        lower = self._lower(device)
        assert lower is not None
        others = [other for other in self._above(lower) if other is not device and other.up and not other.passthru]
        return address in [other.attributes["address"] for other in (lower, *others)]

    def _change_mtu(self, device: Device, mtu: int) -> None:
        lower = self._lower(device)
        if mtu < LEAST_MTU:
            raise No(errno.EINVAL, "mtu less than device minimum")
        if lower and mtu > lower.attributes["mtu"]:
            raise No(errno.EINVAL)
        had_ipv6, device.attributes["mtu"] = device.ipv6, mtu
        if had_ipv6 != device.ipv6:
            self._reset_ipv6(device)
        for upper in self._above(device):
            if upper.attributes["mtu"] > mtu:
                self._change_mtu(upper, mtu)

    def _reset_ipv6(self, device: Device) -> None:
        device.attributes["address_generation_mode"] = "eui64" if device.ipv6 else None
        for name in device.settings:
            if name.startswith("ipv6."):
                device.settings[name] = self._settings[device.key.netns, "default", name]
        self._drop_ipv6(device)

    def _drop_ipv6(self, device: Device) -> None:
        device.addresses = [address for address in device.addresses if address.family != socket.AF_INET6]
        device.routes = [route for route in device.routes if route.family != socket.AF_INET6]

    def _change_admin_state(self, device: Device, state: str) -> None:
        lower = self._lower(device)
        if (
            state == "up"
            and not device.up
            and lower
            and not device.passthru
            and self._in_use(device, device.attributes["address"])
        ):
            raise No(errno.EADDRINUSE)
        device.attributes["admin_state"] = state
        if state == "down":
            self._drop_ipv6(device)
            device.routes = []
        self._add_own_routes(device)

    def _change_controller(self, device: Device, name: str) -> None:
        """A link leaves its old controller before the new one is looked at."""
        key = LinkKey(device.key.netns, name)
        if name == device.attributes["controller"]:
            return
        controller = self._device(key) if name else None
        device.attributes["controller"] = ""
        if controller is None:
            return
        if controller.kind != "bridge":
            raise No(errno.EOPNOTSUPP)
        if device.attributes.get("lower_device") == key:
            raise No(errno.EBUSY)
        if self._above(device):
            raise No(errno.EBUSY)
        device.attributes["controller"] = name

    def _remove(self, request: RemoveLink) -> None:
        device = self._device(request.key)
        if device.key.name == LOOPBACK:
            raise No(errno.EOPNOTSUPP)
        self._take_out(device)

    def _take_out(self, device: Device) -> None:
        for upper in self._above(device):
            self._take_out(upper)
        del self.devices[device.key]
        lower = self._lower(device)
        if lower and device.passthru and lower.own_address:
            lower.attributes["address"] = lower.own_address
        if lower and not self._above(lower):
            lower.bc_cutoff = 1
        for port in self.devices.values():
            if port.key.netns == device.key.netns and port.attributes["controller"] == device.key.name:
                port.attributes["controller"] = ""

    def _add_altname(self, request: AddAltname) -> None:
        device = self._device(request.key)
        if self._name_taken(LinkKey(request.key.netns, request.altname)):
            raise No(errno.EEXIST)
        device.attributes["altnames"] = tuple(sorted((*device.attributes["altnames"], request.altname)))

    def _remove_altname(self, request: RemoveAltname) -> None:
        device = self._device(request.key)
        if request.altname not in device.attributes["altnames"]:
            raise No(errno.ENOENT)
        device.attributes["altnames"] = tuple(name for name in device.attributes["altnames"] if name != request.altname)

    def _write_setting(self, request: WriteSysctl) -> None:
        """A file under /proc/sys/net."""
        device = self.devices.get(request.key)
        if device is None or self._setting(device, request.setting) is None:
            raise No(errno.ENOENT)
        device.settings[request.setting] = request.value

    def _add_address(self, request: AddAddress) -> None:
        device = self._device(request.key)
        if str(request.address) not in [str(address) for address in device.addresses]:
            device.addresses.append(replace(request.address, flags=request.address.flags | IFA_F_PERMANENT))
        self._add_own_routes(device)

    def _add_own_routes(self, device: Device) -> None:
        """To an address always, to its network by a link that is up."""
        for address in [address for address in device.addresses if address.family == socket.AF_INET]:
            network = str(ipaddress.ip_interface(str(address)).network)
            routes = [Route(address.family, f"{address.ip}/32", LOCAL_TABLE, LOCAL, HOST_SCOPE, RTPROT_KERNEL, source=address.ip)]
            if device.up:
                routes.append(Route(address.family, network, MAIN, UNICAST, LINK_SCOPE, RTPROT_KERNEL, source=address.ip))
            known = [str(route) for route in device.routes]
            device.routes += [route for route in routes if str(route) not in known]

    def _add_route(self, request: AddRoute) -> None:
        device = self._device(request.key)
        if not device.up:
            raise No(errno.ENETDOWN)
        if request.route.gateway and not request.route.onlink and not _reachable(request.route.gateway, device.addresses):
            raise No(errno.ENETUNREACH)
        if request.route not in device.routes:
            device.routes.append(request.route)

    # What it looks up

    def _device(self, key: LinkKey) -> Device:
        """By its name: an alternative one does not count, as in the real gateway."""
        self.canonical(key.netns)
        if key not in self.devices:
            raise No(errno.ENODEV)
        return self.devices[key]

    def _lower(self, device: Device) -> Device | None:
        key = device.attributes.get("lower_device")
        return self.devices.get(key) if key else None

    def _flattened(self, device: Device) -> Device:
        """What a macvlan on this one sits on; the kernel refuses one on a passthru link."""
        if device.passthru:
            raise No(errno.EINVAL)
        return self._lower(device) or device

    def _above(self, lower: Device) -> list[Device]:
        return [device for device in self.devices.values() if device.attributes.get("lower_device") == lower.key]

    def _name_taken(self, key: LinkKey) -> bool:
        here = [device for device in self.devices.values() if device.key.netns == key.netns]
        return any(key.name == device.key.name or key.name in device.attributes["altnames"] for device in here)


_METHODS: Mapping[type, Callable[[FakeGateway, Any], None]] = {
    NewLink: FakeGateway._create,
    SetLink: FakeGateway._set,
    RemoveLink: FakeGateway._remove,
    AddAltname: FakeGateway._add_altname,
    RemoveAltname: FakeGateway._remove_altname,
    WriteSysctl: FakeGateway._write_setting,
    AddAddress: FakeGateway._add_address,
    AddRoute: FakeGateway._add_route,
}


def _multicast(address: str) -> bool:
    return bool(int(address[:2], 16) & 1)


def _reachable(gateway: str, addresses: Iterable[Address]) -> bool:
    networks = [ipaddress.ip_interface(str(address)).network for address in addresses]
    return any(ipaddress.ip_address(gateway) in network for network in networks)

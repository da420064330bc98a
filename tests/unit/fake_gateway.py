# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A kernel in memory, behind the same methods as the real gateway.

What it does was seen on Linux 6.18; gateway_contract.py runs on both, so that it does not lie. Where the kernel refuses, this
raises the same errno; where the kernel acknowledges and does nothing, so does this.
"""

from __future__ import annotations

import errno
import itertools
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._macvlan import MACVLAN
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._rows import AddressSource, At, Kind, Store
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._table import KINDS, kind_of
from ansible_collections.patchbay.netdev.plugins.module_utils._model._boot import BootState, File
from ansible_collections.patchbay.netdev.plugins.module_utils._model._clients import Client
from ansible_collections.patchbay.netdev.plugins.module_utils._model._desired import (
    Desired,
    DesiredLink,
    DesiredNetns,
    needs_namespace,
)
from ansible_collections.patchbay.netdev.plugins.module_utils._model._errors import InvalidValue, Missing, RequestFailed
from ansible_collections.patchbay.netdev.plugins.module_utils._model._links import (
    HERE,
    PHYSICAL,
    Address,
    Attributes,
    Link,
    LinkKey,
    Neighbor,
)
from ansible_collections.patchbay.netdev.plugins.module_utils._model._routing import RouteKey, RuleKey, selectors_of
from ansible_collections.patchbay.netdev.plugins.module_utils._model._state import Connection, Scope, State
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._requests import (
    AddAddress,
    AddAltname,
    AddNeighbor,
    AddRoute,
    AddRule,
    AnnounceAddresses,
    AwaitAddresses,
    AwaitLease,
    DeleteFile,
    NewLink,
    Reload,
    RemoveAddress,
    RemoveAltname,
    RemoveLink,
    RemoveLinks,
    RemoveRoute,
    RemoveRule,
    RenameLink,
    ReplaceAddress,
    ReplaceRoute,
    Request,
    RunSelfTest,
    SetLink,
    StartClient,
    StopClient,
    WriteFile,
    WriteSysctl,
)
from ansible_collections.patchbay.netdev.plugins.module_utils._values._names import LINK_GROUP, PROTOCOL, TABLE, NameOrNumber
from ansible_collections.patchbay.netdev.tests.unit.fake_traffic import No, Traffic

LOOPBACK = "lo"
NAMES: Mapping[NameOrNumber, tuple[Mapping[str, int], str]] = {
    LINK_GROUP: ({"default": 0, "voice": 7}, "the files have no link group {}. Set its number"),
    TABLE: ({"main": 254, "default": 253, "voice": 100}, "the files have no routing table {}. Set its number"),
    PROTOCOL: ({"tcp": 6, "udp": 17}, "protocol {} does not exist on this host. Set a number"),
}
SETTINGS = {
    "ipv4.accept_local": 0,
    "ipv4.arp_announce": 0,
    "ipv4.arp_filter": 0,
    "ipv4.arp_ignore": 0,
    "ipv4.arp_notify": 0,
    "ipv4.forwarding": 0,
    "ipv4.proxy_arp": 0,
    "ipv4.rp_filter": 0,
    "ipv6.accept_dad": 1,
    "ipv6.accept_ra": 1,
    "ipv6.autoconf": 1,
    "ipv6.disable_ipv6": 0,
    "ipv6.forwarding": 0,
}
LEAST_MTU, IPV6_LEAST_MTU, ETHERNET_MTU = 68, 1280, 1500
MOST_PORT_PRIORITY = 63
BRIDGE_BOUNDS = {"hello_time": (100, 1000), "max_age": (600, 4000)}  # in hundredths of a second
PROCESSORS = 2  # as many queues has a new pair
FORWARD_DELAY_WITH_STP = (200, 3000)
# What _create and _change know of every link, if only to ignore it, and of the kinds that have a function of their own.
_KNOWN = {
    "lower_device",
    "num_rx_queues",
    "num_tx_queues",
    "address",
    "address_generation_mode",
    "admin_state",
    "alias",
    "allmulticast",
    "controller",
    "group",
    "mtu",
    "promiscuous",
    "sysctls",
    "tx_queue_len",
}
_KNOWN_OF_KIND = {
    "macvlan": {"mode", "nopromisc", "nodst", "source_addresses", "bc_queue_len", "bc_cutoff"},
    "ipvlan": {"mode", "flags"},
}


@dataclass
class Device:
    """A link as the kernel holds it.

    attributes: by option name. own_address: what a device gets back when a passthru link leaves it. bc_cutoff: that of all
    macvlans on this device. own_mtu: of a bridge, that it was set, and so does not follow its ports any more; own_mac: the same.
    """

    key: LinkKey
    kind: str
    index: int
    attributes: dict[str, Any]
    settings: dict[str, int] = field(default_factory=dict)
    addresses: list[Address] = field(default_factory=list)
    neighbors: list[Neighbor] = field(default_factory=list)
    cable: bool = True
    own_address: str | None = None
    bc_cutoff: int = 1
    own_mtu: bool = False
    own_mac: bool = False

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
        self.reached_by = Connection()
        self.vlan_filtering = True  # kernels can be built without, as CONFIG_BRIDGE_VLAN_FILTERING
        self.files: dict[str, File] = {}  # of the next boot
        self.clients: dict[LinkKey, Client] = {}
        self.server = True  # whether a DHCP server answers
        self._namespaces = [HERE, *namespaces]
        self._numbers = itertools.count(1)
        self._settings = {
            (netns, which, name): value
            for netns in self._namespaces
            for which in ("all", "default")
            for name, value in SETTINGS.items()
        }
        self._settings.update(settings or {})
        self.traffic = Traffic(self.devices, self._namespaces)
        for netns in self._namespaces:
            self.add(LOOPBACK, netns, address="00:00:00:00:00:00", mtu=65536)

    def add(self, name: str, netns: str = HERE, kind: str = PHYSICAL, cable: bool = True, **attributes: Any) -> LinkKey:
        """A link that is there from the start, up with an MTU of 1500 unless told otherwise; its key."""
        key = LinkKey(netns, name)
        device = self._new_device(key, kind)
        self.devices[key] = device
        device.cable = cable
        device.attributes.update({"mtu": ETHERNET_MTU, "admin_state": "up", **attributes})
        device.own_mac = "address" in attributes
        if device.attributes["controller"]:
            device.attributes.update({**self._new_port(device), **attributes})
        return key

    @classmethod
    def holding(cls, state: State, namespaces: Iterable[str] = ()) -> FakeGateway:
        """A kernel in this state, with the contents of its links; `namespaces` may be empty ones."""
        links = [key for link in state for key in (link.key, link.get("lower_device"), link.get("peer")) if key]
        names = {key.netns for key in links}
        names |= {netns for netns, _which, _name in state.sysctls} | set(namespaces)
        names |= {key.netns for key in (*state.routes, *state.rules)}
        gateway = cls(sorted(names - {HERE}), {setting: value for setting, value in state.sysctls.items() if value is not None})
        gateway.clients = {key.link: client for key, client in state.clients.items()}
        for link in state:
            gateway._put(link, state.settings.get(link.key, {}))
            gateway.devices[link.key].neighbors = list(state.neighbors.get(link.key, ()))
        gateway.traffic.hold(
            (route for same_key in state.routes.values() for route in same_key),
            (rule for same_key in state.rules.values() for rule in same_key),
        )
        for bridge in [device for device in gateway.devices.values() if device.kind == "bridge"]:
            bridge.own_mtu = bridge.attributes["mtu"] != gateway._least_mtu(bridge)
        for device in gateway.devices.values():
            lower = gateway._lower(device)
            if lower and device.kind == "macvlan":
                lower.bc_cutoff = device.attributes["bc_cutoff"]
                lower.own_address = lower.attributes["address"] if device.passthru else None
        return gateway

    def _put(self, link: Link, settings: Mapping[str, int]) -> None:
        missing = {row.name for row in kind_of(link.kind).port if link.get(row.name) is None}  # the kernel knows what a port has
        missing |= {"sysctls", "addresses"}
        attributes = {name: value for name, value in link.attributes.items() if name not in missing}
        cable = link.carrier or link.get("admin_state") == "down"
        device = self.devices[self.add(link.key.name, link.key.netns, link.kind, cable, **attributes)]
        device.settings.update({**settings, **(link.get("sysctls") or {})})
        device.addresses = list(link.get("addresses") or ())

    # What the runner needs of a gateway beside the rest

    def __enter__(self) -> FakeGateway:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Nothing is open."""

    # Names in

    def resolve(self, items: Sequence[Desired]) -> tuple[Desired, ...]:
        """The same items, with numbers for names of groups; Refused when a namespace is not there."""
        return tuple(self._resolved(item) for item in items)

    def _resolved(self, item: Desired) -> Desired:
        if isinstance(item, DesiredNetns):
            return item
        key, attributes = item.key, dict(item.attributes)
        if needs_namespace(item):
            self.canonical(key.netns)
        for other in ("lower_device", "peer"):
            if attributes.get(other):
                self.canonical(attributes[other].netns)
        for row in kind_of(item.kind or "").rows(attributes):
            if isinstance(row.type, NameOrNumber) and isinstance(attributes[row.name], str):
                attributes[row.name] = _number(row.type, attributes[row.name], f"{key}: {row.name}")
        if isinstance(key, RouteKey) and isinstance(key.table, str):
            key = replace(key, table=_number(TABLE, key.table, f"route to {key.destination}: table"))
        if isinstance(key, RuleKey) and key.selectors is not None:
            key = replace(key, selectors=selectors_of(attributes))
        item = replace(item, key=key, attributes=attributes)
        if isinstance(item, DesiredLink) and item.source_routing is not None and isinstance(item.source_routing.table, str):
            table = _number(TABLE, item.source_routing.table, f"{key}: source_routing: table")
            source_routing = replace(item.source_routing, table=table)
            dhcp4 = None if item.dhcp4 is None else replace(item.dhcp4, source_routing=source_routing)
            item = replace(item, source_routing=source_routing, dhcp4=dhcp4)
        return item

    def canonical(self, name: str) -> str:
        """The same name; Refused when there is no such namespace."""
        if name not in self._namespaces:
            raise Missing(
                f"There is no network namespace {name} (/run/netns/{name} does not exist)",
                "Correct the name, or create it first with the module netns",
            )
        return name

    def all_namespaces(self) -> list[str]:
        """All."""
        return list(self._namespaces)

    def links_with_client(self) -> Collection[LinkKey]:
        """Those that a client was started for."""
        return self.clients.keys()

    def connection(self) -> Connection:
        """How the task reaches it: by no link that it has, unless a test says otherwise."""
        return self.reached_by

    # What is on the disk

    def has_declarations(self) -> bool:
        """Whether a file of the next boot is there."""
        return bool(self.files)

    def boot_state(self, _ask_managers: bool) -> BootState:
        """The files, on a host with systemd."""
        return BootState(dict(self.files), init="systemd")

    def _write_file(self, request: WriteFile) -> None:
        self.files[request.path] = request.file

    def _delete_file(self, request: DeleteFile) -> None:
        self.files.pop(request.path, None)

    def _say_nothing(self, request: Reload | RunSelfTest) -> None:
        """Nobody listens."""

    # DHCP clients

    def _start_client(self, request: StartClient) -> None:
        self._device(request.client.key.link)
        self.clients[request.client.key.link] = replace(request.client, is_running=True, matches_link=True)

    def _stop_client(self, request: StopClient) -> None:
        client = self.clients.pop(request.link, None)
        if client is not None and request.left is not None:
            self.clients[request.link] = replace(client, options=request.left.options, is_running=False)

    def _await_lease(self, request: AwaitLease) -> None:
        """Its hook says what it has, and nothing comes of it here."""
        if not self.server:
            raise No(errno.ETIMEDOUT)
        self.clients[request.link] = replace(self.clients[request.link], settled=True)

    # Reading

    def observe(self, scope: Scope) -> State:
        """Every link of the namespaces that the scope touches, with those that its links sit on."""
        named = {key.netns for key in scope.links | scope.settings} | scope.namespaces | scope.routing
        namespaces = {self.canonical(name) for name in named if name not in scope.tolerated or name in self._namespaces}
        for key in scope.links & self.devices.keys():
            for name in ("lower_device", "peer"):
                other = self.devices[key].attributes.get(name)
                namespaces |= {other.netns} & set(self._namespaces) if other else set()  # it may be in one that has no name
        links = [self._link(device, scope) for device in self.devices.values() if device.key.netns in namespaces]
        settings = {key: self._settings_of(self.devices[key]) for key in scope.settings & self.devices.keys()}
        routes = [route for key, same in self.traffic.routes.items() for route in same if key.netns in scope.routing]
        rules = [rule for key, same in self.traffic.rules.items() for rule in same if key.netns in scope.routing]
        clients = [client for key, client in self.clients.items() if key.netns in namespaces]
        at_risk = (scope.settings | scope.neighbors) & self.devices.keys()
        neighbors = {key: tuple(self.devices[key].neighbors) for key in at_risk}
        general = self._general_settings(scope, settings)
        return State(links, general, settings, (), routes, rules, clients, neighbors)

    def _link(self, device: Device, scope: Scope) -> Link:
        attributes = dict(device.attributes)
        lower = self._lower(device)
        if lower and "bc_cutoff" in attributes:
            attributes["bc_cutoff"] = lower.bc_cutoff
        if device.key in scope.sysctls:
            attributes["sysctls"] = {name: self._setting(device, name) for name in sorted(scope.sysctls[device.key])}
        if device.key.netns in scope.routing:
            attributes["addresses"] = tuple(device.addresses)
        carrier = self._carrier(device)
        other = attributes.get("peer")
        below = "lower_device" in attributes or (other and other.netns == device.key.netns)
        state = "up" if carrier else "lowerlayerdown" if device.up and below else "down"
        return Link(device.key, device.kind, attributes, device.index, device.key.name != LOOPBACK, carrier, state)

    def _carrier(self, device: Device) -> bool:
        lower, peer = self._lower(device), self._peer(device)
        if not device.up or not device.cable or (peer and not peer.up):
            return False
        return lower is None or self._carrier(lower)

    def _settings_of(self, device: Device) -> dict[str, int]:
        settings = {name: self._setting(device, name) for name in device.settings}
        return {name: value for name, value in settings.items() if value is not None}

    def _setting(self, device: Device, name: str) -> int | None:
        return None if name.startswith("ipv6.") and not device.ipv6 else device.settings.get(name)

    def _general_settings(
        self, scope: Scope, known: Mapping[LinkKey, Mapping[str, int]]
    ) -> dict[tuple[str, str, str], int | None]:
        names = {(key.netns, name) for key, names in scope.sysctls.items() for name in names}
        names |= {(key.netns, name) for key, settings in known.items() for name in settings}
        return {
            (netns, which, name): self._settings.get((netns, which, name))
            for netns, name in names
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
        end = self._other_end(device, request)
        kind = kind_of(request.kind)
        if kind.has_lower_device:
            if lower is None:
                raise No(errno.EINVAL)
            if lower.kind in kind.siblings:
                lower = self._flattened(lower)
            mode = attributes.get("mode", device.attributes.get("mode"))
            self._check_lower(lower, kind, mode)
            device.attributes.update(lower_device=lower.key, mtu=lower.attributes["mtu"], mode=mode)
        address = attributes.pop("address", None)  # whether it is in use is looked at when the link comes up
        if address and _multicast(address):
            raise No(errno.EADDRNOTAVAIL)
        if lower and device.passthru:
            address = lower.own_address = lower.attributes["address"]
        elif lower and (kind.address is AddressSource.SHARED or (kind.address is AddressSource.COPIED and not address)):
            address = lower.attributes["address"]
        device.attributes["address"] = address or device.attributes["address"]
        device.own_mac = bool(address)
        device.attributes.update({name: attributes[name] for name in ("num_tx_queues", "num_rx_queues") if name in attributes})
        cutoff = lower.bc_cutoff if lower else 1
        self.devices[request.key] = device
        if end:
            self.devices[end.key] = end
        try:
            self._change(device, {name: value for name, value in attributes.items() if name not in ("alias", "altnames")})
            device.own_mtu = False  # only one that is set later is the bridge's own
        except No:
            del self.devices[request.key]
            if end:
                del self.devices[end.key]
            if lower:
                lower.bc_cutoff = cutoff
            raise

    def _other_end(self, device: Device, request: NewLink) -> Device | None:
        """Of a pair: it inherits nothing, and takes no flags and nothing that comes after creation."""
        if request.kind != "veth":
            return None
        if request.peer is None:
            raise NotImplementedError("the kernel would choose a name for the other end: nobody wants that")
        key, attributes = request.peer
        self.canonical(key.netns)
        if key == device.key or self._name_taken(key):
            raise No(errno.EEXIST)
        taken = [row.name for row in kind_of("veth").attributes if row.store is Store.MESSAGE and row.at is not At.AFTER]
        end = self._new_device(key, "veth")
        end.attributes.update({name: value for name, value in attributes.items() if name in taken}, peer=device.key)
        if _multicast(end.attributes["address"]):
            raise No(errno.EADDRNOTAVAIL)
        if end.attributes["mtu"] < LEAST_MTU:
            raise No(errno.EINVAL)
        device.attributes["peer"] = key
        return end

    def _check_new(self, request: NewLink) -> None:
        if request.kind not in KINDS:
            raise No(errno.EOPNOTSUPP, "Unknown device type")
        if self._name_taken(request.key) or self._index_taken(request):
            raise No(errno.EEXIST)
        if "address_generation_mode" in request.attributes:
            raise No(errno.EAFNOSUPPORT)

    def _index_taken(self, request: NewLink) -> bool:
        here = [device.index for device in self.devices.values() if device.key.netns == request.key.netns]
        return request.index in here

    def _check_lower(self, lower: Device, kind: Kind, mode: str | None) -> None:
        """Each device has one receive handler, which a family of kinds shares."""
        if not kind.siblings:
            return
        if lower.key.name == LOOPBACK:
            raise No(errno.EINVAL)
        controller = self._controller(lower)
        if (controller and controller.kind != "vrf") or any(other.kind in kind.excludes for other in self._above(lower)):
            raise No(errno.EBUSY)
        others = self._macvlans(lower)
        if others and (mode == "passthru" or any(other.passthru for other in others)):
            raise No(errno.EINVAL)

    def _new_device(self, key: LinkKey, kind: str, index: int | None = None) -> Device:
        number = next(self._numbers)
        attributes = {
            row.name: row.initial
            for row in kind_of(kind).attributes
            if row.store not in (Store.SYSCTL, Store.PORT, Store.PEER, Store.ADDRESS) and row.initial is not None
        }
        attributes.update({row.name: None for row in kind_of(kind).port})
        if kind == "bridge":
            attributes.update(vlan_filtering=False, vlan_default_pvid=1 if self.vlan_filtering else None)
        if kind == "veth":
            attributes.update(num_tx_queues=PROCESSORS, num_rx_queues=PROCESSORS)
        attributes.update(
            mtu=ETHERNET_MTU, address=f"02:fa:ce:00:{number >> 8:02x}:{number & 0xFF:02x}", address_generation_mode="eui64"
        )
        defaults = {
            name: value for (netns, which, name), value in self._settings.items() if netns == key.netns and which == "default"
        }
        return Device(key, kind, index or number, attributes, defaults)

    def _set(self, request: SetLink) -> None:
        """Not atomic: what was done before a failure stays."""
        device = self._device(request.key)
        rows = {row.name for row in kind_of(request.kind).port}
        port = {name: value for name, value in request.attributes.items() if name in rows and value is not None}
        if port:  # such a request is for the bridge, which looks at nothing else
            self._change_port(device, port)
        else:
            self._change(device, dict(request.attributes))

    def _change(self, device: Device, attributes: dict[str, Any]) -> None:
        """In the order of the kernel (do_setlink)."""
        known = _KNOWN | _KNOWN_OF_KIND.get(device.kind, _data_rows(device.kind))
        if attributes.keys() - known:
            raise NotImplementedError(
                f"{', '.join(attributes.keys() - known)} of {device.kind} has no effect here yet: add it to FakeGateway._change, "
                "or to the function of its kind, and to _KNOWN or _KNOWN_OF_KIND in tests/unit/fake_gateway.py"
            )
        if "address_generation_mode" in attributes:
            self._check_generation_mode(device, attributes["address_generation_mode"])
        change_data = {"macvlan": self._change_macvlan, "bridge": self._change_bridge, "ipvlan": self._change_ipvlan}
        change_data.get(device.kind, self._change_data)(device, attributes)
        if "address" in attributes:
            self._change_address(device, attributes["address"])
            device.own_mac = True
        if "mtu" in attributes:
            self._change_mtu(device, attributes["mtu"])
            device.own_mtu = True
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
        """Of a kind of which nothing else is known, as it was asked for."""
        device.attributes.update({name: attributes[name] for name in _data_rows(device.kind) & attributes.keys()})

    def _change_ipvlan(self, device: Device, attributes: Attributes) -> None:
        """ipvlan_nl_changelink: both are of the lower device, and so of all links on it. A new link sets the mode in any case."""
        siblings = [other for other in self._above(self.devices[device.attributes["lower_device"]]) if other.kind == "ipvlan"]
        others = [other.attributes["flags"] for other in siblings if other is not device]
        device.attributes["flags"] = attributes.get("flags", (others or [device.attributes["flags"]])[0])
        device.attributes["mode"] = attributes.get("mode", device.attributes["mode"])
        for sibling in siblings:
            sibling.attributes.update({name: device.attributes[name] for name in ("mode", "flags")})

    def _change_macvlan(self, device: Device, attributes: Attributes) -> None:
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

    def _change_bridge(self, device: Device, attributes: Attributes) -> None:
        """br_changelink: one after the other."""
        for row in kind_of("bridge").rows(attributes):
            if row.store is not Store.DATA:
                continue
            value = attributes[row.name]
            if row.name in ("vlan_filtering", "vlan_default_pvid") and not self.vlan_filtering:
                raise No(errno.EOPNOTSUPP)
            low, high = BRIDGE_BOUNDS.get(row.name, (0, value))
            if row.name == "forward_delay" and attributes.get("stp_state", device.attributes["stp_state"]):
                low, high = FORWARD_DELAY_WITH_STP
            if not low <= value <= high:
                raise No(errno.ERANGE)
            if (row.name == "group_fwd_mask" and value & 0x7) or (row.name == "vlan_default_pvid" and value > 4094):
                raise No(errno.EINVAL)
            device.attributes[row.name] = value

    def _change_port(self, device: Device, attributes: Attributes) -> None:
        """br_setport: only the port of a bridge has such settings."""
        bridge = self._controller(device)
        if bridge is None or bridge.kind != "bridge":
            raise No(errno.EOPNOTSUPP)
        after = {**device.attributes, **attributes}
        if after["mab"] and not (after["locked"] and after["learning"]):
            raise No(errno.EINVAL, "Bridge port must be locked and have learning enabled when MAB is enabled")
        for row in kind_of(device.kind).rows(attributes):
            value = attributes[row.name]
            if row.name == "priority" and value > MOST_PORT_PRIORITY:
                raise No(errno.ERANGE)
            if row.name == "group_fwd_mask" and value & 0x2:
                raise No(errno.EINVAL)
            if row.name == "backup_port" and value:
                self._check_backup(device, self._device(LinkKey(device.key.netns, value)))
            if row.name == "stp_state":
                if bridge.attributes["stp_state"]:
                    raise No(errno.EBUSY)
                if not device.up or (not self._carrier(device) and value != "disabled"):
                    raise No(errno.ENETDOWN)
                value = "disabled" if value == "disabled" else "forwarding"
            device.attributes[row.name] = value

    def _check_backup(self, device: Device, backup: Device) -> None:
        if backup is device:
            raise No(errno.EINVAL)
        if not backup.attributes["controller"]:
            raise No(errno.ENOENT)
        if backup.attributes["controller"] != device.attributes["controller"]:
            raise No(errno.EINVAL)

    def _new_port(self, device: Device) -> dict[str, Any]:
        """What a link has that has just become a port of a bridge."""
        bridge = self._controller(device)
        if bridge is None or bridge.kind != "bridge":
            return {}
        settings = {row.name: row.initial for row in kind_of(device.kind).port}
        return {**settings, "cost": 2, "stp_state": self._stp_state(device, bridge)}

    def _stp_state(self, device: Device, bridge: Device) -> str:
        if not bridge.up or not self._carrier(device):
            return "disabled"
        return "listening" if bridge.attributes["stp_state"] and bridge.attributes["forward_delay"] else "forwarding"

    def _follow_ports(self, bridge: Device) -> None:
        """A bridge has the least MTU and the least MAC of its ports, unless it has been given one."""
        ports = [port.attributes["address"] for port in self._ports(bridge)]
        if not bridge.own_mac:
            bridge.attributes["address"] = min(ports, default=bridge.attributes["address"])
        if not bridge.own_mtu:
            self._change_mtu(bridge, self._least_mtu(bridge))

    def _least_mtu(self, bridge: Device) -> int:
        return min((port.attributes["mtu"] for port in self._ports(bridge)), default=ETHERNET_MTU)

    def _change_sources(self, device: Device, addresses: Sequence[str]) -> None:
        if device.attributes["mode"] != "source":
            raise No(errno.EINVAL)
        if any(_multicast(address) for address in addresses):
            raise No(errno.EADDRNOTAVAIL)
        device.attributes["source_addresses"] = tuple(sorted(addresses))

    def _change_address(self, device: Device, address: str) -> None:
        lower = self._lower(device)
        if _shares_address(device):
            raise No(errno.EOPNOTSUPP)
        if _multicast(address):
            raise No(errno.EADDRNOTAVAIL)
        if device.passthru and lower:
            lower.attributes["address"] = address
        elif lower and self._is_macvlan(device) and address != device.attributes["address"] and self._in_use(device, address):
            raise No(errno.EADDRINUSE)
        if address != device.attributes["address"]:
            device.neighbors = [neighbor for neighbor in device.neighbors if neighbor.proxy]
        device.attributes["address"] = address
        for upper in self._macvlans(device):
            if upper.passthru:
                upper.attributes["address"] = device.own_address = address
        for upper in self._above(device):
            if _shares_address(upper):
                upper.attributes["address"] = address
        self._tell_bridge(device)

    def _in_use(self, device: Device, address: str) -> bool:
        """By the lower device, or by a sibling that is up."""
        lower = self._lower(device)
        assert lower is not None
        others = [other for other in self._macvlans(lower) if other is not device and other.up and not other.passthru]
        return address in [other.attributes["address"] for other in (lower, *others)]

    def _change_mtu(self, device: Device, mtu: int) -> None:
        lower = self._lower(device)
        if mtu < LEAST_MTU:
            raise No(errno.EINVAL, "mtu less than device minimum")
        if lower and mtu > lower.attributes["mtu"] and not kind_of(device.kind).follows_mtu:
            raise No(errno.EINVAL)
        had_ipv6, device.attributes["mtu"] = device.ipv6, mtu
        if had_ipv6 != device.ipv6:
            self._reset_ipv6(device)
        for upper in self._above(device):
            if upper.attributes["mtu"] > mtu or kind_of(upper.kind).follows_mtu:
                self._change_mtu(upper, mtu)
        self._tell_bridge(device)

    def _tell_bridge(self, device: Device) -> None:
        bridge = self._controller(device)
        if bridge and bridge.kind == "bridge":
            self._follow_ports(bridge)

    def _reset_ipv6(self, device: Device) -> None:
        device.attributes["address_generation_mode"] = "eui64" if device.ipv6 else None
        for name in device.settings:
            if name.startswith("ipv6."):
                device.settings[name] = self._settings[device.key.netns, "default", name]
        self._lose_ipv6(device)

    def _lose_ipv6(self, device: Device) -> None:
        self.traffic.lost_ipv6(device)
        device.neighbors = [neighbor for neighbor in device.neighbors if neighbor.family == 4]

    def _change_admin_state(self, device: Device, state: str) -> None:
        lower = self._lower(device)
        if (
            state == "up"
            and not device.up
            and lower
            and self._is_macvlan(device)
            and not device.passthru
            and self._in_use(device, device.attributes["address"])
        ):
            raise No(errno.EADDRINUSE)
        device.attributes["admin_state"] = state
        if state == "down":
            self.traffic.went_down(device)
            device.neighbors.clear()
        else:
            self.traffic.came_up(device)
        for upper in self._above(device):
            if kind_of(upper.kind).follows_state and upper.attributes["admin_state"] != state:
                self._change_admin_state(upper, state)
        ends = [end for end in (device, self._peer(device)) if end]
        for port in [*ends, *self._ports(device)]:
            bridge = self._controller(port)
            if bridge and bridge.kind == "bridge":
                port.attributes["stp_state"] = self._stp_state(port, bridge)

    def _change_controller(self, device: Device, name: str) -> None:
        """A link leaves its old controller before the new one is looked at."""
        key = LinkKey(device.key.netns, name)
        if name == device.attributes["controller"]:
            return
        controller = self._device(key) if name else None
        former = self._controller(device)
        self._leave(device)
        if former is not None and former.kind == "bond" and device.up:
            self._change_admin_state(device, "down")
        if controller is None:
            self._restart(device, former)
            return
        if controller.kind == device.kind == "bridge":
            raise No(errno.ELOOP, "Can not enslave a bridge to a bridge")
        if controller.kind == "bridge" and device.key.name == LOOPBACK:
            raise No(errno.EINVAL)
        if controller.kind == "bond" and device.up:
            raise No(errno.EPERM, "Device can not be enslaved while up")
        if not kind_of(controller.kind).is_controller and controller.kind != "bond":
            raise No(errno.EOPNOTSUPP)
        if controller.kind == "bridge" and device.kind == "ipvlan":
            raise No(errno.EINVAL)
        if device.attributes.get("lower_device") == key:
            raise No(errno.EBUSY)
        if any(kind_of(upper.kind).siblings for upper in self._above(device)):
            raise No(errno.EBUSY)
        device.attributes["controller"] = name
        device.attributes.update(self._new_port(device))
        self._tell_bridge(device)
        self._restart(device, former, controller)

    def _restart(self, device: Device, *controllers: Device | None) -> None:
        """A VRF takes a link down and up when it gets or loses it."""
        if device.up and any(controller is not None and controller.kind == "vrf" for controller in controllers):
            self._change_admin_state(device, "down")
            self._change_admin_state(device, "up")

    def _leave(self, device: Device) -> None:
        """With its controller a link loses all that it had as a port."""
        bridge = self._controller(device)
        device.attributes.update({row.name: None for row in kind_of(device.kind).port}, controller="")
        if bridge and bridge.kind == "bridge":
            for port in self._ports(bridge):
                if port.attributes["backup_port"] == device.key.name:
                    port.attributes["backup_port"] = ""
            self._follow_ports(bridge)

    def _remove(self, request: RemoveLink) -> None:
        device = self._device(request.key)
        if device.key.name == LOOPBACK:
            raise No(errno.EOPNOTSUPP)
        self._take_out(device)

    def _remove_all(self, request: RemoveLinks) -> None:
        """All or nothing; one that goes along with another does not count twice."""
        devices = [self._device(key) for key in request.keys]
        if any(device.key.name == LOOPBACK for device in devices):
            raise No(errno.EOPNOTSUPP)
        for device in devices:
            if device.key in self.devices:
                self._take_out(device)

    def _take_out(self, device: Device) -> None:
        for upper in self._above(device):
            self._take_out(upper)
        self._leave(device)
        self.traffic.went(device)
        del self.devices[device.key]
        peer = self._peer(device)
        if peer:
            self._take_out(peer)
        lower = self._lower(device)
        if lower and device.passthru and lower.own_address:
            lower.attributes["address"] = lower.own_address
        if lower and not self._macvlans(lower):
            lower.bc_cutoff = 1
        for port in self._ports(device):
            self._leave(port)
            self._restart(port, device)

    def _rename(self, request: RenameLink) -> None:
        """Up or down; whatever refers to it goes by its index, and so follows."""
        device, new = self._device(request.key), replace(request.key, name=request.name)
        if new == device.key:
            return
        if self._name_taken(new):
            raise No(errno.EEXIST)
        for port in self._ports(device):
            port.attributes["controller"] = new.name
        for other in self.devices.values():
            for name in ("lower_device", "peer"):
                if other.attributes.get(name) == device.key:
                    other.attributes[name] = new
            if other.key.netns == new.netns and other.attributes.get("backup_port") == device.key.name:
                other.attributes["backup_port"] = new.name
        self.traffic.renamed(device.key, new.name)
        del self.devices[device.key]
        device.key = new
        self.devices[new] = device

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
        if (request.setting, request.value) == ("ipv6.disable_ipv6", 1):
            self._lose_ipv6(device)

    def _add_address(self, request: AddAddress) -> None:
        lower = self._lower(self._device(request.key))
        siblings = [other for other in self._above(lower) if _shares_address(other)] if lower else []
        if any(address.ip == request.address.ip for other in siblings for address in other.addresses):
            raise No(errno.EADDRINUSE, "Address already assigned to an ipvlan device")
        self.traffic.add_address(self._device(request.key), request.address)

    def _replace_address(self, request: ReplaceAddress) -> None:
        self.traffic.replace_address(self._device(request.key), request.address)

    def _remove_address(self, request: RemoveAddress) -> None:
        self.traffic.remove_address(self._device(request.key), request.address)

    def _await_addresses(self, request: AwaitAddresses) -> None:
        device = self._device(request.key)
        peer = self._peer(device)
        duplicate = self.traffic.settle(
            device, request.ips, [address.ip for address in peer.addresses] if peer and peer.up else ()
        )
        if duplicate:
            text = f"{duplicate} is a duplicate"
            raise RequestFailed(text, errno.EADDRINUSE, text)
        if not device.up:
            text = f"duplicate address detection on {device.key} did not end"
            raise RequestFailed(text, errno.ETIMEDOUT, text)

    def _announce(self, request: AnnounceAddresses) -> None:
        if not self._device(request.key).up:
            raise No(errno.ENETDOWN)

    def _add_neighbor(self, request: AddNeighbor) -> None:
        device, neighbor = self._device(request.key), request.neighbor
        others = [other for other in device.neighbors if (other.ip, other.proxy) != (neighbor.ip, neighbor.proxy)]
        device.neighbors = [*others, neighbor]

    def _add_route(self, request: AddRoute) -> None:
        self.traffic.add_route(request.route)

    def _replace_route(self, request: ReplaceRoute) -> None:
        self.traffic.replace_route(request.route)

    def _remove_route(self, request: RemoveRoute) -> None:
        self.traffic.remove_route(request.route)

    def _add_rule(self, request: AddRule) -> None:
        self.traffic.add_rule(request.rule)

    def _remove_rule(self, request: RemoveRule) -> None:
        self.traffic.remove_rule(request.rule)

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

    def _peer(self, device: Device) -> Device | None:
        key = device.attributes.get("peer")
        return self.devices.get(key) if key else None

    def _controller(self, device: Device) -> Device | None:
        name = device.attributes["controller"]
        return self.devices.get(LinkKey(device.key.netns, name)) if name else None

    def _ports(self, controller: Device) -> list[Device]:
        key = controller.key
        attached = [device for device in self.devices.values() if device.attributes["controller"] == key.name]
        return [device for device in attached if device.key.netns == key.netns]

    def _flattened(self, device: Device) -> Device:
        """What a macvlan on this one sits on; the kernel refuses one on a passthru link."""
        if device.passthru:
            raise No(errno.EINVAL)
        return self._lower(device) or device

    def _above(self, lower: Device) -> list[Device]:
        return [device for device in self.devices.values() if device.attributes.get("lower_device") == lower.key]

    def _macvlans(self, lower: Device) -> list[Device]:
        """Those that share what the kernel keeps for all of them together (its "port")."""
        return [device for device in self._above(lower) if self._is_macvlan(device)]

    def _is_macvlan(self, device: Device) -> bool:
        return device.kind in MACVLAN.siblings

    def _name_taken(self, key: LinkKey) -> bool:
        here = [device for device in self.devices.values() if device.key.netns == key.netns]
        return any(key.name == device.key.name or key.name in device.attributes["altnames"] for device in here)


_METHODS: Mapping[type, Callable[[FakeGateway, Any], None]] = {
    NewLink: FakeGateway._create,
    SetLink: FakeGateway._set,
    RemoveLink: FakeGateway._remove,
    RemoveLinks: FakeGateway._remove_all,
    RenameLink: FakeGateway._rename,
    AddAltname: FakeGateway._add_altname,
    AddNeighbor: FakeGateway._add_neighbor,
    RemoveAltname: FakeGateway._remove_altname,
    WriteSysctl: FakeGateway._write_setting,
    AddAddress: FakeGateway._add_address,
    ReplaceAddress: FakeGateway._replace_address,
    RemoveAddress: FakeGateway._remove_address,
    AwaitAddresses: FakeGateway._await_addresses,
    AnnounceAddresses: FakeGateway._announce,
    WriteFile: FakeGateway._write_file,
    DeleteFile: FakeGateway._delete_file,
    Reload: FakeGateway._say_nothing,
    RunSelfTest: FakeGateway._say_nothing,
    StartClient: FakeGateway._start_client,
    StopClient: FakeGateway._stop_client,
    AwaitLease: FakeGateway._await_lease,
    AddRoute: FakeGateway._add_route,
    ReplaceRoute: FakeGateway._replace_route,
    RemoveRoute: FakeGateway._remove_route,
    AddRule: FakeGateway._add_rule,
    RemoveRule: FakeGateway._remove_rule,
}


def _data_rows(kind: str) -> set[str]:
    return {row.name for row in kind_of(kind).attributes if row.store is Store.DATA}


def _shares_address(device: Device) -> bool:
    return kind_of(device.kind).address is AddressSource.SHARED


def _multicast(address: str) -> bool:
    return bool(int(address[:2], 16) & 1)


def _number(type_: NameOrNumber, name: str, where: str) -> int:
    names, sentence = NAMES[type_]
    if name not in names:
        raise InvalidValue(f"{where}: {sentence.format(name)}")
    return names[name]

# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table: every kind of link, and every attribute of it, declared once.

Argument specification, comparison, planning, encoding and decoding derive from these rows. A new option is a row here, a
text in doc_fragments and a planner case; a new kind is a handful of rows and a thin module.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

from ansible_collections.patchbay.netdev.plugins.module_utils._model._links import Attributes
from ansible_collections.patchbay.netdev.plugins.module_utils._values._addresses import Addresses
from ansible_collections.patchbay.netdev.plugins.module_utils._values._sysctls import Sysctls
from ansible_collections.patchbay.netdev.plugins.module_utils._values._types import (
    LINK_GROUP,
    PROTOCOL,
    TABLE,
    USER,
    USER_GROUP,
    AltName,
    Boolean,
    Choice,
    FileMode,
    Fwmark,
    Integer,
    Ip,
    LinkName,
    Mac,
    Mask,
    Network,
    Range,
    Reference,
    Seconds,
    SetOf,
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
    PORT = "an attribute of the port of a bridge (IFLA_PROTINFO)"
    NODE = "the owner and the mode of the link's device node"
    PEER = "the other end of a pair, which is a link of its own"
    ADDRESS = "the IP addresses of the link (RTM_NEWADDR)"
    ROUTE = "a route (RTM_NEWROUTE)"
    RULE = "a policy rule (RTM_NEWRULE)"


class At(Enum):
    """When the kernel honours an attribute: it silently ignores some at creation and some afterwards."""

    ANY = "at creation and later"
    CREATION = "only at creation"
    AFTER = "only after creation"


@dataclass(frozen=True)
class ManagerSetting:
    """How a network manager writes an attribute: the section and the key of its file.

    created: of networkd, in the .netdev file, which makes the link; else in the .network file, which sets it up.
    words: for values that it does not write as the options do; one that is not among them it cannot say.
    since: its first version that can; of NetworkManager 1.44, 144.
    """

    section: str
    key: str
    words: Mapping[Any, str] | None = None
    since: int = 0
    created: bool = False


def _netdev(section: str, key: str, words: Mapping[Any, str] | None = None, since: int = 0) -> ManagerSetting:
    return ManagerSetting(section, key, words, since, created=True)


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
    names_link: the value is the name of a link in the same namespace, for which the kernel has its number.
    derived: the kernel sets it by itself until it is written, so it is neither kept nor set back.
    usual: what a new link mostly has where that is not certain (initial None): not kept, for it comes again.
    since: the first kernel that has it; an older one ignores it without a word, which verification catches.
    networkd, networkmanager: how systemd-networkd and NetworkManager write it; None where they cannot.
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
    names_link: bool = False
    derived: bool = False
    usual: Any = None
    aliases: tuple[str, ...] = ()
    since: str = ""
    networkd: ManagerSetting | None = None
    networkmanager: ManagerSetting | None = None


@dataclass(frozen=True)
class Kind:
    """One kind of link: the kernel's name for it, the attributes that are options of its module, and what creating one needs.

    module: the kernel module that brings it. flat: what sits on one of these, the kernel lets sit on the device below.
    takes_address: a new one has the MAC of its lower device. draws_address: a new one has a random MAC, and keeps it. follows:
    it goes up and down with its lower device.
    port: what it has beside them while it is a port of a bridge; a module of its own (bridge_port) has those as options.
    """

    name: str
    options: tuple[Attribute, ...]
    needs: tuple[str, ...] = ()
    port: tuple[Attribute, ...] = ()
    module: str = ""
    flat: bool = False
    takes_address: bool = False
    draws_address: bool = False
    follows: bool = False

    @property
    def attributes(self) -> tuple[Attribute, ...]:
        """All that a link of this kind can have."""
        return self.options + self.port

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


_COMMON = (
    Attribute(
        "address",
        Mac(),
        Store.MESSAGE,
        "IFLA_ADDRESS",
        aliases=("mac",),
        networkd=_netdev("NetDev", "MACAddress"),
        networkmanager=ManagerSetting("ethernet", "cloned-mac-address"),
    ),
    Attribute(
        "mtu",
        Integer(68, 65535),
        Store.MESSAGE,
        "IFLA_MTU",
        networkd=ManagerSetting("Link", "MTUBytes"),
        networkmanager=ManagerSetting("ethernet", "mtu"),
    ),
    Attribute(
        "tx_queue_len",
        Integer(0, U32),
        Store.MESSAGE,
        "IFLA_TXQLEN",
        initial=1000,
        networkmanager=ManagerSetting("link", "tx-queue-length", since=144),
    ),
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
    Attribute("group", LINK_GROUP, Store.MESSAGE, "IFLA_GROUP", initial=0, networkd=ManagerSetting("Link", "Group")),
    Attribute("alias", Text(255), Store.MESSAGE, "IFLA_IFALIAS", at=At.AFTER, initial=""),
    Attribute(
        "controller",
        LinkName(empty=True),
        Store.MESSAGE,
        "IFLA_MASTER",
        at=At.AFTER,
        initial="",
        names_link=True,
        aliases=("master",),
        networkd=ManagerSetting("Network", "Bridge"),
        networkmanager=ManagerSetting("connection", "master"),
    ),
    Attribute(
        "address_generation_mode",
        Choice({"eui64": 0, "none": 1, "stable_secret": 2, "random": 3}),
        Store.INET6,
        "IFLA_INET6_ADDR_GEN_MODE",
        at=At.AFTER,
        networkd=ManagerSetting(
            "Network", "IPv6LinkLocalAddressGenerationMode", {"eui64": "eui64", "none": "none", "random": "random"}
        ),
    ),
    Attribute("altnames", SetOf(AltName()), Store.ALTNAME, at=At.AFTER, initial=(), since="5.5"),
    Attribute("sysctls", Sysctls(), Store.SYSCTL, at=At.AFTER),
    Attribute(
        "promiscuous",
        Boolean(),
        Store.FLAG,
        bit=IFF_PROMISC,
        initial=False,
        networkd=ManagerSetting("Link", "Promiscuous"),
        networkmanager=ManagerSetting("ethernet", "accept-all-mac-addresses", {True: "1", False: "0"}),
    ),
    Attribute(
        "allmulticast", Boolean(), Store.FLAG, bit=IFF_ALLMULTI, initial=False, networkd=ManagerSetting("Link", "AllMulticast")
    ),
    Attribute(
        "admin_state",
        Choice({"up": 1, "down": 0}),
        Store.FLAG,
        bit=IFF_UP,
        initial="down",
        networkd=ManagerSetting("Link", "ActivationPolicy"),
        networkmanager=ManagerSetting("connection", "autoconnect", {"up": "true"}),
    ),
    Attribute(
        "addresses",
        Addresses(),
        Store.ADDRESS,
        at=At.AFTER,
        initial=(),
        derived=True,
        networkd=ManagerSetting("Address", "Address"),
        networkmanager=ManagerSetting("ipv4", "address1"),
    ),
)

_FLAG = Boolean()
_INVERTED = {True: "false", False: "true"}
PORT = (
    Attribute(
        "hairpin",
        _FLAG,
        Store.PORT,
        "IFLA_BRPORT_MODE",
        at=At.AFTER,
        initial=False,
        aliases=("reflective_relay",),
        networkd=ManagerSetting("Bridge", "HairPin"),
        networkmanager=ManagerSetting("bridge-port", "hairpin-mode"),
    ),
    Attribute(
        "learning",
        _FLAG,
        Store.PORT,
        "IFLA_BRPORT_LEARNING",
        at=At.AFTER,
        initial=True,
        networkd=ManagerSetting("Bridge", "Learning"),
    ),
    Attribute(
        "unicast_flood",
        _FLAG,
        Store.PORT,
        "IFLA_BRPORT_UNICAST_FLOOD",
        at=At.AFTER,
        initial=True,
        aliases=("flood",),
        networkd=ManagerSetting("Bridge", "UnicastFlood"),
    ),
    Attribute(
        "multicast_flood",
        _FLAG,
        Store.PORT,
        "IFLA_BRPORT_MCAST_FLOOD",
        at=At.AFTER,
        initial=True,
        aliases=("mcast_flood",),
        networkd=ManagerSetting("Bridge", "MulticastFlood"),
    ),
    Attribute(
        "broadcast_flood", _FLAG, Store.PORT, "IFLA_BRPORT_BCAST_FLOOD", at=At.AFTER, initial=True, aliases=("bcast_flood",)
    ),
    Attribute(
        "isolated",
        _FLAG,
        Store.PORT,
        "IFLA_BRPORT_ISOLATED",
        at=At.AFTER,
        initial=False,
        since="4.18",
        networkd=ManagerSetting("Bridge", "Isolated"),
    ),
    Attribute(
        "locked",
        _FLAG,
        Store.PORT,
        "IFLA_BRPORT_LOCKED",
        at=At.AFTER,
        initial=False,
        since="5.18",
    ),
    Attribute(
        "mab",
        _FLAG,
        Store.PORT,
        "IFLA_BRPORT_MAB",
        at=At.AFTER,
        initial=False,
        since="6.2",
    ),
    Attribute(
        "neigh_suppress",
        _FLAG,
        Store.PORT,
        "IFLA_BRPORT_NEIGH_SUPPRESS",
        at=At.AFTER,
        initial=False,
        since="4.15",
        networkd=ManagerSetting("Bridge", "NeighborSuppression"),
    ),
    Attribute(
        "neigh_vlan_suppress", _FLAG, Store.PORT, "IFLA_BRPORT_NEIGH_VLAN_SUPPRESS", at=At.AFTER, initial=False, since="6.4"
    ),
    Attribute(
        "proxy_arp",
        _FLAG,
        Store.PORT,
        "IFLA_BRPORT_PROXYARP",
        at=At.AFTER,
        initial=False,
        networkd=ManagerSetting("Bridge", "ProxyARP"),
    ),
    Attribute(
        "proxy_arp_wifi",
        _FLAG,
        Store.PORT,
        "IFLA_BRPORT_PROXYARP_WIFI",
        at=At.AFTER,
        initial=False,
        networkd=ManagerSetting("Bridge", "ProxyARPWiFi"),
    ),
    Attribute(
        "bpdu_guard",
        _FLAG,
        Store.PORT,
        "IFLA_BRPORT_GUARD",
        at=At.AFTER,
        initial=False,
        aliases=("guard",),
        networkd=ManagerSetting("Bridge", "UseBPDU", _INVERTED),
    ),
    Attribute(
        "root_block",
        _FLAG,
        Store.PORT,
        "IFLA_BRPORT_PROTECT",
        at=At.AFTER,
        initial=False,
        networkd=ManagerSetting("Bridge", "AllowPortToBeRoot", _INVERTED),
    ),
    Attribute(
        "fast_leave",
        _FLAG,
        Store.PORT,
        "IFLA_BRPORT_FAST_LEAVE",
        at=At.AFTER,
        initial=False,
        aliases=("fastleave",),
        networkd=ManagerSetting("Bridge", "FastLeave"),
    ),
    Attribute(
        "multicast_to_unicast",
        _FLAG,
        Store.PORT,
        "IFLA_BRPORT_MCAST_TO_UCAST",
        at=At.AFTER,
        initial=False,
        aliases=("mcast_to_unicast",),
        networkd=ManagerSetting("Bridge", "MulticastToUnicast"),
    ),
    Attribute(
        "vlan_tunnel",
        _FLAG,
        Store.PORT,
        "IFLA_BRPORT_VLAN_TUNNEL",
        at=At.AFTER,
        initial=False,
        since="4.11",
    ),
    Attribute(
        "multicast_router",
        Integer(0, 3),
        Store.PORT,
        "IFLA_BRPORT_MULTICAST_ROUTER",
        at=At.AFTER,
        initial=1,
        aliases=("mcast_router",),
        networkd=ManagerSetting("Bridge", "MulticastRouter", {0: "no", 1: "query", 2: "permanent", 3: "temporary"}),
    ),
    Attribute(
        "multicast_max_groups",
        Integer(0, U32),
        Store.PORT,
        "IFLA_BRPORT_MCAST_MAX_GROUPS",
        at=At.AFTER,
        initial=0,
        aliases=("mcast_max_groups",),
        since="6.3",
    ),
    Attribute(
        "priority",
        Integer(0, 63),
        Store.PORT,
        "IFLA_BRPORT_PRIORITY",
        at=At.AFTER,
        initial=32,
        networkd=ManagerSetting("Bridge", "Priority"),
        networkmanager=ManagerSetting("bridge-port", "priority"),
    ),
    Attribute(
        "cost",
        Integer(1, 65535),
        Store.PORT,
        "IFLA_BRPORT_COST",
        at=At.AFTER,
        usual=2,
        networkd=ManagerSetting("Bridge", "Cost"),
        networkmanager=ManagerSetting("bridge-port", "path-cost"),
    ),
    Attribute("group_fwd_mask", Mask(0, 0xFFFF, never=0x2), Store.PORT, "IFLA_BRPORT_GROUP_FWD_MASK", at=At.AFTER, initial=0),
    Attribute(
        "backup_port", LinkName(empty=True), Store.PORT, "IFLA_BRPORT_BACKUP_PORT", at=At.AFTER, initial="", names_link=True
    ),
    Attribute(
        "stp_state",
        # The kernel leaves the three in between by itself, blocking at once.
        Choice(
            {"disabled": 0, "listening": 1, "learning": 2, "forwarding": 3, "blocking": 4}, offered=("disabled", "forwarding")
        ),
        Store.PORT,
        "IFLA_BRPORT_STATE",
        at=At.AFTER,
        derived=True,
    ),
)

# What `link` may set on any link, and what is known of a link whose kind has no rows of its own.
LINK = Kind("link", tuple(row for row in _COMMON if row.at is not At.CREATION), port=PORT)


_LOWER_DEVICE = Attribute(
    "lower_device",
    Reference(),
    Store.MESSAGE,
    "IFLA_LINK",
    at=At.CREATION,
    recreate_if=always,
    aliases=("parent",),
    networkd=ManagerSetting("Network", "VLAN"),
    networkmanager=ManagerSetting("vlan", "parent"),
)


_MODES = {"vepa": "1", "bridge": "2", "private": "3", PASSTHRU: "4", SOURCE: "5"}


def _on_lower_device(kind: str) -> tuple[Attribute, ...]:
    """The rows that macvlan and macvtap share: the kernel has the same attributes twice, under two names."""
    section = kind.upper()
    prefix = f"IFLA_{section}_"
    return (
        Attribute(
            "lower_device",
            Reference(),
            Store.MESSAGE,
            "IFLA_LINK",
            at=At.CREATION,
            recreate_if=always,
            aliases=("parent",),
            networkd=ManagerSetting("Network", section),
            networkmanager=ManagerSetting("macvlan", "parent"),
        ),
        Attribute(
            "mode",
            Choice({"private": 1, "vepa": 2, "bridge": 4, PASSTHRU: 8, SOURCE: 16}),
            Store.DATA,
            prefix + "MODE",
            initial="vepa",
            recreate_if=_crosses_passthru,
            networkd=_netdev(section, "Mode"),
            networkmanager=ManagerSetting("macvlan", "mode", _MODES),
        ),
        Attribute(
            "nopromisc",
            Boolean(),
            Store.DATA_FLAG,
            prefix + "FLAGS",
            bit=1,
            initial=False,
            recreate_if=_unsafe_nopromisc,
            networkmanager=ManagerSetting("macvlan", "promiscuous", _INVERTED),
        ),
        Attribute("nodst", Boolean(), Store.DATA_FLAG, prefix + "FLAGS", bit=2, initial=False, since="5.13"),
        # Above some 2,550 addresses the kernel's dumps are cut short, above 5,454 they are garbage.
        Attribute(
            "source_addresses",
            SetOf(Mac(), most=1000),
            Store.SOURCES,
            prefix + "MACADDR_DATA",
            initial=(),
            networkd=_netdev(section, "SourceMACAddress"),
        ),
        Attribute(
            "bc_queue_len",
            Integer(0, U32),
            Store.DATA,
            prefix + "BC_QUEUE_LEN",
            initial=1000,
            since="5.11",
            networkd=_netdev(section, "BroadcastMulticastQueueLength") if kind == "macvlan" else None,
        ),
        Attribute(
            "bc_cutoff",
            Integer(-(1 << 31), (1 << 31) - 1),
            Store.DATA,
            prefix + "BC_CUTOFF",
            initial=1,
            per_lower_device=True,
            since="6.4",
            networkd=_netdev(section, "BroadcastQueueThreshold", since=256) if kind == "macvlan" else None,
        ),
    )


def _without_initial(rows: tuple[Attribute, ...], *names: str) -> tuple[Attribute, ...]:
    return tuple(replace(row, initial=None) if row.name in names else row for row in rows)


MACVLAN = Kind(
    "macvlan", _on_lower_device("macvlan") + _COMMON, needs=("lower_device",), port=PORT, flat=True, draws_address=True
)

MACVTAP = Kind(  # which has a receive handler of its own, and so cannot be a port
    "macvtap",
    (
        Attribute("device_owner", USER, Store.NODE, at=At.AFTER),
        Attribute("device_group", USER_GROUP, Store.NODE, at=At.AFTER),
        Attribute("device_mode", FileMode(), Store.NODE, at=At.AFTER),
        *_on_lower_device("macvtap"),
        *_without_initial(_COMMON, "tx_queue_len", "num_tx_queues", "num_rx_queues"),
    ),
    needs=("lower_device",),
    flat=True,
    draws_address=True,
)


def _bridge_common() -> tuple[Attribute, ...]:
    """Only an MTU that is set on a living bridge is its own: one from its creation follows the ports."""
    return tuple(replace(row, at=At.AFTER) if row.name == "mtu" else row for row in _COMMON)


BRIDGE = Kind(  # which cannot be a port itself
    "bridge",
    (
        Attribute(
            "stp_state",
            Boolean(),
            Store.DATA,
            "IFLA_BR_STP_STATE",
            initial=False,
            aliases=("stp",),
            networkd=_netdev("Bridge", "STP"),
            networkmanager=ManagerSetting("bridge", "stp"),
        ),
        Attribute(
            "forward_delay",
            Seconds(0, 2147483),
            Store.DATA,
            "IFLA_BR_FORWARD_DELAY",
            initial=1500,
            networkd=_netdev("Bridge", "ForwardDelaySec"),
            networkmanager=ManagerSetting("bridge", "forward-delay"),
        ),
        Attribute(
            "hello_time",
            Seconds(1, 10),
            Store.DATA,
            "IFLA_BR_HELLO_TIME",
            initial=200,
            networkd=_netdev("Bridge", "HelloTimeSec"),
            networkmanager=ManagerSetting("bridge", "hello-time"),
        ),
        Attribute(
            "max_age",
            Seconds(6, 40),
            Store.DATA,
            "IFLA_BR_MAX_AGE",
            initial=2000,
            networkd=_netdev("Bridge", "MaxAgeSec"),
            networkmanager=ManagerSetting("bridge", "max-age"),
        ),
        Attribute(
            "ageing_time",
            Seconds(0, 10000000),
            Store.DATA,
            "IFLA_BR_AGEING_TIME",
            initial=30000,
            networkd=_netdev("Bridge", "AgeingTimeSec"),
            networkmanager=ManagerSetting("bridge", "ageing-time"),
        ),
        Attribute(
            "priority",
            Integer(0, 65535),
            Store.DATA,
            "IFLA_BR_PRIORITY",
            initial=32768,
            networkd=_netdev("Bridge", "Priority"),
            networkmanager=ManagerSetting("bridge", "priority"),
        ),
        Attribute(
            "vlan_filtering",
            Boolean(),
            Store.DATA,
            "IFLA_BR_VLAN_FILTERING",
            initial=False,
            networkd=_netdev("Bridge", "VLANFiltering"),
            networkmanager=ManagerSetting("bridge", "vlan-filtering"),
        ),
        Attribute(
            "vlan_default_pvid",
            Integer(0, 4094),
            Store.DATA,
            "IFLA_BR_VLAN_DEFAULT_PVID",
            usual=1,
            networkd=_netdev("Bridge", "DefaultPVID"),
            networkmanager=ManagerSetting("bridge", "vlan-default-pvid"),
        ),
        Attribute(
            "multicast_snooping",
            Boolean(),
            Store.DATA,
            "IFLA_BR_MCAST_SNOOPING",
            initial=True,
            aliases=("mcast_snooping",),
            networkd=_netdev("Bridge", "MulticastSnooping"),
            networkmanager=ManagerSetting("bridge", "multicast-snooping"),
        ),
        Attribute(
            "multicast_querier",
            Boolean(),
            Store.DATA,
            "IFLA_BR_MCAST_QUERIER",
            initial=False,
            aliases=("mcast_querier",),
            networkd=_netdev("Bridge", "MulticastQuerier"),
            networkmanager=ManagerSetting("bridge", "multicast-querier"),
        ),
        Attribute(
            "group_fwd_mask",
            Mask(0, 0xFFFF, never=0x7),
            Store.DATA,
            "IFLA_BR_GROUP_FWD_MASK",
            initial=0,
            networkd=_netdev("Bridge", "GroupForwardMask"),
            networkmanager=ManagerSetting("bridge", "group-forward-mask"),
        ),
        *_bridge_common(),
    ),
)


VETH = Kind(  # with as many queues as the machine has processors
    "veth",
    (
        Attribute(
            "peer",
            Reference(),
            Store.PEER,
            at=At.CREATION,
            recreate_if=always,
            networkd=_netdev("Peer", "Name"),
            networkmanager=ManagerSetting("veth", "peer"),
        ),
        *_without_initial(_COMMON, "num_tx_queues", "num_rx_queues"),
    ),
    needs=("peer",),
    port=PORT,
    draws_address=True,
)

DUMMY = Kind("dummy", _COMMON, port=PORT, draws_address=True)

VLAN = Kind(
    "vlan",
    (
        _LOWER_DEVICE,
        Attribute(
            "id",
            Integer(1, 4094),
            Store.DATA,
            "IFLA_VLAN_ID",
            at=At.CREATION,
            recreate_if=always,
            networkd=_netdev("VLAN", "Id"),
            networkmanager=ManagerSetting("vlan", "id"),
        ),
        Attribute(
            "protocol",
            Choice({"802.1q": 0x8100, "802.1ad": 0x88A8}),
            Store.DATA,
            "IFLA_VLAN_PROTOCOL",
            at=At.CREATION,
            initial="802.1q",
            recreate_if=always,
            networkd=_netdev("VLAN", "Protocol"),
            networkmanager=ManagerSetting("vlan", "protocol", {"802.1q": "802.1Q", "802.1ad": "802.1ad"}),
        ),
        *_COMMON,
    ),
    needs=("lower_device", "id"),
    port=PORT,
    module="8021q",
    takes_address=True,
    follows=True,
)

VRF = Kind(
    "vrf",
    (
        Attribute(
            "table",
            Integer(1, U32),
            Store.DATA,
            "IFLA_VRF_TABLE",
            at=At.CREATION,
            recreate_if=always,
            networkd=_netdev("VRF", "Table"),
            networkmanager=ManagerSetting("vrf", "table"),
        ),
        *_COMMON,
    ),
    needs=("table",),
    draws_address=True,
)

# A route is what stands at its key (see RouteKey); these are what may differ there.
ROUTE = Kind(
    "route",
    (
        Attribute(
            "type",
            Choice(
                {
                    "unicast": 1,
                    "local": 2,
                    "broadcast": 3,
                    "anycast": 4,
                    "multicast": 5,
                    "blackhole": 6,
                    "unreachable": 7,
                    "prohibit": 8,
                    "throw": 9,
                }
            ),
            Store.ROUTE,
            networkd=ManagerSetting("Route", "Type"),
            networkmanager=ManagerSetting("route", "type"),
        ),
        Attribute(
            "gateway",
            Ip(),
            Store.ROUTE,
            "RTA_GATEWAY",
            networkd=ManagerSetting("Route", "Gateway"),
            networkmanager=ManagerSetting("route", "gateway"),
        ),
        Attribute(
            "link",
            LinkName(),
            Store.ROUTE,
            "RTA_OIF",
            names_link=True,
            networkd=ManagerSetting("Match", "Name"),
            networkmanager=ManagerSetting("connection", "interface-name"),
        ),
        Attribute(
            "source",
            Ip(),
            Store.ROUTE,
            "RTA_PREFSRC",
            networkd=ManagerSetting("Route", "PreferredSource"),
            networkmanager=ManagerSetting("route", "src"),
        ),
        Attribute(
            "scope",
            Choice({"global": 0, "site": 200, "link": 253, "host": 254, "nowhere": 255}),
            Store.ROUTE,
            networkd=ManagerSetting("Route", "Scope"),
        ),
        Attribute(
            "onlink",
            Boolean(),
            Store.ROUTE,
            initial=False,
            networkd=ManagerSetting("Route", "GatewayOnLink"),
            networkmanager=ManagerSetting("route", "onlink"),
        ),
        Attribute(
            "mtu",
            Integer(68, 65535),
            Store.ROUTE,
            "RTAX_MTU",
            networkd=ManagerSetting("Route", "MTUBytes"),
            networkmanager=ManagerSetting("route", "mtu"),
        ),
    ),
)
NEXT_HOP = ("gateway", "link")  # one thing: who writes one of them means all of it
REJECTS = ("blackhole", "unreachable", "prohibit", "throw")  # types that go nowhere, and so leave by no link

# A rule is all of this together: what is not written, it does not have.
RULE = Kind(
    "rule",
    (
        Attribute(
            "from",
            Network(),
            Store.RULE,
            "FRA_SRC",
            networkd=ManagerSetting("RoutingPolicyRule", "From"),
            networkmanager=ManagerSetting("routing-rule", "from"),
        ),
        Attribute(
            "to",
            Network(),
            Store.RULE,
            "FRA_DST",
            networkd=ManagerSetting("RoutingPolicyRule", "To"),
            networkmanager=ManagerSetting("routing-rule", "to"),
        ),
        Attribute(
            "iif",
            LinkName(),
            Store.RULE,
            "FRA_IIFNAME",
            networkd=ManagerSetting("RoutingPolicyRule", "IncomingInterface"),
            networkmanager=ManagerSetting("routing-rule", "iif"),
        ),
        Attribute(
            "oif",
            LinkName(),
            Store.RULE,
            "FRA_OIFNAME",
            networkd=ManagerSetting("RoutingPolicyRule", "OutgoingInterface"),
            networkmanager=ManagerSetting("routing-rule", "oif"),
        ),
        Attribute(
            "fwmark",
            Fwmark(),
            Store.RULE,
            "FRA_FWMARK",
            networkd=ManagerSetting("RoutingPolicyRule", "FirewallMark"),
            networkmanager=ManagerSetting("routing-rule", "fwmark"),
        ),
        Attribute(
            "uid_range",
            Range(0, U32 - 1),
            Store.RULE,
            "FRA_UID_RANGE",
            since="4.10",
            networkd=ManagerSetting("RoutingPolicyRule", "User"),
            networkmanager=ManagerSetting("routing-rule", "uidrange"),
        ),
        Attribute(
            "ip_protocol",
            PROTOCOL,
            Store.RULE,
            "FRA_IP_PROTO",
            since="4.17",
            networkd=ManagerSetting("RoutingPolicyRule", "IPProtocol"),
            networkmanager=ManagerSetting("routing-rule", "ipproto"),
        ),
        Attribute(
            "source_port",
            Range(1, 65534),
            Store.RULE,
            "FRA_SPORT_RANGE",
            since="4.17",
            networkd=ManagerSetting("RoutingPolicyRule", "SourcePort"),
            networkmanager=ManagerSetting("routing-rule", "sport"),
        ),
        Attribute(
            "destination_port",
            Range(1, 65534),
            Store.RULE,
            "FRA_DPORT_RANGE",
            since="4.17",
            networkd=ManagerSetting("RoutingPolicyRule", "DestinationPort"),
            networkmanager=ManagerSetting("routing-rule", "dport"),
        ),
        Attribute(
            "action",
            Choice(
                {"lookup": 1, "goto": 2, "nop": 3, "blackhole": 6, "unreachable": 7, "prohibit": 8},
                offered=("lookup", "nop", "blackhole", "unreachable", "prohibit"),
            ),
            Store.RULE,
            networkd=ManagerSetting(
                "RoutingPolicyRule", "Type", {"blackhole": "blackhole", "unreachable": "unreachable", "prohibit": "prohibit"}
            ),
        ),
        Attribute(
            "table",
            TABLE,
            Store.RULE,
            "FRA_TABLE",
            networkd=ManagerSetting("RoutingPolicyRule", "Table"),
            networkmanager=ManagerSetting("routing-rule", "table"),
        ),
        Attribute(
            "suppress_prefix_length",
            Integer(0, 128),
            Store.RULE,
            "FRA_SUPPRESS_PREFIXLEN",
            networkd=ManagerSetting("RoutingPolicyRule", "SuppressPrefixLength"),
            networkmanager=ManagerSetting("routing-rule", "suppress_prefixlength"),
        ),
    ),
)
LOOKUP = "lookup"

KINDS = {kind.name: kind for kind in (VRF, BRIDGE, VETH, DUMMY, VLAN, MACVLAN, MACVTAP)}


_ALL = {**KINDS, ROUTE.name: ROUTE, RULE.name: RULE}


def kind_of(name: str) -> Kind:
    """The rows of an object of this kind: those of the table, or the ones that every link has."""
    return _ALL.get(name, LINK)


def draws_address(kind: str, attributes: Attributes) -> bool:
    """Whether a new link has a random MAC when none is asked for, which it keeps; passthru has that of its lower device."""
    return kind_of(kind).draws_address and attributes.get("mode") != PASSTHRU

# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The attributes that links of every kind have, and their checks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._rows import (
    IFF_ALLMULTI,
    IFF_PROMISC,
    IFF_UP,
    U32,
    At,
    Attribute,
    ManagerSetting,
    Situation,
    Store,
    always,
    netdev_setting,
)
from ansible_collections.patchbay.netdev.plugins.module_utils._model._errors import Missing, Refused
from ansible_collections.patchbay.netdev.plugins.module_utils._model._ipv6 import DISABLE_IPV6, IPV6_MINIMUM_MTU, has_ipv6
from ansible_collections.patchbay.netdev.plugins.module_utils._model._links import PHYSICAL, AttributeView, LinkKey
from ansible_collections.patchbay.netdev.plugins.module_utils._values._addresses import DHCP, RA, Addresses, is_duplicate, owner
from ansible_collections.patchbay.netdev.plugins.module_utils._values._base import Boolean, Choice, SetOf, Text
from ansible_collections.patchbay.netdev.plugins.module_utils._values._mac import Mac
from ansible_collections.patchbay.netdev.plugins.module_utils._values._names import LINK_GROUP, AltName, LinkName
from ansible_collections.patchbay.netdev.plugins.module_utils._values._numbers import Integer
from ansible_collections.patchbay.netdev.plugins.module_utils._values._sysctls import Sysctls

# Per-link settings that the kernel combines with those of `all`: the larger one holds, or either being set is enough.
_LARGER_HOLDS = ("arp_ignore", "arp_announce", "rp_filter")
_EITHER_HOLDS = ("arp_filter", "arp_notify", "ndisc_notify", "accept_local", "route_localnet", "proxy_arp")
_ORIGINS = {DHCP: "a DHCP client", RA: "a router advertisement"}


def _check_mtu(case: Situation) -> None:
    mtu, lower = case.desired.mtu, case.lower
    if mtu is None or lower is None or not lower.mtu or not (case.is_new or "mtu" in case.changed):
        return
    if mtu > lower.mtu and not case.kind.follows_mtu:
        raise Refused(
            f"{case.key}: mtu {mtu} is above the MTU of its lower device {lower.key}, which is {lower.mtu}. "
            f"Raise the MTU of {lower.key.name} first, or set mtu to {lower.mtu} or less"
        )


def _check_controller(case: Situation) -> None:
    name = AttributeView(case.changed).controller
    if not name:
        return
    key = LinkKey(case.key.netns, name)
    controller = case.state.get(key)
    if controller is None:
        raise Missing(
            f"{case.key}: controller {key} does not exist in the namespace of the link",
            "Create it first with the module bridge or vrf, or set another controller",
        )
    kind = case.kind_of(controller.kind)
    if not kind.is_controller:
        raise Refused(
            f"{case.key}: controller {key} is {kind_with_article(controller.kind)}. Set controller to a bridge or a VRF "
            "(other kinds are not supported)"
        )
    for check in kind.admits:
        check(case)
    if case.lower is not None and case.lower.key == key:
        raise Refused(f"{case.key}: controller {key} is also its lower device, which would be a loop. Set another controller")


def _check_altnames(case: Situation) -> None:
    for altname in AttributeView(case.changed).altnames:
        key = LinkKey(case.key.netns, altname)
        owner = key if case.state.get(key) else case.state.owner_of_altname(key)
        if altname == case.key.name or (owner is not None and owner != case.key):
            raise Refused(f"{case.key}: altname {altname} is already a name of {owner or case.key}. Set another one")


def _check_sysctls(case: Situation) -> None:
    for setting in AttributeView(case.changed).sysctls:
        if case.state.sysctls.get((case.key.netns, "default", setting), 0) is None:
            raise Refused(f"{case.key}: this kernel has no setting {setting} under /proc/sys/net. Remove it from sysctls")
        if setting.startswith("ipv6."):
            _check_ipv6(case, setting)


def _check_generation_mode(case: Situation) -> None:
    _check_ipv6(case, "address_generation_mode")


def _check_ipv6(case: Situation, option: str) -> None:
    mtu = AttributeView(case.after).mtu
    if not has_ipv6(mtu):
        raise Refused(
            f"{case.key}: {option} needs IPv6, which the kernel removes from a link with an MTU below {IPV6_MINIMUM_MTU}; "
            f"it is {mtu}. Raise mtu, or omit {option}"
        )


def _check_addresses(case: Situation) -> None:
    after = AttributeView(case.after)
    default = case.state.sysctls.get((case.key.netns, "default", DISABLE_IPV6)) if case.is_new else None
    settings = {DISABLE_IPV6: default, **after.sysctls, **case.desired.sysctls}
    for address in case.desired.addresses:
        is_loopback = address.ip.startswith("127.") or address.ip == "::1"
        if is_loopback and case.key.name != "lo":
            raise Refused(f"{case.key}: {address.ip} is a loopback address. Set it on lo only")
        if address.family == 6 and not has_ipv6(after.mtu):
            raise Refused(
                f"{case.key}: {address.ip} needs IPv6, which the kernel removes from a link with an MTU below "
                f"{IPV6_MINIMUM_MTU}; it is {after.mtu}. Raise mtu, or omit the address"
            )
        if address.family == 6 and settings[DISABLE_IPV6]:
            raise Refused(f"{case.key}: {address.ip} needs IPv6, but {DISABLE_IPV6} is 1. Set it to 0, or omit the address")


def _warn_of_addresses(case: Situation) -> Iterator[str]:
    current = {address.ip: address for address in (case.before.addresses if case.before else ())}
    for address in case.desired.addresses:
        others = [key for key in case.state.links_with_ip(case.key.netns, address.ip) if key != case.key]
        if others:
            yield (
                f"{case.key}: address {address.ip} is also set on {listed(others)} in the same namespace, and either may answer "
                "for it. Remove it from all links but one"
            )
        known = current.get(address.ip)
        if known is not None and is_duplicate(known) and not case.desired.policy.wait_dad:
            yield (
                f"{case.key}: address {address.ip} is not in use, because duplicate address detection found it on another host. "
                "Remove it there, and set wait_dad to try again"
            )
        if known is not None and known.valid is not None and owner(known) in _ORIGINS:
            yield f"{case.key}: address {address.ip} was set by {_ORIGINS[owner(known)]}, and disappears when its lifetime ends"


def _warn_of_sysctls(case: Situation) -> Iterator[str]:
    settings = case.desired.sysctls
    for setting, value in settings.items():
        family, name = setting.split(".")
        value_of_all = case.state.sysctls.get((case.key.netns, "all", setting))
        if value_of_all is None:
            continue
        if setting == "ipv6.forwarding" and value and not value_of_all and not settings.get("ipv6.force_forwarding"):
            yield (
                f"{case.key}: ipv6.forwarding = {value} has no effect while net.ipv6.conf.all.forwarding is 0. "
                "Set ipv6.force_forwarding: 1 as well (Linux 6.17 and later), or that of all links"
            )
        if (name in _LARGER_HOLDS and value_of_all > value) or (name in _EITHER_HOLDS and value_of_all and not value):
            yield f"{case.key}: {setting} = {value} has no effect while net.{family}.conf.all.{name} is {value_of_all}"


def name_taken(key: LinkKey, owner: LinkKey) -> Refused:
    """The refusal to create a link whose name is an alternative name of another one."""
    return Refused(
        f"{key}: the name is already an alternative name of {owner}. "
        f"Choose another name, or remove {key.name} from the altnames of {owner.name} first"
    )


def kind_with_article(kind: str) -> str:
    """A kind in a sentence: "a bridge", "an ipvlan"."""
    if kind == PHYSICAL:
        return "a physical link"
    return f"{'an' if kind[0] in 'aeiou' else 'a'} {kind}"


def listed(links: Iterable[object]) -> str:
    """Links in a sentence, at most five by name."""
    names = sorted(str(link) for link in links)
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


ROWS_OF_EVERY_LINK = (
    Attribute(
        "address",
        Mac(),
        Store.MESSAGE,
        "IFLA_ADDRESS",
        aliases=("mac",),
        networkd=netdev_setting("NetDev", "MACAddress"),
        networkmanager=ManagerSetting("ethernet", "cloned-mac-address"),
    ),
    Attribute(
        "mtu",
        Integer(68, 65535),
        Store.MESSAGE,
        "IFLA_MTU",
        networkd=ManagerSetting("Link", "MTUBytes"),
        networkmanager=ManagerSetting("ethernet", "mtu"),
        check=_check_mtu,
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
        LinkName(empty=True, or_altname=True),
        Store.MESSAGE,
        "IFLA_MASTER",
        at=At.AFTER,
        initial="",
        names_link=True,
        aliases=("master",),
        networkd=ManagerSetting("Network", "Bridge", is_single=False),
        networkmanager=ManagerSetting("connection", "master", is_single=False),
        check=_check_controller,
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
        check=_check_generation_mode,
    ),
    Attribute(
        "altnames",
        SetOf(AltName()),
        Store.ALTNAME,
        at=At.AFTER,
        initial=(),
        since="5.5",
        check=_check_altnames,
    ),
    Attribute(
        "sysctls",
        Sysctls(),
        Store.SYSCTL,
        at=At.AFTER,
        check=_check_sysctls,
        warn=_warn_of_sysctls,
    ),
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
        networkd=ManagerSetting("Link", "ActivationPolicy", is_single=False),
        networkmanager=ManagerSetting("connection", "autoconnect", {"up": "true"}, is_single=False),
    ),
    Attribute(
        "addresses",
        Addresses(),
        Store.ADDRESS,
        at=At.AFTER,
        initial=(),
        derived=True,
        networkd=ManagerSetting("Address", "Address", is_single=False),
        networkmanager=ManagerSetting("ipv4", "address1", is_single=False),
        check=_check_addresses,
        warn=_warn_of_addresses,
    ),
)


def without_initial(rows: tuple[Attribute, ...], *names: str) -> tuple[Attribute, ...]:
    return tuple(replace(row, initial=None) if row.name in names else row for row in rows)

# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the kernel would refuse, or accept and not do, told in words before anything is sent. Pure.

macvlan gives no text with its errors: one EINVAL or EBUSY stands for a dozen causes. So each cause is looked for here, with
the way out; what cannot be seen from here (a sibling in a namespace that was not read) is named by `hint` afterwards.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._macvlan import PASSTHRU, SOURCE
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._table import kind_of
from ansible_collections.patchbay.netdev.plugins.module_utils._model._desired import DesiredLink
from ansible_collections.patchbay.netdev.plugins.module_utils._model._errors import Missing, NeedsRecreate, Refused
from ansible_collections.patchbay.netdev.plugins.module_utils._model._links import Attributes, Link, LinkKey
from ansible_collections.patchbay.netdev.plugins.module_utils._model._state import State
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._ipv6 import IPV6_MINIMUM_MTU, has_ipv6
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._requests import NewLink, Request, SetLink
from ansible_collections.patchbay.netdev.plugins.module_utils._values._addresses import DHCP, RA, is_duplicate, owner

# Per-link settings that the kernel combines with those of `all`: the larger one holds, or either being set is enough.
_LARGER_HOLDS = ("arp_ignore", "arp_announce", "rp_filter")
_EITHER_HOLDS = ("arp_filter", "arp_notify", "ndisc_notify", "accept_local", "route_localnet", "proxy_arp")

DISABLE_IPV6 = "ipv6.disable_ipv6"

_CONTROLLERS = ("bridge", "vrf")
_GIVERS = {DHCP: "a DHCP client", RA: "a router advertisement"}
_REFLECTED = ("private", "vepa", "bridge")  # modes between which only a switch outside passes frames


@dataclass(frozen=True)
class Situation:
    """One wanted link before it is planned: what is there, what it is to become, and what it sits on.

    before is None for a link that is to be created. after: all attributes as they are to be. changed: those that differ.
    lower: the device that it really sits on; None where it is not known or not there.
    """

    item: DesiredLink
    before: Link | None
    after: Attributes
    changed: Attributes
    lower: Link | None
    state: State

    @property
    def key(self) -> LinkKey:
        """The wanted link."""
        return self.item.key

    @property
    def kind(self) -> str:
        """Its kind: that of the link that is there, where a view names none."""
        return self.before.kind if self.before is not None else str(self.item.kind)

    @property
    def created(self) -> bool:
        """Whether it has to be made."""
        return self.before is None


def check(case: Situation) -> None:
    """Raise Refused with a sentence if the kernel would not do what is wanted."""
    if case.kind in ("macvlan", "macvtap"):
        _check_lower(case)
        _check_passthru(case)
        _check_address(case)
        _check_sources(case)
    if case.kind == "vlan":
        _check_vlan(case)
    _check_peer(case)
    _check_node(case)
    _check_mtu(case)
    _check_controller(case)
    _check_port(case)
    _check_bridge(case)
    _check_altnames(case)
    _check_sysctls(case)
    _check_ipv6(case)
    _check_addresses(case)


def warnings(case: Situation) -> Iterator[str]:
    """What will be done, but may not do what is meant."""
    lower = case.lower
    if lower is not None:
        if lower.get("admin_state") == "down":
            yield (
                f"{case.key}: its lower device {lower.key} is down, so nothing passes. "
                "Write lower_device_state: up to bring it up along with the link"
            )
        elif lower.carrier is False:
            yield f"{case.key}: its lower device {lower.key} has no carrier, so nothing passes, not even between links on it"
        yield from _unheard(case, lower)
    yield from _doubtful_addresses(case)
    written = case.item.attributes.get("sysctls") or {}
    for setting, value in written.items():
        over_all = case.state.sysctls.get((case.key.netns, "all", setting))
        name = setting.split(".")[1]
        if over_all is None:
            continue
        if setting == "ipv6.forwarding" and value and not over_all and not written.get("ipv6.force_forwarding"):
            yield (
                f"{case.key}: ipv6.forwarding = {value} of a link alone forwards nothing while net.ipv6.conf.all.forwarding "
                "is 0. Write ipv6.force_forwarding: 1 too (Linux 6.17 and later), or set that of all"
            )
        if (name in _LARGER_HOLDS and over_all > value) or (name in _EITHER_HOLDS and over_all and not value):
            family = setting.split(".")[0]
            yield f"{case.key}: {setting} = {value} has no effect while net.{family}.conf.all.{name} is {over_all}"


def _doubtful_addresses(case: Situation) -> Iterator[str]:
    there = {address.ip: address for address in (case.before.get("addresses") if case.before else None) or ()}
    for address in case.item.attributes.get("addresses") or ():
        others = [key for key in case.state.links_with_ip(case.key.netns, address.ip) if key != case.key]
        if others:
            yield (
                f"{case.key}: {_some(others)} has the address {address.ip} too, in the same namespace: "
                "which of the two answers for it is not certain"
            )
        known = there.get(address.ip)
        if known is not None and is_duplicate(known) and not case.item.policy.wait_dad:
            yield (
                f"{case.key}: {address.ip} is a duplicate, so it is not used: another host has it. "
                "Take it off there and write wait_dad, and it is tried again"
            )
        if known is not None and known.valid is not None and owner(known) in _GIVERS:
            yield f"{case.key}: {address.ip} is there already, given by {_GIVERS[owner(known)]}, and may go with it"


def _unheard(case: Situation, lower: Link) -> Iterator[str]:
    """Two links of different modes on one lower device never hear each other directly."""
    mode = case.after.get("mode")
    if mode not in _REFLECTED or not (case.created or "mode" in case.changed):
        return
    others = [link for link in case.state.links_on(lower.key) if link.key != case.key and link.get("mode") in _REFLECTED]
    strangers = sorted(f"{link.key} ({link.get('mode')})" for link in others if link.get("mode") != mode)
    if strangers:
        yield (
            f"{case.key}: its mode is {mode}, so on {lower.key} it does not hear {_some(strangers)}, and is not heard there, "
            "but for what a switch reflects (hairpin)"
        )


def lower_missing(key: LinkKey, lower: LinkKey, state: State) -> Refused:
    """The refusal for a lower device that does not exist."""
    owner = state.owner_of_altname(lower)
    if owner is not None:
        return Refused(f"{key}: {lower.name} is an alternative name of {owner}; write lower_device: {owner.name}")
    there = sorted(link.key.name for link in state if link.key.netns == lower.netns and link.ethernet)
    place = f"netns {lower.netns}" if lower.netns else "the namespace that the task runs in"
    return Missing(
        f"{key}: there is no link {lower.name} in {place} to be its lower device. "
        f"There {'are: ' + ', '.join(there[:20]) if there else 'is none that could be one'}. "
        "lower_device_netns names another namespace"
    )


def check_itself(item: DesiredLink) -> None:
    """Raise Refused if a link is to sit on itself, or to be both ends of a pair."""
    if item.attributes.get("lower_device") == item.key:
        raise Refused(f"{item.key}: it cannot be its own lower device")
    if item.attributes.get("controller") == item.key.name:
        raise Refused(f"{item.key}: it cannot be attached to itself")
    if item.attributes.get("peer") == item.key:
        raise Refused(f"{item.key}: both ends of the pair have this name in the same namespace. Give peer another name or netns")


def link_missing(key: LinkKey, state: State) -> Refused:
    """The refusal of a wish for a link that has to be there already."""
    owner = state.owner_of_altname(key)
    if owner is not None:
        return Refused(f"{key}: it is an alternative name of {owner}; write {owner.name}")
    there = sorted(link.key.name for link in state if link.key.netns == key.netns)
    return Missing(f"{key}: there is no such link, and none is created here. There are: {', '.join(there[:20])}")


def check_view(item: DesiredLink, current: Link) -> None:
    """Raise Refused if a link of this kind has no such attribute, or an asserted one differs."""
    known = {row.name for row in kind_of(current.kind).attributes}
    strange = [name for name in item.attributes if name not in known]
    if strange:
        raise Refused(f"{item.key}: its kind is {current.kind}, which has no {strange[0]}: it cannot be a port of a bridge")
    for name, value in item.asserted.items():
        if current.get(name) != value:
            found = f"it is attached to {current.get(name)}" if current.get(name) else "it is not attached to any bridge"
            advice = f"Attach it first (bridge_port: port={item.key.name} bridge={value})"
            raise Refused(f"{item.key}: it is no port of {value}: {found}. {advice}")


def check_name(key: LinkKey, state: State) -> None:
    """Raise Refused if a link that is to be made would have the alternative name of another."""
    owner = state.owner_of_altname(key)
    if owner is not None:
        raise Refused(
            f"{key}: the name is taken: it is an alternative name of {owner}. "
            f"Choose another name, or take {key.name} from the altnames of {owner.name} first"
        )


def needs_recreate(key: LinkKey, reasons: list[str]) -> NeedsRecreate:
    """The refusal of a change that a living link does not take."""
    return NeedsRecreate(
        f"{key}: {', '.join(reasons)}",
        "the kernel cannot change that on a living link. "
        "Write recreate: when_required to have it deleted and created again, with what lives on it where the kernel lets it",
    )


def _check_lower(case: Situation) -> None:
    lower = case.lower
    if lower is None or not (case.created or "mode" in case.changed):
        return
    kind = case.kind
    if not lower.ethernet:
        why = "the loopback device" if lower.key.name == "lo" else "not an Ethernet device"
        raise Refused(f"{case.key}: {lower.key} is {why}: a {kind} needs an Ethernet device as its lower_device")
    if case.created and lower.get("wireless") and not case.item.policy.allow_wireless:
        raise Refused(
            f"{case.key}: {lower.key} is wireless: the kernel would make a {kind} on it, but an access point takes frames "
            "from no other MAC than that of the card. Use an Ethernet device, or write allow_wireless: true to try"
        )
    controller = lower.get("controller")
    if controller and case.created:
        owner = case.state.get(LinkKey(lower.key.netns, controller))
        what = f"a port of {owner.kind} {controller}" if owner else f"attached to {controller}"
        raise Refused(
            f"{case.key}: {lower.key} is {what}: a {kind} cannot sit on it. Use {controller} as lower_device, "
            f"or detach {lower.key.name} first"
        )
    ipvlan = [str(link.key) for link in case.state.links_on(lower.key) if link.kind in ("ipvlan", "ipvtap")]
    if case.created and ipvlan:
        raise Refused(
            f"{case.key}: {', '.join(ipvlan)} sits on {lower.key}: ipvlan and {kind} exclude each other on one lower device"
        )


def _check_passthru(case: Situation) -> None:
    if case.lower is None or not (case.created or "mode" in case.changed):
        return
    others = [
        link for link in case.state.links_on(case.lower.key) if link.kind in ("macvlan", "macvtap") and link.key != case.key
    ]
    alone = [link for link in others if link.get("mode") == PASSTHRU]
    if alone:
        raise Refused(
            f"{case.key}: {alone[0].key} has {case.lower.key} for itself (mode passthru). "
            f"Delete {alone[0].key.name}, or use another lower_device"
        )
    if others and case.after.get("mode") == PASSTHRU:
        raise Refused(
            f"{case.key}: mode passthru takes {case.lower.key} for itself, but "
            f"{_some(link.key for link in others)} {'sits' if len(others) == 1 else 'sit'} on it. "
            "Delete what sits there, use another lower_device, or another mode"
        )


def _check_address(case: Situation) -> None:
    address, lower = case.after.get("address"), case.lower
    if not address or lower is None or case.after.get("mode") == PASSTHRU:
        return
    up = case.after.get("admin_state") == "up"
    if not (case.created or "address" in case.changed or (up and "admin_state" in case.changed)):
        return
    # The kernel compares when a link comes up, and when the MAC of an existing one changes: then with those that are up.
    if lower.get("address") == address and (up or not case.created):
        raise Refused(
            f"{case.key}: {address} is the MAC of its lower device {lower.key}: the kernel lets no link on it have the same. "
            "Write another address (the filter patchbay.netdev.stable_mac makes one)"
        )
    if not (up or not case.created):
        return
    for other in case.state.links_with_mac(lower.key, address):
        if other.key != case.key and other.get("admin_state") == "up" and other.get("mode") != PASSTHRU:
            raise Refused(
                f"{case.key}: {other.key} on the same lower device {lower.key} has the MAC {address} and is up: "
                "two links with one MAC cannot both be up. Write another address, or take that link down first"
            )


def _check_sources(case: Situation) -> None:
    if case.item.attributes.get("source_addresses") and case.after.get("mode") != SOURCE:
        raise Refused(
            f"{case.key}: source_addresses belong to mode source, its mode is {case.after.get('mode')}. "
            "Write mode: source, or leave them out"
        )


def _check_vlan(case: Situation) -> None:
    lower = case.lower
    if lower is None:
        return
    if case.created:
        tag = {name: case.after.get(name) for name in ("id", "protocol")}
        for other in case.state.links_on(lower.key):
            if other.kind == "vlan" and other.key != case.key and all(other.get(name) == tag[name] for name in tag):
                raise Refused(
                    f"{case.key}: {lower.key} has a link with id {tag['id']} and protocol {tag['protocol']}: {other.key}. "
                    f"Use that one, write another id, or delete {other.key.name} first"
                )
    if case.changed.get("admin_state") == "up" and lower.get("admin_state") == "down":
        raise Refused(
            f"{case.key}: its lower device {lower.key} is down, and the kernel lets no VLAN on it come up. "
            "Write lower_device_state: up to bring it up along with the link"
        )


def _check_peer(case: Situation) -> None:
    peer = case.item.attributes.get("peer")
    if not peer or not case.created:
        return
    other = case.state.get(peer)
    if other is not None and other.kind == "veth" and other.get("peer"):
        raise Refused(
            f"{case.key}: its peer {peer} is paired with {other.get('peer')} already. "
            f"Choose another name, or delete {peer.name} first"
        )
    if other is not None:
        raise Refused(f"{case.key}: the name of its peer {peer} is taken by a link of kind {other.kind}. Choose another name")
    check_name(peer, case.state)


def _check_node(case: Situation) -> None:
    wanted = [name for name in case.changed if name.startswith("device_")]
    if wanted and case.before is not None and case.before.get("device") is None:
        node = f"/dev/tap{case.before.index}"
        raise Refused(
            f"{case.key}: it has no device node of its own: {node} is missing, or belongs to a link with the same index in "
            f"another namespace. Nothing was changed on it. Delete that link first, or have {case.key.name} created again"
        )


def _check_mtu(case: Situation) -> None:
    mtu, lower = case.item.attributes.get("mtu"), case.lower
    if mtu is None or lower is None or not lower.get("mtu") or not (case.created or "mtu" in case.changed):
        return
    if mtu > lower.get("mtu"):
        raise Refused(
            f"{case.key}: mtu {mtu} is above that of its lower device {lower.key} ({lower.get('mtu')}), which bounds it. "
            f"Raise the MTU of {lower.key.name} first, or write {lower.get('mtu')} or less"
        )


def _check_controller(case: Situation) -> None:
    name = case.changed.get("controller")
    if not name:
        return
    key = LinkKey(case.key.netns, name)
    if case.kind == "macvtap":
        raise Refused(
            f"{case.key}: a macvtap cannot be attached to a bridge: its frames go to its device node. Use a macvlan or a veth"
        )
    controller = case.state.get(key)
    if controller is None:
        raise Missing(f"{case.key}: its controller {key} does not exist; it is looked up in the namespace of the link")
    if controller.kind not in _CONTROLLERS:
        raise Refused(f"{case.key}: {key} is no bridge (its kind is {controller.kind}), so nothing can be attached to it")
    if case.kind == "vrf":
        raise Refused(f"{case.key}: a VRF can be attached neither to a bridge nor to another VRF; {key} is a {controller.kind}")
    if controller.kind == "bridge":
        _check_bridge_takes(case, name)
    if case.lower is not None and case.lower.key == key:
        raise Refused(f"{case.key}: it sits on {key}, so it cannot be attached to it as well: that would be a loop")


def _check_bridge_takes(case: Situation, bridge: str) -> None:
    if case.kind == "bridge":
        raise Refused(f"{case.key}: a bridge cannot be attached to another bridge ({bridge}): the kernel refuses that as a loop")
    if case.key.name == "lo":
        raise Refused(f"{case.key}: it is the loopback device, which cannot be a port of a bridge")
    above = [link.key for link in case.state.links_on(case.key) if kind_of(link.kind).flat]
    if above:
        sit, them = ("sits", "that") if len(above) == 1 else ("sit", "them")
        raise Refused(
            f"{case.key}: {_some(above)} {sit} on it, so it cannot be a port of a bridge. "
            f"Use {bridge} as lower_device of {_some(above)}, or delete {them} first"
        )


def _check_port(case: Situation) -> None:
    wanted = [row.name for row in kind_of(case.kind).port if row.name in case.item.attributes]
    if not wanted:
        return
    name = case.after.get("controller")
    bridge = case.state.get(LinkKey(case.key.netns, name)) if name else None
    if bridge is None or bridge.kind != "bridge":
        bridges = sorted(link.key.name for link in case.state if link.kind == "bridge" and link.key.netns == case.key.netns)
        there = f"There is {', '.join(bridges)}" if bridges else "There is no bridge in its namespace"
        raise Refused(
            f"{case.key}: it is no port of a bridge, and {wanted[0]} is a setting of one. {there}. "
            f"Attach it first (bridge_port: port={case.key.name} bridge={bridges[0] if bridges else 'BRIDGE'})"
        )
    rows = {row.name: row for row in kind_of("").port}
    before = case.before
    for name in wanted:
        if before is not None and before.get("controller") == bridge.key.name and before.get(name) is None:
            since = rows[name].since
            raise Refused(
                f"{case.key}: this kernel has no {name} for bridge ports{f' (it came with Linux {since})' if since else ''}"
            )
    locked, learning = (
        rows[name].initial if case.after.get(name) is None else case.after[name] for name in ("locked", "learning")
    )
    if case.after.get("mab") and not (locked and learning):
        raise Refused(f"{case.key}: mab needs locked and learning as well. Write locked: true and learning: true")
    backup = case.changed.get("backup_port")
    if backup:
        other = case.state.get(LinkKey(case.key.netns, backup))
        if other is None or other.get("controller") != bridge.key.name or backup == case.key.name:
            raise Refused(f"{case.key}: backup_port {backup} is no other port of {bridge.key.name}")
    if case.changed.get("stp_state"):
        if bridge.get("stp_state"):
            raise Refused(
                f"{case.key}: {bridge.key.name} runs STP, which sets stp_state itself. Write stp_state: false for the bridge"
            )
        if case.after.get("admin_state") == "down":
            raise Refused(f"{case.key}: stp_state can be set only while the port is up. Write admin_state: up")


def _check_bridge(case: Situation) -> None:
    pvid = case.changed.get("vlan_default_pvid")
    if case.kind == "bridge" and pvid is not None and case.before is not None and case.before.get("vlan_default_pvid") is None:
        raise Refused(
            f"{case.key}: vlan_default_pvid needs VLAN filtering on bridges, which this kernel has not "
            "(CONFIG_BRIDGE_VLAN_FILTERING)"
        )
    delay = case.after.get("forward_delay")
    if case.kind == "bridge" and case.after.get("stp_state") and delay is not None and not 200 <= delay <= 3000:
        raise Refused(f"{case.key}: with STP, forward_delay has to be between 2 and 30 seconds; it is {delay / 100:g}")


def _check_altnames(case: Situation) -> None:
    for altname in case.changed.get("altnames", ()):
        key = LinkKey(case.key.netns, altname)
        owner = key if case.state.get(key) else case.state.owner_of_altname(key)
        if altname == case.key.name or (owner is not None and owner != case.key):
            raise Refused(f"{case.key}: altname {altname} is taken: {owner or case.key} has that name")


def _check_sysctls(case: Situation) -> None:
    for setting in case.changed.get("sysctls", {}):
        if case.state.sysctls.get((case.key.netns, "default", setting), 0) is None:
            raise Refused(f"{case.key}: this kernel has no setting {setting} (no such file under /proc/sys/net)")


def _check_ipv6(case: Situation) -> None:
    mtu = case.after.get("mtu")
    written = case.item.attributes
    wanted = [name for name in ("address_generation_mode",) if name in written]
    wanted += [name for name in written.get("sysctls", {}) if name.startswith("ipv6.")]
    if wanted and not has_ipv6(mtu):
        raise Refused(
            f"{case.key}: {wanted[0]} is a setting of IPv6, which no link with an MTU below {IPV6_MINIMUM_MTU} has (it is {mtu})"
        )


def _check_addresses(case: Situation) -> None:
    mtu = case.after.get("mtu")
    wanted = case.item.attributes.get("addresses") or ()
    general = case.state.sysctls.get((case.key.netns, "default", DISABLE_IPV6)) if case.created else None
    settings = {DISABLE_IPV6: general, **(case.after.get("sysctls") or {}), **case.item.attributes.get("sysctls", {})}
    for address in wanted:
        loopback = address.ip.startswith("127.") or address.ip == "::1"
        if loopback and case.key.name != "lo":
            raise Refused(f"{case.key}: {address.ip} belongs to the loopback device lo, and reaches no other link")
        if address.family == 6 and not has_ipv6(mtu):
            raise Refused(f"{case.key}: no link with an MTU below {IPV6_MINIMUM_MTU} has IPv6 (it is {mtu}), so not {address.ip}")
        if address.family == 6 and settings[DISABLE_IPV6]:
            raise Refused(
                f"{case.key}: ipv6.disable_ipv6 is 1, so it cannot have {address.ip}. Write 0, or leave the address out"
            )


def hint(request: Request, code: int) -> str:
    """What a refusal of the kernel may mean when the preconditions saw nothing; empty when there is nothing to add."""
    if not isinstance(request, (NewLink, SetLink)):
        return ""
    lower = request.attributes.get("lower_device")
    if code == errno.EOPNOTSUPP and {"vlan_filtering", "vlan_default_pvid"} & set(request.attributes):
        return "This kernel has no VLAN filtering on bridges (CONFIG_BRIDGE_VLAN_FILTERING)"
    if isinstance(request, NewLink):
        if code == errno.EOPNOTSUPP:
            return f"This kernel has no {request.kind}: try modprobe {kind_of(request.kind).module or request.kind}"
        if code == errno.EBUSY and lower:
            return f"Something else has taken {lower}: a bond, a team, Open vSwitch or an ipvlan (ip -d link show {lower.name})"
        if code == errno.EINVAL and lower:
            return f"A macvlan or macvtap on {lower} in a namespace that was not read may exclude it (passthru is exclusive)"
        if code == errno.EEXIST and request.kind == "vlan":
            return f"A VLAN with that id on {lower} may be in a namespace that was not read"
        if code == errno.EEXIST:
            return "Something made a link of that name at the same moment: run again"
    if code == errno.EADDRINUSE:
        return "A link on the same lower device, in a namespace that was not read, has the same MAC and is up"
    if code == errno.EINVAL and request.attributes.get("address_generation_mode") == "stable_secret":
        return "stable_secret needs net.ipv6.conf.LINK.stable_secret to be set first"
    return ""


def _some(keys: Any) -> str:
    names = sorted(str(key) for key in keys)
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")

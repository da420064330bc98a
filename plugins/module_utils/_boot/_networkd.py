# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of systemd-networkd that bring links back at boot: which there are to be, and what stands in them. Pure.

Of a link that is made: a .netdev file, a .network file, and a drop-in in the .network.d folder of its lower device. Of one that
is there anyway: a drop-in in its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.patchbay.netdev.plugins.module_utils._boot._declarations import Fragment
from ansible_collections.patchbay.netdev.plugins.module_utils._boot._manager_files import Backend, Declared, credit, values, what
from ansible_collections.patchbay.netdev.plugins.module_utils._boot._systemd_files import NETWORKD, literal
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._bridge import BRIDGE
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._routing import ROUTE, RULE
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._vlan import VLAN
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._vrf import VRF
from ansible_collections.patchbay.netdev.plugins.module_utils._model._boot import BootState, File
from ansible_collections.patchbay.netdev.plugins.module_utils._model._links import Address
from ansible_collections.patchbay.netdev.plugins.module_utils._values._addresses import NODAD, NOPREFIXROUTE

CREDIT = credit("networkd")
SINCE_NO_GAP = 257  # an older one takes the addresses of a lower device off while it reads a new drop-in of it
WAITS = "/run/patchbay-networkd-waits"
# What it sets of each link itself; all other settings that a link has stay.
SETS = {
    "ipv4.promote_secondaries": 1,
    "ipv6.accept_ra": 0,
    "ipv6.disable_ipv6": 0,
    "ipv6.proxy_ndp": 0,
    "ipv6.use_tempaddr": 0,
}
# It accepts router advertisements in the kernel's stead: what a setting forbids the kernel is forbidden to it by a word.
_FORBIDS = {
    "ipv6.accept_ra_defrtr": "UseGateway",
    "ipv6.accept_ra_pinfo": "UseAutonomousPrefix",
    "ipv6.autoconf": "UseAutonomousPrefix",
}
_IPV6_MTU = 1280  # the kernel takes IPv6 off below it, and networkd would raise the MTU instead
Lines = list[tuple[str, str]]
Sections = list[tuple[str, Lines]]


def stem(name: str) -> str:
    """What the files of a link begin with: before those of others, of which the first that fits counts."""
    return f"{NETWORKD}/05-patchbay-{name}"


def rendered(boot: BootState, declared: Mapping[str, Fragment]) -> dict[str, File]:
    """The files of all that is declared, by place of its declaration. NotExpressible for what has no word there."""
    return _Renderer(boot, declared).files()


def is_drop_in(path: str) -> bool:
    """Whether it makes another link's file say more."""
    return path.startswith(f"{NETWORKD}/") and path.endswith(".conf")


def lower_of_drop_in(boot: BootState, path: str) -> list[str]:
    """The links whose file a drop-in belongs to."""
    folder = path.rpartition("/")[0].rpartition("/")[2]
    return [name for name, (file, _addressed) in boot.governed.items() if folder == f"{file.rpartition('/')[2]}.d"]


class _Renderer(Backend):
    def __init__(self, boot: BootState, declared: Mapping[str, Fragment]) -> None:
        super().__init__("networkd", boot, SETS)
        self.boot = boot
        self.links = self.gather(declared)

    def files(self) -> dict[str, File]:
        texts: dict[str, Sections] = {}
        for link in self.links.values():
            if link.is_made:
                self._made(link, texts)
            else:
                sections = self._set_up(link)
                if sections:
                    texts[f"{self._file_of(link, link.name, 'it')}.d/05-patchbay-{link.name}.conf"] = sections
        return {path: File(_text(sections).encode(), 0o644) for path, sections in texts.items()}

    def _made(self, link: Declared, texts: dict[str, Sections]) -> None:
        name = link.name
        if not link.second:
            texts[f"{stem(name)}.netdev"] = self._netdev(link)
        texts[f"{stem(name)}.network"] = [("Match", [("Name", literal(name))]), *self._set_up(link)]
        lower = link.options.get("lower_device")
        if lower:
            folder = f"{self._file_of(link, lower, f'its lower device {lower}')}.d"
            key = self._key_of(link, "lower_device")
            texts[f"{folder}/05-patchbay-{name}.conf"] = [("Network", [(key, name)])]

    def _file_of(self, link: Declared, other: str, called: str) -> str:
        """Where the file is whose drop-ins are read for a link: its own, in /etc whatever folder it is in."""
        if other in self.links and self.links[other].is_made:
            return f"{stem(other)}.network"
        file, _addressed = self.boot.governed.get(other, ("", False))
        if not file:
            raise self.refuse(
                link.place,
                link.key,
                f"{called} is not set up by {self.program} (networkctl status {other} names no .network file), which makes or "
                "changes links along with the file of that one only",
            )
        return f"{NETWORKD}/{file.rpartition('/')[2]}"

    def _key_of(self, link: Declared, option: str) -> str:
        spelled = self.spelled(link.kind[option])
        if spelled is None:
            raise AssertionError(option)
        return spelled.key

    def _netdev(self, link: Declared) -> Sections:
        found: Sections = [("NetDev", [("Name", link.name), ("Kind", link.kind.name)])]
        self._say(found, link, created=True)
        if link.kind is not VLAN and not link.options.get("address"):
            _of("NetDev", found).append(("MACAddress", "none"))  # or it would make one up, from the name
        if link.options.get("peer"):
            end = self.links[link.options["peer"]]
            _of("Peer", found).append(("MACAddress", end.options.get("address") or "none"))
        return found

    def _say(self, found: Sections, link: Declared, created: bool) -> None:
        """What stands in the one file or in the other, but for what is more than a word."""
        for row, value in link.rows:
            if row.name in ("addresses", "lower_device", "controller", "admin_state"):
                continue
            said = self.said(link.place, link.key, row, value)
            if said is not None and said[0].created == created:
                _of(said[0].section, found).append((said[0].key, said[1]))

    def _set_up(self, link: Declared) -> Sections:
        found: Sections = []
        with_ipv6 = int(link.options.get("mtu") or _IPV6_MTU) >= _IPV6_MTU
        settings = link.options.get("sysctls") or {}
        accepts = with_ipv6 and settings.get("ipv6.accept_ra") != 0
        if link.is_made:
            # Unwritten, its state stays as it was made: a file alone brings nothing up, and no boot waits for it.
            state = link.options.get("admin_state") or "manual"
            _of("Link", found).extend([("RequiredForOnline", "false"), ("ActivationPolicy", state)])
            _of("Network", found).extend(
                [
                    ("ConfigureWithoutCarrier", "true"),
                    ("KeepConfiguration", "static"),  # or what it has would leave it for a moment when this file is read
                    ("LinkLocalAddressing", "ipv6" if with_ipv6 else "no"),
                    ("IPv6AcceptRA", "true" if accepts else "false"),
                ]
            )
        else:
            self._check_others(link)
        self._say(found, link, created=False)
        controller = link.options.get("controller")
        if controller:
            _of("Network", found).append((self._kind_of_controller(link, controller), controller))
        if link.is_made and accepts:
            # As the kernel does by itself. The sections of a DHCP client belong here too: [DHCPv4], and DHCP= in [Network].
            forbidden = dict.fromkeys(word for name, word in _FORBIDS.items() if settings.get(name) == 0)
            words = ("UseDNS", "UseDomains", "DHCPv6Client", *forbidden)
            found.append(("IPv6AcceptRA", [(word, "false") for word in words]))
        found += [("Address", _address(one)) for one in link.addresses]
        found += [("Route", self._route(place, entry)) for place, entry in link.routes]
        return found + [("RoutingPolicyRule", self._rule(place, entry)) for place, entry in link.rules]

    def _check_others(self, link: Declared) -> None:
        """What a drop-in cannot say of a link that has a file of somebody else's."""
        for name in ("addresses", "address"):
            if link.options.get(name) is not None:
                raise self.refuse(link.place, link.key, f"the {name} of a link that others' files set up are theirs to say")
        if link.options.get("admin_state") == "down":
            raise self.refuse(link.place, link.key, f"{self.program} brings up each link that others' files set up")

    def _kind_of_controller(self, link: Declared, name: str) -> str:
        made = self.links.get(name)
        kind = made.kind.name if made is not None and made.is_made else self.boot.netdevs.get(name, "")
        words = {BRIDGE.name: "Bridge", VRF.name: "VRF"}
        if kind not in words:
            raise self.refuse(
                link.place,
                link.key,
                f"its controller {name} is made by no .netdev file, so {self.program} would not attach anything to it. Declare "
                f"{name} with persist: networkd too",
            )
        return words[kind]

    def _route(self, place: str, entry: Mapping[str, Any]) -> Lines:
        metric = entry["metric"]
        found = [("Destination", entry["destination"]), ("Table", entry["table"]), *([("Metric", str(metric))] if metric else [])]
        return found + self._parts(place, what("routes", entry), values(ROUTE, entry), but=("link",))

    def _rule(self, place: str, entry: Mapping[str, Any]) -> Lines:
        found = [("Priority", str(entry["priority"])), ("Family", entry["family"])]
        return found + self._parts(place, what("rules", entry), values(RULE, entry), but=())

    def _parts(self, place: str, key: object, rows: list[tuple[Any, Any]], but: tuple[str, ...]) -> Lines:
        found = []
        for row, value in rows:
            if row.name in but or (row.name, value) == ("action", "lookup"):
                continue
            said = self.said(place, key, row, value)
            if said is not None:
                found.append((said[0].key, said[1]))
        return found


def _address(address: Address) -> Lines:
    found = [("Address", str(address))]
    if address.peer_ip:
        found.append(("Peer", f"{address.peer_ip}/{address.prefix_length}"))
    if address.family == 4:
        found.append(("Broadcast", "false"))
    if address.label:
        found.append(("Label", address.label))
    if address.metric:
        found.append(("RouteMetric", str(address.metric)))
    if address.flags & NOPREFIXROUTE:
        found.append(("AddPrefixRoute", "false"))
    if address.flags & NODAD:
        found.append(("DuplicateAddressDetection", "none"))
    return found


def _of(name: str, found: Sections) -> Lines:
    """The lines of a section, which is there once."""
    for section, lines in found:
        if section == name:
            return lines
    found.append((name, []))
    return found[-1][1]


def _text(sections: Sections) -> str:
    parts = ["\n".join([f"[{name}]", *(f"{key}={value}" for key, value in lines)]) for name, lines in sections]
    return CREDIT + "\n\n".join(parts) + "\n"

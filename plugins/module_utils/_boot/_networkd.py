# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of systemd-networkd that restore links at boot. Pure.

A link that networkd creates has a .netdev file, a .network file, and a drop-in in the .network.d folder of its lower device. A
link that others create has a drop-in for the .network file that configures it.
"""

from __future__ import annotations

from collections.abc import Iterable

from ansible_collections.patchbay.netdev.plugins.module_utils._boot._manager_files import ManagedLink, Renderer, header
from ansible_collections.patchbay.netdev.plugins.module_utils._boot._systemd_files import NETWORKD, networkd_pattern
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._rows import AddressSource, ManagerSetting
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._table import kind_of
from ansible_collections.patchbay.netdev.plugins.module_utils._model._boot import BootState, File
from ansible_collections.patchbay.netdev.plugins.module_utils._model._desired import Desired, DesiredRoute, DesiredRule
from ansible_collections.patchbay.netdev.plugins.module_utils._model._links import Address
from ansible_collections.patchbay.netdev.plugins.module_utils._values._addresses import NODAD, NOPREFIXROUTE

HEADER = header("networkd")
RELOADS_WITHOUT_GAP = 257  # an older one removes the addresses of a lower device while it reloads a drop-in of it
POSTPONED = "/run/patchbay-networkd-waits"  # exists until the next boot if networkd must not reload its files before
# What it sets on each link itself; all other sysctls of a link stay as they are.
OWN_SYSCTLS = {
    "ipv4.promote_secondaries": 1,
    "ipv6.accept_ra": 0,
    "ipv6.disable_ipv6": 0,
    "ipv6.proxy_ndp": 0,
    "ipv6.use_tempaddr": 0,
}
# It accepts router advertisements in the kernel's place: what a sysctl forbids the kernel, a setting forbids networkd.
_FORBIDDEN_BY_SYSCTL = {
    "ipv6.accept_ra_defrtr": "UseGateway",
    "ipv6.accept_ra_pinfo": "UseAutonomousPrefix",
    "ipv6.autoconf": "UseAutonomousPrefix",
}
_IPV6_MTU = 1280  # below it the kernel disables IPv6 on a link, and networkd would raise the MTU instead
Lines = list[tuple[str, str]]
Sections = list[tuple[str, Lines]]


def path_prefix(name: str) -> str:
    """What the paths of a link's files begin with: of all files that match a link, networkd takes the first by name."""
    return f"{NETWORKD}/05-patchbay-{name}"


def render(boot: BootState, declared: Iterable[Desired]) -> dict[str, File]:
    """The files for these declarations, by path; NotExpressible for what they cannot express."""
    return _NetworkdRenderer(boot, declared).files()


def is_drop_in(path: str) -> bool:
    """Whether it extends the file of another link."""
    return path.startswith(f"{NETWORKD}/") and path.endswith(".conf")


def links_of_drop_in(boot: BootState, path: str) -> list[str]:
    """The links whose file a drop-in extends."""
    folder = path.rpartition("/")[0].rpartition("/")[2]
    return [name for name, (file, _has_addresses) in boot.governed.items() if folder == f"{file.rpartition('/')[2]}.d"]


class _NetworkdRenderer(Renderer):
    def __init__(self, boot: BootState, declared: Iterable[Desired]) -> None:
        super().__init__("networkd", boot, OWN_SYSCTLS, declared)
        self.boot = boot

    def files(self) -> dict[str, File]:
        texts: dict[str, Sections] = {}
        for link in self.links.values():
            if link.is_created:
                texts.update(self._created(link))
            else:
                sections = self._configuration(link)
                if sections:
                    texts[f"{self._network_file(link, link.name, 'the link')}.d/05-patchbay-{link.name}.conf"] = sections
        return {path: File(_text(sections).encode(), 0o644) for path, sections in texts.items()}

    def _created(self, link: ManagedLink) -> dict[str, Sections]:
        """The files of a link that networkd creates; both ends of a pair are created by the file of the primary one."""
        name = link.name
        texts: dict[str, Sections] = {}
        if link.link.is_primary_end is not False:
            texts[f"{path_prefix(name)}.netdev"] = self._netdev(link)
        texts[f"{path_prefix(name)}.network"] = [("Match", [("Name", networkd_pattern(name))]), *self._configuration(link)]
        lower = link.link.lower_device
        if lower is not None:
            folder = f"{self._network_file(link, lower.name, f'its lower device {lower}')}.d"
            setting: ManagerSetting | None = link.kind["lower_device"].networkd
            if setting is not None:  # each kind with a lower device has one
                texts[f"{folder}/05-patchbay-{name}.conf"] = [("Network", [(setting.key, name)])]
        return texts

    def _network_file(self, link: ManagedLink, other: str, relation: str) -> str:
        """The .network file whose drop-ins are read for a link, in /etc whatever folder the file itself is in."""
        if other in self.links and self.links[other].is_created:
            return f"{path_prefix(other)}.network"
        file, _has_addresses = self.boot.governed.get(other, ("", False))
        if not file:
            raise self.refuse(
                link.key,
                f"{relation} is not configured by {self.program} (networkctl status {other} shows no .network file), "
                "and only with the file of that link can it create or change links",
            )
        return f"{NETWORKD}/{file.rpartition('/')[2]}"

    def _netdev(self, link: ManagedLink) -> Sections:
        sections: Sections = [("NetDev", [("Name", link.name), ("Kind", link.kind.name)])]
        self._add_settings(sections, link, created=True)
        if link.kind.address is not AddressSource.COPIED and not link.link.address:
            _lines(sections, "NetDev").append(("MACAddress", "none"))  # or networkd derives one from the name
        peer = link.link.peer
        if peer is not None:
            _lines(sections, "Peer").append(("MACAddress", self.links[peer.name].link.address or "none"))
        return sections

    def _add_settings(self, sections: Sections, link: ManagedLink, created: bool) -> None:
        """Add the attributes that are one setting each, of the .netdev file (created) or of the .network file."""
        for row, value in link.values:
            setting = self.setting_of(link.key, row, value)
            if setting is not None and setting[0].created == created:
                _lines(sections, setting[0].section).append((setting[0].key, setting[1]))

    def _configuration(self, link: ManagedLink) -> Sections:
        """The sections of a .network file, or of a drop-in for one."""
        sections: Sections = []
        has_ipv6 = (link.link.mtu or _IPV6_MTU) >= _IPV6_MTU
        sysctls = link.link.sysctls
        accepts_ra = has_ipv6 and sysctls.get("ipv6.accept_ra") != 0
        if link.is_created:
            # If omitted, the link stays down, as it was created; and no boot waits for it.
            state = link.link.admin_state or "manual"
            _lines(sections, "Link").extend([("RequiredForOnline", "false"), ("ActivationPolicy", state)])
            _lines(sections, "Network").extend(
                [
                    ("ConfigureWithoutCarrier", "true"),
                    ("KeepConfiguration", "static"),  # or the link loses its addresses for a moment when this file is read
                    ("LinkLocalAddressing", "ipv6" if has_ipv6 else "no"),
                    ("IPv6AcceptRA", "true" if accepts_ra else "false"),
                ]
            )
        else:
            self._check_link_of_others(link)
        self._add_settings(sections, link, created=False)
        if link.link.controller:
            setting = (self._controller_setting(link, link.link.controller), link.link.controller)
            _lines(sections, "Network").append(setting)
        if link.is_created and accepts_ra:
            # As the kernel does by itself. The sections of a DHCP client belong here too: [DHCPv4], and DHCP= in [Network].
            forbidden = dict.fromkeys(key for name, key in _FORBIDDEN_BY_SYSCTL.items() if sysctls.get(name) == 0)
            keys = ("UseDNS", "UseDomains", "DHCPv6Client", *forbidden)
            sections.append(("IPv6AcceptRA", [(key, "false") for key in keys]))
        sections += [("Address", _address(address)) for address in link.link.addresses]
        sections += [("Route", self._route(route)) for route in link.routes]
        return sections + [("RoutingPolicyRule", self._rule(rule)) for rule in link.rules]

    def _check_link_of_others(self, link: ManagedLink) -> None:
        """Refuse what a drop-in must not change of a link that other files configure."""
        for name in ("addresses", "address"):
            if link.link.attributes.get(name) is not None:
                raise self.refuse(link.key, f"{name} of a link that other files configure can only be set in these files")
        if link.link.admin_state == "down":
            raise self.refuse(link.key, f"{self.program} brings up each link that other files configure")

    def _controller_setting(self, link: ManagedLink, name: str) -> str:
        """The key by which a link is attached to its controller."""
        controller = self.links.get(name)
        kind = controller.kind.name if controller is not None and controller.is_created else self.boot.netdevs.get(name, "")
        key = kind_of(kind).networkd_key
        if not key:
            raise self.refuse(
                link.key,
                f"its controller {name} is created by no .netdev file, so {self.program} would not attach the link",
                f"Declare {name} with persist: networkd too",
            )
        return key

    def _route(self, route: DesiredRoute) -> Lines:
        key = route.key
        own = [("Destination", key.destination), ("Table", str(key.table))]
        return own + ([("Metric", str(key.metric))] if key.metric else []) + self.settings_of_routing(route)

    def _rule(self, rule: DesiredRule) -> Lines:
        return [("Priority", str(rule.key.priority)), ("Family", f"ipv{rule.key.family}"), *self.settings_of_routing(rule)]


def _address(address: Address) -> Lines:
    lines = [("Address", str(address))]
    if address.peer_ip:
        lines.append(("Peer", f"{address.peer_ip}/{address.prefix_length}"))
    if address.family == 4:
        lines.append(("Broadcast", "false"))
    if address.label:
        lines.append(("Label", address.label))
    if address.metric:
        lines.append(("RouteMetric", str(address.metric)))
    if address.flags & NOPREFIXROUTE:
        lines.append(("AddPrefixRoute", "false"))
    if address.flags & NODAD:
        lines.append(("DuplicateAddressDetection", "none"))
    return lines


def _lines(sections: Sections, name: str) -> Lines:
    """The lines of a section that a file has once, added if it is new."""
    for section, lines in sections:
        if section == name:
            return lines
    sections.append((name, []))
    return sections[-1][1]


def _text(sections: Sections) -> str:
    parts = ["\n".join([f"[{name}]", *(f"{key}={value}" for key, value in lines)]) for name, lines in sections]
    return HEADER + "\n\n".join(parts) + "\n"

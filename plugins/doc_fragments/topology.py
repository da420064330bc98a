# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of topology: one list per kind, whose entries have the options of its module, from the same texts."""

from __future__ import annotations

from textwrap import indent

from ansible_collections.patchbay.netdev.plugins.doc_fragments import (
    bridge,
    ipvlan,
    link,
    netns,
    node,
    on_lower_device,
    persist,
    port,
    route,
    rule,
    veth,
    vlan,
    vrf,
)


def _entries(kind: str, description: str, *options: str) -> str:
    head = f"  {kind}:\n    description:\n      - {description}\n    type: list\n    elements: dict\n    suboptions:"
    return head + indent("".join((*options, persist.OPTIONS)), "      ") + "\n"


_MADE = link.IDENTITY + link.EXISTENCE + link.ATTRIBUTES + link.SOURCE_ROUTING + link.AT_CREATION


class ModuleDocFragment:
    """The options of the module."""

    DOCUMENTATION: str = "options:\n" + "".join(
        (
            _entries("netns", "Named network namespaces, each with the options of M(patchbay.netdev.netns).", netns.OPTIONS),
            _entries("vrf", "VRFs, each with the options of M(patchbay.netdev.vrf).", _MADE, vrf.OPTIONS),
            _entries("bridge", "Bridges, each with the options of M(patchbay.netdev.bridge).", _MADE, bridge.OPTIONS),
            _entries("veth", "Veth pairs, each with the options of M(patchbay.netdev.veth).", _MADE, veth.OPTIONS),
            _entries("dummy", "Dummy links, each with the options of M(patchbay.netdev.dummy).", _MADE),
            _entries(
                "vlan",
                "VLAN links, each with the options of M(patchbay.netdev.vlan).",
                _MADE,
                on_lower_device.BELOW,
                vlan.OPTIONS,
            ),
            _entries("macvlan", "Macvlans, each with the options of M(patchbay.netdev.macvlan).", _MADE, on_lower_device.OPTIONS),
            _entries(
                "macvtap",
                "Macvtaps, each with the options of M(patchbay.netdev.macvtap).",
                _MADE,
                on_lower_device.OPTIONS,
                node.OPTIONS,
            ),
            _entries(
                "ipvlan",
                "Ipvlans, each with the options of M(patchbay.netdev.ipvlan).",
                _MADE,
                on_lower_device.BELOW,
                ipvlan.OPTIONS,
            ),
            _entries(
                "link",
                "Existing links of any kind, each with the options of M(patchbay.netdev.link).",
                link.IDENTITY,
                link.ATTRIBUTES,
                link.SOURCE_ROUTING,
            ),
            _entries(
                "bridge_port",
                "Bridge ports, each with the options of M(patchbay.netdev.bridge_port).",
                port.IDENTITY,
                port.MEMBERSHIP,
                port.SETTINGS,
            ),
            _entries("routes", "Routes, each with the options of M(patchbay.netdev.route).", route.OPTIONS),
            _entries("rules", "Policy rules, each with the options of M(patchbay.netdev.rule).", rule.OPTIONS),
        )
    )

# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Routes and policy rules."""

from __future__ import annotations

from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._rows import U32, Attribute, Kind, ManagerSetting, Store
from ansible_collections.patchbay.netdev.plugins.module_utils._model._routing import LOOKUP
from ansible_collections.patchbay.netdev.plugins.module_utils._values._base import Boolean, Choice
from ansible_collections.patchbay.netdev.plugins.module_utils._values._ip import Ip, Network
from ansible_collections.patchbay.netdev.plugins.module_utils._values._names import PROTOCOL, TABLE, LinkName
from ansible_collections.patchbay.netdev.plugins.module_utils._values._numbers import Fwmark, Integer, Range

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
            LinkName(or_altname=True),
            Store.ROUTE,
            "RTA_OIF",
            names_link=True,
            networkd=ManagerSetting("Match", "Name", is_single=False),
            networkmanager=ManagerSetting("connection", "interface-name", is_single=False),
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


NEXT_HOP = ("gateway", "link")  # managed together: setting one of them replaces both


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
                settable=("lookup", "nop", "blackhole", "unreachable", "prohibit"),
            ),
            Store.RULE,
            initial=LOOKUP,
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

# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Routes and policy rules."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ansible_collections.patchbay.netdev.plugins.module_utils._model._ip import DEFAULT
from ansible_collections.patchbay.netdev.plugins.module_utils._model._links import (
    HERE,
    Attributes,
    LinkKey,
    TypedAttributes,
)

DEFAULT_TABLE, MAIN_TABLE, LOCAL_TABLE = 253, 254, 255  # linux/rtnetlink.h
KERNEL_TABLES = {"default": DEFAULT_TABLE, "main": MAIN_TABLE, "local": LOCAL_TABLE}
RESERVED_TABLES = (0, "unspec", LOCAL_TABLE, "local")  # all tables together, and the one that the kernel writes
SHARED_TABLES = (0, "unspec", *KERNEL_TABLES.values(), *KERNEL_TABLES)  # those that no link has for itself

RTPROT_KERNEL, RTPROT_STATIC, RTPROT_RA = 2, 4, 9  # who made a route or a rule, there too


@dataclass(frozen=True, order=True)
class RouteKey:
    """The identity of a route. destination: `192.0.2.0/24`, the default as `0.0.0.0/0` or `::/0`. family: 4 or 6.

    table: a number, or a name that the gateway has not resolved yet. metric: the kernel's, which is 1024 for IPv6 when it is
    omitted.
    """

    netns: str
    table: int | str
    family: int
    destination: str
    metric: int
    tos: int = 0

    @property
    def table_number(self) -> int:
        """The number of the table; ValueError for a name, which the gateway resolves first."""
        return int(self.table)

    def __str__(self) -> str:
        words = [f"route to {self.destination}"]
        words += [] if self.table == MAIN_TABLE else [f"table {self.table}"]
        words += [] if self.metric == (1024 if self.family == 6 else 0) else [f"metric {self.metric}"]
        return " ".join([*words, *([f"in netns {self.netns}"] if self.netns else [])])


@dataclass(frozen=True, order=True)
class RulePriority:
    """One priority of one family (4 or 6) in a namespace: several rules may share it, and the kernel keeps them in order."""

    netns: str
    family: int
    priority: int

    def __str__(self) -> str:
        text = f"IPv{self.family} rule {self.priority}"
        return f"{text} in netns {self.netns}" if self.netns else text


LOOKUP = "lookup"  # the action of a rule that names a table
ACTION = ("action", "table", "suppress_prefix_length")  # what a rule does with a packet; all else selects packets
Selectors = tuple[tuple[str, object], ...]


@dataclass(frozen=True)
class RuleKey:
    """The identity of a policy rule: its priority, its selectors (name and value, sorted) and its action.

    selectors None, action None: any, of a rule that is to be absent.
    """

    at: RulePriority
    selectors: Selectors | None = ()
    action: str | None = LOOKUP

    @property
    def netns(self) -> str:
        """The namespace of the rule."""
        return self.at.netns

    @property
    def family(self) -> int:
        """4 or 6."""
        return self.at.family

    @property
    def priority(self) -> int:
        """The priority of the rule."""
        return self.at.priority

    def covers(self, other: RuleKey) -> bool:
        """Whether it names the other rule as well."""
        return self.at == other.at and self.selectors in (None, other.selectors) and self.action in (None, other.action)

    def __str__(self) -> str:
        return str(self.at)


def selectors_of(attributes: Attributes) -> Selectors:
    """The selectors among the attributes of a rule; a network of all addresses selects nothing."""
    return tuple(
        (name, value)
        for name, value in sorted(attributes.items(), key=lambda item: item[0])
        if name not in ACTION and not (name in ("from", "to") and str(value).endswith("/0"))
    )


@dataclass(frozen=True)
class Route(TypedAttributes):
    """A route; `attributes` by option name, in normal form (missing: not known). protocol: its origin (RTPROT_*).

    metrics: those of the kernel (RTAX_*) that no option sets. hops: the links of several next hops. nexthop_object: the number
    of the one that has the next hop. is_representable: false for several next hops, a nexthop object or an encapsulation, which
    these attributes cannot express.
    """

    key: RouteKey
    attributes: Attributes
    protocol: int = RTPROT_STATIC
    metrics: tuple[tuple[str, int], ...] = ()
    hops: tuple[str, ...] = ()
    nexthop_object: int | None = None
    is_representable: bool = True

    @property
    def gateway(self) -> str | None:
        """The router that packets are sent to."""
        return self.text("gateway")

    @property
    def source(self) -> str | None:
        """The address that the kernel prefers as the source of packets."""
        return self.text("source")

    @property
    def link(self) -> LinkKey | None:
        """The link that packets leave through; None when there is none, or several."""
        name = self.text("link")
        return LinkKey(self.key.netns, name) if name else None

    @property
    def links(self) -> tuple[LinkKey, ...]:
        """All links that it leaves by."""
        return (self.link,) if self.link else tuple(LinkKey(self.key.netns, name) for name in self.hops)

    def __str__(self) -> str:
        return f"{self.key} via {self.gateway}" if self.gateway else str(self.key)


def is_default(route: Route) -> bool:
    """Whether it is a default route of the main table, out of the namespace that the task runs in."""
    key = route.key
    leads_out = bool(route.links or route.gateway)
    return leads_out and (key.netns, key.table, key.destination) == (HERE, MAIN_TABLE, DEFAULT[key.family])


@dataclass(frozen=True)
class Rule(TypedAttributes):
    """A policy rule; `attributes` by option name, in normal form. protocol: its origin (RTPROT_*).

    is_representable: false for a rule with attributes that no option sets.
    """

    at: RulePriority
    attributes: Attributes
    protocol: int = RTPROT_STATIC
    is_representable: bool = True

    @property
    def key(self) -> RuleKey:
        """Its identity."""
        return RuleKey(self.at, selectors_of(self.attributes), self.text("action") or LOOKUP)

    def first_match(self, rules: Iterable[Rule]) -> Rule | None:
        """Of rules of its priority, the one that the kernel deletes when it is shown this one: the first that has all its parts,
        whatever it has besides."""
        return next((rule for rule in rules if rule._has_all_parts_of(self)), None)

    def _has_all_parts_of(self, shown: Rule) -> bool:
        parts = dict(shown.attributes)
        mark = parts.pop("fwmark", None)
        if mark is not None:  # a mark of 0 is none to the kernel, and only the masks have to be the same
            own = self.get("fwmark")
            if not (isinstance(own, tuple) and isinstance(mark, tuple)) or own[1] != mark[1] or mark[0] not in (0, own[0]):
                return False
        return shown.protocol in (0, self.protocol) and parts.items() <= self.attributes.items()

    def __str__(self) -> str:
        return str(self.at)

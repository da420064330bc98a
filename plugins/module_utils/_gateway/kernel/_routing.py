# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests about routes and policy rules, and how those of others survive a change of systemd-networkd."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator

from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.kernel import _codec as codec
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.kernel._kernel import Kernel
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.kernel._netlink import NetlinkError, tolerating
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.kernel._observation import read_routes, read_rules
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.kernel._routing_messages import write_route, write_rule
from ansible_collections.patchbay.netdev.plugins.module_utils._model._routing import RTPROT_KERNEL, Route, Rule
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._requests import (
    AddRoute,
    AddRule,
    RemoveRoute,
    RemoveRule,
    ReplaceRoute,
)

_RTPROT_RA, _RTPROT_DHCP = 9, 16  # linux/rtnetlink.h
_CREATE, _REPLACE = codec.NLM_F_CREATE | codec.NLM_F_EXCL, codec.NLM_F_CREATE | codec.NLM_F_REPLACE


def add_route(kernel: Kernel, request: AddRoute) -> None:
    """Add a route, unless it exists."""
    with tolerating(errno.EEXIST):
        _send_route(kernel, codec.RTM_NEWROUTE, _CREATE, request.route)


def replace_route(kernel: Kernel, request: ReplaceRoute) -> None:
    """Replace the first route with the same key."""
    _send_route(kernel, codec.RTM_NEWROUTE, _REPLACE, request.route)


def remove_route(kernel: Kernel, request: RemoveRoute) -> None:
    """Delete a route, if it exists."""
    with tolerating(errno.ESRCH):
        _send_route(kernel, codec.RTM_DELROUTE, 0, request.route)


def _send_route(kernel: Kernel, kind: int, flags: int, route: Route) -> None:
    header, attrs = write_route(route, kernel.index(route.link) if route.link else None)
    kernel.send(route.key.netns, kernel.codec.route, kind, flags, header, attrs)


def add_rule(kernel: Kernel, request: AddRule) -> None:
    """Add a policy rule, unless it exists.

    With NLM_F_EXCL, the kernel takes a rule with more selectors for the same one (fib4_rule_compare in net/ipv4/fib_rules.c).
    So the rules are read before.
    """
    if request.rule not in read_rules(kernel, request.rule.at.netns, request.rule.at.family):
        _send_rule(kernel, codec.RTM_NEWRULE, codec.NLM_F_CREATE, request.rule)


def remove_rule(kernel: Kernel, request: RemoveRule) -> None:
    """Delete a policy rule, if it exists."""
    with tolerating(errno.ENOENT):
        _send_rule(kernel, codec.RTM_DELRULE, 0, request.rule)


def _send_rule(kernel: Kernel, kind: int, flags: int, rule: Rule) -> None:
    header, attrs = write_rule(rule)
    kernel.send(rule.at.netns, kernel.codec.rule, kind, flags, header, attrs)


@contextlib.contextmanager
def foreign_routing_kept(kernel: Kernel, netns: str) -> Iterator[None]:
    """Restore routes and rules that systemd-networkd deletes meanwhile.

    When it reads a new file, it deletes those of others, unless it was configured otherwise before it started.
    """
    routes, rules = _foreign_routing(kernel, netns)
    yield
    routes_now, rules_now = _foreign_routing(kernel, netns)
    for route in routes:
        if route.is_representable and route not in routes_now:
            with contextlib.suppress(NetlinkError):  # what it needs may be gone too
                add_route(kernel, AddRoute(route))
    for rule in rules:
        if rule.is_representable and rule not in rules_now:
            add_rule(kernel, AddRule(rule))


def _foreign_routing(kernel: Kernel, netns: str) -> tuple[list[Route], list[Rule]]:
    """The routes and rules that neither the kernel nor systemd-networkd makes."""
    routes = read_routes(kernel, netns, kernel.dump_links(netns))
    foreign = [route for route in routes if route.protocol not in (RTPROT_KERNEL, _RTPROT_RA, _RTPROT_DHCP)]
    return foreign, [rule for rule in read_rules(kernel, netns) if rule.protocol != RTPROT_KERNEL]

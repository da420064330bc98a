# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine's only way to the kernel: `observe` reads and changes nothing, `execute` sends one request."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.dhcp import _dhcp as dhcp
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.host import _disk as disk
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.kernel._names import number_of_name
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.kernel._namespaces import exists
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.kernel._reading import Reading
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.kernel._writing import Writing
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._table import kind_of
from ansible_collections.patchbay.netdev.plugins.module_utils._model._boot import BootState
from ansible_collections.patchbay.netdev.plugins.module_utils._model._clients import Dhcp4
from ansible_collections.patchbay.netdev.plugins.module_utils._model._desired import (
    Desired,
    DesiredLink,
    DesiredNetns,
    DesiredRoute,
    DesiredRule,
)
from ansible_collections.patchbay.netdev.plugins.module_utils._model._errors import RequestFailed
from ansible_collections.patchbay.netdev.plugins.module_utils._model._routing import (
    RTPROT_KERNEL,
    Route,
    RouteKey,
    Rule,
    RuleKey,
    selectors_of,
)
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._requests import (
    AddRoute,
    AddRule,
    Request,
    StartClient,
    StopClient,
)
from ansible_collections.patchbay.netdev.plugins.module_utils._values._dhcp4 import NETWORKD
from ansible_collections.patchbay.netdev.plugins.module_utils._values._names import TABLE, NameOrNumber

_RTPROT_GIVEN = (9, 16)  # by a router, or by a DHCP server (linux/rtnetlink.h)


class KernelGateway(Reading, Writing):
    """The kernel of this machine, from the namespace that the process runs in. Close it, or use it in a with statement."""

    def __init__(self) -> None:
        """Nothing is opened yet; MissingLibrary when there is no pyroute2."""
        super().__init__()
        self._coming: set[str] = set()

    def __enter__(self) -> KernelGateway:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    # Names in

    def resolve(self, items: Sequence[Desired]) -> tuple[Desired, ...]:
        """The items with one name for each namespace, and numbers for the names of groups."""
        self._coming = {item.key.name for item in items if isinstance(item, DesiredNetns)}
        return tuple(self._resolved_item(item) for item in items)

    def _resolved_item(self, item: Desired) -> Desired:
        if isinstance(item, DesiredNetns):
            return item
        key, attributes = self._one_name(item.key), self._resolved(item)
        if isinstance(item, DesiredRule):
            named = item.key.selectors is not None
            return replace(item, key=replace(key, selectors=selectors_of(attributes) if named else None), attributes=attributes)
        if isinstance(item, DesiredRoute):
            return replace(item, key=key, attributes=attributes)
        client = item.client or dhcp.program_for(key, item.dhcp4)
        return replace(item, key=key, attributes=attributes, dhcp4=_with_table(item), client=client)

    def _resolved(self, item: Desired) -> dict[str, Any]:
        attributes = dict(item.attributes)
        for name in ("lower_device", "peer"):
            if attributes.get(name):
                attributes[name] = self._one_name(attributes[name])
        for row in kind_of(item.kind or "").rows(attributes):
            if isinstance(row.type, NameOrNumber) and isinstance(attributes[row.name], str):
                attributes[row.name] = number_of_name(row.type, attributes[row.name], f"{item.key}: {row.name}")
        return attributes

    def _one_name(self, key: Any) -> Any:
        """The key with the one name of its namespace, and with the number of its table."""
        if isinstance(key, RouteKey) and isinstance(key.table, str):
            key = replace(key, table=number_of_name(TABLE, key.table, f"route to {key.destination}: table"))
        if key.netns in self._coming and not exists(key.netns):
            return key
        netns = self._namespace(key.netns).name
        return replace(key, at=replace(key.at, netns=netns)) if isinstance(key, RuleKey) else replace(key, netns=netns)

    def canonical(self, name: str) -> str:
        """The one name of a namespace; Refused when it does not exist."""
        return self._namespace(name).name

    # Requests

    def execute(self, request: Request) -> None:
        """Send one request and wait for the kernel's word; RequestFailed says what it refused."""
        if not isinstance(request, (StartClient, StopClient)):
            return super().execute(request)
        link = request.client.key.link if isinstance(request, StartClient) else request.link
        starts = isinstance(request, StartClient) and request.client.options.client == NETWORKD
        with self._routing_stays(link.netns) if starts or dhcp.is_networkds(link) else contextlib.nullcontext():
            return super().execute(request)

    @contextlib.contextmanager
    def _routing_stays(self, netns: str) -> Iterator[None]:
        """When networkd reads a new file, it deletes routes and rules of others, unless it was told not to before it started."""
        routes, rules = self._of_others(netns)
        yield
        routes_now, rules_now = self._of_others(netns)
        for lost in [route for route in routes if route.plain and route not in routes_now]:
            with contextlib.suppress(RequestFailed):  # it may have gone with what it needs
                super().execute(AddRoute(lost))
        for rule in [rule for rule in rules if rule.plain and rule not in rules_now]:
            super().execute(AddRule(rule))

    def _of_others(self, netns: str) -> tuple[list[Route], list[Rule]]:
        """Routes and rules that neither the kernel nor networkd makes."""
        routes = self._routes(netns, self._dump_links(self._namespace(netns)))
        made = [one for one in routes if one.protocol not in (RTPROT_KERNEL, *_RTPROT_GIVEN)]
        return made, [one for one in self._rules(netns) if one.protocol != RTPROT_KERNEL]

    # What is on the disk

    def boot_state(self, ask_managers: bool) -> BootState:
        """The files that bring things back at the next boot, and who reads them; ask_managers: with what they report."""
        return disk.boot_state(ask_managers)

    def has_declarations(self) -> bool:
        """Whether anything comes back at the next boot."""
        return disk.has_declarations()


def _with_table(item: DesiredLink) -> Dhcp4 | None:
    """What a DHCP client is to do, with the number of its table."""
    if item.dhcp4 is None or not isinstance(item.dhcp4.table, str):
        return item.dhcp4
    return replace(item.dhcp4, table=number_of_name(TABLE, item.dhcp4.table, f"{item.key}: dhcp4: table"))

# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The operations on routes and policy rules."""

from __future__ import annotations

from dataclasses import dataclass

from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._routing import ROUTE
from ansible_collections.patchbay.netdev.plugins.module_utils._model._routing import Route, RouteKey, Rule
from ansible_collections.patchbay.netdev.plugins.module_utils._model._state import State
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._operation import Changes, Operation, describe
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._requests import (
    AddRoute,
    AddRule,
    RemoveRoute,
    RemoveRule,
    ReplaceRoute,
    Request,
)


@dataclass(frozen=True)
class SetRoute(Operation):
    """Create a route, or replace the one that has its key without a gap; before: that one, or None."""

    route: Route
    before: Route | None = None

    @property
    def key(self) -> RouteKey:
        """The route."""
        return self.route.key

    def __str__(self) -> str:
        if self.before is None:
            ordinary = {"onlink": (False,), "scope": ("global", "link")}
            named = {name: value for name, value in self.route.attributes.items() if value not in ordinary.get(name, ())}
            return f"create {self.key}: {', '.join(describe('route', named))}"
        old = self.before.attributes
        parts = [
            f"{row.name} {'none' if old.get(row.name) is None else row.type.describe(old[row.name])} -> "
            f"{row.type.describe(self.route.attributes[row.name])}"
            for row in ROUTE.rows(self.route.attributes)
            if self.route.attributes[row.name] != old.get(row.name)
        ]
        parts += [f"no {row.name}" for row in ROUTE.rows(old) if row.name not in self.route.attributes]
        return f"set {self.key}: {', '.join(parts)}"

    def predict(self, state: State) -> Changes:
        """The route is the first of those that have its key."""
        others = [route for route in state.routes.get(self.key, ()) if route != self.before]
        return {self.key: (self.route, *others)}

    def inverse(self) -> tuple[Operation, ...]:
        """The route that was there before, or none."""
        return (DeleteRoute(self.route) if self.before is None else SetRoute(self.before, self.route),)

    def requests(self) -> list[Request]:
        """One request."""
        return [AddRoute(self.route) if self.before is None else ReplaceRoute(self.route)]


@dataclass(frozen=True)
class DeleteRoute(Operation):
    """Delete a route."""

    route: Route

    @property
    def key(self) -> RouteKey:
        """The route."""
        return self.route.key

    def __str__(self) -> str:
        return f"delete {self.route}"

    def predict(self, state: State) -> Changes:
        """The routes with its key that are left."""
        left = list(state.routes.get(self.key, ()))
        if self.route in left:
            left.remove(self.route)
        return {self.key: tuple(left)}

    def inverse(self) -> tuple[Operation, ...]:
        """Create it again."""
        return (SetRoute(self.route),)

    def requests(self) -> list[Request]:
        """One request."""
        return [RemoveRoute(self.route)]


@dataclass(frozen=True)
class CreateRule(Operation):
    """Create a policy rule, which the kernel puts behind those of the same priority; before: these."""

    rule: Rule
    before: tuple[Rule, ...] = ()

    def __str__(self) -> str:
        return f"create {self.rule}: {', '.join(describe('rule', self.rule.attributes))}"

    def predict(self, state: State) -> Changes:
        """The rule is the last of its priority."""
        return {self.rule.at: (*state.rules.get(self.rule.at, ()), self.rule)}

    def inverse(self) -> tuple[Operation, ...]:
        """Delete it; others that the kernel deletes in its place are created again."""
        left, deleted = [*self.before, self.rule], []
        while self.rule in left:
            deleted.append(self.rule.first_match(left) or self.rule)
            left.remove(deleted[-1])
        return (*(DeleteRule(self.rule) for _rule in deleted), *(CreateRule(rule) for rule in deleted[:-1]))

    def requests(self) -> list[Request]:
        """One request."""
        return [AddRule(self.rule)]


@dataclass(frozen=True)
class DeleteRule(Operation):
    """Delete a policy rule: the kernel deletes the first of its priority that has all its selectors, whatever else that has."""

    rule: Rule

    def __str__(self) -> str:
        return f"delete {self.rule}: {', '.join(describe('rule', self.rule.attributes))}"

    def predict(self, state: State) -> Changes:
        """The rules of its priority that are left."""
        left = list(state.rules.get(self.rule.at, ()))
        first = self.rule.first_match(left)
        if first is not None:
            left.remove(first)
        return {self.rule.at: tuple(left)}

    def inverse(self) -> tuple[Operation, ...]:
        """Create it again."""
        return (CreateRule(self.rule),)

    def requests(self) -> list[Request]:
        """One request."""
        return [RemoveRule(self.rule)]

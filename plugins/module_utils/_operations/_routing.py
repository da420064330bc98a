# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The operations on routes and policy rules."""

from __future__ import annotations

from dataclasses import dataclass

from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._routing import ROUTE
from ansible_collections.patchbay.netdev.plugins.module_utils._model._routing import Route, RouteKey, Rule, RuleKey
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
    """Make a route, or put another in its place without a gap: `before` is what stands at its key; None: nothing."""

    route: Route
    before: Route | None = None

    @property
    def key(self) -> RouteKey:
        """The route."""
        return self.route.key

    def __str__(self) -> str:
        rows = ROUTE.rows(self.route.attributes)
        if self.before is None:
            usual = {"onlink": (False,), "scope": ("global", "link")}
            told = {name: value for name, value in self.route.attributes.items() if value not in usual.get(name, ())}
            return f"create {self.key}: {', '.join(describe('route', told))}"
        old = self.before.attributes
        words = [
            f"{row.name} {'none' if old.get(row.name) is None else row.type.describe(old[row.name])} -> "
            f"{row.type.describe(self.route.attributes[row.name])}"
            for row in rows
            if self.route.attributes[row.name] != old.get(row.name)
        ]
        words += [f"no {row.name}" for row in ROUTE.rows(old) if row.name not in self.route.attributes]
        return f"set {self.key}: {', '.join(words)}"

    def predict(self, state: State) -> Changes:
        """It is the first of those that have its key."""
        rest = [route for route in state.routes.get(self.key, ()) if route != self.before]
        return {self.key: (self.route, *rest)}

    def inverse(self) -> tuple[Operation, ...]:
        """What was there, or nothing."""
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
        """One less at its key."""
        rest = list(state.routes.get(self.key, ()))
        if self.route in rest:
            rest.remove(self.route)
        return {self.key: tuple(rest)}

    def inverse(self) -> tuple[Operation, ...]:
        """Make it again."""
        return (SetRoute(self.route),)

    def requests(self) -> list[Request]:
        """One request."""
        return [RemoveRoute(self.route)]


@dataclass(frozen=True)
class CreateRule(Operation):
    """Make a policy rule; among several of one priority it is the last. `before`: those that were there."""

    rule: Rule
    before: tuple[Rule, ...] = ()

    @property
    def key(self) -> RuleKey:
        """The rule."""
        return self.rule.key

    def __str__(self) -> str:
        return f"create {self.key}: {', '.join(describe('rule', self.rule.attributes))}"

    def predict(self, state: State) -> Changes:
        """It is there."""
        return {self.key: (*state.rules.get(self.key, ()), self.rule)}

    def inverse(self) -> tuple[Operation, ...]:
        """Delete it; others that the kernel deletes in its place come again."""
        some, taken = [*self.before, self.rule], []
        while self.rule in some:
            taken.append(self.rule.hit(some) or self.rule)
            some.remove(taken[-1])
        return (*(DeleteRule(self.rule) for _one in taken), *(CreateRule(one) for one in taken[:-1]))

    def requests(self) -> list[Request]:
        """One request."""
        return [AddRule(self.rule)]


@dataclass(frozen=True)
class DeleteRule(Operation):
    """Delete a policy rule. What goes is the first at its priority that has all its parts, whatever it has besides."""

    rule: Rule

    @property
    def key(self) -> RuleKey:
        """The rule."""
        return self.rule.key

    def __str__(self) -> str:
        return f"delete {self.key}: {', '.join(describe('rule', self.rule.attributes))}"

    def predict(self, state: State) -> Changes:
        """One less at its priority."""
        rest = list(state.rules.get(self.key, ()))
        first = self.rule.hit(rest)
        if first is not None:
            rest.remove(first)
        return {self.key: tuple(rest)}

    def inverse(self) -> tuple[Operation, ...]:
        """Make it again."""
        return (CreateRule(self.rule),)

    def requests(self) -> list[Request]:
        """One request."""
        return [RemoveRule(self.rule)]

# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules of one priority: from every order to every other one, with rules that the kernel deletes in place of others."""

from __future__ import annotations

from itertools import chain, permutations

import pytest

from ansible_collections.patchbay.netdev.plugins.module_utils._converge._difference import restoring_operations
from ansible_collections.patchbay.netdev.plugins.module_utils._model._routing import Rule, RulePriority
from ansible_collections.patchbay.netdev.plugins.module_utils._model._state import State
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._operation import Operation
from ansible_collections.patchbay.netdev.plugins.module_utils._plan._rules import rule_changes

AT = RulePriority("", 4, 100)
ANY = Rule(AT, {"action": "lookup", "table": 100})
FROM = Rule(AT, {"from": "192.0.2.1/32", "action": "lookup", "table": 100})
MARKED = Rule(AT, {"from": "192.0.2.1/32", "fwmark": (1, 0xFFFFFFFF), "action": "lookup", "table": 100})
OTHER = Rule(AT, {"to": "192.0.2.9/32", "action": "lookup", "table": 100}, protocol=0)
ORDERS = list(chain.from_iterable(permutations((ANY, FROM, MARKED, OTHER), length) for length in range(5)))


def applied(rules: tuple[Rule, ...], operations: list[Operation]) -> tuple[Rule, ...]:
    """The rules after these operations."""
    state = State(rules=rules)
    for operation in operations:
        state.update(operation.predict(state))
    return state.rules.get(AT, ())


@pytest.mark.parametrize("current", ORDERS)
def test_every_order(current: tuple[Rule, ...]) -> None:
    """Nothing is done where nothing changes, and a new rule alone is one operation."""
    for desired in ORDERS:
        changes = rule_changes(current, desired)
        assert applied(current, list(changes)) == desired
        assert (not changes) == (current == desired)
        if desired and desired[:-1] == current:
            assert len(changes) == 1


def test_rolled_back_order() -> None:
    """Rules are restored in their order; those of the kernel are not deleted for it."""
    before = State(rules=[MARKED, FROM, OTHER])
    operations = restoring_operations(before, State(rules=[OTHER, MARKED]))
    assert applied((OTHER, MARKED), operations) == (MARKED, FROM, OTHER)
    kernel = Rule(AT, {"action": "lookup", "table": 254}, protocol=2)
    operations = restoring_operations(State(rules=[FROM, kernel]), State(rules=[kernel]))
    assert applied((kernel,), operations) == (kernel, FROM)

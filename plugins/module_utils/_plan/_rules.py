# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Planning of policy rules. Pure.

Several rules may share a priority. Only the rule that a task names is created, changed or deleted; others stay, in their order.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ansible_collections.patchbay.netdev.plugins.module_utils._model._desired import DesiredRule
from ansible_collections.patchbay.netdev.plugins.module_utils._model._errors import Refused
from ansible_collections.patchbay.netdev.plugins.module_utils._model._routing import LOOKUP, RTPROT_STATIC, Rule
from ansible_collections.patchbay.netdev.plugins.module_utils._model._state import State
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._operation import Operation, describe
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._routing import CreateRule, DeleteRule

# linux/rtnetlink.h: the protocol of a rule that was made by hand (unspec, boot) or by this collection and the network managers
# (static).
_DELETABLE = (0, 3, RTPROT_STATIC)
_OWNERS = {0: "ip rule or another program", 3: "ip rule", 2: "the kernel", 9: "a router advertisement", 16: "a DHCP client"}


def plan_rule(item: DesiredRule, state: State) -> Iterator[Operation]:
    """The operations for one rule. A changed rule is created before the old one is deleted: in between, both exist."""
    current = state.rules.get(item.key.at, ())
    if item.present:
        yield from rule_changes(current, _rules_with(item, current))
    else:
        unwanted = _rules_to_delete(item, current)
        yield from rule_changes(current, [rule for rule in current if rule not in unwanted])


def _rules_with(item: DesiredRule, current: Sequence[Rule]) -> list[Rule]:
    """The rules of a priority with the desired one in place of those with its identity."""
    desired = Rule(item.key.at, _attributes(item))
    same = [rule for rule in current if rule.is_representable and rule.key == item.key]
    if any(rule.attributes == desired.attributes for rule in same):  # whoever created it
        replaced = [rule for rule in same if rule.attributes != desired.attributes and rule.protocol == RTPROT_STATIC]
        return [rule for rule in current if rule not in replaced]
    _check(desired)
    for rule in same:
        if rule.protocol != RTPROT_STATIC:
            raise Refused(
                f"{item.key}: a rule with this priority and these selectors already exists (owner: {_owner(rule)}) and is not "
                "changed. Choose another priority, or delete that rule first"
            )
    return [*(rule for rule in current if rule not in same), desired]


def _rules_to_delete(item: DesiredRule, current: Sequence[Rule]) -> list[Rule]:
    """The rules that a task deletes: those that have all that the task sets."""
    known = {name: value for name, value in item.attributes.items() if name in ("table", "suppress_prefix_length")}
    matching = [
        rule
        for rule in current
        if item.key.covers(rule.key)
        and (rule.is_representable or item.key.selectors is None)
        and known.items() <= rule.attributes.items()
    ]
    if any(rule.attributes != matching[0].attributes for rule in matching):
        listed = "; ".join(", ".join(describe("rule", rule.attributes)) for rule in matching)
        missing = "selectors" if item.key.selectors is None else "table"
        raise Refused(f"{item.key}: {len(matching)} rules match ({listed}). Set the {missing} of the rule to delete")
    for rule in matching:
        if rule.protocol not in _DELETABLE or item.key.priority == 0:
            raise Refused(
                f"{item.key}: the rule is managed by another owner ({_owner(rule)}) and is not deleted. "
                "Omit it, or delete it with ip rule"
            )
        if not rule.is_representable:
            raise Refused(
                f"{item.key}: the rule has attributes that this module does not support, and is not deleted. "
                "Delete it with the program that created it"
            )
    return matching


def rule_changes(current: Sequence[Rule], desired: Sequence[Rule]) -> list[CreateRule | DeleteRule]:
    """The operations that lead from the rules of a priority, in the order of the kernel, to others.

    New rules are created first. The kernel deletes the first rule that has all attributes it is shown (Rule.first_match), and
    appends new rules: where that affects other rules, or their order, these are deleted and created again.
    """
    operations: list[CreateRule | DeleteRule] = []
    rules = list(current)

    def create(rule: Rule) -> None:
        operations.append(CreateRule(rule, tuple(rules)))
        rules.append(rule)

    def delete(rule: Rule) -> None:
        operations.append(DeleteRule(rule))
        rules.remove(rule)

    for rule in desired:
        if rule not in rules:
            create(rule)
    for rule in [rule for rule in rules if rule not in desired]:
        if rule.first_match(rules) == rule:
            delete(rule)
    kept = _kept_in_place(rules, desired)
    for rule in rules[kept:]:
        delete(rule)
    for rule in desired[kept:]:
        create(rule)
    return operations


def _kept_in_place(rules: Sequence[Rule], desired: Sequence[Rule]) -> int:
    """How many rules at the front are as desired, and are not deleted in place of one behind them."""
    equal = next((number for number, pair in enumerate(zip(rules, desired)) if pair[0] != pair[1]), min(len(rules), len(desired)))
    return next(count for count in range(equal, -1, -1) if all(rule.first_match(rules[:count]) is None for rule in rules[count:]))


def _attributes(item: DesiredRule) -> dict[str, object]:
    """All attributes of the rule; a network of all addresses selects nothing."""
    selectors = {
        name: value for name, value in item.attributes.items() if not (name in ("from", "to") and str(value).endswith("/0"))
    }
    return {"action": LOOKUP, **selectors}


def _check(rule: Rule) -> None:
    action = rule.get("action")
    if action == LOOKUP and not rule.get("table"):
        raise Refused(f"{rule}: no table is set, and the kernel would choose one itself. Set table")
    if action != LOOKUP and (rule.get("table") or rule.get("suppress_prefix_length") is not None):
        raise Refused(f"{rule}: action {action} looks up no table. Omit table and suppress_prefix_length")


def _owner(rule: Rule) -> str:
    return _OWNERS.get(rule.protocol, f"another program, protocol {rule.protocol}")

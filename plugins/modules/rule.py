#!/usr/bin/python
# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: rule
short_description: Manage a policy rule
version_added: 1.0.0
description:
  - Creates, changes and deletes a policy rule, which selects the routing table for packets.
  - A rule is managed as a whole. Omitted selectors are not part of the rule.
  - Other rules with the same priority are not changed, and keep their order.
  - If a rule changes, the new rule is created before the old rule is deleted.
extends_documentation_fragment:
  - patchbay.netdev.module
  - patchbay.netdev.module.changes
  - patchbay.netdev.guard
  - patchbay.netdev.persist
  - patchbay.netdev.rule
seealso:
  - module: patchbay.netdev.route
  - module: patchbay.netdev.topology
"""

EXAMPLES = r"""
- name: Select a routing table for packets from an old address
  patchbay.netdev.rule:
    priority: 1125
    from: 192.0.2.25
    table: 125

- name: Delete all rules with a priority
  patchbay.netdev.rule:
    priority: 1126
    state: absent
"""

RETURN = r"""
operations:
  description: The plan, one sentence per operation. Check mode returns the same plan.
  returned: success
  type: list
  elements: str
  sample:
    - "create IPv4 rule 1125: from 192.0.2.25/32, action lookup, table 125"
rule:
  description:
    - State of the rule after the task, or the predicted state in check mode. The keys are the names of the options. V(null) if the rule is absent.
    - In check mode, values that the kernel will choose are V(null).
  returned: success
  type: dict
  sample:
    priority: 1125
    family: ipv4
    from: 192.0.2.25/32
    action: lookup
    table: 125
undone:
  description: Operations that were rolled back after a failure, newest first.
  returned: failure while applying
  type: list
  elements: str
not_undone:
  description: Changes that could not be rolled back after a failure.
  returned: failure while applying
  type: list
  elements: str
"""

from ansible_collections.patchbay.netdev.plugins.module_utils._runner import Module, run_module
from ansible_collections.patchbay.netdev.plugins.module_utils._argspec import desired_rule, guarded, rule_argument_spec


def main() -> None:
    """Run the module."""
    module = Module(argument_spec=guarded(rule_argument_spec()), supports_check_mode=True)
    run_module(module, desired_rule)


if __name__ == "__main__":
    main()

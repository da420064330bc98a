#!/usr/bin/python
# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: rule
short_description: Manage one policy rule
version_added: 1.0.0
description:
  - Creates, changes and deletes one rule that says which routing table packets use.
  - A rule is all of its parts together. What is not written, it does not have.
  - A changed rule is made before the old one goes.
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
- name: Packets from the old address use a table of their own
  patchbay.netdev.rule:
    priority: 1125
    from: 192.0.2.25
    table: 125

- name: No rule of this priority
  patchbay.netdev.rule:
    priority: 1126
    state: absent
"""

RETURN = r"""
operations:
  description: The plan, one sentence per operation. The same in check mode.
  returned: success
  type: list
  elements: str
  sample:
    - "create IPv4 rule 1125: from 192.0.2.25/32, action lookup, table 125"
rule:
  description:
    - The rule as it is after the task (in check mode, as it will be), with the names of the options. It is V(null) when absent.
    - In check mode, what the kernel will choose is V(null).
  returned: success
  type: dict
  sample:
    priority: 1125
    family: ipv4
    from: 192.0.2.25/32
    action: lookup
    table: 125
undone:
  description: The operations that were taken back after a failure, newest first.
  returned: failure while applying
  type: list
  elements: str
not_undone:
  description: What could not be taken back after a failure.
  returned: failure while applying
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.patchbay.netdev.plugins.module_utils._argspec import guarded, rule_argument_spec, wanted_rule
from ansible_collections.patchbay.netdev.plugins.module_utils._runner import run_module


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec=guarded(rule_argument_spec()), supports_check_mode=True)
    run_module(module, wanted_rule)


if __name__ == "__main__":
    main()

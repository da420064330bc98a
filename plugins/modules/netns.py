#!/usr/bin/python
# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: netns
short_description: Manage a named network namespace
version_added: 1.0.0
description:
  - Creates and deletes a network namespace in the same way as C(ip netns add) and C(ip netns del). Namespaces of C(ip netns) can be managed too.
  - To manage a namespace and its links in one task, use M(patchbay.netdev.topology).
extends_documentation_fragment:
  - patchbay.netdev.module
  - patchbay.netdev.module.changes
  - patchbay.netdev.guard
  - patchbay.netdev.persist
  - patchbay.netdev.netns
seealso:
  - module: patchbay.netdev.veth
  - module: patchbay.netdev.topology
"""

EXAMPLES = r"""
- name: Create a network namespace
  patchbay.netdev.netns:
    name: guest

- name: Delete a network namespace with its links
  patchbay.netdev.netns:
    name: guest
    state: absent
"""

RETURN = r"""
operations:
  description: The plan, one sentence per operation. Check mode returns the same plan.
  returned: success
  type: list
  elements: str
  sample:
    - create netns guest
netns:
  description: State of the namespace after the task, or the predicted state in check mode. V(null) if the namespace is absent.
  returned: success
  type: dict
  sample:
    name: guest
    path: /run/netns/guest
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
from ansible_collections.patchbay.netdev.plugins.module_utils._argspec import desired_netns, guarded, netns_argument_spec


def main() -> None:
    """Run the module."""
    module = Module(argument_spec=guarded(netns_argument_spec()), supports_check_mode=True)
    run_module(module, desired_netns)


if __name__ == "__main__":
    main()

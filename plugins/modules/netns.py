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
  - Creates and deletes a network namespace as C(ip netns add) and C(ip netns del) do, and sees those that they made.
  - M(patchbay.netdev.topology) makes namespaces and the links in them in one task.
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
- name: A namespace for a guest
  patchbay.netdev.netns:
    name: guest

- name: Delete it, with the links in it
  patchbay.netdev.netns:
    name: guest
    state: absent
"""

RETURN = r"""
operations:
  description: The plan, one sentence per operation. The same in check mode.
  returned: success
  type: list
  elements: str
  sample:
    - create netns guest
netns:
  description: The namespace as it is after the task (in check mode, as it will be). It is V(null) when absent.
  returned: success
  type: dict
  sample:
    name: guest
    path: /run/netns/guest
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

from ansible_collections.patchbay.netdev.plugins.module_utils._argspec import guarded, netns_argument_spec, wanted_netns
from ansible_collections.patchbay.netdev.plugins.module_utils._runner import run_module


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec=guarded(netns_argument_spec()), supports_check_mode=True)
    run_module(module, wanted_netns)


if __name__ == "__main__":
    main()

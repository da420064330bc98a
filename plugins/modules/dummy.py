#!/usr/bin/python
# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: dummy
short_description: Manage a dummy
version_added: 1.0.0
description:
  - >-
    Creates, changes and deletes a link that leads nowhere: it takes every frame and drops it. It serves to hold addresses, or as the
    lower device of links that need none outside.
  - The kernel of the host needs C(dummy).
extends_documentation_fragment:
  - patchbay.netdev.module
  - patchbay.netdev.module.changes
  - patchbay.netdev.guard
  - patchbay.netdev.persist
  - patchbay.netdev.link
seealso:
  - module: patchbay.netdev.macvlan
  - module: patchbay.netdev.topology
"""

EXAMPLES = r"""
- name: A link whose carrier never fails, for the address of a service
  patchbay.netdev.dummy:
    name: service0
    admin_state: up

- name: The lower device of macvlans that only speak to each other
  patchbay.netdev.topology:
    dummy: [{name: inside0, admin_state: up}]
    macvlan:
      - {name: one, lower_device: inside0, mode: bridge, admin_state: up}
      - {name: two, lower_device: inside0, mode: bridge, netns: guest, admin_state: up}
"""

RETURN = r"""
operations:
  description: The plan, one sentence per operation. The same in check mode.
  returned: success
  type: list
  elements: str
  sample:
    - "create service0: dummy, admin_state up"
link:
  description:
    - The link as it is after the task (in check mode, as it will be), with the names of the options. It is V(null) when absent.
    - In check mode, what the kernel will choose is V(null).
  returned: success
  type: dict
  sample:
    name: service0
    kind: dummy
    admin_state: up
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

from functools import partial

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.patchbay.netdev.plugins.module_utils._argspec import argument_spec, guarded, wanted
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._dummy import DUMMY
from ansible_collections.patchbay.netdev.plugins.module_utils._runner import run_module


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec=guarded(argument_spec(DUMMY)), supports_check_mode=True)
    run_module(module, partial(wanted, DUMMY))


if __name__ == "__main__":
    main()

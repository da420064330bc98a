#!/usr/bin/python
# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: link
short_description: Manage an existing link
version_added: 1.0.0
description:
  - Changes attributes of an existing link of any kind, including physical links. It never creates or deletes a link.
extends_documentation_fragment:
  - patchbay.netdev.module
  - patchbay.netdev.module.changes
  - patchbay.netdev.guard
  - patchbay.netdev.persist
  - patchbay.netdev.link.existing
seealso:
  - module: patchbay.netdev.link_info
  - module: patchbay.netdev.topology
"""

EXAMPLES = r"""
- name: Set a network card up with jumbo frames
  patchbay.netdev.link:
    name: eth0
    mtu: 9000
    admin_state: up

- name: Reply to ARP requests only on the link that has the address
  patchbay.netdev.link:
    name: eth0
    sysctls:
      ipv4.arp_ignore: 1
      ipv4.arp_announce: 2
"""

RETURN = r"""
operations:
  description: The plan, one sentence per operation. Check mode returns the same plan.
  returned: success
  type: list
  elements: str
  sample:
    - "set eth0: mtu 1500 -> 9000, admin_state down -> up"
link:
  description:
    - State of the link after the task, or the predicted state in check mode. The keys are the names of the options.
    - In check mode, values that the kernel will choose are V(null).
  returned: success
  type: dict
  sample:
    name: eth0
    kind: physical
    mtu: 9000
    admin_state: up
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

from functools import partial

from ansible_collections.patchbay.netdev.plugins.module_utils._runner import Module, run_module
from ansible_collections.patchbay.netdev.plugins.module_utils._argspec import argument_spec, desired_link, guarded
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._table import LINK


def main() -> None:
    """Run the module."""
    module = Module(argument_spec=guarded(argument_spec(LINK)), supports_check_mode=True)
    run_module(module, partial(desired_link, LINK))


if __name__ == "__main__":
    main()

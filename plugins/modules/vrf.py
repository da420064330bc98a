#!/usr/bin/python
# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: vrf
short_description: Manage a VRF
version_added: 1.0.0
description:
  - Creates, changes and deletes a VRF, to which links are attached so that they use its routing table.
  - The kernel of the host needs C(vrf).
extends_documentation_fragment:
  - patchbay.netdev.module
  - patchbay.netdev.module.changes
  - patchbay.netdev.guard
  - patchbay.netdev.persist
  - patchbay.netdev.link
  - patchbay.netdev.vrf
seealso:
  - module: patchbay.netdev.link
  - module: patchbay.netdev.topology
"""

EXAMPLES = r"""
- name: A routing table of its own for the links of an old host
  patchbay.netdev.vrf:
    name: vrf-mail
    table: 101
    admin_state: up

- name: Attach a link
  patchbay.netdev.link:
    name: old-mail
    controller: vrf-mail
"""

RETURN = r"""
operations:
  description: The plan, one sentence per operation. The same in check mode.
  returned: success
  type: list
  elements: str
  sample:
    - "create vrf-mail: vrf, table 101, admin_state up"
link:
  description:
    - The link as it is after the task (in check mode, as it will be), with the names of the options. It is V(null) when absent.
    - In check mode, what the kernel will choose is V(null).
  returned: success
  type: dict
  sample:
    name: vrf-mail
    kind: vrf
    table: 101
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
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._vrf import VRF
from ansible_collections.patchbay.netdev.plugins.module_utils._runner import run_module


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec=guarded(argument_spec(VRF)), supports_check_mode=True)
    run_module(module, partial(wanted, VRF))


if __name__ == "__main__":
    main()

#!/usr/bin/python
# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: link
short_description: Change a link that exists
version_added: 1.0.0
description:
  - Changes attributes of a link of any kind, physical ones too. It never creates a link and never deletes one.
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
- name: Bring the network card up with jumbo frames
  patchbay.netdev.link:
    name: eth0
    mtu: 9000
    admin_state: up

- name: Let only the owner of an address answer for it
  patchbay.netdev.link:
    name: eth0
    sysctls:
      ipv4.arp_ignore: 1
      ipv4.arp_announce: 2
"""

RETURN = r"""
operations:
  description: The plan, one sentence per operation. The same in check mode.
  returned: success
  type: list
  elements: str
  sample:
    - "set eth0: mtu 1500 -> 9000, admin_state down -> up"
link:
  description:
    - The link as it is after the task (in check mode, as it will be), with the names of the options.
    - In check mode, what the kernel will choose is V(null).
  returned: success
  type: dict
  sample:
    name: eth0
    kind: physical
    mtu: 9000
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
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._table import LINK
from ansible_collections.patchbay.netdev.plugins.module_utils._runner import run_module


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec=guarded(argument_spec(LINK)), supports_check_mode=True)
    run_module(module, partial(wanted, LINK))


if __name__ == "__main__":
    main()

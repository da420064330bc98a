#!/usr/bin/python
# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: route
short_description: Manage one route
version_added: 1.0.0
description:
  - Creates, changes and deletes one IPv4 or IPv6 route, in any table and namespace. A changed route is replaced without a gap.
  - What is not written is not managed. Gateway and link are one thing, the next hop.
  - Routes with several next hops, and those of other owners, are never touched.
extends_documentation_fragment:
  - patchbay.netdev.module
  - patchbay.netdev.module.changes
  - patchbay.netdev.guard
  - patchbay.netdev.persist
  - patchbay.netdev.route
seealso:
  - module: patchbay.netdev.rule
  - module: patchbay.netdev.topology
"""

EXAMPLES = r"""
- name: Packets from the old address leave by its own link
  patchbay.netdev.route:
    destination: default
    gateway: 192.0.2.1
    link: old-mail
    table: 125

- name: And never by another one, when that link is down
  patchbay.netdev.route:
    destination: default
    type: unreachable
    metric: 4278198272
    table: 125

- name: A network behind a router, no more
  patchbay.netdev.route:
    destination: 2001:db8:7::/48
    netns: guest
    state: absent
"""

RETURN = r"""
operations:
  description: The plan, one sentence per operation. The same in check mode.
  returned: success
  type: list
  elements: str
  sample:
    - "create route to 0.0.0.0/0 table 125: type unicast, gateway 192.0.2.1, link old-mail, scope global, onlink false"
route:
  description:
    - The route as it is after the task (in check mode, as it will be), with the names of the options. It is V(null) when absent.
    - In check mode, what the kernel will choose is V(null).
  returned: success
  type: dict
  sample:
    destination: 0.0.0.0/0
    family: ipv4
    gateway: 192.0.2.1
    link: old-mail
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

from ansible_collections.patchbay.netdev.plugins.module_utils._argspec import guarded, route_argument_spec, wanted_route
from ansible_collections.patchbay.netdev.plugins.module_utils._runner import run_module


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec=guarded(route_argument_spec()), supports_check_mode=True)
    run_module(module, wanted_route)


if __name__ == "__main__":
    main()

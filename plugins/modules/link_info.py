#!/usr/bin/python
# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: link_info
short_description: Return links, routes and policy rules
version_added: 1.0.0
description:
  - Returns the links of every kind, including physical links, with the attributes that the modules of this collection manage.
  - Also returns routes and policy rules.
  - The module makes no changes. It requires privileges only for other network namespaces.
extends_documentation_fragment:
  - patchbay.netdev.module
  - patchbay.netdev.module.reads
options:
  name:
    description:
      - Name or alternative name of a link. If set, only this link is returned.
    type: str
  kind:
    description:
      - Kind of the links to return, such as V(macvlan) or V(bridge). V(physical) selects links for which the kernel reports no kind.
    type: str
  netns:
    description:
      - Network namespace to read, as a name in C(/run/netns) or an absolute path.
      - V(all) reads the namespace in which the module runs and all named namespaces.
      - Defaults to the namespace in which the module runs.
    type: str
seealso:
  - module: patchbay.netdev.macvlan
  - module: patchbay.netdev.topology
"""

EXAMPLES = r"""
- name: Read the links in all namespaces
  patchbay.netdev.link_info:
    netns: all
  register: host

- name: Show the links on eth0
  ansible.builtin.debug:
    msg: "{{ host.links | selectattr('name', 'eq', 'eth0') | map(attribute='children') | flatten | map(attribute='name') }}"

- name: Read the macvlans of one namespace
  patchbay.netdev.link_info:
    netns: guest
    kind: macvlan
"""

RETURN = r"""
links:
  description:
    - >-
      The links. The keys are the option names of the modules. Attributes that a kind does not have are missing. Unknown values are
      V(null).
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Name of the link.
      type: str
      returned: always
    netns:
      description: Network namespace of the link, V(null) for the namespace in which the module runs.
      type: str
      returned: always
    kind:
      description: Kind of the link, V(physical) if the kernel reports none.
      type: str
      returned: always
    index:
      description: Index of the link in its namespace.
      type: int
      returned: always
    oper_state:
      description: Operational state that the kernel reports.
      type: str
      returned: always
    lower_device:
      description: Name of the lower device, V(null) if the link has none.
      type: str
      returned: always
    lower_device_netns:
      description: Network namespace of the lower device, V(null) for the namespace in which the module runs.
      type: str
      returned: always
    children:
      description: The links that have this link as lower device, in all namespaces that were read, each with C(name) and C(netns).
      type: list
      elements: dict
      returned: always
    addresses:
      description:
        - The IP addresses of the link, each with C(ip), C(peer_ip), C(label), C(metric), C(noprefixroute) and C(nodad).
        - C(owner) is the source of the address, one of V(static), V(dhcp), V(ra) or V(kernel).
        - C(valid_seconds) is the remaining lifetime of the address, for example that of a lease. V(null) if it is unlimited.
        - C(settled) is V(false) while duplicate address detection runs, and if it found a duplicate.
      type: list
      elements: dict
      returned: always
    dhcp4:
      description:
        - >-
          DHCP client of this collection that serves the link. The keys are the suboptions of C(dhcp4), where C(client) is the program in
          use, together with C(lease) and C(running). C(enabled) is V(false) if the link has no such client.
        - V(null) if the module does not run as root, because only root can read the data.
      type: dict
      returned: always
    persist:
      description:
        - Boot backend that restores the link at the next boot, as in the option C(persist). V(none) if there is none.
        - V(null) if the module does not run as root, and data may exist that only root can read.
      type: str
      returned: always
    address:
      description: MAC address.
      type: str
      returned: always
    mode:
      description: Mode of a macvlan.
      type: str
      returned: for a macvlan
  sample:
    - name: eth0
      netns: null
      kind: physical
      index: 2
      address: "52:54:00:aa:00:01"
      mtu: 1500
      admin_state: up
      oper_state: up
      lower_device: null
      lower_device_netns: null
      children:
        - {name: old-mail, netns: null}
routes:
  description:
    - >-
      The routes of all tables of the namespaces that were read. The keys are the options of M(patchbay.netdev.route). Routes that the
      kernel derives from addresses for its own use (table local) are omitted.
    - C(owner) is the source of the route, one of V(static), V(kernel), V(dhcp), V(ra) or V(other).
  returned: success
  type: list
  elements: dict
  sample:
    - {destination: 0.0.0.0/0, family: ipv4, table: 254, metric: 0, gateway: 192.0.2.1, link: eth0, type: unicast, owner: static}
rules:
  description:
    - The policy rules of the namespaces that were read. The keys are the options of M(patchbay.netdev.rule).
    - C(owner) is the source of the rule, as for routes.
  returned: success
  type: list
  elements: dict
  sample:
    - {priority: 32766, family: ipv4, table: 254, action: lookup, owner: kernel}
"""

from ansible_collections.patchbay.netdev.plugins.module_utils._runner import Module, run_info
from ansible_collections.patchbay.netdev.plugins.module_utils._argspec import INFO_ARGUMENTS


def main() -> None:
    """Run the module."""
    module = Module(argument_spec=INFO_ARGUMENTS, supports_check_mode=True)
    run_info(module)


if __name__ == "__main__":
    main()

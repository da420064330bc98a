#!/usr/bin/python
# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: link_info
short_description: Read links of all kinds
version_added: 1.0.0
description:
  - Returns links as the modules of this collection see them, of every kind, physical ones too.
  - It changes nothing and needs no privilege, except to enter other network namespaces.
extends_documentation_fragment:
  - patchbay.netdev.module
  - patchbay.netdev.module.reads
options:
  name:
    description:
      - Return only the link with this name, or with this alternative name.
    type: str
  kind:
    description:
      - Return only links of this kind, such as V(macvlan) or V(bridge). V(physical) are those for which the kernel names none.
    type: str
  netns:
    description:
      - Network namespace to read, by its name in C(/run/netns) or by an absolute path.
      - V(all) reads the one that the module runs in and every named one.
      - Without it, the namespace that the module runs in.
    type: str
seealso:
  - module: patchbay.netdev.macvlan
  - module: patchbay.netdev.topology
"""

EXAMPLES = r"""
- name: Read all links of the host, in all namespaces
  patchbay.netdev.link_info:
    netns: all
  register: found

- name: Name what sits on eth0
  ansible.builtin.debug:
    msg: "{{ found.links | selectattr('name', 'eq', 'eth0') | map(attribute='children') | flatten | map(attribute='name') }}"

- name: Read the macvlans of one namespace
  patchbay.netdev.link_info:
    netns: guest
    kind: macvlan
"""

RETURN = r"""
links:
  description:
    - >-
      The links, with the names of the options of the modules. Attributes that a kind does not have are missing, those that are not
      known are V(null).
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Name of the link.
      type: str
      returned: always
    netns:
      description: Network namespace that the link is in, V(null) for the one that the module runs in.
      type: str
      returned: always
    kind:
      description: Kind of the link, V(physical) when the kernel names none.
      type: str
      returned: always
    index:
      description: Number of the link in its namespace.
      type: int
      returned: always
    oper_state:
      description: Operational state, as the kernel reports it.
      type: str
      returned: always
    lower_device:
      description: Name of the link that this one sits on, or V(null).
      type: str
      returned: always
    lower_device_netns:
      description: Network namespace of the lower device, V(null) for the one that the module runs in.
      type: str
      returned: always
    children:
      description: The links that sit on this one, in all namespaces that were read, each with C(name) and C(netns).
      type: list
      elements: dict
      returned: always
    addresses:
      description:
        - The IP addresses of the link, each with C(ip), C(peer_ip), C(label), C(metric), C(noprefixroute) and C(nodad).
        - C(owner) says who made it, one of V(static), V(dhcp), V(ra) or V(kernel).
        - C(valid_seconds) says for how long it holds yet, as with a lease, V(null) for ever.
        - C(settled) is V(false) while duplicate address detection has not passed it, and when it found a duplicate.
      type: list
      elements: dict
      returned: always
    dhcp4:
      description:
        - >-
          The DHCP client of this collection that serves the link, with the names of the suboptions of C(dhcp4), its lease in C(lease),
          the program in C(client), and C(running). C(enabled) is V(false) where there is none.
        - It is V(null) when the module does not run as root, for only root can read it.
      type: dict
      returned: always
    persist:
      description:
        - What brings the link back at the next boot, as the option C(persist) names it, or V(none).
        - It is V(null) when the module does not run as root, and there may be something that only root can read.
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
      The routes of the namespaces that were read, of all tables, each with the options of M(patchbay.netdev.route). Those that the
      kernel derives from addresses for itself (table local) are left out.
    - C(owner) says who made it, one of V(static), V(kernel), V(dhcp), V(ra) or V(other).
  returned: success
  type: list
  elements: dict
  sample:
    - {destination: 0.0.0.0/0, family: ipv4, table: 254, metric: 0, gateway: 192.0.2.1, link: eth0, type: unicast, owner: static}
rules:
  description:
    - The policy rules of the namespaces that were read, each with the options of M(patchbay.netdev.rule).
    - C(owner) says who made it, as with routes.
  returned: success
  type: list
  elements: dict
  sample:
    - {priority: 32766, family: ipv4, table: 254, action: lookup, owner: kernel}
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.patchbay.netdev.plugins.module_utils._argspec import INFO_ARGUMENTS
from ansible_collections.patchbay.netdev.plugins.module_utils._runner import run_info


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec=INFO_ARGUMENTS, supports_check_mode=True)
    run_info(module)


if __name__ == "__main__":
    main()

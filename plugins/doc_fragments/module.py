# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The part of the documentation that all modules of the collection share."""

from __future__ import annotations


class ModuleDocFragment:
    """Attributes and requirements."""

    DOCUMENTATION = r"""
requirements:
  - Linux 5.5 or later on the managed host
  - python3-pyroute2 (C(pyroute2>=0.7.2) from PyPI) on the managed host
author:
  - Contributors to the patchbay.netdev project (!UNKNOWN)
attributes:
  platform:
    description: The operating system that the module manages.
    platforms: Linux
    support: full
"""

    CHANGES = r"""
attributes:
  check_mode:
    description: Returns the changes without applying them.
    details: >-
      The result is the plan itself, made from the current state of the kernel. Only privileges to read are required. If something is
      missing that an earlier task would provide, such as a namespace, a lower device, a bridge, or the network of a gateway, the
      module warns of it and returns C(changed=true) without operations. A real run fails then.
    support: full
  diff_mode:
    description: Returns the differences between the state before and after the task, in check mode as well.
    details: One entry per link, with the managed attributes and those that the kernel changes together with them.
    support: full
notes:
  - Omitted options are not managed.
  - The module reads the kernel state again after its last request, and fails if it differs from the desired state.
  - >-
    If an operation fails, the module rolls back the operations before it. RV(ignore:msg) then names the failure, and RV(ignore:undone)
    lists the operations that were rolled back.
"""

    READS = r"""
attributes:
  check_mode:
    description: Returns the changes without applying them.
    details: The module makes no changes.
    support: full
  diff_mode:
    description: Returns the differences between the state before and after the task, in check mode as well.
    details: The module makes no changes.
    support: none
"""

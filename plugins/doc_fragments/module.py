# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every module of the collection documents about itself."""

from __future__ import annotations


class ModuleDocFragment:
    """Attributes and requirements."""

    DOCUMENTATION = r"""
requirements:
  - Linux 5.5 or later on the managed host
  - python3-pyroute2, which is C(pyroute2>=0.7.2) from PyPI, on the managed host
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
    description: Says what would change without changing anything.
    details: The result is the plan itself, made from the same reading of the kernel. It needs no privilege but to read.
    support: full
  diff_mode:
    description: Says what has changed, or would change in check mode.
    details: One entry per link, with the attributes that were written and those that change along with them.
    support: full
notes:
  - An option that is not written is not managed.
  - After the last request the kernel is read again, and the task fails when it does not hold what was asked for.
  - A task that fails half-way undoes what it did. RV(ignore:msg) then says what failed and RV(ignore:undone) what was taken back.
"""

    READS = r"""
attributes:
  check_mode:
    description: Says what would change without changing anything.
    details: The module changes nothing anyway.
    support: full
  diff_mode:
    description: Says what has changed, or would change in check mode.
    details: The module changes nothing.
    support: none
"""

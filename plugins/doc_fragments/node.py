# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of the device node of a macvtap. The texts name no other option, see link.py."""

from __future__ import annotations

from textwrap import indent

OPTIONS = r"""
device_owner:
  description:
    - Owner of the device node, as a name or a number. A new node belongs to root.
  type: str
device_group:
  description:
    - Group of the device node, as a name or a number.
  type: str
device_mode:
  description:
    - Permissions of the device node in octal, such as C('0660'). Quote it. A new node has C(0600), unless udev has a rule for it.
  type: raw
"""


class ModuleDocFragment:
    """The options at the top level of a module."""

    DOCUMENTATION: str = "options:" + indent(OPTIONS, "  ")

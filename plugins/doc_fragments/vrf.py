# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of a VRF. The texts refer to no other option, see link.py."""

from __future__ import annotations

from textwrap import indent

OPTIONS = r"""
table:
  description:
    - Number of the routing table. Required to create the VRF. Another table requires the VRF to be recreated.
  type: int
"""


class ModuleDocFragment:
    """The options at the top level of a module."""

    DOCUMENTATION: str = "options:" + indent(OPTIONS, "  ")

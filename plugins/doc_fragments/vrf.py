# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of a VRF. The texts name no other option, see link.py."""

from __future__ import annotations

from textwrap import indent

OPTIONS = r"""
table:
  description:
    - Number of the routing table. It is needed to create the link, and another one needs it to be created again.
  type: int
"""


class ModuleDocFragment:
    """The options at the top level of a module."""

    DOCUMENTATION: str = "options:" + indent(OPTIONS, "  ")

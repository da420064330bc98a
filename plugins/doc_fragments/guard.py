# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The option of every module that makes changes."""

from __future__ import annotations


class ModuleDocFragment:
    """The option at the top level of a module."""

    DOCUMENTATION = r"""
options:
  allow_lockout:
    description:
      - >-
        Whether to apply a change that cuts the management path. By default, the module refuses it.
      - >-
        The management path is the SSH connection of the task, or the default routes if the task has no SSH connection, together with all
        links that it uses.
    type: bool
    default: false
"""

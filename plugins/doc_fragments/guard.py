# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The option of every module that changes something."""

from __future__ import annotations


class ModuleDocFragment:
    """The option at the top level of a module."""

    DOCUMENTATION = r"""
options:
  allow_lockout:
    description:
      - >-
        Whether to go on where the connection that the task came by would be cut, which is refused otherwise. That is the ssh connection
        of the task, or the default routes without one, with every link that it hangs on.
    type: bool
    default: false
"""

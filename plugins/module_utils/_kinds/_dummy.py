# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Dummy links."""

from __future__ import annotations

from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._bridge_port import PORT
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._every_link import ROWS_OF_EVERY_LINK
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._rows import Kind

DUMMY = Kind("dummy", ROWS_OF_EVERY_LINK, port=PORT)

# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The contract is no test file by its name, but a failing assertion in it shall say as much as one in a test file."""

from __future__ import annotations

import pytest

for name in ("gateway_contract", "world"):
    pytest.register_assert_rewrite(f"ansible_collections.patchbay.netdev.tests.unit.{name}")

# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbooks of roles, on a host that they are not about."""

from __future__ import annotations

import re
import subprocess

import pytest

from ansible_collections.patchbay.netdev.tests.integration.host import CLONE

OF_ROLES = ["consolidate_hosts", "macvtap_guest", "reflective_relay", "shim", "voip"]


@pytest.mark.parametrize("name", OF_ROLES)
def test_host_without_variables_is_skipped(name: str) -> None:
    """An inventory may contain hosts without the variables of the role."""
    command = ["ansible-playbook", str(CLONE / f"playbooks/{name}.yml"), "--inventory", "localhost,", "--connection", "local"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    counts = dict(re.findall(r"(\w+)=(\d+)", done.stdout))
    assert (counts["ok"], counts["changed"], counts["failed"]) == ("0", "0", "0"), done.stdout
    assert int(counts["skipped"]) > 0


@pytest.mark.parametrize("name", [*OF_ROLES, "lab"])
def test_variables_of_playbooks(name: str) -> None:
    """All playbooks select their hosts by a variable of the same form."""
    text = (CLONE / f"playbooks/{name}.yml").read_text()
    assert f"hosts: \"{{{{ {name}_hosts | default('all') }}}}\"" in text

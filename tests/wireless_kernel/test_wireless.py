# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Links on a wireless lower device with a simulated radio, which are refused by default and created with permission."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from ansible_collections.patchbay.netdev.tests.integration.host import Host, in_sandbox, ip, make_netns, remove_netns
from ansible_collections.patchbay.netdev.tests.integration.ladder import Case, climb, refuse, shown


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    """Return the initial namespace of the virtual machine, because ip cannot move a radio."""
    assert in_sandbox(), "run it as tests/run wireless-kernel"
    make_netns("guest")
    ip("netns", "attach", "home", str(os.getpid()))
    yield Host("home")
    remove_netns("guest")


@pytest.mark.parametrize("kind", ["macvlan", "macvtap"])
def test_refused(host: Host, kind: str) -> None:
    """The link is refused in check mode and in a real run."""
    told = (
        "new0: lower device wlan0 is wireless, and an access point drops frames from any MAC address but that of the card. "
        f"Use an Ethernet device, or set allow_wireless: true to create the {kind} all the same"
    )
    refuse(host, kind, Case({"name": "new0", "lower_device": "wlan0"}, told))


@pytest.mark.parametrize("kind", ["macvlan", "macvtap"])
def test_allowed(host: Host, kind: str) -> None:
    """The kernel creates the link. An existing link is changed and deleted without permission."""
    climb(host, kind, name="new0", lower_device="wlan0", allow_wireless=True)
    assert shown("new0", "link")(host) == "wlan0"
    climb(host, kind, name="new0", mode="private")
    climb(host, kind, name="new0", state="absent")

# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Links on a wireless device, which a simulated radio has: refused in words, or made for who insists."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from ansible_collections.patchbay.netdev.tests.integration.host import Host, in_sandbox, ip, make_netns, remove_netns
from ansible_collections.patchbay.netdev.tests.integration.ladder import Case, climb, refuse, shown


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    """The namespace that the machine started with: a radio cannot leave it by ip."""
    assert in_sandbox(), "run it as tests/run wireless-kernel"
    make_netns("guest")
    ip("netns", "attach", "home", str(os.getpid()))
    yield Host("home")
    remove_netns("guest")


@pytest.mark.parametrize("kind", ["macvlan", "macvtap"])
def test_refused(host: Host, kind: str) -> None:
    """In check mode and for real."""
    told = (
        f"new0: wlan0 is wireless: the kernel would make a {kind} on it, but an access point takes frames from no other MAC "
        "than that of the card. Use an Ethernet device, or write allow_wireless: true to try"
    )
    refuse(host, kind, Case({"name": "new0", "lower_device": "wlan0"}, told))


@pytest.mark.parametrize("kind", ["macvlan", "macvtap"])
def test_allowed(host: Host, kind: str) -> None:
    """The kernel takes it, and one that is there is changed and deleted without being asked again."""
    climb(host, kind, name="new0", lower_device="wlan0", allow_wireless=True)
    assert shown("new0", "link")(host) == "wlan0"
    climb(host, kind, name="new0", mode="private")
    climb(host, kind, name="new0", state="absent")

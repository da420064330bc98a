# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role voip_macvlan with a tagged voice VLAN, which the kernel of this machine may not support."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.patchbay.netdev.tests.integration.host import hosts
from ansible_collections.patchbay.netdev.tests.integration.test_voip import (
    AS_USER,
    Desk,
    assert_as_before,
    at_once,
    everything,
    lab,
    play,
    seat,
    well,
)

VLAN = 20
DESKS = (
    Desk(
        "desk1",
        11,
        {
            "voip_macvlan_vlan": VLAN,
            "voip_macvlan_bind": "user",
            "voip_macvlan_user": "phone",
            "voip_macvlan_addresses": ["10.30.0.11/24"],
            "voip_macvlan_dscp": False,  # this kernel has no nftables tables for IP
        },
        "net_interface voice0",
        AS_USER,
    ),
)


@pytest.fixture(scope="module", autouse=True)
def network() -> Iterator[None]:
    """Create the switch, the voice network, the data network, and a desk."""
    lab("up", str(VLAN))
    for desk in DESKS:
        seat(desk)
    yield
    hosts("stop", "switch", "voice", "data", *(desk.name for desk in DESKS))


def test_tagged(tmp_path: Path) -> None:
    """SIP and sound have the tag and the MAC address for voice in both directions. Web traffic has neither."""
    before = at_once(everything, DESKS)
    assert well(play(tmp_path, desks=DESKS)).changes == {"desk1": 1}
    assert at_once(lambda desk: desk.judged(), DESKS) == {"desk1": []}
    # Only one MAC address replies for its address, although the VLAN link and the card receive the request too.
    asked = hosts("enter", "voice", "arping", "-b", "-c", "2", "-I", f"eth0.{VLAN}", "10.30.0.11").stdout
    assert {mac.lower() for mac in re.findall(r"reply from 10\.30\.0\.11 \[(\S+)\]", asked)} == {DESKS[0].voice}
    # The VLAN link itself sends nothing.
    assert "inet" not in DESKS[0].sh(f"ip address show dev eth0.{VLAN}").stdout
    assert well(play(tmp_path, desks=DESKS)).changes == {"desk1": 0}
    well(play(tmp_path, desks=DESKS, voip_macvlan_state="absent"))
    assert_as_before(before, DESKS)

# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The frames of a probe, byte by byte: a wrong one can be answered all the same, and harm others."""

from __future__ import annotations

import pytest

from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.kernel._neighbor_frames import announcement
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.kernel._probe import claim_of, request

MAC = bytes.fromhex("00163e111101")
TARGET = "20010db8" + "00" * 8 + "12345678"
GROUP = "ff02" + "00" * 9 + "01ff" + "345678"


def test_arp_probe() -> None:
    """It has no sender's address (RFC 5227), so no neighbor caches one."""
    sent = request(MAC, "192.0.2.25").hex()
    assert sent == "ff" * 6 + MAC.hex() + "0806" + "0001080006040001" + MAC.hex() + "00" * 4 + "00" * 6 + "c0000219"


@pytest.mark.parametrize(
    ("source", "sender", "length", "option"),
    [("::", "00" * 16, "0018", ""), ("fe80::1", "fe80" + "00" * 13 + "01", "0020", "0101" + MAC.hex())],
)
def test_neighbor_solicitation(source: str, sender: str, length: str, option: str) -> None:
    """It goes to the group of the address, and has the own MAC address only beside an own IP address (RFC 4861, 4.3)."""
    sent = request(MAC, "2001:db8::1234:5678", source).hex()
    assert sent[:108] == f"3333ff345678{MAC.hex()}86dd60000000{length}3aff{sender}{GROUP}"
    assert sent[108:112] == "8700"
    assert sent[116:] == f"00000000{TARGET}{option}"
    words = bytes.fromhex(f"{sender}{GROUP}0000{length}0000003a{sent[108:]}")
    total = sum(int.from_bytes(words[place : place + 2], "big") for place in range(0, len(words), 2))
    assert (total & 0xFFFF) + (total >> 16) == 0xFFFF, "the checksum is wrong"


def test_claims() -> None:
    """An announcement claims an address; a probe and other frames do not."""
    assert claim_of(announcement(MAC, "192.0.2.25")) == ("192.0.2.25", MAC.hex(":"))
    assert claim_of(announcement(MAC, "2001:db8::25")) == ("2001:db8::25", MAC.hex(":"))
    assert claim_of(request(MAC, "192.0.2.25")) is None
    assert claim_of(request(MAC, "2001:db8::25", "fe80::1")) is None
    assert claim_of(bytes(12) + bytes.fromhex("0800") + bytes(60)) is None


def test_advertisement_that_does_not_name_its_mac() -> None:
    """It may omit that if the solicitation was unicast: then the sender of the frame answers."""
    assert claim_of(announcement(MAC, "2001:db8::25")[:78]) == ("2001:db8::25", MAC.hex(":"))

# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each row of the table is tried on a real kernel: by a ladder of its kind, or by a test that is named here."""

from __future__ import annotations

import importlib
from collections.abc import Collection

import pytest

from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._rows import Kind
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._table import KINDS, LINK
from ansible_collections.patchbay.netdev.tests.integration import (
    ladder,
    test_bridge,
    test_bridge_port,
    test_link,
    test_macvlan,
    test_macvtap,
    test_veth,
)
from ansible_collections.patchbay.netdev.tests.other_kernel import test_ipvlan, test_other_kernel

QUEUES = ("num_tx_queues", "num_rx_queues")  # in a test of their own, because they are fixed at creation
# kind: the options that climb a ladder, with the file that has it
LADDERS: dict[str, tuple[Collection[str], str]] = {
    "macvlan": ({*test_macvlan.LADDERS, *QUEUES}, "integration/test_macvlan.py"),
    "macvtap": ({*test_macvtap.LADDERS, *QUEUES}, "integration/test_macvtap.py"),
    "bridge": ({*test_bridge.LADDERS, *QUEUES}, "integration/test_bridge.py"),
    "veth": ({*test_veth.OPTIONS, *QUEUES}, "integration/test_veth.py"),
    "link": ({*test_link.OPTIONS}, "integration/test_link.py"),
    **{
        kind: (
            {
                *(option for option in ladder.common_ladders("new0") if (kind, option) not in test_other_kernel.LACKS),
                *(option for name, option in test_other_kernel.FIXED if name == kind),
                *(test_ipvlan.LADDERS if kind == "ipvlan" else ()),
            },
            f"other_kernel/{'test_ipvlan' if kind == 'ipvlan' else 'test_other_kernel'}.py",
        )
        for kind in test_other_kernel.KINDS
    },
}
# option, or kind and option: the test that tries it in another way
ELSEWHERE = {
    "addresses": "integration.test_addresses.test_option",
    "lower_device": "integration.test_recreate.test_keeps_dependent_objects",
    "num_rx_queues": "integration.test_macvlan.test_queues",  # the other kernel does not report them
    "macvtap.lower_device": "integration.test_macvtap.test_recreation_keeps_the_node",
    "macvtap.controller": "integration.test_macvtap.test_refusal",
    "bridge.vlan_filtering": "other_kernel.test_other_kernel.test_bridge_with_vlans",
    "bridge.vlan_default_pvid": "other_kernel.test_other_kernel.test_bridge_with_vlans",
    "veth.peer": "integration.test_veth.test_peer_in_another_namespace",
    "ipvlan.lower_device": "other_kernel.test_ipvlan.test_moved_to_another_lower_device",
    "ipvlan.address": "other_kernel.test_ipvlan.test_shares_mac_address_and_mtu",
    "vrf.controller": "other_kernel.test_other_kernel.test_refused",
    "vrf.address_generation_mode": "other_kernel.test_other_kernel.test_options_of_every_link",  # which says why not
    "controller": "other_kernel.test_other_kernel.test_link_in_a_vrf",
}


def missing(kind: Kind) -> list[str]:
    """The options of a kind that no test tries, each with what to do."""
    options, file = LADDERS.get(kind.name, ((), "integration"))
    untried = [row.name for row in kind.options if row.name not in options]
    names = [name for name in untried if not {name, f"{kind.name}.{name}"} & ELSEWHERE.keys()]
    return [f"{kind.name}.{name} has no ladder: add its values to LADDERS in tests/{file}" for name in names]


@pytest.mark.parametrize("kind", [*KINDS.values(), LINK], ids=lambda kind: kind.name)
def test_every_option_climbs_a_ladder(kind: Kind) -> None:
    """A kind without a file of its own is named with all its options."""
    assert missing(kind) == []


def test_every_setting_of_a_port_climbs_a_ladder() -> None:
    """In bridge_port, whose module has these rows as options."""
    untried = [row.name for row in LINK.port if row.name not in test_bridge_port.LADDERS]
    assert untried == [], "add their values to LADDERS in tests/integration/test_bridge_port.py"


def test_no_ladder_is_left_over() -> None:
    """Of an option or a kind that was removed."""
    assert LADDERS.keys() == {*KINDS, LINK.name}
    known = {row.name for kind in [*KINDS.values(), LINK] for row in kind.attributes}
    assert {name.rpartition(".")[2] for name in ELSEWHERE} <= known
    assert set(test_bridge_port.LADDERS) <= known
    for kind, (options, _file) in LADDERS.items():
        rows = {row.name for row in (KINDS.get(kind) or LINK).options}
        assert set(options) <= rows | set(QUEUES), kind


@pytest.mark.parametrize("test", ELSEWHERE.values(), ids=ELSEWHERE)
def test_named_test_exists(test: str) -> None:
    """Or it would be an excuse."""
    module, _dot, name = test.rpartition(".")
    assert callable(getattr(importlib.import_module(f"ansible_collections.patchbay.netdev.tests.{module}"), name))


def test_row_without_a_ladder_is_named() -> None:
    """The message has the file to change."""
    kind = KINDS["bridge"]
    rows = (*kind.options, *(row for row in LINK.port if row.name == "cost"))
    assert missing(Kind("bridge", rows))[-1:] == [
        "bridge.cost has no ladder: add its values to LADDERS in tests/integration/test_bridge.py"
    ]

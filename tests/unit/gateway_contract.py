# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every gateway does, the real one and the one of the unit tests: or the latter may lie, and all tests on it with it.

A subclass supplies the fixture `world`. Nothing here may ask for more than a real kernel can do.
"""

from __future__ import annotations

import errno
from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._rows import Store
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._table import kind_of
from ansible_collections.patchbay.netdev.plugins.module_utils._model._desired import DesiredLink
from ansible_collections.patchbay.netdev.plugins.module_utils._model._errors import InvalidValue, Refused, RequestFailed
from ansible_collections.patchbay.netdev.plugins.module_utils._model._links import Address, LinkKey, Neighbor
from ansible_collections.patchbay.netdev.plugins.module_utils._model._state import Scope
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._links import (
    CreateLink,
    DeleteLink,
    UpdateLink,
    side_effects_of,
)
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._prediction import predicted_changes
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._requests import (
    AddAddress,
    AddAltname,
    AddNeighbor,
    AddRoute,
    AddRule,
    AnnounceAddresses,
    AwaitAddresses,
    NewLink,
    RemoveAddress,
    RemoveAltname,
    RemoveLink,
    RemoveLinks,
    RemoveRoute,
    RemoveRule,
    RenameLink,
    ReplaceAddress,
    ReplaceRoute,
    SetLink,
    WriteSysctl,
)
from ansible_collections.patchbay.netdev.plugins.module_utils._values._addresses import (
    NODAD,
    NOPREFIXROUTE,
    PERMANENT,
    SECONDARY,
    is_duplicate,
)
from ansible_collections.patchbay.netdev.tests.unit.contract_fixture import (
    DIRECT,
    FOUR,
    MODES,
    MULTICAST,
    ONE,
    SETTINGS,
    SIX,
    THREE,
    TWO,
    VIA,
    World,
    refused,
    static,
)
from ansible_collections.patchbay.netdev.tests.unit.operation_contracts import (
    CONTRACTS,
    Contract,
    different,
    perform,
    routed_differently,
    whole,
)

# Another value than a new one has. VLAN filtering is left out: not every kernel has it.
BRIDGE_VALUES: dict[str, Any] = {
    "stp_state": True,
    "forward_delay": 400,
    "hello_time": 100,
    "max_age": 600,
    "ageing_time": 0,
    "priority": 1,
    "multicast_snooping": False,
    "multicast_querier": True,
    "group_fwd_mask": 0xFFF8,
    "address": ONE,
    "mtu": 1400,
    "tx_queue_len": 5,
    "group": 7,
    "admin_state": "up",
}
PORT_VALUES: dict[str, Any] = {
    **{row.name: not row.initial for row in kind_of("").port if isinstance(row.initial, bool) and row.name != "mab"},
    "multicast_router": 2,
    "multicast_max_groups": 9,
    "priority": 5,
    "cost": 77,
    "group_fwd_mask": 0xFFFD,
}


def initial(kind: str) -> list[tuple[str, Any]]:
    """What a new link has by the table, but for its addresses: these are read only where they matter."""
    rows = [row for row in kind_of(kind).options if row.store is not Store.ADDRESS]
    return [(row.name, row.initial) for row in rows if row.initial is not None]


class GatewayContract:
    """The tests; `world` comes from the subclass."""

    # --- creation ---

    def test_new_link_is_whole(self, world: World) -> None:
        """What is not written has the table's initial value, or comes from the lower device."""
        world.create("mv0")
        link = world.link("mv0")
        assert link.kind == "macvlan"
        assert link.index
        assert link.ethernet
        for name, value in initial("macvlan"):
            assert link.get(name) == value, name
        assert link.get("lower_device") == world.key("eth0")
        assert link.get("mtu") == 1500
        assert link.get("address") not in (None, world.get("eth0", "address"))

    @pytest.mark.parametrize("mode", MODES)
    def test_each_mode_at_creation(self, world: World, mode: str) -> None:
        """Every mode can be created."""
        world.create("mv0", mode=mode)
        assert world.get("mv0", "mode") == mode

    @pytest.mark.parametrize(
        ("attribute", "value"),
        [
            ("address", ONE),
            ("mtu", 1400),
            ("tx_queue_len", 77),
            ("num_tx_queues", 2),
            ("num_rx_queues", 3),
            ("group", 7),
            ("promiscuous", True),
            ("allmulticast", True),
            ("admin_state", "up"),
            ("nopromisc", True),
            ("nodst", True),
            ("bc_queue_len", 50),
            ("bc_cutoff", 5),
            ("bc_cutoff", -1),
        ],
    )
    def test_attribute_honoured_at_creation(self, world: World, attribute: str, value: Any) -> None:
        """One request makes the link with it."""
        world.create("mv0", **{attribute: value})
        assert world.get("mv0", attribute) == value

    def test_source_addresses_at_creation(self, world: World) -> None:
        """Mode and list in one request."""
        world.create("mv0", mode="source", source_addresses=(ONE, TWO))
        assert world.get("mv0", "source_addresses") == (ONE, TWO)

    @pytest.mark.parametrize(
        ("attribute", "value", "still"), [("alias", "hello", ""), ("altnames", ("other-name",), ()), ("sysctls", {}, None)]
    )
    def test_attribute_ignored_at_creation(self, world: World, attribute: str, value: Any, still: Any) -> None:
        """The kernel takes the request and leaves this out."""
        world.create("mv0", **{attribute: value})
        if still is not None:
            assert world.get("mv0", attribute) == still

    def test_controller_at_creation(self, world: World) -> None:
        """Unlike others of its kind, this one is honoured."""
        world.create("mv0", controller="br0")
        assert world.get("mv0", "controller") == "br0"

    def test_address_generation_mode_at_creation(self, world: World) -> None:
        """There is no IPv6 on a link that is being made."""
        with refused(errno.EAFNOSUPPORT):
            world.create("mv0", address_generation_mode="none")
        assert world.find("mv0") is None

    def test_name_is_taken(self, world: World) -> None:
        """Creation never changes a link that is there."""
        world.create("mv0", mode="bridge")
        with refused(errno.EEXIST):
            world.create("mv0", mode="private")
        with refused(errno.EEXIST):
            world.create("eth1")
        assert world.get("mv0", "mode") == "bridge"

    def test_name_is_taken_by_an_altname(self, world: World) -> None:
        """Names and alternative names share one space."""
        world.execute(AddAltname(world.key("eth1"), "mv0"))
        with refused(errno.EEXIST):
            world.create("mv0")

    def test_lower_device_missing(self, world: World) -> None:
        """Not there."""
        with refused(errno.ENODEV):
            world.create("mv0", "eth9")

    def test_lower_device_by_its_altname(self, world: World) -> None:
        """The kernel would take it; the gateway wants the name."""
        world.execute(AddAltname(world.key("eth1"), "uplink"))
        with refused(errno.ENODEV):
            world.create("mv0", "uplink")

    def test_loopback_as_lower_device(self, world: World) -> None:
        """No Ethernet there."""
        with refused(errno.EINVAL):
            world.create("mv0", "lo")

    def test_bridge_port_as_lower_device(self, world: World) -> None:
        """Its frames belong to the bridge."""
        with refused(errno.EBUSY):
            world.create("mv0", "port0")

    def test_bridge_as_lower_device(self, world: World) -> None:
        """The bridge itself is fine."""
        world.create("mv0", "br0")
        assert world.get("mv0", "lower_device") == world.key("br0")

    def test_macvlan_on_macvlan_is_flattened(self, world: World) -> None:
        """Both sit on the same device then, and the middle one can go."""
        world.create("mv0")
        world.create("mv1", "mv0")
        assert world.get("mv1", "lower_device") == world.key("eth0")
        world.execute(RemoveLink(world.key("mv0")))
        assert world.find("mv1") is not None

    def test_passthru_is_exclusive(self, world: World) -> None:
        """Neither beside others, nor others beside it, nor on top of it."""
        world.create("mv0")
        with refused(errno.EINVAL):
            world.create("mv1", mode="passthru")
        world.create("mv2", "eth1", mode="passthru")
        for lower in ("eth1", "mv2"):
            for mode in ("bridge", "passthru"):
                with refused(errno.EINVAL):
                    world.create("mv3", lower, mode=mode)

    def test_mtu_at_creation_is_bounded(self, world: World) -> None:
        """By the lower device, and by what a packet needs; nothing is left behind."""
        for mtu in (1501, 67):
            with refused(errno.EINVAL):
                world.create("mv0", mtu=mtu)
        assert world.find("mv0") is None

    def test_new_link_takes_over_the_mtu(self, world: World) -> None:
        """As it is then."""
        world.change("eth0", mtu=1300)
        world.create("mv0")
        assert world.get("mv0", "mtu") == 1300

    def test_address_in_use_at_creation(self, world: World) -> None:
        """It is looked at only when the link comes up, and then nothing is left of it."""
        lower = world.get("eth0", "address")
        world.create("mv0", address=ONE, admin_state="up")
        for address in (ONE, lower):
            with refused(errno.EADDRINUSE):
                world.create("mv1", address=address, admin_state="up")
            assert world.find("mv1") is None
        world.create("mv1", address=ONE)
        world.create("mv2", address=lower)
        world.create("mv3", "eth1", address=ONE, admin_state="up")  # another lower device

    def test_multicast_address_at_creation(self, world: World) -> None:
        """No link has one."""
        with refused(errno.EADDRNOTAVAIL):
            world.create("mv0", address=MULTICAST)

    def test_passthru_ignores_the_address_at_creation(self, world: World) -> None:
        """It has that of its lower device."""
        lower = world.get("eth0", "address")
        world.create("mv0", mode="passthru", address=ONE)
        assert world.get("mv0", "address") == lower
        assert world.get("eth0", "address") == lower

    def test_creation_in_another_namespace(self, world: World) -> None:
        """Straight there: the name may be taken here."""
        key = world.key("eth1", world.other)
        world.execute(NewLink(key, "macvlan", {"lower_device": world.key("eth0"), "mode": "private", "admin_state": "up"}))
        found = world.link("eth1", world.other)
        assert (found.get("lower_device"), found.get("mode")) == (world.key("eth0"), "private")
        assert world.link("eth1").kind != "macvlan"
        assert "other/eth1" in world.names()

    def test_name_taken_in_another_namespace(self, world: World) -> None:
        """There is looked."""
        key = world.key("mv0", world.other)
        world.execute(NewLink(key, "macvlan", {"lower_device": world.key("eth0")}))
        with refused(errno.EEXIST):
            world.execute(NewLink(key, "macvlan", {"lower_device": world.key("eth0")}))

    def test_index(self, world: World) -> None:
        """Undoing a deletion gives a link its old number back; one that is in use is refused."""
        request = world.new("mv0")
        world.execute(NewLink(request.key, request.kind, request.attributes, index=4242))
        assert world.link("mv0").index == 4242
        request = world.new("mv1")
        with refused(errno.EEXIST):
            world.execute(NewLink(request.key, request.kind, request.attributes, index=4242))

    def test_unknown_kind(self, world: World) -> None:
        """A module that is not there looks the same."""
        with refused(errno.EOPNOTSUPP):
            world.execute(NewLink(world.key("x0"), "nonsense", {}))

    def test_source_addresses_outside_of_source_mode(self, world: World) -> None:
        """At creation and later."""
        with refused(errno.EINVAL):
            world.create("mv0", mode="vepa", source_addresses=(ONE,))
        world.create("mv0", mode="vepa")
        with refused(errno.EINVAL):
            world.change("mv0", source_addresses=(ONE,))

    def test_new_link_gets_the_default_settings(self, world: World) -> None:
        """Those of `default` in its namespace."""
        world.create("mv0")
        key = world.key("mv0")
        state = world.gateway.observe(Scope(frozenset({key}), sysctls={key: SETTINGS}))
        link = state.get(key)
        for setting in SETTINGS:
            assert link.get("sysctls")[setting] == state.sysctls[key.netns, "default", setting]
            assert state.sysctls[key.netns, "all", setting] is not None

    # --- changes ---

    @pytest.mark.parametrize("after", MODES)
    @pytest.mark.parametrize("before", MODES)
    @pytest.mark.parametrize("admin_state", ["up", "down"])
    def test_mode_transition(self, world: World, before: str, after: str, admin_state: str) -> None:
        """All but those to and from passthru, whether the link is up or down; flags are kept."""
        world.create("mv0", mode=before, admin_state=admin_state, nodst=True)
        if (before == "passthru") != (after == "passthru"):
            with refused(errno.EINVAL):
                world.change("mv0", mode=after)
            after = before
        else:
            world.change("mv0", mode=after)
        assert world.get("mv0", "mode") == after
        assert world.get("mv0", "nodst") is True
        assert world.get("mv0", "admin_state") == admin_state

    @pytest.mark.parametrize(
        ("attribute", "value"),
        [
            ("address", ONE),
            ("mtu", 1400),
            ("tx_queue_len", 0),
            ("group", 7),
            ("alias", "for the voice traffic, ünïcode"),
            ("controller", "br0"),
            ("address_generation_mode", "none"),
            ("promiscuous", True),
            ("allmulticast", True),
            ("admin_state", "up"),
            ("nopromisc", True),
            ("nodst", True),
            ("bc_queue_len", 0),
            ("bc_cutoff", 0),
        ],
    )
    def test_attribute_changes_and_changes_back(self, world: World, attribute: str, value: Any) -> None:
        """On a living link, and to its old value again."""
        world.create("mv0")
        old = world.get("mv0", attribute)
        assert old != value
        world.change("mv0", **{attribute: value})
        assert world.get("mv0", attribute) == value
        world.change("mv0", **{attribute: old})
        assert world.get("mv0", attribute) == old

    def test_attributes_of_any_kind_of_link(self, world: World) -> None:
        """A lower device takes what every link has."""
        world.change("eth0", address=ONE, mtu=1400, tx_queue_len=5, alias="uplink", admin_state="down", promiscuous=True)
        link = world.link("eth0")
        assert [link.get(name) for name in ("address", "mtu", "tx_queue_len", "alias", "admin_state", "promiscuous")] == [
            ONE,
            1400,
            5,
            "uplink",
            "down",
            True,
        ]

    @pytest.mark.parametrize(("attribute", "value"), [("lower_device", "eth1"), ("num_tx_queues", 4), ("num_rx_queues", 4)])
    def test_attribute_ignored_afterwards(self, world: World, attribute: str, value: Any) -> None:
        """The kernel acknowledges and does nothing: only a new link has another one."""
        world.create("mv0")
        old = world.get("mv0", attribute)
        world.change("mv0", **{attribute: world.key(value) if attribute == "lower_device" else value})
        assert world.get("mv0", attribute) == old

    def test_flag_word_is_written_whole(self, world: World) -> None:
        """The flag that a request leaves out is cleared by it; a request without flags keeps both."""
        world.create("mv0", nopromisc=True, nodst=True)
        world.change("mv0", mode="bridge")
        assert (world.get("mv0", "nopromisc"), world.get("mv0", "nodst")) == (True, True)
        world.change("mv0", nodst=True)
        assert (world.get("mv0", "nopromisc"), world.get("mv0", "nodst")) == (False, True)

    def test_link_missing(self, world: World) -> None:
        """Nothing can be set on it."""
        with refused(errno.ENODEV):
            world.change("mv0", mtu=1400)

    def test_mtu_is_bounded_by_the_lower_device(self, world: World) -> None:
        """Later too."""
        world.create("mv0")
        for mtu in (1501, 67):
            with refused(errno.EINVAL):
                world.change("mv0", mtu=mtu)
        assert world.get("mv0", "mtu") == 1500

    def test_lowering_the_lower_device_lowers_what_sits_on_it(self, world: World) -> None:
        """But only what is larger, and raising it raises nothing."""
        world.create("mv0")
        world.create("mv1", mtu=1280)
        world.create("mv2", "eth1")
        world.change("eth0", mtu=1400)
        assert [world.get(name, "mtu") for name in ("mv0", "mv1", "mv2")] == [1400, 1280, 1500]
        world.change("eth0", mtu=1500)
        assert [world.get(name, "mtu") for name in ("mv0", "mv1", "mv2")] == [1400, 1280, 1500]
        world.change("mv0", mtu=1500)
        assert world.get("mv0", "mtu") == 1500

    def test_no_ipv6_below_its_least_mtu(self, world: World) -> None:
        """It goes with all its settings, and comes back with the defaults."""
        world.create("mv0")
        world.change("mv0", address_generation_mode="none")
        world.execute(WriteSysctl(world.key("mv0"), "ipv6.accept_ra", 0))
        default = world.gateway.observe(Scope(sysctls={world.key("mv0"): SETTINGS})).sysctls
        world.change("mv0", mtu=1279)
        assert world.get("mv0", "address_generation_mode") is None
        assert world.get("mv0", "sysctls")["ipv6.accept_ra"] is None
        with refused(errno.EAFNOSUPPORT):
            world.change("mv0", address_generation_mode="none")
        with refused(errno.ENOENT):
            world.execute(WriteSysctl(world.key("mv0"), "ipv6.accept_ra", 0))
        world.change("mv0", mtu=1280)
        assert world.get("mv0", "address_generation_mode") == "eui64"
        assert world.get("mv0", "sysctls")["ipv6.accept_ra"] == default[world.netns, "default", "ipv6.accept_ra"]

    def test_stable_secret_needs_a_secret(self, world: World) -> None:
        """Which is a setting of its own."""
        world.create("mv0")
        with refused(errno.EINVAL):
            world.change("mv0", address_generation_mode="stable_secret")

    def test_coming_up_with_an_address_in_use(self, world: World) -> None:
        """That of a sibling that is up, or of the lower device; all is well when the other one is down."""
        world.create("mv0", address=ONE)
        world.create("mv1", address=ONE)
        world.create("mv2", address=world.get("eth0", "address"))
        world.change("mv0", admin_state="up")
        for name in ("mv1", "mv2"):
            with refused(errno.EADDRINUSE):
                world.change(name, admin_state="up")
            assert world.get(name, "admin_state") == "down"
        world.change("mv0", admin_state="down")
        world.change("mv1", admin_state="up")

    @pytest.mark.parametrize("admin_state", ["up", "down"])
    def test_changing_to_an_address_in_use(self, world: World, admin_state: str) -> None:
        """Refused, whether the link itself is up or down."""
        world.create("mv0", address=ONE, admin_state="up")
        world.create("mv1", address=TWO, admin_state=admin_state)
        world.create("mv2", address=THREE)
        for address in (ONE, world.get("eth0", "address")):
            with refused(errno.EADDRINUSE):
                world.change("mv1", address=address)
        assert world.get("mv1", "address") == TWO
        world.change("mv1", address=THREE)  # that of a sibling that is down

    def test_multicast_address(self, world: World) -> None:
        """Neither on a living link."""
        world.create("mv0")
        with refused(errno.EADDRNOTAVAIL):
            world.change("mv0", address=MULTICAST)

    def test_lower_device_may_take_an_address_in_use(self, world: World) -> None:
        """The conflict sleeps until the macvlan is brought up again."""
        world.create("mv0", address=ONE, admin_state="up")
        world.change("eth0", address=ONE)
        world.change("mv0", admin_state="down")
        with refused(errno.EADDRINUSE):
            world.change("mv0", admin_state="up")

    def test_macvlan_keeps_its_address_when_the_lower_device_changes(self, world: World) -> None:
        """It has one of its own."""
        world.create("mv0", address=ONE)
        world.change("eth0", address=TWO)
        assert world.get("mv0", "address") == ONE

    @pytest.mark.parametrize("admin_state", ["up", "down"])
    def test_passthru_shares_the_address_with_its_lower_device(self, world: World, admin_state: str) -> None:
        """Set on either, both have it; the lower device gets its own back when the passthru link goes."""
        original = world.get("eth0", "address")
        world.create("mv0", mode="passthru", admin_state=admin_state)
        world.change("mv0", address=ONE)
        assert (world.get("eth0", "address"), world.get("mv0", "address")) == (ONE, ONE)
        world.execute(RemoveLink(world.key("mv0")))
        assert world.get("eth0", "address") == original

    def test_lower_device_of_a_passthru_link_changes_its_address(self, world: World) -> None:
        """Then that is its own."""
        world.create("mv0", mode="passthru")
        world.change("eth0", address=ONE)
        assert world.get("mv0", "address") == ONE
        world.execute(RemoveLink(world.key("mv0")))
        assert world.get("eth0", "address") == ONE

    def test_source_addresses_are_replaced(self, world: World) -> None:
        """The list is written whole; an empty one is one too."""
        world.create("mv0", mode="source", source_addresses=(ONE, TWO))
        world.change("mv0", source_addresses=(THREE,))
        assert world.get("mv0", "source_addresses") == (THREE,)
        world.change("mv0", source_addresses=())
        assert world.get("mv0", "source_addresses") == ()

    def test_multicast_source_address(self, world: World) -> None:
        """Refused before anything is touched."""
        world.create("mv0", mode="source", source_addresses=(ONE,))
        with refused(errno.EADDRNOTAVAIL):
            world.change("mv0", source_addresses=(MULTICAST,))
        assert world.get("mv0", "source_addresses") == (ONE,)

    def test_leaving_source_mode_flushes_the_list(self, world: World) -> None:
        """It does not come back with the mode."""
        world.create("mv0", mode="source", source_addresses=(ONE,))
        world.change("mv0", mode="vepa")
        world.change("mv0", mode="source")
        assert world.get("mv0", "source_addresses") == ()

    def test_leaving_source_mode_with_a_list(self, world: World) -> None:
        """Refused, but done."""
        world.create("mv0", mode="source", source_addresses=(ONE,))
        with refused(errno.EINVAL):
            world.change("mv0", mode="vepa", source_addresses=(TWO,))
        assert (world.get("mv0", "mode"), world.get("mv0", "source_addresses")) == ("vepa", ())

    def test_entering_source_mode_with_a_list(self, world: World) -> None:
        """One request."""
        world.create("mv0")
        world.change("mv0", mode="source", source_addresses=(ONE,))
        assert (world.get("mv0", "mode"), world.get("mv0", "source_addresses")) == ("source", (ONE,))

    def test_bc_cutoff_belongs_to_the_lower_device(self, world: World) -> None:
        """Set on one link, all siblings have it, and those that come later; the last one takes it along."""
        world.create("mv0")
        world.create("mv1", bc_cutoff=4)
        assert world.get("mv0", "bc_cutoff") == 4
        world.change("mv0", bc_cutoff=9)
        world.execute(RemoveLink(world.key("mv0")))
        world.create("mv2")
        assert [world.get(name, "bc_cutoff") for name in ("mv1", "mv2")] == [9, 9]
        world.create("mv3", "eth1")
        assert world.get("mv3", "bc_cutoff") == 1
        world.execute(RemoveLink(world.key("mv1")), RemoveLink(world.key("mv2")))
        world.create("mv0")
        assert world.get("mv0", "bc_cutoff") == 1

    def test_set_is_not_atomic(self, world: World) -> None:
        """What comes before the failure stays, what comes after it is not done."""
        world.create("mv0", mode="bridge")
        with refused(errno.EINVAL):
            world.change("mv0", mode="vepa", address=ONE, mtu=1501, group=7, alias="no", admin_state="up", tx_queue_len=5)
        link = world.link("mv0")
        assert (link.get("mode"), link.get("address")) == ("vepa", ONE)
        assert (link.get("group"), link.get("alias"), link.get("admin_state"), link.get("tx_queue_len")) == (0, "", "down", 1000)

    def test_flags_come_before_the_controller(self, world: World) -> None:
        """And the length of the queue after it."""
        world.create("mv0", "br0")
        with pytest.raises(RequestFailed):  # a loop
            world.change("mv0", alias="yes", admin_state="up", controller="br0", tx_queue_len=5)
        link = world.link("mv0")
        assert (link.get("alias"), link.get("admin_state"), link.get("tx_queue_len")) == ("yes", "up", 1000)

    def test_invalid_address_generation_mode_leaves_nothing_behind(self, world: World) -> None:
        """It is looked at before anything is done."""
        world.create("mv0")
        with refused(errno.EINVAL):
            world.change("mv0", address=ONE, address_generation_mode="stable_secret")
        assert world.get("mv0", "address") != ONE

    def test_controller(self, world: World) -> None:
        """It has to be a bridge, and there; an empty name detaches."""
        world.create("mv0")
        with refused(errno.ENODEV):
            world.change("mv0", controller="br9")
        with refused(errno.EOPNOTSUPP):
            world.change("mv0", controller="eth1")
        world.change("mv0", controller="br0")
        with refused(errno.EOPNOTSUPP):
            world.change("mv0", controller="eth1")
        assert world.get("mv0", "controller") == ""  # it has left the old one first

    def test_controller_of_a_link_with_macvlans(self, world: World) -> None:
        """Its frames belong to them, until the last one is gone."""
        world.create("mv0")
        with refused(errno.EBUSY):
            world.change("eth0", controller="br0")
        world.execute(RemoveLink(world.key("mv0")))
        world.change("eth0", controller="br0")
        assert world.get("eth0", "controller") == "br0"

    def test_controller_that_the_link_sits_on(self, world: World) -> None:
        """A loop."""
        world.create("mv0", "br0")
        with pytest.raises(RequestFailed):
            world.change("mv0", controller="br0")
        assert world.get("mv0", "controller") == ""

    def test_up_on_a_lower_device_that_is_down(self, world: World) -> None:
        """It can be set up; its operational state says that nothing passes."""
        world.change("eth0", admin_state="down")
        world.create("mv0", admin_state="up")
        link = world.link("mv0")
        assert (link.get("admin_state"), link.oper_state, link.carrier) == ("up", "lowerlayerdown", False)
        world.change("eth0", admin_state="up")
        assert world.link("mv0").carrier

    # --- bridges ---

    def test_new_bridge_is_whole(self, world: World) -> None:
        """What is not written has the table's initial value."""
        world.bridge("br1")
        link = world.link("br1")
        assert (link.kind, link.ethernet, link.get("mtu")) == ("bridge", True, 1500)
        for name, value in initial("bridge"):
            assert link.get(name) == value, name

    @pytest.mark.parametrize(("attribute", "value"), BRIDGE_VALUES.items())
    def test_bridge_attribute(self, world: World, attribute: str, value: Any) -> None:
        """At creation, later, and back again."""
        world.bridge("br1", **{attribute: value})
        assert world.get("br1", attribute) == value
        world.bridge("br2")
        old = world.get("br2", attribute)
        assert old != value
        world.change("br2", **{attribute: value})
        assert world.get("br2", attribute) == value
        world.change("br2", **{attribute: old})
        assert world.get("br2", attribute) == old

    @pytest.mark.parametrize(
        ("attributes", "code"),
        [
            ({"hello_time": 99}, errno.ERANGE),
            ({"hello_time": 1001}, errno.ERANGE),
            ({"max_age": 599}, errno.ERANGE),
            ({"max_age": 4001}, errno.ERANGE),
            ({"group_fwd_mask": 1}, errno.EINVAL),
        ],
    )
    def test_bridge_attribute_out_of_bounds(self, world: World, attributes: dict[str, Any], code: int) -> None:
        """At creation nothing is left behind, later nothing is changed."""
        with refused(code):
            world.bridge("br1", **attributes)
        assert world.find("br1") is None
        with refused(code):
            world.change("br0", **attributes)

    def test_forward_delay_has_bounds_while_stp_runs(self, world: World) -> None:
        """Without it, anything goes."""
        world.bridge("br1", stp_state=True)
        for delay in (199, 3001):
            with refused(errno.ERANGE):
                world.change("br1", forward_delay=delay)
        world.change("br1", stp_state=False)
        world.change("br1", forward_delay=0)
        assert world.get("br1", "forward_delay") == 0

    def test_bridge_follows_the_mtu_of_its_ports(self, world: World) -> None:
        """What it was created with does not count, what was set later does."""
        world.bridge("br1", mtu=1400)
        assert world.get("br1", "mtu") == 1400
        world.change("eth0", controller="br1")
        assert world.get("br1", "mtu") == 1500
        world.change("eth0", mtu=1300)
        assert world.get("br1", "mtu") == 1300
        world.change("eth0", controller="")
        assert world.get("br1", "mtu") == 1500
        world.change("br1", mtu=1400)
        world.change("eth0", controller="br1")
        assert world.get("br1", "mtu") == 1400

    def test_bridge_has_the_address_of_a_port(self, world: World) -> None:
        """Unless it has been given one."""
        world.bridge("br1")
        world.bridge("br2", address=ONE)
        for bridge, address in (("br1", world.get("eth0", "address")), ("br2", ONE)):
            world.change("eth0", controller=bridge)
            assert world.get(bridge, "address") == address

    def test_bridge_in_a_bridge(self, world: World) -> None:
        """A loop; and a loopback device is no port either."""
        world.bridge("br1")
        with refused(errno.ELOOP):
            world.change("br1", controller="br0")
        with refused(errno.EINVAL):
            world.change("lo", controller="br0")

    # --- ports of a bridge ---

    def test_new_port(self, world: World) -> None:
        """It has the table's initial values; what is no port has none of them."""
        for row in kind_of("").port:
            assert world.get("eth0", row.name) is None
        world.change("eth0", controller="br0")
        for row in kind_of("").port:
            if row.initial is not None:
                assert world.get("eth0", row.name) == row.initial, row.name
        assert world.get("eth0", "cost") == 2
        assert world.get("eth0", "stp_state") == "forwarding"

    @pytest.mark.parametrize(("attribute", "value"), PORT_VALUES.items())
    def test_port_attribute(self, world: World, attribute: str, value: Any) -> None:
        """Set, kept while the link goes down and up and in the bridge that it is in, gone with the membership."""
        world.change("eth0", controller="br0")
        old = world.get("eth0", attribute)
        assert old != value
        world.change("eth0", **{attribute: value})
        assert world.get("eth0", attribute) == value
        world.change("eth0", **{attribute: old})
        assert world.get("eth0", attribute) == old
        world.change("eth0", **{attribute: value})
        for admin_state in ("down", "up"):
            world.change("eth0", admin_state=admin_state)
        world.change("eth0", controller="br0")
        assert world.get("eth0", attribute) == value
        world.change("eth0", controller="")
        assert world.get("eth0", attribute) is None
        world.change("eth0", controller="br0")
        assert world.get("eth0", attribute) == old

    def test_port_attributes_in_one_request(self, world: World) -> None:
        """Those of the port; what is not named is kept."""
        world.change("port0", hairpin=True)
        world.change("port0", learning=False, isolated=True, priority=9)
        link = world.link("port0")
        assert [link.get(name) for name in ("hairpin", "learning", "isolated", "priority")] == [True, False, True, 9]

    def test_request_for_a_port_does_nothing_else(self, world: World) -> None:
        """The kernel acknowledges the rest and leaves it."""
        world.change("port0", hairpin=True, alias="no", mtu=1400)
        link = world.link("port0")
        assert [link.get(name) for name in ("hairpin", "alias", "mtu")] == [True, "", 1500]

    def test_port_attribute_of_what_is_no_port(self, world: World) -> None:
        """Of any link, and of one that is to become a port by the same request."""
        for attributes in ({"hairpin": True}, {"hairpin": True, "controller": "br0"}):
            with refused(errno.EOPNOTSUPP):
                world.change("eth0", **attributes)
        assert world.get("eth0", "controller") == ""

    def test_another_bridge_resets_a_port(self, world: World) -> None:
        """All that it had."""
        world.bridge("br1", admin_state="up")
        world.change("port0", hairpin=True, cost=77)
        world.change("port0", controller="br1")
        assert (world.get("port0", "hairpin"), world.get("port0", "cost")) == (False, 2)

    def test_wrong_controller_resets_a_port(self, world: World) -> None:
        """It has left its bridge before the new one is looked at."""
        world.change("port0", hairpin=True)
        with refused(errno.EOPNOTSUPP):
            world.change("port0", controller="eth1")
        assert (world.get("port0", "controller"), world.get("port0", "hairpin")) == ("", None)

    def test_deletion_of_a_bridge_resets_its_ports(self, world: World) -> None:
        """They are none any more."""
        world.execute(RemoveLink(world.key("br0")))
        assert (world.get("port0", "controller"), world.get("port0", "hairpin")) == ("", None)

    @pytest.mark.parametrize(
        ("attributes", "code"),
        [
            ({"priority": 64}, errno.ERANGE),
            ({"group_fwd_mask": 2}, errno.EINVAL),
            ({"mab": True}, errno.EINVAL),
            ({"mab": True, "locked": True, "learning": False}, errno.EINVAL),
            ({"backup_port": "port0"}, errno.EINVAL),
            ({"backup_port": "eth0"}, errno.ENOENT),
            ({"backup_port": "eth9"}, errno.ENODEV),
        ],
    )
    def test_port_attribute_that_is_refused(self, world: World, attributes: dict[str, Any], code: int) -> None:
        """With its reason."""
        with refused(code):
            world.change("port0", **attributes)

    def test_mab_needs_a_locked_port_that_learns(self, world: World) -> None:
        """Then it is taken, and keeps both."""
        world.change("port0", locked=True, mab=True)
        for attributes in ({"locked": False}, {"learning": False}):
            with refused(errno.EINVAL):
                world.change("port0", **attributes)
        world.change("port0", locked=False, mab=False)

    def test_backup_port(self, world: World) -> None:
        """Another port of the same bridge, by name; it is forgotten when that leaves."""
        world.change("eth0", controller="br0")
        world.change("port0", backup_port="eth0")
        assert world.get("port0", "backup_port") == "eth0"
        world.change("eth0", controller="")
        assert world.get("port0", "backup_port") == ""

    def test_stp_state_of_a_port(self, world: World) -> None:
        """As long as no STP runs and the port is up; blocking is forwarding at once."""
        world.change("port0", stp_state="disabled")
        assert world.get("port0", "stp_state") == "disabled"
        world.change("port0", stp_state="blocking")
        assert world.get("port0", "stp_state") == "forwarding"
        world.change("port0", admin_state="down")
        assert world.get("port0", "stp_state") == "disabled"
        for state in ("disabled", "forwarding"):
            with refused(errno.ENETDOWN):
                world.change("port0", stp_state=state)
        world.change("port0", admin_state="up")
        assert world.awaited("port0", "stp_state", "forwarding")
        world.change("br0", stp_state=True)
        with refused(errno.EBUSY):
            world.change("port0", stp_state="disabled")

    # --- pairs ---

    def test_new_pair(self, world: World) -> None:
        """Both ends at once, each with the other as its peer, and what each was given."""
        mine, theirs = {"address": ONE, "mtu": 1400, "admin_state": "up"}, {"address": TWO, "tx_queue_len": 5, "group": 7}
        world.pair("v0", "v1", theirs, **mine)
        one, two = world.link("v0"), world.link("v1")
        assert (one.kind, two.kind) == ("veth", "veth")
        assert (one.get("peer"), two.get("peer")) == (two.key, one.key)
        assert {name: one.get(name) for name in mine} == mine
        assert {name: two.get(name) for name in theirs} == theirs
        assert (two.get("mtu"), two.get("admin_state"), one.get("tx_queue_len"), one.get("group")) == (1500, "down", 1000, 0)
        for name, value in initial("veth"):
            if name not in {**mine, **theirs}:
                assert (one.get(name), two.get(name)) == (value, value), name

    @pytest.mark.parametrize(
        ("attribute", "value"), [("mtu", 1400), ("address", ONE), ("num_tx_queues", 3), ("num_rx_queues", 3)]
    )
    @pytest.mark.parametrize("second", [True, False])
    def test_attribute_of_an_end(self, world: World, attribute: str, value: Any, second: bool) -> None:
        """At creation; the other end has nothing of it."""
        world.pair("v0", "v1", {attribute: value} if second else {}, **({} if second else {attribute: value}))
        ends = ("v1", "v0") if second else ("v0", "v1")
        assert world.get(ends[0], attribute) == value
        assert world.get(ends[1], attribute) != value

    def test_pair_across_namespaces(self, world: World) -> None:
        """With one name on both sides, and either end there."""
        there = world.key("v0", world.other)
        world.execute(NewLink(world.key("v0"), "veth", {}, peer=(there, {"address": TWO})))
        assert world.get("v0", "peer") == there
        assert world.link("v0", world.other).get("peer") == world.key("v0")
        assert world.link("v0", world.other).get("address") == TWO
        world.execute(NewLink(world.key("v1", world.other), "veth", {}, peer=(world.key("v1"), {})))
        assert world.get("v1", "peer") == world.key("v1", world.other)
        state = world.gateway.observe(Scope(frozenset({world.key("v1")})))
        assert state.get(world.key("v1", world.other)).get("peer") == world.key("v1")

    def test_pair_in_another_namespace(self, world: World) -> None:
        """Both ends there."""
        one, two = (world.key(name, world.other) for name in ("v0", "v1"))
        world.execute(NewLink(one, "veth", {}, peer=(two, {})))
        assert world.link("v0", world.other).get("peer") == two
        assert world.find("v0") is None

    def test_name_of_an_end_is_taken(self, world: World) -> None:
        """Of either end; nothing is left behind."""
        for name, peer in (("eth0", "v1"), ("v0", "eth0"), ("v0", "v0")):
            with refused(errno.EEXIST):
                world.pair(name, peer)
        assert not {"v0", "v1"} & world.names()

    def test_end_that_is_refused(self, world: World) -> None:
        """A MAC that no link has, an MTU that is too small: neither end is there."""
        for attributes, code in (({"address": MULTICAST}, errno.EADDRNOTAVAIL), ({"mtu": 67}, errno.EINVAL)):
            with refused(code):
                world.pair("v0", "v1", attributes)
            with refused(code):
                world.pair("v0", "v1", **attributes)
        assert not {"v0", "v1"} & world.names()

    def test_index_of_an_end(self, world: World) -> None:
        """The first one can be given one."""
        world.execute(NewLink(world.key("v0"), "veth", {}, 4242, (world.key("v1"), {})))
        assert world.link("v0").index == 4242

    @pytest.mark.parametrize("name", ["v0", "v1"])
    def test_deletion_of_an_end(self, world: World, name: str) -> None:
        """Both are gone, with what sits on them."""
        world.pair("v0", "v1")
        world.create("mv0", "v0")
        world.create("mv1", "v1")
        world.execute(RemoveLink(world.key(name)))
        assert not {"v0", "v1", "mv0", "mv1"} & world.names()

    def test_deletion_across_namespaces(self, world: World) -> None:
        """The other end too."""
        world.execute(NewLink(world.key("v0"), "veth", {}, peer=(world.key("v0", world.other), {})))
        world.execute(RemoveLink(world.key("v0", world.other)))
        assert world.find("v0") is None

    def test_carrier_needs_both_ends(self, world: World) -> None:
        """Up on both sides."""
        world.pair("v0", "v1", admin_state="up")
        assert not world.link("v0").carrier  # the operational state follows a little later
        world.change("v1", admin_state="up")
        assert world.link("v0").carrier
        world.change("v0", admin_state="down")
        assert not world.link("v1").carrier

    def test_ends_are_changed_alone(self, world: World) -> None:
        """The other one keeps what it has."""
        world.pair("v0", "v1")
        before = dict(world.link("v1").attributes)
        world.change("v0", mtu=1400, address=ONE, group=7, alias="x", tx_queue_len=5)
        assert world.link("v1").attributes == before

    def test_controller_of_an_end(self, world: World) -> None:
        """At creation of the first end, and later of both."""
        world.pair("v0", "v1", controller="br0")
        assert (world.get("v0", "controller"), world.get("v1", "controller")) == ("br0", "")
        world.change("v1", controller="br0")
        assert world.get("v1", "controller") == "br0"

    # --- another name ---

    @pytest.mark.parametrize("admin_state", ["up", "down"])
    def test_rename(self, world: World, admin_state: str) -> None:
        """Up or down; all that it has stays, and its number."""
        world.create("mv0", mode="bridge", address=ONE, admin_state=admin_state)
        before = world.link("mv0")
        world.execute(RenameLink(before.key, "mv1"))
        after = world.link("mv1")
        assert (after.index, after.attributes) == (before.index, before.attributes)
        assert world.find("mv0") is None
        world.change("mv1", mode="private")
        world.create("mv0")

    def test_rename_is_followed(self, world: World) -> None:
        """By its peer, what sits on it, and its ports."""
        world.pair("v0", "v1")
        world.create("mv0", "v0")
        world.change("eth0", controller="br0")
        world.change("port0", backup_port="eth0")
        for old, new in (("v0", "v9"), ("br0", "br9"), ("eth0", "eth9")):
            world.execute(RenameLink(world.key(old), new))
        assert world.get("v1", "peer") == world.key("v9")
        assert world.get("mv0", "lower_device") == world.key("v9")
        assert (world.get("port0", "controller"), world.get("port0", "backup_port")) == ("br9", "eth9")

    def test_rename_of_an_end_elsewhere(self, world: World) -> None:
        """The other one finds it."""
        world.execute(NewLink(world.key("v0"), "veth", {}, peer=(world.key("v0", world.other), {})))
        world.execute(RenameLink(world.key("v0", world.other), "v5"))
        assert world.get("v0", "peer") == world.key("v5", world.other)

    def test_name_to_be_is_taken(self, world: World) -> None:
        """By a name or an alternative one; nothing is changed."""
        world.create("mv0")
        world.execute(AddAltname(world.key("eth1"), "uplink"))
        for name in ("eth1", "uplink"):
            with refused(errno.EEXIST):
                world.execute(RenameLink(world.key("mv0"), name))
        with refused(errno.ENODEV):
            world.execute(RenameLink(world.key("mv9"), "mv8"))
        assert world.find("mv0") is not None

    # --- alternative names ---

    def test_altnames(self, world: World) -> None:
        """One by one; they come back sorted."""
        world.create("mv0")
        world.execute(AddAltname(world.key("mv0"), "voice of room 7/b"), AddAltname(world.key("mv0"), "telephone"))
        assert world.get("mv0", "altnames") == ("telephone", "voice of room 7/b")
        world.execute(RemoveAltname(world.key("mv0"), "telephone"))
        assert world.get("mv0", "altnames") == ("voice of room 7/b",)

    def test_neighbors(self, world: World) -> None:
        """A link loses its permanent neighbors when it goes down, and when its MAC address changes."""
        world.create("mv0", admin_state="up")
        neighbor = Neighbor("192.0.2.9", 4, "02:00:00:00:00:99")
        proxy, router = Neighbor("192.0.2.8", 4, proxy=True), Neighbor("2001:db8::9", 6, "02:00:00:00:00:99", flags=0x80)
        for one in (neighbor, proxy, router):
            world.execute(AddNeighbor(world.key("mv0"), one))
        assert set(world.neighbors("mv0")) == {neighbor, proxy, router}
        moved = replace(neighbor, address="02:00:00:00:00:98")
        world.execute(AddNeighbor(world.key("mv0"), moved))
        assert set(world.neighbors("mv0")) == {moved, proxy, router}
        world.change("mv0", address="02:00:00:00:00:77")
        assert [one for one in world.neighbors("mv0") if not one.proxy] == []
        world.execute(AddNeighbor(world.key("mv0"), moved))
        world.change("mv0", admin_state="down")
        assert world.neighbors("mv0") == ()

    def test_altname_is_taken(self, world: World) -> None:
        """By a name or an alternative one, of whomever."""
        world.create("mv0")
        world.execute(AddAltname(world.key("eth1"), "uplink"), AddAltname(world.key("mv0"), "mine"))
        for name in ("uplink", "eth1", "mv0", "mine"):
            with refused(errno.EEXIST):
                world.execute(AddAltname(world.key("mv0"), name))

    def test_altname_missing(self, world: World) -> None:
        """Neither the name nor the link."""
        world.create("mv0")
        with refused(errno.ENOENT):
            world.execute(RemoveAltname(world.key("mv0"), "nothing"))
        with refused(errno.ENODEV):
            world.execute(AddAltname(world.key("mv9"), "nothing"))

    def test_altname_is_free_after_deletion(self, world: World) -> None:
        """It goes with the link."""
        world.create("mv0")
        world.execute(AddAltname(world.key("mv0"), "mine"), RemoveLink(world.key("mv0")))
        world.create("mine")

    # --- deletion ---

    def test_deletion(self, world: World) -> None:
        """Gone, and then not there."""
        world.create("mv0")
        world.execute(RemoveLink(world.key("mv0")))
        assert world.find("mv0") is None
        with refused(errno.ENODEV):
            world.execute(RemoveLink(world.key("mv0")))

    def test_deletion_by_altname(self, world: World) -> None:
        """The kernel would delete the owner."""
        world.execute(AddAltname(world.key("eth1"), "mv0"))
        with refused(errno.ENODEV):
            world.execute(RemoveLink(world.key("mv0")))
        assert world.find("eth1") is not None

    def test_deletion_of_many(self, world: World) -> None:
        """At once, also both ends of a pair, and a link with what sits on it."""
        world.pair("v0", "v1")
        world.create("mv0", "v0")
        world.create("mv1")
        world.execute(RemoveLinks(tuple(world.key(name) for name in ("v0", "v1", "mv0", "mv1"))))
        assert not {"v0", "v1", "mv0", "mv1"} & world.names()

    def test_deletion_of_many_is_all_or_nothing(self, world: World) -> None:
        """One that is not there, or cannot be deleted: all stay, as they were."""
        world.create("mv0", group=7)
        for other in ("mv9", "lo"):
            with pytest.raises(RequestFailed):
                world.execute(RemoveLinks((world.key("mv0"), world.key(other))))
        assert world.get("mv0", "group") == 7

    def test_loopback_stays(self, world: World) -> None:
        """It cannot be deleted."""
        with refused(errno.EOPNOTSUPP):
            world.execute(RemoveLink(world.key("lo")))

    def test_deletion_takes_along_what_sits_on_it(self, world: World) -> None:
        """In every namespace."""
        world.create("mv0")
        world.create("mv1", "eth1")
        world.execute(NewLink(world.key("mv2", world.other), "macvlan", {"lower_device": world.key("eth0")}))
        world.execute(RemoveLink(world.key("eth0")))
        assert world.find("mv0") is None
        assert world.find("mv2", world.other) is None
        assert world.find("mv1") is not None

    def test_deletion_of_a_bridge_frees_its_ports(self, world: World) -> None:
        """They stay; what sits on the bridge goes."""
        world.create("mv0", "br0")
        world.execute(RemoveLink(world.key("br0")))
        assert world.get("port0", "controller") == ""
        assert world.find("mv0") is None

    # --- addresses ---

    def test_address(self, world: World) -> None:
        """Put on a link, up or down; once more is no error. Nothing is said that was not asked for."""
        for name, admin_state in (("mv0", "up"), ("mv1", "down")):
            world.create(name, admin_state=admin_state)
            world.give(name, FOUR, SIX, FOUR, SIX)
            assert world.addresses(name) == [str(FOUR), str(SIX)]
            for one in (FOUR, SIX):
                assert world.address(name, one.ip) == replace(one, flags=one.flags | PERMANENT)
        assert world.addresses("eth0") == []

    @pytest.mark.parametrize(
        "new",
        [
            static("192.0.2.1/24", label="mv0:web"),
            static("192.0.2.1/24", metric=50),
            static("192.0.2.1/24", NOPREFIXROUTE),
            static("192.0.2.1/32", peer_ip="203.0.113.9"),
            static("2001:db8::1/64", metric=50),
            static("2001:db8::1/64", NODAD | NOPREFIXROUTE),
            static("2001:db8::1/64", peer_ip="2001:db8:9::9"),
        ],
        ids=repr,
    )
    def test_parts_of_an_address(self, world: World, new: Address) -> None:
        """They are kept; the same is no error, and is taken off by what was read."""
        world.create("mv0", admin_state="up")
        world.give("mv0", new, new)
        assert world.address("mv0", new.ip) == replace(new, flags=new.flags | PERMANENT)
        world.take("mv0", new.ip)
        assert world.addresses("mv0") == []

    def test_identity_of_an_address(self, world: World) -> None:
        """Of IPv4 the prefix length is part of it, of IPv6 it is not: then the old one stays."""
        world.create("mv0", admin_state="up")
        world.give("mv0", FOUR, SIX, "192.0.2.1/25", "2001:db8::1/48")
        assert world.addresses("mv0") == ["192.0.2.1/24", "192.0.2.1/25", "2001:db8::1/64"]

    def test_address_goes(self, world: World) -> None:
        """Also when it has gone already."""
        world.create("mv0", admin_state="up")
        world.give("mv0", FOUR, SIX)
        for one in (FOUR, SIX, FOUR, SIX):
            world.execute(RemoveAddress(world.key("mv0"), one))
        assert world.addresses("mv0") == []

    def test_primary_address_goes(self, world: World) -> None:
        """The others of its subnet stay, which the kernel alone would not grant, and the next is the primary one."""
        world.create("mv0", admin_state="up")
        world.give("mv0", FOUR, "192.0.2.2/24", "192.0.2.3/24", "192.0.2.4/25")
        assert [bool(world.address("mv0", f"192.0.2.{number}").flags & SECONDARY) for number in range(1, 5)] == [0, 1, 1, 0]
        world.take("mv0", "192.0.2.1")
        assert [bool(world.address("mv0", f"192.0.2.{number}").flags & SECONDARY) for number in range(2, 5)] == [0, 1, 0]
        (route,) = world.at("192.0.2.0/24")
        assert route.get("source") == "192.0.2.2"
        world.take("mv0", "192.0.2.3")
        assert world.addresses("mv0") == ["192.0.2.2/24", "192.0.2.4/25"]
        world.execute(RemoveAddress(world.key("mv0"), static("192.0.2.9/24")))
        assert world.at("192.0.2.0/24") == [route]

    def test_address_is_changed_in_place(self, world: World) -> None:
        """Of IPv4 the metric, also to none; of IPv6 the metric, but not to none, and the flags. The connected route follows."""
        world.create("mv0", admin_state="up")
        world.give("mv0", FOUR, SIX)
        key = world.key("mv0")
        world.execute(ReplaceAddress(key, replace(FOUR, metric=50, label="no")), ReplaceAddress(key, replace(SIX, metric=60)))
        four, six = world.address("mv0", FOUR.ip), world.address("mv0", SIX.ip)
        assert (four.metric, four.label, six.metric) == (50, None, 60)
        assert world.routes("mv0") == ["route to 192.0.2.0/24 metric 50", "route to 2001:db8::/64 metric 60"]
        world.execute(ReplaceAddress(key, FOUR), ReplaceAddress(key, replace(SIX, flags=NODAD | NOPREFIXROUTE)))
        four, six = world.address("mv0", FOUR.ip), world.address("mv0", SIX.ip)
        assert (four.metric, six.metric, six.flags & NOPREFIXROUTE) == (None, 60, NOPREFIXROUTE)
        assert world.routes("mv0") == ["route to 192.0.2.0/24"]
        world.execute(ReplaceAddress(key, replace(SIX, flags=0)))
        assert world.address("mv0", SIX.ip).settled
        assert world.routes("mv0") == ["route to 192.0.2.0/24", "route to 2001:db8::/64 metric 60"]

    def test_address_that_is_refused(self, world: World) -> None:
        """There is no such link, or no IPv6 on it."""
        world.create("mv0", mtu=1279)
        world.create("mv1")
        world.give("mv1", SIX)
        world.execute(WriteSysctl(world.key("mv1"), "ipv6.disable_ipv6", 1))
        assert world.addresses("mv1") == []
        for name, code in (("mv0", errno.EINVAL), ("mv1", errno.EACCES), ("mv9", errno.ENODEV)):
            with refused(code):
                world.give(name, SIX)

    def test_duplicate_address_detection(self, world: World) -> None:
        """It takes its time: until then an address is no source of a route. There is none for IPv4."""
        world.create("mv0", admin_state="up")
        world.execute(WriteSysctl(world.key("mv0"), "ipv6.accept_dad", 1))
        world.give("mv0", FOUR, static("2001:db8::1/64", 0))
        assert not world.address("mv0", SIX.ip).settled
        route = world.route("2001:db8:1::/48", "mv0", source=SIX.ip)
        with refused(errno.EINVAL):
            world.execute(AddRoute(route))
        world.execute(AwaitAddresses(world.key("mv0"), (SIX.ip, FOUR.ip), 5), AddRoute(route))
        assert world.address("mv0", SIX.ip).settled

    def test_duplicate_address(self, world: World) -> None:
        """It stays where it is, and waiting for it says so."""
        world.execute(NewLink(world.key("v0"), "veth", {}, peer=(world.key("v1", world.other), {})))
        for name, netns, flags in (("v1", world.other, NODAD), ("v0", world.netns, 0)):
            key = world.key(name, netns)
            world.execute(WriteSysctl(key, "ipv6.accept_dad", 1), SetLink(key, "veth", {"admin_state": "up"}))
            world.execute(AddAddress(key, static(str(SIX), flags)))
        with pytest.raises(RequestFailed, match=r"^2001:db8::1 is a duplicate") as caught:
            world.execute(AwaitAddresses(world.key("v0"), (SIX.ip,), 5))
        assert caught.value.errno == errno.EADDRINUSE
        assert is_duplicate(world.address("v0", SIX.ip))
        world.give("v0", SIX)
        world.execute(ReplaceAddress(world.key("v0"), SIX))
        assert is_duplicate(world.address("v0", SIX.ip))
        world.take("v0", SIX.ip)
        world.give("v0", SIX)
        assert world.address("v0", SIX.ip).settled

    def test_waiting_has_an_end(self, world: World) -> None:
        """A link that is down detects nothing."""
        world.create("mv0", admin_state="up")
        world.execute(WriteSysctl(world.key("mv0"), "ipv6.accept_dad", 1))
        world.change("mv0", admin_state="down")
        world.give("mv0", static("2001:db8::1/64", 0))
        with pytest.raises(RequestFailed, match=r"^duplicate address detection on mv0 .*did not end") as caught:
            world.execute(AwaitAddresses(world.key("mv0"), (SIX.ip,), 0.1))
        assert caught.value.errno == errno.ETIMEDOUT

    def test_announcement(self, world: World) -> None:
        """From a link that is up."""
        world.create("mv0", admin_state="up")
        world.execute(AnnounceAddresses(world.key("mv0"), (FOUR.ip, SIX.ip)))
        world.change("mv0", admin_state="down")
        for name, code in (("mv0", errno.ENETDOWN), ("mv9", errno.ENODEV)):
            with refused(code):
                world.execute(AnnounceAddresses(world.key(name), (FOUR.ip,)))

    # --- what goes and comes along with links and addresses ---

    def test_routes_that_come_with_an_address(self, world: World) -> None:
        """To its network, as long as the link is up; of one subnet there is one. Of one address alone there is one for IPv6."""
        single = "2001:db8::3/128"
        world.create("mv0")
        for admin_state in ("down", "up", "down"):
            world.give("mv0", FOUR, "192.0.2.2/24", "192.0.2.1/32", SIX, "2001:db8::2/64", single)  # some go when it goes down
            world.change("mv0", admin_state=admin_state)
            routes = world.state().routes_through(world.key("mv0"))
            found = {one.key.destination: one for one in routes if not one.key.destination.startswith(("fe80:", "ff00:"))}
            assert sorted(found) == ([] if admin_state == "down" else ["192.0.2.0/24", "2001:db8::/64", single])
            for key, route in found.items():
                own = {"source": FOUR.ip, "scope": "link"} if key == "192.0.2.0/24" else {"scope": "global"}
                assert route.attributes == {"type": "unicast", "link": "mv0", "onlink": False, **own}
                assert (route.protocol, route.key.metric) == (2, 0 if "." in key else 256)

    def test_one_network_on_two_links(self, world: World) -> None:
        """Each has its route, and keeps it when the other loses its address."""
        world.give("eth0", FOUR, SIX)
        world.give("eth1", "192.0.2.2/24", "2001:db8::2/64")
        both = (("192.0.2.0/24", None), ("2001:db8::/64", 256))
        for destination, metric in both:
            assert [one.get("link") for one in world.at(destination, metric=metric)] == ["eth0", "eth1"]
        world.take("eth0", FOUR.ip)
        world.take("eth0", SIX.ip)
        for destination, metric in both:
            assert [one.get("link") for one in world.at(destination, metric=metric)] == ["eth1"]

    def test_what_goes_with_an_address(self, world: World) -> None:
        """Of IPv4 the routes of the main table whose source it is, by whatever link; of IPv6 such routes stay, without."""
        world.give("eth0", FOUR, "198.51.100.1/24", SIX, "2001:db8:5::1/64")
        for table in (254, 500):
            four, six = world.route("203.0.113.0/24", "eth0", table=table), world.route("2001:db8:1::/48", "eth0", table=table)
            world.execute(AddRoute(four), AddRoute(six))
            for link in ("eth0", "eth1"):
                destination = {"eth0": "203.0.113.8/29", "eth1": "203.0.113.16/29"}[link]
                world.execute(AddRoute(world.route(destination, link, table=table, source=FOUR.ip)))
            world.execute(AddRoute(world.route("2001:db8:2::/48", "eth0", table=table, source=SIX.ip)))
        world.take("eth0", FOUR.ip)
        world.take("eth0", SIX.ip)
        assert [len(world.at(one, table)) for table in (254, 500) for one in ("203.0.113.8/29", "203.0.113.16/29")] == [
            0,
            0,
            1,
            1,
        ]
        for table in (254, 500):
            assert len(world.at("203.0.113.0/24", table)) == len(world.at("2001:db8:1::/48", table)) == 1
            (route,) = world.at("2001:db8:2::/48", table)
            assert route.get("source") is None

    def test_what_goes_with_the_last_address(self, world: World) -> None:
        """Of IPv4 all routes by the link, in every table; of IPv6 none but its own network."""
        world.give("eth0", FOUR, "192.0.2.2/24", SIX)
        for table in (254, 500):
            world.execute(*(AddRoute(world.route(one, "eth0", table=table)) for one in (DIRECT, "2001:db8:1::/48")))
        world.take("eth0", FOUR.ip)
        world.take("eth0", SIX.ip)
        assert [len(world.at(one, table)) for one in (DIRECT, "2001:db8:1::/48") for table in (254, 500)] == [1, 1, 1, 1]
        assert world.at("2001:db8::/64", metric=256) == []
        world.take("eth0", "192.0.2.2")
        assert [len(world.at(one, table)) for one in (DIRECT, "2001:db8:1::/48") for table in (254, 500)] == [0, 0, 1, 1]

    def test_another_prefix_length(self, world: World) -> None:
        """New before old: routes through the subnet survive."""
        world.give("eth0", FOUR)
        world.execute(AddRoute(world.route(VIA, "eth0", gateway="192.0.2.9")))
        world.give("eth0", "192.0.2.1/25")
        world.execute(RemoveAddress(world.key("eth0"), FOUR))
        assert world.addresses("eth0") == ["192.0.2.1/25"]
        assert world.routes("eth0") == ["route to 192.0.2.0/25", "route to 203.0.113.0/24 via 192.0.2.9"]

    def test_what_goes_when_a_link_goes_down(self, world: World) -> None:
        """Routes of all tables and IPv6 addresses; only the networks of IPv4 come back. What goes nowhere stays."""
        world.give("eth0", FOUR, SIX)
        nowhere = world.route("203.0.113.0/24", type="unreachable"), world.route("2001:db8:9::/48", type="unreachable")
        for route in (*nowhere, world.route(DIRECT, "eth0"), world.route(DIRECT, "eth0", table=500)):
            world.execute(AddRoute(route))
        world.execute(AddRoute(world.route("2001:db8:1::/48", "eth0")))
        world.change("eth0", admin_state="down")
        assert (world.addresses("eth0"), world.routes("eth0")) == ([str(FOUR)], [])
        world.change("eth0", admin_state="up")
        assert (world.addresses("eth0"), world.routes("eth0")) == ([str(FOUR)], ["route to 192.0.2.0/24"])
        assert [world.at(route.key.destination) for route in nowhere] == [[route] for route in nowhere]

    def test_what_goes_below_the_least_mtu_of_ipv6(self, world: World) -> None:
        """All of IPv6, and nothing else."""
        world.give("eth0", FOUR, SIX)
        world.execute(*(AddRoute(world.route(destination, "eth0")) for destination in (DIRECT, "2001:db8:1::/48")))
        world.change("eth0", mtu=1279)
        assert world.addresses("eth0") == [str(FOUR)]
        assert world.routes("eth0") == ["route to 192.0.2.0/24", "route to 198.51.100.0/24"]

    def test_what_goes_with_a_link(self, world: World) -> None:
        """A new one of the same name has nothing of it."""
        world.create("mv0", admin_state="up")
        key = world.key("mv0")
        world.give("mv0", FOUR)
        world.execute(AddRoute(world.route(DIRECT, "mv0")), WriteSysctl(key, "ipv4.arp_ignore", 2))
        world.execute(AddRoute(world.route(VIA, "eth0", source=FOUR.ip)), RemoveLink(key))
        assert world.at(DIRECT) == world.at(VIA) == world.at("192.0.2.0/24") == []
        world.create("mv0", admin_state="up")
        assert (world.addresses("mv0"), world.routes("mv0")) == ([], [])
        assert world.get("mv0", "sysctls")["ipv4.arp_ignore"] != 2

    def test_routes_follow_a_new_name(self, world: World) -> None:
        """Addresses too."""
        world.give("eth0", FOUR)
        world.execute(AddRoute(world.route(VIA, "eth0", gateway="192.0.2.9")), RenameLink(world.key("eth0"), "eth9"))
        assert world.addresses("eth9") == [str(FOUR)]
        assert world.routes("eth9") == ["route to 192.0.2.0/24", "route to 203.0.113.0/24 via 192.0.2.9"]

    # --- routes ---

    @pytest.mark.parametrize("destination", [DIRECT, "0.0.0.0/0", "203.0.113.7/32", "2001:db8:1::/48", "::/0", "2001:db8::7/128"])
    @pytest.mark.parametrize(
        "parts",
        [
            {"link": "eth0"},
            {"link": "eth0", "gateway": True},
            {"link": "eth0", "table": 500},
            {"link": "eth0", "table": 70000, "metric": 9},
            {"link": "eth0", "metric": 4294967295},
            {"link": "eth0", "source": True},
            {"link": "eth0", "mtu": 1300},
            *({"type": kind} for kind in ("blackhole", "unreachable", "prohibit", "throw")),
        ],
        ids=str,
    )
    def test_route(self, world: World, destination: str, parts: dict[str, Any]) -> None:
        """As it was asked for, once; once more is no error, and it goes by what was read, as often as one likes."""
        world.give("eth0", FOUR, SIX)
        six = ":" in destination
        found = {"gateway": "2001:db8::9" if six else "192.0.2.9", "source": SIX.ip if six else FOUR.ip}
        made = {name: found[name] if value is True else value for name, value in parts.items()}
        route = world.route(destination, made.pop("link", None), **made)
        world.execute(AddRoute(route), AddRoute(route))
        assert world.state().at(route.key) == (route,)
        world.execute(RemoveRoute(route), RemoveRoute(route))
        assert world.state().at(route.key) == ()

    @pytest.mark.parametrize("parts", [{"scope": "host", "type": "local"}, {"scope": "global"}, {"scope": "site"}])
    def test_scope(self, world: World, parts: dict[str, Any]) -> None:
        """Of IPv4, as it was asked for."""
        world.give("eth0", FOUR)
        route = world.route(DIRECT, "eth0", **parts)
        world.execute(AddRoute(route))
        assert world.at(DIRECT) == [route]

    def test_route_where_another_is(self, world: World) -> None:
        """It stays; a replacement takes its place, or comes where there is none. What it does not say, the route has not."""
        world.give("eth0", FOUR)
        old, new = world.route(VIA, "eth0", mtu=1300), world.route(VIA, "eth0", gateway="192.0.2.9")
        world.execute(AddRoute(old), AddRoute(new))
        assert world.at(VIA) == [old]
        world.execute(ReplaceRoute(new))
        assert world.at(VIA) == [new]
        world.execute(ReplaceRoute(world.route(VIA, "eth0", metric=5)))
        assert (world.at(VIA), len(world.at(VIA, metric=5))) == ([new], 1)

    def test_route_of_another_protocol(self, world: World) -> None:
        """It is kept with its maker, and goes only with the same."""
        route = replace(world.route(DIRECT, "eth0"), protocol=186)
        world.execute(AddRoute(route), RemoveRoute(replace(route, protocol=4)))
        assert world.at(DIRECT) == [route]
        world.execute(RemoveRoute(route))
        assert world.at(DIRECT) == []

    def test_route_that_differs_stays(self, world: World) -> None:
        """What is deleted has all that was said."""
        world.give("eth0", FOUR)
        route = world.route(VIA, "eth0", gateway="192.0.2.9")
        world.execute(AddRoute(route), RemoveRoute(world.route(VIA, "eth0", gateway="192.0.2.8")))
        world.execute(RemoveRoute(world.route(VIA, "eth1")), RemoveRoute(world.route(VIA, "eth0", table=500)))
        assert world.at(VIA) == [route]

    def test_gateway_says_the_link(self, world: World) -> None:
        """The one whose network it is in, in the table of the route or in the main one."""
        world.give("eth0", FOUR, SIX)
        world.execute(AddRoute(world.route("198.51.100.0/24", "eth1", table=500)))
        for destination, gateway, table, link in (
            (VIA, "192.0.2.9", 254, "eth0"),
            (VIA, "192.0.2.9", 500, "eth0"),
            ("203.0.113.0/25", "198.51.100.9", 500, "eth1"),
            ("2001:db8:1::/48", "2001:db8::9", 254, "eth0"),
        ):
            world.execute(AddRoute(world.route(destination, gateway=gateway, table=table)))
            assert [one.get("link") for one in world.at(destination, table)] == [link]
        with refused(errno.ENETUNREACH):
            world.execute(AddRoute(world.route(VIA, gateway="198.51.100.9", metric=9)))

    @pytest.mark.parametrize(
        ("destination", "parts", "code"),
        [
            (DIRECT, {"name": "eth9"}, errno.ENODEV),
            (DIRECT, {"name": "mv0"}, errno.ENETDOWN),
            ("2001:db8:1::/48", {"name": "mv0"}, errno.ENETDOWN),
            (VIA, {"gateway": "198.51.100.1"}, errno.ENETUNREACH),
            (VIA, {"name": "eth1", "gateway": "192.0.2.9"}, errno.ENETUNREACH),
            ("2001:db8:1::/48", {"gateway": "2001:db8:5::1"}, errno.EHOSTUNREACH),
            ("2001:db8:1::/48", {"gateway": "2001:db8::1"}, errno.EINVAL),
            (DIRECT, {"name": "eth0", "source": "192.0.2.77"}, errno.EINVAL),
            ("2001:db8:1::/48", {"name": "eth0", "source": "2001:db8::77"}, errno.EINVAL),
            (DIRECT, {"name": "eth0", "type": "unreachable"}, errno.EINVAL),
        ],
    )
    def test_route_that_is_refused(self, world: World, destination: str, parts: dict[str, Any], code: int) -> None:
        """The link, the gateway or the source is not as it would have to be; a default route leads to no gateway."""
        world.create("mv0")
        world.give("eth0", FOUR, SIX)
        world.execute(
            AddRoute(world.route("0.0.0.0/0", gateway="192.0.2.9")), AddRoute(world.route("::/0", gateway="2001:db8::9"))
        )
        with refused(code):
            world.execute(AddRoute(world.route(destination, **parts)))
        assert world.at(destination) == []

    def test_onlink(self, world: World) -> None:
        """No address needs to say where the gateway is."""
        for destination, gateway in ((VIA, "198.51.100.1"), ("2001:db8:1::/48", "2001:db8:5::1")):
            route = world.route(destination, "eth0", gateway=gateway, onlink=True)
            world.execute(AddRoute(route))
            assert world.at(destination) == [route]

    def test_link_local_gateway(self, world: World) -> None:
        """On the link that is said."""
        route = world.route("::/0", "eth0", gateway="fe80::9")
        world.execute(AddRoute(route))
        assert world.at("::/0") == [route]

    # --- rules ---

    def test_rules_of_a_new_namespace(self, world: World) -> None:
        """Those for the tables of the kernel."""
        rules = [one for key, some in sorted(world.state().rules.items()) for one in some if key.netns == world.other]
        found = [(one.at.family, one.at.priority, one.get("table"), one.protocol) for one in rules]
        assert found == [(4, 0, 255, 2), (4, 32766, 254, 2), (4, 32767, 253, 2), (6, 0, 255, 2), (6, 32766, 254, 2)]

    @pytest.mark.parametrize("family", [4, 6])
    @pytest.mark.parametrize(
        "parts",
        [
            {},
            {"from_": True},
            {"to": True},
            {"iif": "eth0"},
            {"oif": "not-there"},
            {"fwmark": (1, 0xFFFFFFFF)},
            {"fwmark": (0x100, 0xFF00)},
            {"uid_range": (0, 1000)},
            {"ip_protocol": 6},
            {"source_port": (80, 80)},
            {"destination_port": (80, 90)},
            {"table": 70000},
            {"suppress_prefix_length": 0},
            *({"table": None, "action": action} for action in ("nop", "blackhole", "unreachable", "prohibit")),
        ],
        ids=str,
    )
    def test_rule(self, world: World, family: int, parts: dict[str, Any]) -> None:
        """As it was asked for, once; once more is no error, and it goes by what was read, as often as one likes."""
        network = {4: "192.0.2.0/24", 6: "2001:db8::/64"}[family]
        rule = world.rule(family=family, **{name: network if value is True else value for name, value in parts.items()})
        world.execute(AddRule(rule), AddRule(rule))
        assert world.rules(family=family) == [rule]
        world.execute(RemoveRule(rule), RemoveRule(rule))
        assert world.rules(family=family) == []

    def test_rules_of_one_priority(self, world: World) -> None:
        """In the order of adding. The first goes that has all that is said, whatever it has besides."""
        marked, plain = world.rule(from_="192.0.2.0/24", fwmark=(1, 0xFFFFFFFF)), world.rule(from_="192.0.2.0/24")
        world.execute(AddRule(marked), AddRule(plain))
        assert world.rules() == [marked, plain]
        world.execute(RemoveRule(plain))
        assert world.rules() == [plain]
        world.execute(RemoveRule(marked))
        assert world.rules() == [plain]

    @pytest.mark.parametrize("family", [4, 6])
    def test_rule_with_fewer_selectors(self, world: World, family: int) -> None:
        """It is another rule, although the kernel takes an omitted network for any, and the one that exists for the same."""
        network = "192.0.2.0/24" if family == 4 else "2001:db8::/48"
        first, second = world.rule(family=family, from_=network), world.rule(family=family)
        world.execute(AddRule(first), AddRule(second), AddRule(second))
        assert world.rules(family=family) == [first, second]

    def test_rule_of_another_protocol(self, world: World) -> None:
        """It is another rule, and goes only with the same protocol."""
        first, second = world.rule(protocol=186), world.rule()
        world.execute(AddRule(first), AddRule(second))
        assert world.rules() == [first, second]
        world.execute(RemoveRule(second))
        assert world.rules() == [first]

    # --- settings ---

    def test_setting(self, world: World) -> None:
        """Written, and read back."""
        world.create("mv0")
        world.execute(WriteSysctl(world.key("mv0"), "ipv4.arp_ignore", 2))
        assert world.get("mv0", "sysctls")["ipv4.arp_ignore"] == 2
        assert world.link("eth0").get("sysctls")["ipv4.arp_ignore"] != 2

    def test_setting_that_is_not_there(self, world: World) -> None:
        """No such setting, or no such link."""
        world.create("mv0")
        key = world.key("mv0")
        with refused(errno.ENOENT):
            world.execute(WriteSysctl(key, "ipv4.nonsense", 1))
        with refused(errno.ENOENT):
            world.execute(WriteSysctl(world.key("mv9"), "ipv4.arp_ignore", 1))
        state = world.gateway.observe(Scope(frozenset({key}), sysctls={key: frozenset({"ipv4.nonsense"})}))
        assert state.get(key).get("sysctls") == {"ipv4.nonsense": None}
        assert state.sysctls[key.netns, "default", "ipv4.nonsense"] is None

    def test_all_settings_of_a_link(self, world: World) -> None:
        """Those that a link has, with the values of `default` beside them."""
        world.create("mv0")
        key = world.key("mv0")
        world.execute(WriteSysctl(key, "ipv4.arp_ignore", 2))
        state = world.state(key)
        assert state.settings[key]["ipv4.arp_ignore"] == 2
        differing = {
            setting for setting, value in state.settings[key].items() if state.sysctls[key.netns, "default", setting] != value
        }
        assert differing == {"ipv4.arp_ignore"}

    # --- names in, observation ---

    def test_missing_namespace(self, world: World) -> None:
        """A name that was mistyped is an error with a way out, and nothing is made."""
        for ask in (
            lambda: world.gateway.resolve([DesiredLink(LinkKey("nowhere", "mv0"), "macvlan", True, {})]),
            lambda: world.gateway.resolve(
                [DesiredLink(world.key("mv0"), "macvlan", True, {"lower_device": LinkKey("nowhere", "eth0")})]
            ),
            lambda: world.gateway.canonical("nowhere"),
            lambda: world.gateway.observe(Scope(namespaces=frozenset({"nowhere"}))),
        ):
            with pytest.raises(Refused, match=r"There is no network namespace nowhere .* with the module netns"):
                ask()

    def test_resolve_keeps_what_has_one_name(self, world: World) -> None:
        """And numbers of groups."""
        item = DesiredLink(world.key("mv0"), "macvlan", True, {"lower_device": world.key("eth0"), "group": 7, "mtu": 1400})
        assert world.gateway.resolve([item]) == (item,)

    def test_group_names(self, world: World) -> None:
        """One is there on every machine; one that is in no table is an error."""
        item = DesiredLink(world.key("mv0"), "macvlan", True, {"group": "default"})
        assert world.gateway.resolve([item])[0].attributes == {"group": 0}
        with pytest.raises(InvalidValue, match=r"mv0.*: group: .* have no link group no-such-group\. Set its number"):
            world.gateway.resolve([DesiredLink(world.key("mv0"), "macvlan", True, {"group": "no-such-group"})])

    def test_namespaces(self, world: World) -> None:
        """All that have a name."""
        found = world.gateway.all_namespaces()
        assert {world.netns, world.other} <= set(found)
        assert len(set(found)) == len(found)
        assert world.gateway.canonical(world.other) == world.other

    def test_observation_holds_what_the_scope_touches(self, world: World) -> None:
        """The namespaces of its links, and those of their lower devices; no other."""
        key = world.key("mv0", world.other)
        world.execute(NewLink(key, "macvlan", {"lower_device": world.key("eth0")}))
        state = world.gateway.observe(Scope(frozenset({key})))
        assert {link.key.netns for link in state} == {world.netns, world.other}
        assert state.get(key).get("lower_device") == world.key("eth0")
        state = world.gateway.observe(Scope(frozenset({world.key("eth0")})))
        assert world.netns in {link.key.netns for link in state}
        assert world.other not in {link.key.netns for link in state}
        state = world.gateway.observe(Scope(namespaces=frozenset({world.other})))
        assert state.get(key).get("lower_device") == world.key("eth0")

    def test_observation_changes_nothing(self, world: World) -> None:
        """The same twice, with all details."""
        world.create("mv0")
        world.change("mv0", address_generation_mode="none")  # else an address comes at the kernel's own time
        world.change("mv0", admin_state="up")
        keys = [world.key(name) for name in ("eth0", "mv0", "br0")]
        seen = []
        for _time in range(2):
            state = world.state(*keys)
            # the operational state and the carrier of the new link follow at the kernel's own time
            seen.append(([replace(link, oper_state="", carrier=None) for link in state], state.routes, state.rules))
        assert seen[0] == seen[1]

    def test_loopback_is_no_ethernet_link(self, world: World) -> None:
        """Of all links, this one cannot be a lower device."""
        assert [link.key.name for link in world.state() if not link.ethernet and link.key.netns == world.netns] == ["lo"]

    # --- what the engine expects of the kernel ---

    @pytest.mark.parametrize("contract", CONTRACTS.values(), ids=CONTRACTS)
    def test_prediction_is_true(self, world: World, contract: Contract) -> None:
        """The kernel has made every predicted change, and no other link has changed."""
        for prepare in contract.before:
            perform(world, prepare(world))
        step = contract.operation(world)
        before = whole(world)
        predicted = before.copy()
        predicted.update(predicted_changes(step, before))
        perform(world, step)
        found = whole(world)
        assert different(predicted, found) + routed_differently(predicted, found) == []

    @pytest.mark.parametrize("contract", CONTRACTS.values(), ids=CONTRACTS)
    def test_inverse_restores_the_state(self, world: World, contract: Contract) -> None:
        """Except for what the kernel chose, and what it does not restore."""
        for prepare in contract.before:
            perform(world, prepare(world))
        step = contract.operation(world)
        before = whole(world)
        if isinstance(step, (CreateLink, UpdateLink, DeleteLink)):  # as the planner adds them
            step = replace(step, side_effects=side_effects_of(step, before))
        perform(world, step)
        if contract.not_restored is None:
            return
        for inverse in step.inverse():
            perform(world, inverse)
        found = whole(world)
        assert different(before, found, contract.not_restored) + routed_differently(before, found, contract.lost) == []

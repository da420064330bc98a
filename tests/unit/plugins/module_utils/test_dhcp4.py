# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The option dhcp4: what its suboptions say, each sentence for what they cannot mean, and what a result tells."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ansible_collections.patchbay.netdev.plugins.module_utils._argspec import argument_spec, desired_link
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._macvlan import MACVLAN
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._table import LINK
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._veth import VETH
from ansible_collections.patchbay.netdev.plugins.module_utils._model._clients import Client, ClientKey, Dhcp4
from ansible_collections.patchbay.netdev.plugins.module_utils._model._desired import DesiredLink
from ansible_collections.patchbay.netdev.plugins.module_utils._model._errors import InvalidValue
from ansible_collections.patchbay.netdev.plugins.module_utils._model._lease import Lease
from ansible_collections.patchbay.netdev.plugins.module_utils._model._links import LinkKey
from ansible_collections.patchbay.netdev.plugins.module_utils._model._source_routing import SourceRoute, SourceRouting
from ansible_collections.patchbay.netdev.plugins.module_utils._values._dhcp4 import from_record, recorded, returned
from ansible_collections.patchbay.netdev.tests.unit.plugins.module_utils.test_argspec import validated


def read(**suboptions: Any) -> DesiredLink:
    """What the suboptions of one macvlan say."""
    (item,) = desired_link(MACVLAN, validated(argument_spec(MACVLAN), {"name": "mv0", "dhcp4": suboptions}))
    return item


def test_not_written_is_not_managed() -> None:
    """None is no client, and not none."""
    (item,) = desired_link(MACVLAN, validated(argument_spec(MACVLAN), {"name": "mv0"}))
    assert item.dhcp4 is None


def test_nothing_more_than_that_there_is_one() -> None:
    """The address only, and nothing said of the host."""
    item = read()
    assert item.dhcp4 == Dhcp4()
    assert item.policy.wait_lease is None


def test_all() -> None:
    """Each in its normal form."""
    item = read(
        client_id="01:52:54:00:12:34:56",
        hostname="old-1.example.org",
        vendor_class="Polycom VVX",
        use_main_table=True,
        metric=7,
        use_routes=False,
        wait=2.5,
        client="dhcpcd",
        use_dns=True,
    )
    assert item.dhcp4 == Dhcp4(
        True, "01:52:54:00:12:34:56", "old-1.example.org", "Polycom VVX", None, True, 7, False, "dhcpcd", True
    )
    assert item.policy.wait_lease == 2.5


def test_disabled_is_disabled() -> None:
    """Whatever stands beside it."""
    assert read(enabled=False, use_main_table=True, wait=5).dhcp4 == Dhcp4(enabled=False)


def test_absent_link_has_none() -> None:
    """What was written of it describes what goes."""
    (item,) = desired_link(MACVLAN, validated(argument_spec(MACVLAN), {"name": "mv0", "state": "absent", "dhcp4": {}}))
    assert item.dhcp4 is None


def test_link_and_other_end() -> None:
    """Wherever a link has attributes."""
    (item,) = desired_link(LINK, validated(argument_spec(LINK), {"name": "eth0", "dhcp4": {}}))
    assert item.dhcp4 is not None
    peer = {"name": "v1", "netns": "blue", "dhcp4": {"client_id": "mac"}}
    one, other = desired_link(VETH, validated(argument_spec(VETH), {"name": "v0", "peer": peer}))
    assert one.dhcp4 is None
    assert other.dhcp4 is not None
    assert other.dhcp4.client_id == "mac"


@pytest.mark.parametrize(
    ("written", "understood"),
    [
        ("none", "none"),
        ("mac", "mac"),
        ("DUID", "duid"),
        ("ff-3E-11-11-01-00-01", "ff:3e:11:11:01:00:01"),
        ("01:aa", "01:aa"),
        ("00:6f:6c:64:31:32", "00:6f:6c:64:31:32"),
    ],
)
def test_client_id(written: str, understood: str) -> None:
    """A word, or bytes with colons or hyphens."""
    item = read(client_id=written)
    assert item.dhcp4 is not None
    assert item.dhcp4.client_id == understood


BYTES = "is not a client identifier. Set none, mac, duid, or bytes such as '01:52:54:00:12:34:56' (quoted)"
NAME = "is not a valid host name. Use letters, digits and hyphens, with dots between the labels"


@pytest.mark.parametrize(
    ("suboptions", "sentence"),
    [
        ({"client_id": "01"}, f"client_id: '01' {BYTES}"),
        ({"client_id": "41135085296"}, f"client_id: '41135085296' {BYTES}"),
        ({"client_id": "hostname"}, f"client_id: 'hostname' {BYTES}"),
        ({"client_id": ""}, f"client_id: '' {BYTES}"),
        ({"client_id": ":".join(["aa"] * 256)}, f"client_id: '{':'.join(['aa'] * 256)}' {BYTES}"),
        (
            {"client_id": "52:54:00:12:34:56"},
            "client_id: 52:54:00:12:34:56 looks like a MAC address without the type byte of a client identifier. "
            "Set mac to send the MAC address of the link, or set 01:52:54:00:12:34:56",
        ),
        ({"hostname": "old host"}, f"hostname: 'old host' {NAME}"),
        ({"hostname": "-old"}, f"hostname: '-old' {NAME}"),
        ({"hostname": ""}, f"hostname: '' {NAME}"),
        ({"hostname": "a" * 64}, f"hostname: '{'a' * 64}' {NAME}"),
        ({"vendor_class": ""}, "vendor_class: '' is not a valid vendor class. Use 1 to 255 printable ASCII characters"),
        ({"vendor_class": "Büro"}, "vendor_class: 'Büro' is not a valid vendor class. Use 1 to 255 printable ASCII characters"),
        (
            {"metric": 5},
            "metric applies to the routes of a lease. Set source_routing or use_main_table as well",
        ),
        ({"wait": 0}, "wait: 0 is not greater than 0 and at most 3600 seconds. Omit wait to continue without the lease"),
        ({"wait": 3601}, "wait: 3601 is not greater than 0 and at most 3600 seconds. Omit wait to continue without the lease"),
    ],
)
def test_suboption_is_not_valid(suboptions: dict[str, Any], sentence: str) -> None:
    """The whole sentence."""
    with pytest.raises(InvalidValue) as caught:
        read(**suboptions)
    assert str(caught.value) == f"dhcp4: {sentence}"


def test_namespace_without_a_name() -> None:
    """A client starts anew by itself, and has to find it."""
    with pytest.raises(InvalidValue) as caught:
        desired_link(MACVLAN, validated(argument_spec(MACVLAN), {"name": "mv0", "netns": "/proc/7/ns/net", "dhcp4": {}}))
    assert str(caught.value) == (
        "dhcp4: namespace /proc/7/ns/net has no name, so a restarted DHCP client cannot find it. Give it a name in /run/netns"
    )


def test_result() -> None:
    """The options' own names, and the lease."""
    lease = Lease("192.0.2.7", 24, ("192.0.2.1",), (("10.0.0.0/8", "192.0.2.9"),), ("192.0.2.53",), "a.example", "192.0.2.1", 600)
    client = Client(
        ClientKey(LinkKey("", "mv0")), Dhcp4(hostname="old", source_routing=SourceRouting(101, 1001), client="udhcpc"), lease
    )
    assert returned(client) == {
        "enabled": True,
        "client_id": "none",
        "hostname": "old",
        "vendor_class": None,
        "use_main_table": False,
        "metric": None,
        "use_routes": True,
        "client": "udhcpc",
        "use_dns": False,
        "lease": {
            "address": "192.0.2.7/24",
            "routers": ["192.0.2.1"],
            "routes": [{"destination": "10.0.0.0/8", "gateway": "192.0.2.9"}],
            "dns": ["192.0.2.53"],
            "domain": "a.example",
            "server": "192.0.2.1",
            "seconds": 600,
        },
    }
    assert returned(None)["enabled"] is False
    assert returned(None)["lease"] is None


@pytest.mark.parametrize(
    "options",
    [
        Dhcp4(),
        Dhcp4(hostname="old", use_main_table=True, metric=7),
        Dhcp4(source_routing=SourceRouting(101, 1001)),
        Dhcp4(
            source_routing=SourceRouting(
                101, 1001, ("192.0.2.1",), (SourceRoute("10.0.0.0/8", 4, 0, {"gateway": "192.0.2.9"}),), True
            )
        ),
    ],
)
def test_record(options: Dhcp4) -> None:
    """A record is JSON, and gives the options back."""
    assert from_record(json.loads(json.dumps(recorded(options)))) == options


def test_source_routing_of_a_link() -> None:
    """The client gets it; one without a table takes it from the client."""
    options = {"name": "mv0", "dhcp4": {}, "source_routing": {"table": "101", "rule_priority": 1001}}
    (item,) = desired_link(MACVLAN, validated(argument_spec(MACVLAN), options))
    assert item.dhcp4 == Dhcp4(source_routing=item.source_routing)
    (item,) = desired_link(MACVLAN, validated(argument_spec(MACVLAN), {**options, "source_routing": {}}))
    assert (item.dhcp4, item.source_routing) == (Dhcp4(), SourceRouting())

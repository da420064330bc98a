# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Parameters in, desired state out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.patchbay.netdev.plugins.module_utils._argspec import (
    argument_spec,
    desired_link,
    desired_route,
    desired_rule,
    desired_topology,
    namespace,
    route_argument_spec,
    rule_argument_spec,
    topology_argument_spec,
    with_long_forms,
)
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._macvlan import MACVLAN
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._table import KINDS
from ansible_collections.patchbay.netdev.plugins.module_utils._model._desired import DesiredLink, DesiredRoute, DesiredRule
from ansible_collections.patchbay.netdev.plugins.module_utils._model._errors import InvalidValue
from ansible_collections.patchbay.netdev.plugins.module_utils._model._links import Address, LinkKey
from ansible_collections.patchbay.netdev.plugins.module_utils._model._routing import RouteKey, RuleKey, RulePriority
from ansible_collections.patchbay.netdev.plugins.module_utils._values._addresses import DADFAILED, PERMANENT


def validated(spec: Mapping[str, Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters that a module gets."""
    result = ArgumentSpecValidator(spec).validate(dict(options))
    assert not result.error_messages, result.error_messages
    return dict(result.validated_parameters)


def read(**options: Any) -> DesiredLink:
    """What the options of one macvlan say."""
    (item,) = desired_link(MACVLAN, validated(argument_spec(MACVLAN), {"name": "mv0", **options}))
    return item


def test_only_the_name_is_required() -> None:
    """What creation needs beside it is for the planner to say."""
    spec = argument_spec(MACVLAN)
    assert [name for name, option in spec.items() if option.get("required")] == ["name"]


def test_no_attribute_has_a_default() -> None:
    """Not written means not managed."""
    spec = argument_spec(MACVLAN)
    assert {name for name, option in spec.items() if "default" in option} == {
        "state",
        "recreate",
        "allow_wireless",
        "altnames_exact",
    }


def test_topology_has_a_list_per_kind() -> None:
    """Each entry has the options of the module of that kind."""
    spec = topology_argument_spec()
    assert spec.keys() == {*KINDS, "netns", "link", "bridge_port", "routes", "rules", "persist"}
    for name, kind in KINDS.items():
        assert spec[name] == {"type": "list", "elements": "dict", "options": argument_spec(kind)}


def test_not_written_is_left_out() -> None:
    """Never None, 0 or an empty text in its place."""
    item = read()
    assert item == DesiredLink(LinkKey("", "mv0"), "macvlan", True, {})


def test_written_is_kept() -> None:
    """Also what is false, zero or empty."""
    item = read(tx_queue_len=0, promiscuous=False, alias="", altnames=[], controller="", source_addresses=[], sysctls={})
    assert item.attributes == {
        "tx_queue_len": 0,
        "promiscuous": False,
        "alias": "",
        "altnames": (),
        "controller": "",
        "source_addresses": (),
        "sysctls": {},
    }


def test_all_attributes() -> None:
    """In normal form, in the order of the table."""
    written = {
        "lower_device": "eth0",
        "mode": "source",
        "nopromisc": True,
        "nodst": False,
        "source_addresses": ["00-16-3E-11-11-02", "00-16-3E-11-11-01"],
        "bc_queue_len": "100",
        "bc_cutoff": -1,
        "address": "0016.3e11.1103",
        "mtu": "1400",
        "tx_queue_len": 5,
        "num_tx_queues": 2,
        "num_rx_queues": 3,
        "group": "voice",
        "alias": "hello",
        "controller": "br0",
        "address_generation_mode": "none",
        "altnames": ["b", "a"],
        "sysctls": {"ipv4.arp_ignore": "1"},
        "promiscuous": "yes",
        "allmulticast": False,
        "admin_state": "up",
        "addresses": ["192.0.2.1/24"],
    }
    item = read(**dict(reversed(list(written.items()))))
    assert list(item.attributes) == list(written) == [row.name for row in MACVLAN.options]
    assert item.attributes == {
        **written,
        "lower_device": LinkKey("", "eth0"),
        "source_addresses": ("00:16:3e:11:11:01", "00:16:3e:11:11:02"),
        "bc_queue_len": 100,
        "address": "00:16:3e:11:11:03",
        "mtu": 1400,
        "altnames": ("a", "b"),
        "sysctls": {"ipv4.arp_ignore": 1},
        "promiscuous": True,
        "addresses": (Address("192.0.2.1", 24, 4, PERMANENT),),
    }


def test_aliases() -> None:
    """They say the same."""
    assert read(parent="eth0", mac="0016.3e11.1101", master="br0") == read(
        lower_device="eth0", address="00:16:3e:11:11:01", controller="br0"
    )


def test_namespaces() -> None:
    """The lower device is looked up where the task runs, wherever the link is."""
    item = read(netns="guest", lower_device="eth0")
    assert (item.key, item.attributes["lower_device"]) == (LinkKey("guest", "mv0"), LinkKey("", "eth0"))
    item = read(netns="guest", lower_device="eth0", lower_device_netns="router")
    assert (item.key, item.attributes["lower_device"]) == (LinkKey("guest", "mv0"), LinkKey("router", "eth0"))


def test_how_it_is_done() -> None:
    """What is no attribute of a link."""
    item = read(recreate="when_required", lower_device_state="require")
    assert (item.policy.recreate, item.policy.lower_device_state, item.attributes) == (True, "require", {})


def test_absent() -> None:
    """What else is written describes the link that is to go; it still has to make sense."""
    assert read(state="absent", lower_device="eth0", mode="bridge", mtu=1400) == DesiredLink(
        LinkKey("", "mv0"), "macvlan", False, {}
    )
    with pytest.raises(InvalidValue, match=r"^mtu: 5 is not between 68 and 65535$"):
        read(state="absent", mtu=5)


def test_addresses() -> None:
    """The name of the link is the label of those that have no other; who waits for the end of detection has it tried again."""
    item = read(addresses=[{"ip": "192.0.2.1/24", "label": "mv0"}, {"ip": "192.0.2.2/24", "label": "mv0:web"}])
    assert [address.label for address in item.attributes["addresses"]] == ["", "mv0:web"]
    item = read(addresses=["2001:db8::1/64"], wait_dad=1.5, announce=True)
    assert (item.attributes["addresses"][0].unset, item.policy.wait_dad, item.policy.announce) == (DADFAILED, 1.5, True)
    assert read(addresses=["2001:db8::1/64"], wait_dad=0).attributes["addresses"][0].unset == 0
    item = read(state="absent", wait_dad=3, announce=True)
    assert (item.policy.wait_dad, item.policy.announce) == (None, False)


def route(**options: Any) -> DesiredRoute:
    """What the options of one route say."""
    (item,) = desired_route(validated(route_argument_spec(), options))
    return item


def rule(**options: Any) -> DesiredRule:
    """What the options of one rule say."""
    (item,) = desired_rule(validated(rule_argument_spec(), options))
    return item


@pytest.mark.parametrize(
    ("options", "key"),
    [
        ({"destination": "192.0.2.0/24"}, RouteKey("", "main", 4, "192.0.2.0/24", 0)),
        ({"destination": "192.0.2.1", "table": 100, "metric": 5}, RouteKey("", 100, 4, "192.0.2.1/32", 5)),
        ({"destination": "default"}, RouteKey("", "main", 4, "0.0.0.0/0", 0)),
        ({"destination": "default", "family": "ipv6"}, RouteKey("", "main", 6, "::/0", 1024)),
        ({"destination": "default", "gateway": "2001:DB8::1"}, RouteKey("", "main", 6, "::/0", 1024)),
        ({"destination": "default", "source": "2001:db8::1", "metric": 0}, RouteKey("", "main", 6, "::/0", 1024)),
        ({"destination": "2001:db8::/32", "metric": 7, "netns": "guest"}, RouteKey("guest", "main", 6, "2001:db8::/32", 7)),
    ],
)
def test_key_of_a_route(options: dict[str, Any], key: RouteKey) -> None:
    """With the family that its addresses say, and the metric that the kernel takes when none is written."""
    assert route(**options).key == key


def test_route() -> None:
    """What is not written is left out, also of one that is to go."""
    item = route(destination="default", gateway="192.0.2.9", link="eth0", onlink=False, mtu=1400)
    assert item.attributes == {"gateway": "192.0.2.9", "link": "eth0", "onlink": False, "mtu": 1400}
    item = route(destination="default", gateway="192.0.2.9", state="absent")
    assert (item.kind, item.present, item.attributes) == ("route", False, {})


def test_rule() -> None:
    """A selector of everything is said as that of its family."""
    item = rule(priority=100, **{"from": "default"}, to="2001:db8::1", table="main", fwmark="0x1")
    found = {"from": "::/0", "to": "2001:db8::1/128", "table": "main", "fwmark": (1, 0xFFFFFFFF)}
    assert (item.key.at, item.attributes) == (RulePriority("", 6, 100), found)
    assert item.key == RuleKey(item.key.at, (("fwmark", (1, 0xFFFFFFFF)), ("to", "2001:db8::1/128")))
    assert rule(priority=1, netns="guest").key == RuleKey(RulePriority("guest", 4, 1))
    assert rule(priority=1, family="ipv6").key == RuleKey(RulePriority("", 6, 1))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"destination": "192.0.2.1/24"}, "destination: 192.0.2.1/24 has bits set beyond"),
        ({"destination": "192.0.2.0/24", "family": "ipv6"}, "the addresses belong to different families."),
        ({"destination": "default", "gateway": "192.0.2.1", "source": "::1"}, "the addresses belong to different families."),
        ({"destination": "default", "metric": -1}, "metric: -1 is not between 0 and 4294967295"),
        ({"destination": "default", "table": 0}, "table: 0 is reserved for the kernel."),
        ({"destination": "default", "table": 255}, "table: 255 is reserved for the kernel."),
        ({"destination": "default", "table": "local"}, "table: local is reserved for the kernel."),
        ({"priority": 0}, "priority: 0 is not between 1 and 4294967294"),
        ({"priority": 1, "from": "192.0.2.1", "family": "ipv6"}, "the addresses belong to different families."),
        ({"priority": 1, "source_port": "0"}, "source_port: 0 is not between 1 and 65534"),
    ],
)
def test_error_of_a_route_or_a_rule(options: dict[str, Any], sentence: str) -> None:
    """It names the option, and in a topology the entry."""
    read_it, kind = (rule, "rules") if "priority" in options else (route, "routes")
    with pytest.raises(InvalidValue) as caught:
        read_it(**options)
    assert str(caught.value).startswith(sentence)
    with pytest.raises(InvalidValue) as caught:
        desired_topology(validated(topology_argument_spec(), {kind: [options]}))
    assert str(caught.value).startswith(f"{kind}[0] ({options.get('destination', options.get('priority'))}): {sentence}")


def test_topology_says_where_each_entry_stands() -> None:
    """So that an error can name it."""
    options = {"macvlan": [{"name": "mv0"}, {"name": "mv1", "state": "absent"}]}
    items = desired_topology(validated(topology_argument_spec(), options))
    assert [(item.key.name, item.present, item.origin) for item in items] == [
        ("mv0", True, "macvlan[0] (mv0)"),
        ("mv1", False, "macvlan[1] (mv1)"),
    ]
    assert desired_topology(validated(topology_argument_spec(), {})) == ()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (
            {"name": "all"},
            "name: 'all' cannot be the name of a link: the kernel reserves it for the settings of all links or of new ones",
        ),
        ({"netns": "a/b"}, "netns: 'a/b' is neither the name of a network namespace nor an absolute path to one"),
        ({"lower_device": "a b"}, "lower_device: 'a b' cannot be the name of a link: it contains white space"),
        ({"lower_device": ""}, "lower_device: '' cannot be the name of a link: it is empty"),
        ({"lower_device": "eth0", "lower_device_netns": ".."}, "lower_device_netns: '..' is neither the name of"),
        ({"lower_device_netns": "guest"}, "lower_device_netns is set without lower_device. Set both"),
        ({"controller": "a/b"}, "controller: 'a/b' cannot be the name of a link: the kernel refuses \"/\""),
        ({"num_tx_queues": 0}, "num_tx_queues: 0 is not between 1 and 4096"),
        ({"num_rx_queues": 4097}, "num_rx_queues: 4097 is not between 1 and 4096"),
        ({"mtu": 65536}, "mtu: 65536 is not between 68 and 65535"),
        ({"bc_cutoff": 1 << 31}, "bc_cutoff: 2147483648 is not between -2147483648 and 2147483647"),
        ({"tx_queue_len": -1}, "tx_queue_len: -1 is not between 0 and 4294967295"),
        ({"alias": "x" * 256}, "alias: it has 256 bytes, but the kernel allows at most 255"),
        (
            {"source_addresses": [f"02:00:00:00:{number >> 8:02x}:{number & 255:02x}" for number in range(1001)]},
            "source_addresses: it has 1001 entries, more than 1000",
        ),
    ],
)
def test_error_names_the_option(options: dict[str, Any], sentence: str) -> None:
    """And in a topology the entry, before it."""
    with pytest.raises(InvalidValue) as caught:
        read(**options)
    assert str(caught.value).startswith(sentence)
    entry = {"name": "mv0", **options}
    with pytest.raises(InvalidValue) as caught:
        desired_topology(validated(topology_argument_spec(), {"macvlan": [{"name": "first"}, entry]}))
    assert str(caught.value).startswith(f"macvlan[1] ({entry['name']}): {sentence}")


@pytest.mark.parametrize(
    ("written", "name"),
    [
        (None, ""),
        ("guest", "guest"),
        ("/run/netns/guest", "guest"),
        ("/var/run/netns/guest", "guest"),
        ("/run/netns/deep/guest", "/run/netns/deep/guest"),
        ("/proc/1/ns/net", "/proc/1/ns/net"),
    ],
)
def test_namespace(written: str | None, name: str) -> None:
    """A name, an absolute path, or nothing for the one that the task runs in."""
    assert namespace(written) == name


@pytest.mark.parametrize("written", ["", ".", "..", "a/b", "./a", "a\0b", "/run/netns/", "/run/netns/.."])
def test_no_namespace(written: str) -> None:
    """Neither a name nor a path."""
    with pytest.raises(InvalidValue, match=r"is neither the name of a network namespace nor an absolute path to one$"):
        namespace(written)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ({"dhcp4": True}, {"dhcp4": {"enabled": True}}),
        ({"dhcp4": "no"}, {"dhcp4": {"enabled": "no"}}),
        ({"dhcp4": {"hostname": "mail"}}, {"dhcp4": {"hostname": "mail"}}),
        ({"dhcp4": "hostname=mail"}, {"dhcp4": "hostname=mail"}),
        ({"peer": "v1"}, {"peer": {"name": "v1"}}),
        ({"peer": '{"name": "v1"}'}, {"peer": '{"name": "v1"}'}),
        ({"peer": {"name": "v1", "dhcp4": True}}, {"peer": {"name": "v1", "dhcp4": {"enabled": True}}}),
        ({"name": "v0", "netns": None}, {"name": "v0", "netns": None}),
    ],
)
def test_short_form(written: dict[str, Any], meant: dict[str, Any]) -> None:
    """In the module of one link, and in a list of topology."""
    assert with_long_forms(written, argument_spec(KINDS["veth"])) == meant
    assert with_long_forms({"veth": [written]}, topology_argument_spec()) == {"veth": [meant]}

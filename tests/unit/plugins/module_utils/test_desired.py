# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The desired state: how entries for one object are merged, shown for every field of every type."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import Field, fields, replace
from typing import Any

import pytest

from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._table import describe_attribute
from ansible_collections.patchbay.netdev.plugins.module_utils._model import _desired
from ansible_collections.patchbay.netdev.plugins.module_utils._model._clients import Dhcp4
from ansible_collections.patchbay.netdev.plugins.module_utils._model._desired import (
    Desired,
    DesiredLink,
    DesiredNetns,
    DesiredRoute,
    DesiredRule,
    LinkPolicy,
    MergeRule,
    merge,
    overlay,
    writes_host_files,
)
from ansible_collections.patchbay.netdev.plugins.module_utils._model._errors import InvalidValue
from ansible_collections.patchbay.netdev.plugins.module_utils._model._links import LinkKey, NetnsKey
from ansible_collections.patchbay.netdev.plugins.module_utils._model._routing import RouteKey, RuleKey, RulePriority
from ansible_collections.patchbay.netdev.plugins.module_utils._model._source_routing import SourceRouting

LINK, NETNS = LinkKey("", "mv0"), NetnsKey("guest")
ROUTE, RULE = RouteKey("", 254, 4, "192.0.2.0/24", 0), RuleKey(RulePriority("", 4, 100))

# An object of each type of which only what every object needs is set.
BARE: dict[str, Desired] = {
    "link": DesiredLink(LINK, None, True, is_required=False),
    "netns": DesiredNetns(NETNS, True),
    "route": DesiredRoute(ROUTE, True),
    "rule": DesiredRule(RULE, True),
}

# Two values per field, both of which differ from that above.
VALUES: dict[str, tuple[Any, Any]] = {
    "kind": ("macvlan", "macvtap"),
    "present": (True, False),
    "attributes": ({"mtu": 1400}, {"mtu": 1300}),
    "asserted": ({"controller": "br0"}, {"controller": "br1"}),
    "is_primary_end": (True, False),
    "source_routing": (SourceRouting(101, 1001), SourceRouting()),
    "dhcp4": (Dhcp4(client_id="mac"), Dhcp4(client_id="duid")),
    "client": ("udhcpc", "networkd"),
    "persist": ("replay", "networkd"),
    "origin": ("first", "second"),
    "force": (True, True),
    "recreate": (True, True),
    "lower_device_state": ("up", "require"),
    "is_required": (True, True),
    "allow_wireless": (True, True),
    "altnames_exact": (True, True),
    "wait_dad": (1.5, 2.5),
    "announce": (True, True),
    "wait_lease": (10.0, 20.0),
}


def fields_of(value: object, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Field[Any]]]:
    """The fields of an object, those of its policy included, by their path."""
    for field in fields(value):  # type: ignore[arg-type]
        if field.metadata.get("merge") is MergeRule.BY_FIELD:
            yield from fields_of(getattr(value, field.name), (*path, field.name))
        else:
            yield (*path, field.name), field


FIELDS = [
    pytest.param(item, path, field, id=f"{name}.{'.'.join(path)}")
    for name, item in BARE.items()
    for path, field in fields_of(item)
]
MERGED = [param for param in FIELDS if param.values[1] != ("key",)]  # the keys of entries that are merged are equal


def with_value(item: Desired, path: tuple[str, ...], value: object) -> Desired:
    """The object with this value in one field."""
    if len(path) == 1:
        return replace(item, **{path[0]: value})
    assert isinstance(item, DesiredLink)
    return replace(item, policy=replace(item.policy, **{path[1]: value}))


def value_of(item: Desired, path: tuple[str, ...]) -> object:
    """The value of a field."""
    value: object = item
    for name in path:
        value = getattr(value, name)
    return value


def merged(*items: Desired) -> Desired:
    """Entries for one object, as one."""
    (item,) = merge(items, describe_attribute)
    return item


def check_field_is_kept(item: Desired, path: tuple[str, ...]) -> None:
    """The merge carries the value of a field from either side, and changes nothing else."""
    if path == ("present",):  # always set, so that two values are needed to lose one
        absent = replace(item, present=False)
        assert (overlay(item, absent), overlay(absent, item)) == (absent, item)
        return
    full = item if path == ("key",) else with_value(item, path, VALUES[path[-1]][0])
    assert merged(item, full) == merged(full, item) == overlay(item, full) == overlay(full, item) == full


@pytest.mark.parametrize(("item", "path", "field"), FIELDS)
def test_field_has_a_merge_rule(item: Desired, path: tuple[str, ...], field: Field[Any]) -> None:
    """A new field without one cannot be merged: state it in the metadata of the field."""
    assert isinstance(field.metadata.get("merge"), MergeRule), f"{type(item).__name__}.{'.'.join(path)} has no merge rule"


@pytest.mark.parametrize(("item", "path", "field"), FIELDS)
def test_merge_keeps_field(item: Desired, path: tuple[str, ...], field: Field[Any]) -> None:
    """Set in one of two entries, whichever it is."""
    check_field_is_kept(item, path)


@pytest.mark.parametrize(("item", "path", "field"), MERGED)
def test_losing_a_field_is_noticed(
    item: Desired, path: tuple[str, ...], field: Field[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The test above fails when the loop leaves out this field."""
    all_fields = _desired.fields

    def without_it(value: Any) -> tuple[Field[Any], ...]:
        return tuple(one for one in all_fields(value) if one.name != path[-1])

    monkeypatch.setattr(_desired, "fields", without_it)
    with pytest.raises(AssertionError):
        check_field_is_kept(item, path)


@pytest.mark.parametrize(("item", "path", "field"), MERGED)
def test_two_values_of_a_field(item: Desired, path: tuple[str, ...], field: Field[Any]) -> None:
    """By the rule of the field: refused, or true in one of them, or that of the first."""
    one, other = (with_value(item, path, value) for value in VALUES[path[-1]])
    rule = field.metadata["merge"]
    if rule in (MergeRule.EITHER, MergeRule.FIRST):
        assert merged(one, other) == one
        return
    with pytest.raises(InvalidValue, match="listed twice with different options"):
        merge([one, other], lambda _kind, _name, text: str(text))
    assert value_of(overlay(one, other), path) == value_of(other, path)


def entry(origin: str, present: bool = True, **values: Any) -> DesiredLink:
    """A macvlan as an entry of this name has it."""
    return DesiredLink(LINK, None, present, **values, origin=origin)


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        (({"kind": "macvlan"}, {"kind": "macvtap"}), "kind is macvlan in a and macvtap in b"),
        (({"present": True}, {"present": False}), "state is present in a and absent in b"),
        (({"persist": "replay"}, {"persist": "none"}), "persist is replay in a and none in b"),
        (({"attributes": {"alias": ""}}, {"attributes": {"alias": "x"}}), 'alias is "" in a and x in b'),
        (({"dhcp4": Dhcp4(hostname="x")}, {"dhcp4": Dhcp4()}), "dhcp4.hostname is x in a and not set in b"),
        (({"dhcp4": Dhcp4(use_dns=True)}, {"dhcp4": Dhcp4()}), "dhcp4.use_dns is true in a and false in b"),
        (({"policy": LinkPolicy(wait_lease=1.5)}, {"policy": LinkPolicy(wait_lease=2)}), "dhcp4.wait is 1.5 in a and 2 in b"),
    ],
)
def test_contradiction(values: tuple[dict[str, Any], dict[str, Any]], sentence: str) -> None:
    """The error names the option, both values as the user sets them, and both entries."""
    one, other = (replace(entry(origin), **value) for origin, value in zip("ab", values))
    with pytest.raises(InvalidValue) as caught:
        merged(one, other)
    assert str(caught.value) == f"mv0: listed twice with different options: {sentence}. Set one value only"


def test_contradiction_of_the_last_two_of_three_entries() -> None:
    """The error names the entries that set the values, not the first one."""
    entries = [entry("a"), entry("b", attributes={"mtu": 1400}), entry("c", attributes={"mtu": 1300})]
    with pytest.raises(InvalidValue, match="mtu is 1400 in b and 1300 in c"):
        merged(*entries)


def test_attributes_of_several_entries() -> None:
    """Each entry may set others; equal values agree."""
    entries = [entry("a", attributes={"mtu": 1400, "alias": "x"}), entry("b", attributes={"mtu": 1400, "group": 7}), entry("c")]
    assert merged(*entries) == entry("a", attributes={"mtu": 1400, "alias": "x", "group": 7})


def test_primary_end_of_a_pair_listed_from_both_ends() -> None:
    """The first entry that names a peer decides, whatever entries without a peer come before it."""
    port, first, second = entry("a"), entry("b", is_primary_end=False), entry("c", is_primary_end=True)
    assert merged(port, first, second).is_primary_end is False  # type: ignore[union-attr]


def test_other_objects_are_left_alone() -> None:
    """In the order of the input, each in the place of its first entry."""
    items = list(BARE.values())
    assert merge([*items, *items], describe_attribute) == tuple(items)


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        (DesiredNetns(NETNS, True), False),
        (DesiredNetns(NETNS, True, persist="none"), False),
        (DesiredNetns(NETNS, True, persist="replay"), True),
        (DesiredLink(LINK, None, True), False),
        (DesiredLink(LINK, None, True, dhcp4=Dhcp4()), True),
    ],
)
def test_objects_that_write_host_files(item: Desired, expected: bool) -> None:
    """For these, the program that runs at boot is kept from running at the same time."""
    assert writes_host_files(item) is expected

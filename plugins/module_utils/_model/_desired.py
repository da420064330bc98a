# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The desired state: one dataclass per type of object, and how several entries for one object become one.

Each field states in its metadata how it is merged, and `merge` and `overlay` loop over the fields: a new field needs no further
code, and one without such a statement cannot be merged at all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import Field, dataclass, field, fields, replace
from enum import Enum
from functools import partial, reduce
from itertools import combinations
from typing import ClassVar, Protocol, TypeVar, Union

from ansible_collections.patchbay.netdev.plugins.module_utils._model._clients import Dhcp4
from ansible_collections.patchbay.netdev.plugins.module_utils._model._errors import InvalidValue
from ansible_collections.patchbay.netdev.plugins.module_utils._model._links import (
    Attributes,
    LinkAttributes,
    LinkKey,
    NetnsKey,
    TypedAttributes,
)
from ansible_collections.patchbay.netdev.plugins.module_utils._model._routing import RouteKey, RuleKey
from ansible_collections.patchbay.netdev.plugins.module_utils._model._source_routing import SourceRouting


class MergeRule(Enum):
    """How the values that two entries have for one field become one value."""

    AGREE = "set in one entry, or equal in both (None: not set)"
    AGREE_BY_NAME = "a mapping, each value of which is set in one entry or equal in both"
    EITHER = "true if it is true in one of them"
    FIRST = "that of the first entry that has one (None: not set)"
    BY_FIELD = "an object whose fields have rules of their own"


_RULE = "merge"
_AGREE, _AGREE_BY_NAME, _EITHER, _FIRST, _BY_FIELD = ({_RULE: rule} for rule in MergeRule)


@dataclass(frozen=True)
class LinkPolicy:
    """How the attributes of a link are applied.

    recreate: the link may be deleted and created again. lower_device_state: `up` brings the lower device up, `require` fails
    when it is down. allow_wireless: the lower device may be wireless. wait_dad: seconds to wait for the end of duplicate address
    detection. announce: new addresses are announced to the neighbors. wait_lease: seconds to wait for a DHCP lease.
    altnames_exact: alternative names that the entry does not list are removed.
    """

    recreate: bool = field(default=False, metadata=_EITHER)
    lower_device_state: str | None = field(default=None, metadata=_AGREE)
    allow_wireless: bool = field(default=False, metadata=_EITHER)
    wait_dad: float | None = field(default=None, metadata=_AGREE)
    announce: bool = field(default=False, metadata=_EITHER)
    wait_lease: float | None = field(default=None, metadata=_AGREE)
    altnames_exact: bool = field(default=False, metadata=_EITHER)


@dataclass(frozen=True)
class DesiredLink(LinkAttributes):
    """A link as it is to be; `attributes` are those that were set, in normal form.

    kind: None for a link that must exist, of whatever kind it is, and is neither created nor deleted.
    is_required: false where a link that does not exist is as desired too, such as a port that is to be detached.
    asserted: attributes that the link must have already; they are not changed.
    is_primary_end: of a veth pair, whether this end is the one that the pair is planned and declared by; None where the entry
    names no peer.
    source_routing: the routing table of the link; one without a table removes it, None leaves it unmanaged.
    dhcp4: what a DHCP client does for the link. client: the program that does it, as the gateway finds it: the one that was set,
    that serves the link now, or that the host has.
    persist: `none`, or the boot backend that restores it at the next boot; None: the next boot is unchanged.
    origin: the entry of the input that it was read from, for error messages.
    """

    key: LinkKey = field(metadata=_AGREE)
    kind: str | None = field(metadata=_AGREE)
    present: bool = field(metadata=_AGREE)
    attributes: Attributes = field(default_factory=dict, metadata=_AGREE_BY_NAME)
    is_required: bool = field(default=True, metadata=_EITHER)
    asserted: Attributes = field(default_factory=dict, metadata=_AGREE_BY_NAME)
    is_primary_end: bool | None = field(default=None, metadata=_FIRST)
    source_routing: SourceRouting | None = field(default=None, metadata=_AGREE)
    dhcp4: Dhcp4 | None = field(default=None, metadata=_AGREE)
    client: str | None = field(default=None, metadata=_FIRST)
    persist: str | None = field(default=None, metadata=_AGREE)
    policy: LinkPolicy = field(default_factory=LinkPolicy, metadata=_BY_FIELD)
    origin: str = field(default="", metadata=_FIRST)


@dataclass(frozen=True)
class DesiredNetns:
    """A named network namespace as it is to be; force: its name is removed although processes run in it."""

    kind: ClassVar[str] = "netns"
    attributes: ClassVar[Attributes] = {}

    key: NetnsKey = field(metadata=_AGREE)
    present: bool = field(metadata=_AGREE)
    force: bool = field(default=False, metadata=_EITHER)
    persist: str | None = field(default=None, metadata=_AGREE)
    origin: str = field(default="", metadata=_FIRST)


@dataclass(frozen=True)
class DesiredRoute(TypedAttributes):
    """A route as it is to be; `attributes` are those that were set, in normal form."""

    kind: ClassVar[str] = "route"

    key: RouteKey = field(metadata=_AGREE)
    present: bool = field(metadata=_AGREE)
    attributes: Attributes = field(default_factory=dict, metadata=_AGREE_BY_NAME)
    persist: str | None = field(default=None, metadata=_AGREE)
    origin: str = field(default="", metadata=_FIRST)

    @property
    def link(self) -> LinkKey | None:
        """The link that packets leave through; None when the task sets none."""
        name = self.text("link")
        return LinkKey(self.key.netns, name) if name else None


@dataclass(frozen=True)
class DesiredRule(TypedAttributes):
    """A policy rule as it is to be; what `attributes` do not name is no part of it."""

    kind: ClassVar[str] = "rule"

    key: RuleKey = field(metadata=_AGREE)
    present: bool = field(metadata=_AGREE)
    attributes: Attributes = field(default_factory=dict, metadata=_AGREE_BY_NAME)
    persist: str | None = field(default=None, metadata=_AGREE)
    origin: str = field(default="", metadata=_FIRST)


Desired = Union[DesiredLink, DesiredNetns, DesiredRoute, DesiredRule]
DesiredKey = Union[LinkKey, NetnsKey, RouteKey, RuleKey]
Describe = Callable[[str, str, object], str]  # kind, name of an attribute, value -> the value in the words of its option

_OPTIONS = {"present": "state", "wait_lease": "dhcp4.wait"}  # options whose names are not those of the fields
_Resolve = Callable[[str, object, object], object]  # name, first value, second value -> the value that counts


class _Dataclass(Protocol):
    __dataclass_fields__: ClassVar[dict[str, Field[object]]]


_Fields = TypeVar("_Fields", bound=_Dataclass)


def needs_namespace(item: Desired) -> bool:
    """Whether the namespace of an object must exist."""
    return item.present and (not isinstance(item, DesiredLink) or item.is_required)


def writes_host_files(item: Desired) -> bool:
    """Whether the host gets files of it: a declaration for the next boot, or the record of a DHCP client."""
    return item.persist not in (None, "none") or (isinstance(item, DesiredLink) and item.dhcp4 is not None)


def merge(items: Iterable[Desired], describe: Describe) -> tuple[Desired, ...]:
    """Entries that name the same object, as one; InvalidValue names two entries that contradict each other.

    describe: says the value of an attribute in the words of its option.
    """
    entries: dict[DesiredKey, list[Desired]] = {}
    for item in items:
        entries.setdefault(item.key, []).append(item)
    for same in entries.values():
        for first, second in combinations(same, 2):  # each with each, so that an error names the entries that set the two values
            _merged(first, second, partial(_refuse, first, second, describe))
    return tuple(reduce(overlay, same) for same in entries.values())


def overlay(earlier: Desired, later: Desired) -> Desired:
    """Two descriptions of the same object, as one; where they differ, the later one counts."""
    return _merged(earlier, later, lambda _name, _earlier, value: value)


def _merged(first: _Fields, second: _Fields, resolve: _Resolve) -> _Fields:
    """Two objects of one type, field by field; resolve: what to do with two values that differ."""
    values = {field.name: _value(field.metadata[_RULE], field.name, first, second, resolve) for field in fields(first)}
    return replace(first, **values)


def _value(rule: MergeRule, name: str, first: object, second: object, resolve: _Resolve) -> object:
    """The value of a field of two objects together."""
    own, other = getattr(first, name), getattr(second, name)
    if rule is MergeRule.BY_FIELD:
        return _merged(own, other, resolve)
    if rule is MergeRule.EITHER:
        return own or other
    if rule is MergeRule.FIRST:
        return other if own in (None, "") else own
    if rule is MergeRule.AGREE_BY_NAME:
        return {**own, **{key: _agreed(key, own.get(key), value, resolve) for key, value in other.items()}}
    return _agreed(name, own, other, resolve)


def _agreed(name: str, first: object, second: object, resolve: _Resolve) -> object:
    if first is None or second is None or first == second:
        return first if second is None else second
    return resolve(name, first, second)


def _refuse(first: Desired, second: Desired, describe: Describe, name: str, one: object, other: object) -> object:
    """Raise the error for an option that two entries set to different values."""
    if isinstance(one, Dhcp4) and isinstance(other, Dhcp4):
        suboption = next(field.name for field in fields(Dhcp4) if getattr(one, field.name) != getattr(other, field.name))
        return _refuse(first, second, describe, f"{name}.{suboption}", getattr(one, suboption), getattr(other, suboption))
    values = []
    for item, value in ((first, one), (second, other)):
        if name in item.attributes:
            text = describe(item.kind or "", name, value)
        elif name == "present":
            text = "present" if value else "absent"
        elif value is None:
            text = "not set"
        else:
            text = str(value).lower() if isinstance(value, bool) else str(value)
        values.append(f"{text} in {item.origin}")
    option = _OPTIONS.get(name, name)
    raise InvalidValue(
        f"{first.key}: listed twice with different options: {option} is {' and '.join(values)}. Set one value only"
    )

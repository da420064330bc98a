# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""References to links by an alternative name. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._table import kind_of
from ansible_collections.patchbay.netdev.plugins.module_utils._model._desired import (
    Desired,
    DesiredLink,
    DesiredNetns,
    DesiredRule,
)
from ansible_collections.patchbay.netdev.plugins.module_utils._model._links import Attributes, LinkKey
from ansible_collections.patchbay.netdev.plugins.module_utils._model._state import State


def with_names(items: Sequence[Desired], state: State) -> tuple[Desired, ...]:
    """The items with the name of each link that they refer to by an alternative name.

    The alternative name is one that the link has, or that another item of the task gives it. A link that an item may create keeps
    its name.
    """
    owners = {
        LinkKey(item.key.netns, altname): item.key
        for item in items
        if isinstance(item, DesiredLink) and item.present
        for altname in item.altnames
    }
    created = {item.key for item in items if isinstance(item, DesiredLink) and item.kind is not None}

    def resolved(key: LinkKey) -> LinkKey:
        if key in created or state.get(key) is not None:
            return key
        return owners.get(key) or state.owner_of_altname(key) or key

    return tuple(_with_names(item, resolved) for item in items)


def _with_names(item: Desired, resolved: Callable[[LinkKey], LinkKey]) -> Desired:
    if isinstance(item, (DesiredNetns, DesiredRule)):  # a rule matches names, whichever link has them
        return item
    kind = kind_of(item.kind or "")

    def named(attributes: Attributes) -> Attributes:
        names = [row.name for row in kind.rows(attributes) if row.names_link and isinstance(attributes[row.name], str)]
        keys = {name: resolved(LinkKey(item.key.netns, str(attributes[name]))) for name in names if attributes[name]}
        return {**attributes, **{name: key.name for name, key in keys.items()}}

    attributes = named(item.attributes)
    if not isinstance(item, DesiredLink):
        return replace(item, attributes=attributes)
    if item.lower_device is not None:
        attributes = {**attributes, "lower_device": resolved(item.lower_device)}
    return replace(item, key=item.key if item.kind else resolved(item.key), attributes=attributes, asserted=named(item.asserted))


def with_kept_altnames(item: DesiredLink, state: State) -> DesiredLink:
    """The item with the alternative names that its link has and keeps: those that udev or others gave it."""
    link = state.get(item.key)
    if link is None or item.policy.altnames_exact or "altnames" not in item.attributes:
        return item
    return replace(item, attributes={**item.attributes, "altnames": tuple(sorted({*link.altnames, *item.altnames}))})

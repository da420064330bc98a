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
    """The item itself where it refers to no link by an alternative name."""
    if isinstance(item, (DesiredNetns, DesiredRule)):  # a rule matches names, whichever link has them
        return item
    kind = kind_of(item.kind or "")

    def named(attributes: Attributes) -> Attributes:
        names = [row.name for row in kind.rows(attributes) if row.names_link and isinstance(attributes[row.name], str)]
        found = {name: resolved(LinkKey(item.key.netns, str(attributes[name]))).name for name in names if attributes[name]}
        return {**attributes, **found} if any(attributes[name] != found[name] for name in found) else attributes

    attributes = named(item.attributes)
    if not isinstance(item, DesiredLink):
        return item if attributes is item.attributes else replace(item, attributes=attributes)
    lower = item.lower_device and resolved(item.lower_device)
    if lower != item.lower_device:
        attributes = {**attributes, "lower_device": lower}
    key, asserted = item.key if item.kind else resolved(item.key), named(item.asserted)
    if key == item.key and attributes is item.attributes and asserted is item.asserted:
        return item
    return replace(item, key=key, attributes=attributes, asserted=asserted)


def with_kept_altnames(item: DesiredLink, state: State) -> DesiredLink:
    """The item with the alternative names that its link has and keeps: those that udev or others gave it."""
    link = state.get(item.key)
    if link is None or item.policy.altnames_exact or "altnames" not in item.attributes:
        return item
    return replace(item, attributes={**item.attributes, "altnames": tuple(sorted({*link.altnames, *item.altnames}))})

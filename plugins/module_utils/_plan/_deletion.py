# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The deletion of a link, with all that the kernel deletes together with it."""

from __future__ import annotations

from ansible_collections.patchbay.netdev.plugins.module_utils._model._errors import Refused
from ansible_collections.patchbay.netdev.plugins.module_utils._model._links import Link
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._links import DeleteLink
from ansible_collections.patchbay.netdev.plugins.module_utils._plan._context import Context
from ansible_collections.patchbay.netdev.plugins.module_utils._plan._restoration import restorable_contents


def delete(link: Link, context: Context, recreated: str = "") -> DeleteLink:
    """Delete a link; Refused when that would delete links that the task does not name.

    recreated: why the link is created again afterwards; empty when it is not.
    """
    state = context.predicted
    deletion = DeleteLink(link)
    cascaded = [state.get(key) for key, after in deletion.predict(state).items() if after is None and key != link.key]
    expected = {*context.removed, link.peer}
    others = sorted(str(other.key) for other in cascaded if other is not None and other.key not in expected)
    if others:
        action = "recreated" if recreated else "deleted"
        verb, pronoun = ("sits", others[0]) if len(others) == 1 else ("sit", "them")
        raise Refused(
            f"{link.key}: {', '.join(others)} {verb} on it and would be deleted with it, so it is not {action}. "
            f"Delete {pronoun} first{'' if recreated else ', or in the same task'}"
        )
    return DeleteLink(
        link,
        restorable_contents(link.key, state),
        tuple((other, restorable_contents(other.key, state)) for other in cascaded if other is not None),
        f" (to be created again: {recreated})" if recreated else "",
    )

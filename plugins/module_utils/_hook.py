# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a DHCP client runs when it has news: a lease that only goes on gets its new time, any other is planned like a task.

Nearly all news is that a lease goes on: so the engine, and pyroute2 with it, is loaded only for what is more.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.patchbay.netdev.plugins.module_utils._errors import InvalidValue, NetdevError
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway import _leases as leases
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway._lock import locked
from ansible_collections.patchbay.netdev.plugins.module_utils._lease import NOTHING, restored, saved, told


def main(arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    """The exit status. arguments: those of the hook; environment: what the client tells it there."""
    path = environment.get(leases.VARIABLE)
    if not path:
        _say(f"There is no {leases.VARIABLE}: this is for DHCP clients that patchbay.netdev starts")
        return 1
    leases.shorten_log(leases.beside(path, "log"))
    try:
        with locked():
            record = leases.read(path)
            if record is not None:
                _heard(path, record, arguments, environment)
            elif os.path.exists(path):  # else its client ends at this moment
                raise InvalidValue(f"{path} was written by another release. Run the task again that declared the client")
    except NetdevError as error:
        _say(f"<3>failed: {error}")
        return 1
    return 0


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def _heard(path: str, record: dict[str, Any], arguments: Sequence[str], environment: Mapping[str, str]) -> None:
    before = restored(record["lease"])
    news = told(arguments, environment, before is not None and leases.left(record) == 0)
    if news.event == NOTHING or (news.lease is None and before is None and not record["former"]):
        return
    if news.lease is not None:
        record["expires"] = leases.end_of(news.lease.seconds)
        if news.lease.same_as(before) and record["settled"] and leases.prolong(record["link"], news.lease):
            leases.write(path, {**record, "lease": saved(news.lease)})
            return
    # Written before it is done: whoever comes next, whatever happens here, knows what there may be.
    former = [*record["former"], *([record["lease"]] if before is not None and not before.same_as(news.lease) else [])]
    record.update(lease=saved(news.lease), former=former, settled=False)
    leases.write(path, record)
    from ansible_collections.patchbay.netdev.plugins.module_utils._hook_plan import apply

    for sentence in apply(record):
        _say(f"<6>{sentence}")
    leases.write(path, {**record, "former": [], "settled": news.lease is not None})

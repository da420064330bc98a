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

from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.dhcp import _leases as leases
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.host._lock import locked
from ansible_collections.patchbay.netdev.plugins.module_utils._model._errors import InvalidValue, NetdevError
from ansible_collections.patchbay.netdev.plugins.module_utils._model._lease import (
    GAINED,
    NOTHING,
    News,
    matters,
    restored,
    saved,
    told,
)


def main(arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    """The exit status. arguments: those of the hook; environment: what the client tells it there."""
    if list(arguments) == ["networkd"]:
        return _of_networkd()
    path = environment.get(leases.VARIABLE)
    if not path:
        _say(f"There is no {leases.VARIABLE}: this is for DHCP clients that patchbay.netdev starts")
        return 1
    if not matters(arguments, environment):  # and so not wait for a task that may be waiting for this client to start or end
        return 0
    leases.shorten_log(leases.beside(path, "log"))
    untold = False
    try:
        _prepare(leases.read(path), arguments, environment)
        with locked():
            record = leases.read(path)
            if record is not None:
                before = restored(record["lease"])
                untold = _heard(path, record, told(arguments, environment, before is not None and leases.left(record) == 0))
            elif os.path.exists(path):  # else its client ends at this moment
                raise InvalidValue(f"{path} was written by another release. Run the task again that declared the client")
        if untold and record is not None:
            from ansible_collections.patchbay.netdev.plugins.module_utils._host_program._lease_plan import tell_resolver

            tell_resolver(path, record)
    except NetdevError as error:
        _say(f"<3>failed: {error}")  # and no word by the status: dhclient would decline the lease
    return 0


def _prepare(record: dict[str, Any] | None, arguments: Sequence[str], environment: Mapping[str, str]) -> None:
    """Load the engine where it looks as if it was needed: that takes longer than all the rest, and others may have the lock."""
    if record is None:
        return
    known = restored(record["lease"])
    news = told(arguments, environment, known is not None and leases.left(record) == 0)
    if news.event != NOTHING and not (record["settled"] and news.lease is not None and news.lease.same_as(known)):
        from ansible_collections.patchbay.netdev.plugins.module_utils._host_program import _lease_plan as _hook_plan  # noqa: F401


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def _of_networkd() -> int:
    """All leases of networkd that are not as they are known; one that cannot be planned keeps no other from that."""
    from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.dhcp import _networkd as networkd

    failed = False
    with locked():
        for path, record in networkd.records().items():
            try:
                lease = networkd.news(record)
                if lease is not None:
                    _heard(path, record, News(GAINED, lease))
            except NetdevError as error:
                _say(f"<3>failed: {record['link']}: {error}")
                failed = True
    return 1 if failed else 0


def _heard(path: str, record: dict[str, Any], news: News) -> bool:
    """Make of the news what comes of them. Whether the resolver is to be told of them, which others need not wait for."""
    before, own = restored(record["lease"]), record["networkd"] is None
    if news.event == NOTHING or (news.lease is None and before is None and not record["former"]):
        return False
    if news.lease is not None:
        record["expires"] = leases.end_of(news.lease.seconds) if own else None
        as_known = own and news.lease.same_as(before) and record["settled"]
        if as_known and leases.is_usable(news.lease, _ways(record)) and leases.prolong(record["link"], news.lease):
            leases.write(path, {**record, "lease": saved(news.lease)})
            return bool(record["options"].get("use_dns") and not record["resolver"])
    # Written before it is done: whoever comes next, whatever happens here, knows what there may be.
    former = [*record["former"], *([record["lease"]] if before is not None and not before.same_as(news.lease) else [])]
    record.update(lease=saved(news.lease), former=former, settled=False)
    leases.write(path, record)
    from ansible_collections.patchbay.netdev.plugins.module_utils._host_program._lease_plan import apply, forget_resolver

    for sentence in apply(record):
        _say(f"<6>{sentence}")
    if own and news.lease is not None and before is not None and str(news.lease) == str(before):
        leases.prolong(record["link"], news.lease)  # to the plan an address that is there is the same, whatever its time
    untold = bool(record["options"].get("use_dns") and news.lease is not None)
    if record["resolver"] and news.lease is None:
        forget_resolver(record)
    record.update(former=[], settled=news.lease is not None and not untold)
    leases.write(path, record)
    return untold


def _ways(record: Mapping[str, Any]) -> bool:
    """Whether the client makes the routes of its leases."""
    return record["options"].get("table") is not None and bool(record["options"].get("use_routes"))

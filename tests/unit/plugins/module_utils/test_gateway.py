# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The composition of the gateway: every request has a handler."""

from __future__ import annotations

from typing import Any, get_args

import pytest

from ansible_collections.patchbay.netdev.plugins.module_utils._gateway._gateway import BY_HOST, BY_KERNEL, HANDLERS
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._requests import Request

REQUESTS = get_args(Request)


@pytest.mark.parametrize("request_type", REQUESTS, ids=lambda request_type: request_type.__name__)
def test_request_has_a_handler(request_type: type[Any]) -> None:
    """A new type of request needs a row in HANDLERS."""
    assert request_type in HANDLERS, f"{request_type.__name__} has no handler: add it to BY_KERNEL or BY_HOST in _gateway.py"


def test_handlers_are_for_requests() -> None:
    """Each type of request is handled by the kernel or by the host, and nothing else is handled."""
    assert not BY_KERNEL.keys() & BY_HOST.keys()
    assert HANDLERS.keys() <= set(REQUESTS)

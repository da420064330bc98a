# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host with a thousand network namespaces, and the usual limit of open files."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator

import pytest

from ansible_collections.patchbay.netdev.tests.integration.host import Host, enter, ip, ip_batch, run_in_child
from ansible_collections.patchbay.netdev.tests.integration.ladder import warnings

NAMES = [f"many-{number:04}" for number in range(1000)]
LAST = "zz"  # in the order of their names


@pytest.fixture
def many(host: Host) -> Iterator[Host]:
    """The host beside a thousand namespaces and one more, with a macvlan on eth0 in the last one."""
    ip_batch(*(f"netns add {name}" for name in [*NAMES, LAST]))
    host.ip("link", "add", "link", "eth0", "name", "child", "netns", LAST, "type", "macvlan", "mode", "bridge")
    yield host
    ip_batch(*(f"netns del {name}" for name in [*NAMES, LAST]))


def with_few_files(netns: str, files: int) -> None:
    """Enter the namespace with a lower limit of open files."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
    enter(netns)


def without_privilege(netns: str) -> None:
    """Enter the namespace as a user who may not enter others."""
    enter(netns)
    os.setgid(65534)
    os.setuid(65534)


def test_all_are_read(many: Host) -> None:
    """The guard sees a link in the last namespace, and so does link_info, with a hundred open files."""
    refused = run_in_child(lambda: with_few_files(many.netns, 100), "veth", {"name": "eth0", "state": "absent"}, check=False)
    assert refused["msg"].startswith(f"eth0: child in netns {LAST} sits on it and would be deleted with it"), refused
    info = run_in_child(lambda: with_few_files(many.netns, 100), "link_info", {"netns": "all", "kind": "macvlan"}, check=False)
    assert [(link["name"], link["netns"]) for link in info["links"]] == [("child", LAST)], info
    assert ip("link", "show", "dev", "child", netns=LAST)


def test_without_privilege(many: Host) -> None:
    """link_info and listener_info name what they could not read."""
    place = many.netns
    info = run_in_child(lambda: without_privilege(place), "link_info", {"netns": "all"}, check=False)
    (warning,) = warnings(info)
    assert warning.startswith("Network namespaces could not be read without privileges: ")
    assert warning.endswith(" others. Set become: true.")
    assert {link["netns"] for link in info["links"]} == {None}
    heard = run_in_child(lambda: without_privilege(place), "listener_info", {"netns": "all"}, check=False)
    assert warnings(heard) == [warning]

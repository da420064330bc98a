# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line and the configuration of each DHCP client."""

from __future__ import annotations

import fnmatch
import os
from typing import Any

import pytest

from ansible_collections.patchbay.netdev.plugins.module_utils._boot._systemd_files import HOOK
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.dhcp._programs import PROGRAMS, Job
from ansible_collections.patchbay.netdev.plugins.module_utils._model._clients import Dhcp4
from ansible_collections.patchbay.netdev.plugins.module_utils._values._dhcp4 import CLIENTS

# Of Debian's AppArmor profile for dhclient (sbin.dhclient, usr.sbin.dhclient), what it may read or run.
PROFILE = ("/etc/dhcp/*", "/var/lib/dhcp/dhclient*", "/usr/sbin/dhclient-script")


def job(identifier: str = "", **options: Any) -> Job:
    """A job for the link mv0."""
    known = bytes.fromhex(identifier) if identifier else None
    return Job("mv0", Dhcp4(**options), known, "PATCHBAY_CLIENT=/run/x.json", "/run/x.conf")


def test_every_client_but_networkd_has_a_program() -> None:
    """In the order in which a client is chosen."""
    assert tuple(PROGRAMS) == tuple(one for one in CLIENTS if one != "networkd")
    assert all(program.package for program in PROGRAMS.values())


def test_udhcpc() -> None:
    """All settings are in its command line."""
    plain = ["udhcpc", "-f", "-i", "mv0", "-s", HOOK, "-O", "121", "-C"]
    program = PROGRAMS["udhcpc"]
    assert program.command(job()) == [*plain, "-V", ""]
    told = job("01aabb", hostname="old", vendor_class="A b")
    assert program.command(told) == [*plain, "-x", "0x3d:01aabb", "-x", "hostname:old", "-V", "A b"]
    assert (program.configuration(told), program.places(told), program.folders) == ("", {}, ())


@pytest.mark.parametrize("has_package_files", [True, False])
def test_dhclient(monkeypatch: pytest.MonkeyPatch, has_package_files: bool) -> None:
    """Its files have paths that Debian's AppArmor profile allows, as far as its package has installed them."""
    monkeypatch.setattr(os.path, "exists", lambda _path: has_package_files)
    program, told = PROGRAMS["dhclient"], job("ff3e11", hostname="old", vendor_class='Poly "VVX" \\')
    words = program.command(told)
    paths = [word for word in words[1:-3] if word.startswith("/")]
    assert len(paths) == 4
    if has_package_files:
        assert all(any(fnmatch.fnmatchcase(path, one) for one in PROFILE) for path in paths)
        assert set(program.places(told).values()) == {"/run/x.conf", HOOK}
    else:
        assert {"/run/x.conf", HOOK} < set(paths)
        assert program.places(told) == {}
    assert words[-3:] == ["-e", "PATCHBAY_CLIENT=/run/x.json", "mv0"]
    lines = program.configuration(told).splitlines()
    assert lines[-3:] == [
        "send dhcp-client-identifier ff:3e:11;",
        'send host-name "old";',
        'send vendor-class-identifier "Poly \\"VVX\\" \\\\";',
    ]
    assert not any(line.startswith("send") for line in program.configuration(job()).splitlines())


def test_dhcpcd() -> None:
    """Only options that were set are sent, and texts are escaped."""
    program = PROGRAMS["dhcpcd"]
    assert program.command(job()) == ["dhcpcd", "-4", "-B", "-f", "/run/x.conf", "-c", HOOK, "mv0"]
    plain = program.configuration(job()).splitlines()
    assert "env PATCHBAY_CLIENT=/run/x.json" in plain
    assert "noconfigure" in plain
    assert plain[-1] == "vendorclassid"
    assert not any(line.startswith(("clientid", "duid", "hostname")) for line in plain)
    told = program.configuration(job("01aabb", hostname="old", vendor_class='"#')).splitlines()
    assert told[-3:] == ["clientid 01:aa:bb", "hostname old", 'vendorclassid "\\x22\\x23"']

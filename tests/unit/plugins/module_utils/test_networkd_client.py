# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""systemd-networkd as DHCP client: its file for a link, the options that it does not support, and new leases."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.patchbay.netdev.plugins.module_utils._gateway import _commands
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.dhcp import _networkd_client
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.dhcp._networkd_client import new_lease, render, unsupported
from ansible_collections.patchbay.netdev.plugins.module_utils._host_program import _dhcp_hook
from ansible_collections.patchbay.netdev.plugins.module_utils._model._clients import Dhcp4
from ansible_collections.patchbay.netdev.plugins.module_utils._model._errors import InvalidValue, RequestFailed
from ansible_collections.patchbay.netdev.plugins.module_utils._model._lease import Lease
from ansible_collections.patchbay.netdev.plugins.module_utils._model._source_routing import SourceRouting
from ansible_collections.patchbay.netdev.plugins.module_utils._values._lease import lease_to_json

PLAIN = Dhcp4(True, "mac", source_routing=SourceRouting(105, 1105))
IPV6 = {"disable_ipv6": 0, "addr_gen_mode": 0, "accept_ra": 1}
HARDWARE = b"\x01\x00\x16\x3e\x11\x11\x01"
DUID = bytes.fromhex("ff3e111101000400010203")


def test_file() -> None:
    """The whole file, with usual options."""
    assert (
        render("old-1", PLAIN, HARDWARE, IPV6)
        == """\
# Written by patchbay.netdev: DHCP for a link that it creates.
[Match]
Name=old-1

[Link]
ActivationPolicy=manual
RequiredForOnline=no

[Network]
DHCP=ipv4
KeepConfiguration=static
LinkLocalAddressing=ipv6
IPv6PrivacyExtensions=kernel
IPv6LinkLocalAddressGenerationMode=eui64
IPv6AcceptRA=yes

[IPv6AcceptRA]
RouteMetric=2048
UseDNS=no
UseDomains=no
DHCPv6Client=no

[DHCPv4]
RouteTable=105
RouteMetric=0
UseRoutes=yes
UseGateway=yes
UseDNS=no
UseNTP=no
UseHostname=no
UseDomains=no
RoutesToDNS=no
RoutesToNTP=no
SendRelease=no
ClientIdentifier=mac
SendHostname=no
"""
    )


@pytest.mark.parametrize(
    ("options", "identifier", "ipv6", "lines"),
    [
        ({"hostname": "old", "vendor_class": "A phone"}, HARDWARE, IPV6, ["Hostname=old", "VendorClassIdentifier=A phone"]),
        ({"metric": 7, "use_routes": False}, HARDWARE, IPV6, ["RouteMetric=7", "UseRoutes=no", "UseGateway=no"]),
        ({"source_routing": SourceRouting(105, 1105, ("192.0.2.1",))}, HARDWARE, IPV6, ["UseRoutes=yes", "UseGateway=no"]),
        ({"source_routing": SourceRouting(105, 1105, ("fe80::1",))}, HARDWARE, IPV6, ["UseRoutes=yes", "UseGateway=yes"]),
        ({"source_routing": None, "use_main_table": True}, HARDWARE, IPV6, ["RouteTable=254"]),
        ({}, DUID, IPV6, ["ClientIdentifier=duid", "IAID=1041305857", "DUIDType=uuid", "DUIDRawData=00:01:02:03"]),
        ({}, HARDWARE, {}, ["LinkLocalAddressing=no", "IPv6AcceptRA=no"]),
        ({}, HARDWARE, {**IPV6, "disable_ipv6": 1}, ["LinkLocalAddressing=no", "IPv6AcceptRA=no"]),
        ({}, HARDWARE, {**IPV6, "accept_ra": 0}, ["LinkLocalAddressing=ipv6", "IPv6AcceptRA=no"]),
        ({}, HARDWARE, {**IPV6, "addr_gen_mode": 3}, ["IPv6LinkLocalAddressGenerationMode=random"]),
    ],
)
def test_lines_of_the_file(options: dict[str, Any], identifier: bytes, ipv6: dict[str, int], lines: list[str]) -> None:
    """The lines that depend on the options and on the IPv6 settings of the link."""
    written = render("old-1", Dhcp4(**{**vars(PLAIN), **options}), identifier, ipv6).splitlines()
    assert [line for line in lines if line not in written] == []
    keys = [line.partition("=")[0] for line in lines]
    assert [line for line in written if line.partition("=")[0] in keys and line not in lines] in ([], ["RouteMetric=2048"])


def test_name_that_is_a_pattern() -> None:
    """The name is escaped, so that it matches no other one."""
    assert r"Name=a\\*" in render("a*", PLAIN, HARDWARE, IPV6).splitlines()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"client_id": "none"}, "always sends a client identifier. Set a client_id, such as mac"),
        ({"client_id": "01:aa:bb"}, "cannot send the client identifier 01:aa:bb. Set client: udhcpc"),
        (
            {"client_id": "ff:00:00:00:01:00:05:aa"},
            "cannot send the client identifier ff:00:00:00:01:00:05:aa. Set client: udhcpc",
        ),
        (
            {"client_id": "ff:00:00:00:01:00:04"},
            "cannot send the client identifier ff:00:00:00:01:00:04. Set client: udhcpc",
        ),
        (
            {"source_routing": None},
            "always adds the route to the network of the lease. Set source_routing, or use_main_table",
        ),
        ({"hostname": "a.b"}, "cannot send a.b in option 12. Omit the domain"),
        ({"vendor_class": "a "}, "cannot send the vendor class 'a '. Set client: udhcpc"),
        ({"vendor_class": "a\\b"}, "cannot send the vendor class 'a\\\\b'. Set client: udhcpc"),
        ({"vendor_class": 'a "b"'}, "cannot send the vendor class 'a \"b\"'. Set client: udhcpc"),
        ({"vendor_class": "a'b"}, 'cannot send the vendor class "a\'b". Set client: udhcpc'),
    ],
)
def test_unsupported_options(options: dict[str, Any], sentence: str) -> None:
    """The whole message."""
    assert unsupported(Dhcp4(**{**vars(PLAIN), **options})) == f"systemd-networkd {sentence}"


@pytest.mark.parametrize("client_id", ["mac", "duid", "ff:3e:11:11:01:00:04:00:01:02:03"])
def test_supported_options(client_id: str) -> None:
    """No message."""
    assert unsupported(Dhcp4(**{**vars(PLAIN), "client_id": client_id, "hostname": "old", "vendor_class": "A #4; 9%=[a]"})) == ""


def test_line_that_networkd_does_not_understand(monkeypatch: pytest.MonkeyPatch) -> None:
    """networkd logs it and ignores it: an error, if it is in the file of the link and was logged after the reload."""
    ours = "/run/systemd/network/04-patchbay-old-1.network"
    log = f"{ours}:4: Unknown key 'Bogus' in section [Network], ignoring.\n/etc/other.network:1: Missing '='.\nold-1: Link UP\n"
    commands: list[Sequence[str]] = []

    def run(command: Sequence[str], **_options: Any) -> subprocess.CompletedProcess[str]:
        commands.append(command)
        return subprocess.CompletedProcess(command, 0, log if "--unit" in command else "", "")

    monkeypatch.setattr(_commands.subprocess, "run", run)
    monkeypatch.setattr(_networkd_client, "_file_in_force", lambda _index: ours)
    monkeypatch.setattr(_networkd_client.time, "time", lambda: 1700000000.25)
    with pytest.raises(RequestFailed) as caught:
        _networkd_client._have_read("old-1", 7)
    complaint = f"{ours}:4: Unknown key 'Bogus' in section [Network], ignoring."
    assert str(caught.value) == f"systemd-networkd does not understand {complaint}"
    assert "--since=@1700000000.250000" in commands[-1]


LEASE = Lease("192.0.2.7", 24, ("192.0.2.1",), server="192.0.2.1", seconds=120)
TEXT = "ADDRESS=192.0.2.7\nNETMASK=255.255.255.0\nROUTER=192.0.2.1\nSERVER_ADDRESS=192.0.2.1\nLIFETIME=2min\n"


@pytest.fixture
def lease_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of the lease of link 7."""
    monkeypatch.setattr(_networkd_client, "_LEASES", str(tmp_path))
    monkeypatch.setattr(_networkd_client, "_index", lambda _link: 7)
    (tmp_path / "7").write_text(TEXT)
    return tmp_path / "7"


def known(**changes: Any) -> dict[str, Any]:
    """The record of a client that has the lease."""
    found = {"link": "old-1", "namespace": [0, 0], "networkd": {"stale": None}, "lease": lease_to_json(LEASE), "settled": True}
    return {**found, "former": [], **changes}


def test_new_lease(lease_file: Path) -> None:
    """A lease is new if the record has another one, or is not settled."""
    assert new_lease(known()) is None
    assert new_lease(known(settled=False)) == LEASE
    assert new_lease(known(lease=None, settled=False)) == LEASE
    lease_file.write_text(TEXT.replace("192.0.2.7", "192.0.2.8"))
    assert str(new_lease(known())) == "192.0.2.8/24"
    lease_file.write_text("ADDRESS=\n")
    with pytest.raises(InvalidValue):
        new_lease(known())
    lease_file.unlink()
    assert new_lease(known(settled=False)) is None


def test_earlier_lease_is_not_new(lease_file: Path) -> None:
    """Until networkd writes another file, even with the same lease."""
    place = os.stat(lease_file)
    record = known(settled=False, networkd={"stale": [place.st_ino, place.st_mtime_ns]})
    assert new_lease(record) is None
    new = lease_file.with_name("new")
    new.write_text(TEXT)
    new.replace(lease_file)
    assert new_lease(record) == LEASE


def test_hook_goes_on_after_a_failure(
    lease_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """A lease that cannot be planned does not keep others from being planned."""
    heard = []

    def heard_of(path: str, record: dict[str, Any], event: Any) -> None:
        heard.append((path, event.lease))
        if record["link"] == "old-1":
            raise InvalidValue("it is so")

    records = {"a": known(settled=False), "b": known(), "c": known(settled=False, link="old-3")}
    monkeypatch.setattr(_networkd_client, "records", lambda: records)
    monkeypatch.setattr(_dhcp_hook, "_handle", heard_of)
    monkeypatch.setattr(
        "ansible_collections.patchbay.netdev.plugins.module_utils._gateway.host._lock.LOCK", str(tmp_path / "lock")
    )
    assert _dhcp_hook.main(["networkd"], {}) == 1
    assert heard == [("a", LEASE), ("c", LEASE)]
    assert capsys.readouterr().err == "<3>failed: old-1: it is so\n"

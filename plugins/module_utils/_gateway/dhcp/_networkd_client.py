# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""systemd-networkd as the DHCP client of links: a file in /run configures each link, and files in /run hold the leases.

networkd sets address and routes itself, but not the rule for packets from the address, because addresses in its files are fixed.
So a watcher observes the leases, and has the hook plan what a new one requires. Nothing of this outlasts the boot: at the next
one, the program that creates the links writes the files again, before networkd starts.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import socket
import sys
import time
from collections.abc import Mapping
from typing import Any, NoReturn

from ansible_collections.patchbay.netdev.plugins.module_utils._boot import _systemd_files as systemd_files
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway import _atomic_files as atomic_files
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway import _commands as commands
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway import _networkd_reports as networkd_reports
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway import _system_calls as system_calls
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway._namespace_files import OWN, identity_of
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.dhcp import _client_records as client_records
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.dhcp._polling import polls
from ansible_collections.patchbay.netdev.plugins.module_utils._model._clients import Dhcp4
from ansible_collections.patchbay.netdev.plugins.module_utils._model._errors import InvalidValue, RequestFailed
from ansible_collections.patchbay.netdev.plugins.module_utils._model._ip import family_of
from ansible_collections.patchbay.netdev.plugins.module_utils._model._lease import FOLDER, Lease
from ansible_collections.patchbay.netdev.plugins.module_utils._model._links import HERE, LinkKey
from ansible_collections.patchbay.netdev.plugins.module_utils._model._routing import MAIN_TABLE
from ansible_collections.patchbay.netdev.plugins.module_utils._values._dhcp4 import NETWORKD
from ansible_collections.patchbay.netdev.plugins.module_utils._values._lease import lease_from_json, parse_networkd_lease

_FILES, _CONF = "/run/systemd/network", "/run/systemd/networkd.conf.d/90-patchbay.conf"
_LEASES = "/run/systemd/netif/leases"
_PID = "/run/patchbay/leases.pid"
_SECONDS = 5.0  # for networkd to do what it was asked to
_AFTER_FAILURE, _WITHOUT_NEWS, _HOOK_SECONDS = 5.0, 300.0, 600.0
_CHANGES = 0x80 | 0x200 | 0x100  # linux/inotify.h: moved to, deleted, created; networkd writes each lease as a new file
# Settings that networkd writes on each link that it manages, whatever its file says.
_SETTINGS = {"ipv6": ("accept_ra",), "ipv4": ("promote_secondaries",)}
_METRIC = 2048  # with that of others (1024), networkd would make one route of both, and half of the host's packets left here
_DUIDS = {1: "link-layer-time", 2: "vendor", 3: "link-layer", 4: "uuid"}
_UNSAFE = frozenset("\"'\\")  # networkd ignores a text that contains one of them
_GENERATIONS = {0: "eui64", 1: "none", 2: "stable-privacy", 3: "random"}  # IN6_ADDR_GEN_MODE_*


def refusal(key: LinkKey, options: Dhcp4) -> str:
    """Why networkd cannot serve a link here, and what to do; empty if it can."""
    if key.netns != HERE:
        return "systemd-networkd serves only links of its own namespace. Set another client"
    is_active, is_enabled, process = _service()
    if not (is_active or is_enabled):
        return "systemd-networkd is not running on this host. Start it (systemctl enable --now systemd-networkd)"
    if process and not os.path.samefile(OWN, f"/proc/{process}/ns/net"):
        return "systemd-networkd runs in another namespace than this task. Set another client"
    other = _file_in_force(_index(key.name))
    if is_active and other not in ("", _file(key.name)):
        return f"systemd-networkd manages the link already, as {other} configures. Set up DHCP there and omit dhcp4"
    return unsupported(options)


def is_available() -> bool:
    """Whether networkd runs here, or will at the next boot."""
    return any(_service()[:2])


def unsupported(options: Dhcp4) -> str:
    """Which of the options networkd cannot express, and what to do; empty if it can express all of them."""
    if options.client_id == "none":
        return "systemd-networkd always sends a client identifier. Set a client_id, such as mac"
    if options.client_id not in ("mac", "duid") and _duid(bytes.fromhex(options.client_id.replace(":", ""))) is None:
        return f"systemd-networkd cannot send the client identifier {options.client_id}. Set client: udhcpc"
    if options.source_routing is None and not options.use_main_table:
        return "systemd-networkd always adds the route to the network of the lease. Set source_routing, or use_main_table"
    if options.hostname and "." in options.hostname:
        return f"systemd-networkd cannot send {options.hostname} in option 12. Omit the domain"
    if options.use_dns:
        return "use_dns is not supported with systemd-networkd as the client. Set client: udhcpc"
    vendor_class = options.vendor_class or ""
    if vendor_class != vendor_class.strip() or set(vendor_class) & _UNSAFE:
        return f"systemd-networkd cannot send the vendor class {vendor_class!r}. Set client: udhcpc"
    return ""


def _duid(identifier: bytes) -> tuple[int, str, bytes] | None:
    """IAID, DUID type and DUID data of a client identifier in the form of RFC 4361; None for any other form."""
    kind = _DUIDS.get(int.from_bytes(identifier[5:7], "big"))
    if identifier[:1] != b"\xff" or kind is None or len(identifier) < 8:
        return None
    return int.from_bytes(identifier[1:5], "big"), kind, identifier[7:]


def render(link: str, options: Dhcp4, identifier: bytes, ipv6: Mapping[str, int]) -> str:
    """The file for a link. ipv6: the settings that it keeps, by name; empty if the kernel has no IPv6."""
    duid = _duid(identifier)
    lines = [
        "[Match]",
        f"Name={systemd_files.networkd_pattern(link)}",
        "",
        "[Link]",
        "ActivationPolicy=manual",
        "RequiredForOnline=no",
    ]
    lines += ["", "[Network]", "DHCP=ipv4", "KeepConfiguration=static"]
    if ipv6 and not ipv6.get("disable_ipv6"):
        lines += ["LinkLocalAddressing=ipv6", "IPv6PrivacyExtensions=kernel"]
        lines.append(f"IPv6LinkLocalAddressGenerationMode={_GENERATIONS.get(ipv6.get('addr_gen_mode', 0), 'eui64')}")
        lines += [
            "IPv6AcceptRA=yes",
            "",
            "[IPv6AcceptRA]",
            f"RouteMetric={_METRIC}",
            *_disabled("UseDNS", "UseDomains", "DHCPv6Client"),
        ]
        if not ipv6.get("accept_ra"):
            lines[lines.index("IPv6AcceptRA=yes") :] = ["IPv6AcceptRA=no"]
    else:
        lines += ["LinkLocalAddressing=no", "IPv6AcceptRA=no"]
    routing = options.source_routing
    lines += ["", "[DHCPv4]", f"RouteTable={MAIN_TABLE if routing is None else routing.table}"]
    lines.append(f"RouteMetric={options.metric or 0}")
    sets_gateway = routing is not None and any(family_of(gateway) == 4 for gateway in routing.gateways)
    switches = {"UseRoutes": options.use_routes, "UseGateway": options.use_routes and not sets_gateway}
    lines += [f"{key}={'yes' if is_on else 'no'}" for key, is_on in switches.items()]
    lines += _disabled("UseDNS", "UseNTP", "UseHostname", "UseDomains", "RoutesToDNS", "RoutesToNTP", "SendRelease")
    if duid is None:
        lines.append("ClientIdentifier=mac")
    else:
        number, kind, data = duid
        lines += ["ClientIdentifier=duid", f"IAID={number}", f"DUIDType={kind}", f"DUIDRawData={data.hex(':')}"]
    lines += ["SendHostname=yes", f"Hostname={options.hostname}"] if options.hostname else ["SendHostname=no"]
    if options.vendor_class:
        lines.append(f"VendorClassIdentifier={options.vendor_class}")
    return "\n".join(["# Written by patchbay.netdev: DHCP for a link that it creates.", *lines, ""])


def _disabled(*keys: str) -> list[str]:
    return [f"{key}=no" for key in keys]


def prepare(
    link: str, index: int, options: Dhcp4, identifier: bytes, earlier: Mapping[str, Any] | None
) -> tuple[dict[str, Any], bool]:
    """What the record of a client holds about networkd, and whether networkd has to read a new file.

    earlier: the same of the record of the client that served this link before.
    """
    settings = _settings(link) if earlier is None else earlier["settings"]
    text = render(link, options, identifier, settings.get("ipv6", {}))
    has_new_file = text != atomic_files.read_text(_file(link))
    return {"text": text, "settings": settings, "stale": _lease_file(index) if has_new_file else None}, has_new_file


def start(link: str, index: int, known: Mapping[str, Any], has_new_file: bool, has_new_address: bool) -> None:
    """Have networkd serve a link; RequestFailed with what it does not accept."""
    _write(_CONF, systemd_files.FOREIGN_ROUTING)
    _write(_file(link), known["text"])
    commands.run(["systemctl", "start", systemd_files.LEASES])
    if not any(is_watched() for _poll in polls(_SECONDS)):
        raise RequestFailed(f"{systemd_files.LEASES} is not running", 0, "")
    if not _service()[0]:
        return  # networkd reads its files when it starts
    if has_new_file:
        _have_read(link, index)
    elif has_new_address:
        commands.run(["networkctl", "reconfigure", link])


def _have_read(link: str, index: int) -> None:
    path, begin = _file(link), time.time()
    commands.run(["networkctl", "reload"])
    if not any(_file_in_force(index) == path for _poll in polls(_SECONDS)):
        other = _file_in_force(index) or "no file"
        raise RequestFailed(f"systemd-networkd does not use {path} for {link}, but {other}", 0, other)
    complaints = "; ".join(networkd_reports.complaints([path], [f"--since=@{begin:.6f}"]))
    if complaints:
        raise RequestFailed(f"systemd-networkd does not understand {complaints}", 0, complaints)


def stop(link: str, index: int, known: Mapping[str, Any], is_last: bool) -> None:
    """Have networkd release a link. is_last: it serves no other one."""
    if _delete(_file(link)) and _service()[0]:
        commands.run(["networkctl", "reload"])
        any(_file_in_force(index) != _file(link) and _lease_file(index) is None for _poll in polls(_SECONDS))
    if _index(link) == index:
        for family, settings in known["settings"].items():
            for name in _SETTINGS[family]:
                if name in settings:
                    with contextlib.suppress(OSError), open(_setting(family, link, name), "w", encoding="utf-8") as file:
                        file.write(str(settings[name]))
    if is_last:
        commands.run(["systemctl", "stop", systemd_files.LEASES])
        _delete(_CONF)
        _delete(_PID)


def is_served(link: str, known: Mapping[str, Any]) -> bool:
    """Whether networkd has the file that was written when the client was started, and its leases are watched."""
    return atomic_files.read_text(_file(link)) == known["text"] and is_watched()


def records() -> dict[str, client_records.Record]:
    """The records of the links that networkd serves, by path."""
    here = list(identity_of(HERE))
    return {
        path: record
        for path, record in client_records.read_all().items()
        if record["networkd"] is not None and record["namespace"] == here
    }


def new_lease(record: Mapping[str, Any]) -> Lease | None:
    """The lease that a link has, if its record has another one; InvalidValue if it is malformed."""
    index = _index(record["link"])
    lease_file = _lease_file(index)
    if lease_file is None or lease_file == record["networkd"]["stale"]:
        return None
    lease = parse_networkd_lease(atomic_files.read_text(f"{_LEASES}/{index}") or "")
    return None if record["settled"] and lease.same_as(lease_from_json(record["lease"])) else lease


def watch() -> NoReturn:
    """Run the hook whenever networkd writes a lease, or a client is started. This loads little code."""
    try:
        events = system_calls.open_inotify()
    except OSError as error:
        raise SystemExit(f"leases cannot be watched: {error.strerror} (inotify)") from error
    _write(_PID, f"{os.getpid()}\n")
    while True:
        is_complete = all(_watch_folder(events, folder) for folder in (FOLDER, _LEASES))
        if _has_news() and not _run_hook():
            time.sleep(_AFTER_FAILURE)
        select.select([events], [], [], _WITHOUT_NEWS if is_complete else 1)
        with contextlib.suppress(BlockingIOError):
            os.read(events, 1 << 16)


def _watch_folder(events: int, folder: str) -> bool:
    try:
        system_calls.add_inotify_watch(events, folder, _CHANGES)
    except OSError:  # it does not exist yet
        return False
    return True


def _has_news() -> bool:
    for record in records().values():
        try:
            if new_lease(record):
                return True
        except InvalidValue:
            return True  # the hook reports it
    return False


def _run_hook() -> bool:
    try:
        done = commands.attempt([sys.executable, "-I", systemd_files.ENGINE, "lease", NETWORKD], seconds=_HOOK_SECONDS)
    except RequestFailed as error:
        sys.stderr.write(f"<3>failed: {error}\n")
        return False
    sys.stderr.write(done.stderr)
    sys.stderr.flush()
    return done.returncode == 0


def is_watched() -> bool:
    """Whether the watcher runs."""
    process = (atomic_files.read_text(_PID) or "").strip()
    words = (atomic_files.read_text(f"/proc/{process or 0}/cmdline") or "").split("\0")
    return systemd_files.ENGINE in words and "leases" in words


def _service() -> tuple[bool, bool, int]:
    """Whether networkd runs, whether it will at the next boot, and its process id."""
    try:
        shown = commands.attempt(
            ["systemctl", "show", "--property=ActiveState,UnitFileState,MainPID", networkd_reports.SERVICE]
        ).stdout
    except RequestFailed as error:
        if error.errno != errno.ENOENT:
            raise
        return False, False, 0  # no systemd
    values = dict(line.split("=", 1) for line in shown.splitlines() if "=" in line)
    is_active = values.get("ActiveState") in ("active", "reloading")
    return is_active, values.get("UnitFileState", "").startswith("enabled"), int(values.get("MainPID") or 0)


def _file(link: str) -> str:
    """Its name sorts before that of the file in /etc that has networkd leave the link alone."""
    return f"{_FILES}/04-patchbay-{link}.network"


def _file_in_force(index: int) -> str:
    """The file by which networkd manages a link; empty if it does not manage it."""
    return networkd_reports.link_state(index).get("NETWORK_FILE", "")


def _lease_file(index: int) -> list[int] | None:
    """The identity of the file of a lease: networkd writes each lease to a new file, even if it is the same lease."""
    try:
        status = os.stat(f"{_LEASES}/{index}")
    except OSError:
        return None
    return [status.st_ino, status.st_mtime_ns]


def _index(link: str) -> int:
    try:
        return socket.if_nametoindex(link)
    except OSError:
        return 0


def _setting(family: str, link: str, name: str) -> str:
    return f"/proc/sys/net/{family}/conf/{link}/{name}"


def _settings(link: str) -> dict[str, dict[str, int]]:
    """The settings of a link that networkd would change, by family."""
    settings: dict[str, dict[str, int]] = {}
    for family, names in (("ipv4", _SETTINGS["ipv4"]), ("ipv6", (*_SETTINGS["ipv6"], "disable_ipv6", "addr_gen_mode"))):
        for name in names:
            text = atomic_files.read_text(_setting(family, link, name))
            if text is not None:
                settings.setdefault(family, {})[name] = int(text)
    return settings


def _write(path: str, text: str) -> None:
    """Write a file that networkd, a user of its own, can read."""
    if atomic_files.read_text(path) != text:
        atomic_files.make_folder(os.path.dirname(path))
        atomic_files.write(path, text.encode())


def _delete(path: str) -> bool:
    """Delete a file, and its folder with the last one; whether the file existed."""
    existed = atomic_files.delete(path)
    if existed:
        atomic_files.delete_folder_if_empty(os.path.dirname(path))
    return existed

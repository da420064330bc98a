# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""systemd-networkd as the DHCP client of links: a file in /run tells it of each, and it tells of its leases in files.

Address and routes are its own work. The rule for packets from the address is not: its files have fixed addresses. So a watcher
looks at its leases, and has the hook plan what a new one comes to. All of it ends with the boot; whoever makes the links then
writes the files again, before networkd starts.
"""

from __future__ import annotations

import contextlib
import ctypes
import glob
import os
import select
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from typing import Any, NoReturn

from ansible_collections.patchbay.netdev.plugins.module_utils._boot import _systemd_files as files
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.dhcp import _leases as leases
from ansible_collections.patchbay.netdev.plugins.module_utils._model._clients import Dhcp4
from ansible_collections.patchbay.netdev.plugins.module_utils._model._errors import InvalidValue, RequestFailed
from ansible_collections.patchbay.netdev.plugins.module_utils._model._lease import FOLDER, Lease, restored, told_by_networkd
from ansible_collections.patchbay.netdev.plugins.module_utils._model._links import HERE, LinkKey
from ansible_collections.patchbay.netdev.plugins.module_utils._values._dhcp4 import NETWORKD

_FILES, _CONF = "/run/systemd/network", "/run/systemd/networkd.conf.d/90-patchbay.conf"
_LEASES, _LINKS = "/run/systemd/netif/leases", "/run/systemd/netif/links"
_PID = "/run/patchbay/leases.pid"
_SERVICE = "systemd-networkd.service"
_HERE = "/proc/self/ns/net"
_SECONDS, _STEP = 5.0, 0.02
_AFTER_FAILURE, _WITHOUT_NEWS = 5.0, 300.0
_CHANGES = 0x80 | 0x200 | 0x100  # linux/inotify.h: moved to, deleted, created; each lease is moved to its place
# What networkd writes on each link that it manages, whatever its file says.
_SETTINGS = {"ipv6": ("accept_ra",), "ipv4": ("promote_secondaries",)}
_METRIC = 2048  # with that of others (1024), networkd would make one route of both, and half of the host's packets left here
_DUIDS = {1: "link-layer-time", 2: "vendor", 3: "link-layer", 4: "uuid"}
_UNSAFE = frozenset("\"'\\")  # it ignores a text that has one of them
_GENERATIONS = {0: "eui64", 1: "none", 2: "stable-privacy", 3: "random"}  # IN6_ADDR_GEN_MODE_*


def refusal(key: LinkKey, options: Dhcp4) -> str:
    """Why networkd cannot serve a link here, and what to do; nothing when it can."""
    if key.netns != HERE:
        return "systemd-networkd serves the links of its own namespace alone. Write another client"
    active, enabled, process = _service()
    if not (active or enabled):
        return "systemd-networkd does not run on this host. Start it (systemctl enable --now systemd-networkd)"
    if process and not os.path.samefile(_HERE, f"/proc/{process}/ns/net"):
        return "systemd-networkd runs in another namespace than this task. Write another client"
    other = _file_in_force(_index(key.name))
    if active and other not in ("", _file(key.name)):
        return f"systemd-networkd manages the link already, as {other} says. Have it serve the link there, leave dhcp4 out"
    return cannot_say(options)


def is_there() -> bool:
    """Whether networkd runs here, or will at the next boot."""
    return any(_service()[:2])


def cannot_say(options: Dhcp4) -> str:
    """What of the options networkd has no words for, and what to do; nothing when it has them all."""
    if options.client_id == "none":
        return "systemd-networkd never leaves the client identifier out. Write a client_id, such as mac"
    if options.client_id not in ("mac", "duid") and _duid(bytes.fromhex(options.client_id.replace(":", ""))) is None:
        return f"systemd-networkd has no way to say the client identifier {options.client_id}. Write client: udhcpc"
    if options.table is None:
        return "systemd-networkd has no way to leave out the route to the network of the lease. Write a table"
    if options.hostname and "." in options.hostname:
        return f"systemd-networkd has no way to say {options.hostname} in option 12. Leave the domain out"
    if options.use_dns:
        return "systemd-networkd keeps what a lease says of DNS to itself here. Write client: udhcpc"
    words = options.vendor_class or ""
    if words != words.strip() or set(words) & _UNSAFE:
        return f"systemd-networkd has no way to say the vendor class {words!r}. Write client: udhcpc"
    return ""


def _duid(identifier: bytes) -> tuple[int, str, bytes] | None:
    """Number of the link, type and data of an identifier in the form of RFC 4361; None for one that has another form."""
    kind = _DUIDS.get(int.from_bytes(identifier[5:7], "big"))
    if identifier[:1] != b"\xff" or kind is None or len(identifier) < 8:
        return None
    return int.from_bytes(identifier[1:5], "big"), kind, identifier[7:]


def text_of(link: str, options: Dhcp4, identifier: bytes, ipv6: Mapping[str, int]) -> str:
    """The file for a link. ipv6: its settings by name, so that nothing of that changes; none where the kernel has no IPv6."""
    duid = _duid(identifier)
    lines = ["[Match]", f"Name={files.networkd_pattern(link)}", "", "[Link]", "ActivationPolicy=manual", "RequiredForOnline=no"]
    lines += ["", "[Network]", "DHCP=ipv4", "KeepConfiguration=static"]
    if ipv6 and not ipv6.get("disable_ipv6"):
        lines += ["LinkLocalAddressing=ipv6", "IPv6PrivacyExtensions=kernel"]
        lines.append(f"IPv6LinkLocalAddressGenerationMode={_GENERATIONS.get(ipv6.get('addr_gen_mode', 0), 'eui64')}")
        lines += [
            "IPv6AcceptRA=yes",
            "",
            "[IPv6AcceptRA]",
            f"RouteMetric={_METRIC}",
            *_no("UseDNS", "UseDomains", "DHCPv6Client"),
        ]
        if not ipv6.get("accept_ra"):
            lines[lines.index("IPv6AcceptRA=yes") :] = ["IPv6AcceptRA=no"]
    else:
        lines += ["LinkLocalAddressing=no", "IPv6AcceptRA=no"]
    lines += ["", "[DHCPv4]", f"RouteTable={options.table}", f"RouteMetric={options.metric or 0}"]
    lines += [f"{key}={'yes' if options.use_routes else 'no'}" for key in ("UseRoutes", "UseGateway")]
    lines += _no("UseDNS", "UseNTP", "UseHostname", "UseDomains", "RoutesToDNS", "RoutesToNTP", "SendRelease")
    if duid is None:
        lines.append("ClientIdentifier=mac")
    else:
        number, kind, data = duid
        lines += ["ClientIdentifier=duid", f"IAID={number}", f"DUIDType={kind}", f"DUIDRawData={data.hex(':')}"]
    lines += ["SendHostname=yes", f"Hostname={options.hostname}"] if options.hostname else ["SendHostname=no"]
    if options.vendor_class:
        lines.append(f"VendorClassIdentifier={options.vendor_class}")
    return "\n".join(["# Written by patchbay.netdev: DHCP for a link that it makes.", *lines, ""])


def _no(*keys: str) -> list[str]:
    return [f"{key}=no" for key in keys]


def prepared(
    link: str, index: int, options: Dhcp4, identifier: bytes, earlier: Mapping[str, Any] | None
) -> tuple[dict[str, Any], bool]:
    """What is to be known of a client, and whether networkd has to read a new file for it.

    earlier: what was known of the one that served this same link before.
    """
    before = _settings(link) if earlier is None else earlier["settings"]
    text = text_of(link, options, identifier, before.get("ipv6", {}))
    anew = text != _text(_file(link))
    return {"text": text, "settings": before, "stale": _identity(index) if anew else None}, anew


def start(link: str, index: int, known: Mapping[str, Any], anew: bool, other_mac: bool) -> None:
    """Have networkd serve a link; RequestFailed tells what it does not like."""
    _write(_CONF, files.FOREIGN_ROUTING)
    _write(_file(link), known["text"])
    _systemctl("start", files.LEASES)
    for _wait in _until():
        if watches():
            break
    else:
        raise RequestFailed(f"{files.LEASES} does not run", 0, "")
    if not _service()[0]:
        return  # it reads its files when it starts
    begun = time.time()
    if anew:
        _networkctl("reload")
        for _wait in _until():
            if _file_in_force(index) == _file(link):
                break
        else:
            other = _file_in_force(index) or "no file"
            raise RequestFailed(f"systemd-networkd does not take {_file(link)} for {link}, but {other}", 0, other)
        complaints = _complaints(_file(link), begun)
        if complaints:
            raise RequestFailed(f"systemd-networkd does not understand {complaints}", 0, complaints)
    elif other_mac:
        _networkctl("reconfigure", link)


def stop(link: str, index: int, known: Mapping[str, Any], last: bool) -> None:
    """Have networkd let go of a link. last: no other one is served."""
    there = _drop(_file(link))
    if there and _service()[0]:
        _networkctl("reload")
        for _wait in _until():
            if _file_in_force(index) != _file(link) and _identity(index) is None:
                break
    if _index(link) == index:
        for family, settings in known["settings"].items():
            for name in _SETTINGS[family]:
                if name in settings:
                    with contextlib.suppress(OSError), open(_setting(family, link, name), "w", encoding="utf-8") as file:
                        file.write(str(settings[name]))
    if last:
        _systemctl("stop", files.LEASES)
        _drop(_CONF)
        _drop(_PID)


def lives(link: str, known: Mapping[str, Any]) -> bool:
    """Whether networkd is told of a link as it was when its client was started, and its leases are watched."""
    return _text(_file(link)) == known["text"] and watches()


def records() -> dict[str, leases.Record]:
    """What is known of the links that networkd serves, by path."""
    here = os.stat(_HERE)
    found = {path: leases.read(path) for path in sorted(glob.glob(f"{FOLDER}/*.json"))}
    return {
        path: record
        for path, record in found.items()
        if record is not None and record["networkd"] is not None and record["namespace"] == [here.st_dev, here.st_ino]
    }


def news(record: Mapping[str, Any]) -> Lease | None:
    """The lease that a link has, if that is not what is known of it; InvalidValue for what is no lease."""
    index = _index(record["link"])
    place = _identity(index)
    if place is None or place == record["networkd"]["stale"]:
        return None
    lease = told_by_networkd(_text(f"{_LEASES}/{index}") or "")
    return None if record["settled"] and lease.same_as(restored(record["lease"])) else lease


def watch() -> NoReturn:
    """Have the hook look whenever networkd writes a lease, or a client is started. Little is loaded for that."""
    library = ctypes.CDLL(None, use_errno=True)
    events = library.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK)
    if events < 0:
        raise SystemExit(f"there is no inotify: {os.strerror(ctypes.get_errno())}")
    _write(_PID, f"{os.getpid()}\n")
    while True:
        complete = all(library.inotify_add_watch(events, place.encode(), _CHANGES) >= 0 for place in (FOLDER, _LEASES))
        if _have_news():
            done = subprocess.run([sys.executable, "-I", files.ENGINE, "lease", NETWORKD], check=False)
            if done.returncode:
                time.sleep(_AFTER_FAILURE)
        select.select([events], [], [], _WITHOUT_NEWS if complete else 1)
        with contextlib.suppress(BlockingIOError):
            os.read(events, 1 << 16)


def _have_news() -> bool:
    for record in records().values():
        try:
            if news(record):
                return True
        except InvalidValue:
            return True  # the hook will say so
    return False


def watches() -> bool:
    """Whether the watcher runs."""
    process = (_text(_PID) or "").strip()
    try:
        with open(f"/proc/{process or 0}/cmdline", "rb") as file:
            words = file.read().decode(errors="replace").split("\0")
    except OSError:
        return False
    return files.ENGINE in words and "leases" in words


def _service() -> tuple[bool, bool, int]:
    """Whether networkd runs, whether it will at the next boot, and its process."""
    try:
        shown = _run("systemctl", "show", "--property=ActiveState,UnitFileState,MainPID", _SERVICE).stdout
    except OSError:
        return False, False, 0
    found = dict(line.split("=", 1) for line in shown.splitlines() if "=" in line)
    active = found.get("ActiveState") in ("active", "reloading")
    return active, found.get("UnitFileState", "").startswith("enabled"), int(found.get("MainPID") or 0)


def _complaints(path: str, since: float) -> str:
    """What networkd has said of a file. It goes on without the lines that it does not know."""
    with contextlib.suppress(OSError):
        _run("journalctl", "--sync")
        said = _run("journalctl", "-q", "--no-pager", "-o", "cat", "-u", _SERVICE, f"--since=@{since:.6f}").stdout
        return "; ".join(line for line in said.splitlines() if line.startswith(f"{path}:"))
    return ""


def _run(*command: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    except subprocess.TimeoutExpired as error:
        raise RequestFailed(f"{' '.join(command)} does not end", 0, str(error)) from error


def _systemctl(*words: str) -> None:
    _must("systemctl", *words)


def _networkctl(*words: str) -> None:
    _must("networkctl", *words)


def _must(*command: str) -> None:
    done = _run(*command)
    if done.returncode:
        text = done.stderr.strip() or done.stdout.strip()
        raise RequestFailed(f"{' '.join(command)} failed: {text}", 0, text)


def _file(link: str) -> str:
    """It counts before the one in /etc by which networkd keeps its hands off the link."""
    return f"{_FILES}/04-patchbay-{link}.network"


def _file_in_force(index: int) -> str:
    """The file by which networkd manages a link; nothing when it does not."""
    for line in (_text(f"{_LINKS}/{index}") or "").splitlines():
        name, _equals, value = line.partition("=")
        if name == "NETWORK_FILE":
            return value
    return ""


def _identity(index: int) -> list[int] | None:
    """Of the file of a lease: each new one, be it the same lease, is another file."""
    try:
        found = os.stat(f"{_LEASES}/{index}")
    except OSError:
        return None
    return [found.st_ino, found.st_mtime_ns]


def _index(link: str) -> int:
    try:
        return socket.if_nametoindex(link)
    except OSError:
        return 0


def _setting(family: str, link: str, name: str) -> str:
    return f"/proc/sys/net/{family}/conf/{link}/{name}"


def _settings(link: str) -> dict[str, dict[str, int]]:
    """What a link has of the settings that matter here, by family."""
    found: dict[str, dict[str, int]] = {}
    for family, names in (("ipv4", _SETTINGS["ipv4"]), ("ipv6", (*_SETTINGS["ipv6"], "disable_ipv6", "addr_gen_mode"))):
        for name in names:
            text = _text(_setting(family, link, name))
            if text is not None:
                found.setdefault(family, {})[name] = int(text)
    return found


def _text(path: str) -> str | None:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return None


def _write(path: str, text: str) -> None:
    """Whole; networkd reads it as a user of its own."""
    if _text(path) == text:
        return
    folder = os.path.dirname(path)
    if not os.path.isdir(folder):
        os.makedirs(folder)
        os.chmod(folder, 0o755)  # whatever the umask is
    new = f"{path}.new"
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644), "w", encoding="utf-8") as file:
        os.fchmod(file.fileno(), 0o644)
        file.write(text)
    os.replace(new, path)


def _drop(path: str) -> bool:
    """Take a file away, and its folder with the last one; whether it was there."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        return False
    with contextlib.suppress(OSError):
        os.rmdir(os.path.dirname(path))
    return True


def _until() -> Iterator[None]:
    """Steps, for as long as networkd may take."""
    end = time.monotonic() + _SECONDS
    while time.monotonic() < end:
        yield
        time.sleep(_STEP)

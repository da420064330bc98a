# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Network managers: whether they run, which links they set up from which file, and whether they understand a file."""

from __future__ import annotations

import contextlib
import fcntl
import functools
import glob
import os
import re
import socket
import struct
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace

from ansible_collections.patchbay.netdev.plugins.module_utils._boot import _networkd as networkd
from ansible_collections.patchbay.netdev.plugins.module_utils._boot import _networkmanager as networkmanager
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway import _commands as commands
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway import _networkd_reports as networkd_reports
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway._atomic_files import read_text
from ansible_collections.patchbay.netdev.plugins.module_utils._model._boot import BootState
from ansible_collections.patchbay.netdev.plugins.module_utils._model._errors import RequestFailed
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._requests import Reload

SERVICES = {"networkd": networkd_reports.SERVICE, "networkmanager": "NetworkManager.service"}
_VERSIONS = {"networkd": ["networkctl", "--version"], "networkmanager": ["NetworkManager", "--version"]}
_NETWORKMANAGER_DEVICES = "/run/NetworkManager/devices"  # one file per link, named after its index
_NETDEVS = tuple(f"{folder}/systemd/network/*.netdev" for folder in ("/etc", "/run", "/usr/local/lib", "/usr/lib"))
_STEP, _STEPS, _STEPS_TO_SETTLE = 0.05, 10, 60  # a link was seen to fail within some milliseconds
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_NOTRAILERS = 0x8913, 0x8914, 0x20  # linux/sockios.h, linux/if.h


def is_running(program: str) -> bool:
    """Whether a network manager runs; its folder in /run remains when it is stopped."""
    try:
        return commands.attempt(["systemctl", "is-active", "--quiet", SERVICES[program]]).returncode == 0
    except RequestFailed:
        return True  # without systemd, something else has started it


def with_reports(state: BootState) -> BootState:
    """The boot state with what the running managers report about themselves and about links."""
    versions = {name: _version(name) for name in state.managers & _VERSIONS.keys() if is_running(name)}
    governed = {
        name: (report["NETWORK_FILE"], report.get("ADDRESS_STATE") == "routable")
        for name, report in _managed_links().items()
        if report.get("NETWORK_FILE")
    }
    return replace(state, versions=versions, governed=governed, netdevs=_foreign_netdevs(set(state.files)))


@functools.cache
def _version(program: str) -> int:
    match = re.search(r"(\d+)(?:\.(\d+))?", commands.run(_VERSIONS[program]))
    if not match:
        return 0
    return int(match[1]) * 100 + int(match[2]) if program == "networkmanager" else int(match[1])


def generates_link_local(index: int) -> bool:
    """Whether NetworkManager generates the link-local address of a link of this namespace itself, instead of the kernel."""
    state = read_text(f"{_NETWORKMANAGER_DEVICES}/{index}")
    return state is not None and "managed=true" in state.splitlines()


def _managed_links() -> dict[str, dict[str, str]]:
    """What networkd reports about each link that it manages, by name."""
    return {name: report for name, report in networkd_reports.link_states().items() if report.get("ADMIN_STATE") != "unmanaged"}


def _failed_links() -> set[str]:
    return {name for name, report in networkd_reports.link_states().items() if report.get("ADMIN_STATE") == "failed"}


def _foreign_netdevs(own: set[str]) -> dict[str, str]:
    """The kind of each link that others' .netdev files create, by name."""
    kinds = {}
    for path in (path for pattern in _NETDEVS for path in glob.glob(pattern) if path not in own):
        values = dict(re.findall(r"^(Name|Kind)=(\S+)$", read_text(path) or "", re.MULTILINE))
        kinds[values.get("Name", "")] = values.get("Kind", "")
    return kinds


# --- systemd-networkd ---


@contextlib.contextmanager
def watch_journal(request: Reload) -> Iterator[None]:
    """While networkd reads its files: RequestFailed if it logs an error about those of the request, or a link fails."""
    if request.program != "networkd":
        yield
        return
    listens = any(map(_configures_link, request.paths))
    since = networkd_reports.journal_end() if listens else []
    failed = _failed_links()
    yield
    if listens:
        _check(request.paths, since, failed)
    _await_release()
    _announce_links(request.paths)


def _check(paths: Sequence[str], since: Sequence[str], failed: set[str]) -> None:
    for line in networkd_reports.complaints(paths, since):
        raise RequestFailed(f"systemd-networkd does not understand {line}", 0, line)
    for _step in range(_STEPS):
        newly_failed = sorted(_failed_links() - failed)
        if newly_failed:
            names = ", ".join(newly_failed)
            raise RequestFailed(
                f"systemd-networkd could not set up {names} with these files (see: networkctl status {names})", 0, names
            )
        time.sleep(_STEP)


def _await_release() -> None:
    """Wait until networkd has released the links that no file configures any more: it answers before it does so."""
    for step in range(_STEPS_TO_SETTLE):
        if not any(_is_stale(report.get("NETWORK_FILE", "")) for report in _managed_links().values()):
            time.sleep(_STEP * 4 if step else 0)  # it reports before it acts
            return
        time.sleep(_STEP)


def _configures_link(path: str) -> bool:
    """Whether it is a file by which networkd creates or sets up a link."""
    return (read_text(path) or "").startswith(networkd.HEADER)


def _is_stale(path: str) -> bool:
    """Whether a file of this collection does not exist any more, or does not set up a link any more."""
    return path.startswith(networkd.path_prefix("")) and not _configures_link(path)


def _announce_links(paths: Sequence[str]) -> None:
    """Have the kernel notify networkd of links: only then does networkd adopt a link that a new .netdev file describes.

    Else it would create the link again, and fail with the lower device. The flag that changes here means nothing to the kernel.
    """
    matches = (re.fullmatch(rf"{re.escape(networkd.path_prefix(''))}(.*)\.netdev", path) for path in paths)
    names = [match[1] for match in matches if match]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as channel:
        for name in names:
            with contextlib.suppress(OSError):  # no such link
                request = struct.pack("16sH14x", name.encode(), 0)
                (flags,) = struct.unpack_from("H", fcntl.ioctl(channel, _SIOCGIFFLAGS, request), 16)
                for value in (flags ^ _IFF_NOTRAILERS, flags):
                    fcntl.ioctl(channel, _SIOCSIFFLAGS, struct.pack("16sH14x", name.encode(), value))
    if names:
        time.sleep(_STEP * 2)  # networkd handles notifications and files in an order of its own


# --- NetworkManager ---


def check_profile(path: str, content: bytes) -> None:
    """Compare a profile with what NetworkManager reads of it: it drops what it does not understand without a message."""
    command = ["nmcli", "--offline", "connection", "modify", "connection.autoconnect", "yes"]
    text = content.decode()
    done = commands.attempt(command, text)
    if done.returncode:
        reason = done.stderr.strip()
        raise RequestFailed(f"NetworkManager does not accept {path}: {reason}", 0, reason)
    understood = _lines(done.stdout)
    lost = [
        f"[{section}] {key}={value}"
        for (section, key), value in _lines(text).items()
        if _ordered(key, understood.get((section, key), "")) != _ordered(key, value)
    ]
    if lost:
        raise RequestFailed(f"NetworkManager does not understand this in {path}: {', '.join(lost)}", 0, lost[0])


def _lines(text: str) -> dict[tuple[str, str], str]:
    """The values of a profile by section and key, without the default value that the command above sets."""
    values: dict[tuple[str, str], str] = {}
    section = ""
    for line in text.splitlines():
        if line.startswith("["):
            section = line.strip("[]")
        elif "=" in line and not line.startswith("#") and line != "autoconnect=true":
            key, _equals, value = line.partition("=")
            values[(section, key)] = value
    return values


def _ordered(key: str, value: str) -> list[str]:
    """The words of a value, sorted where NetworkManager writes them in another order."""
    return sorted(value.split()) if key.startswith("routing-rule") else [value]


def load_profiles(paths: Sequence[str]) -> None:
    """Have NetworkManager load profiles. Links whose profiles were deleted stay as they are: NetworkManager would delete them."""
    if not is_running("networkmanager"):
        return
    profiles = [path for path in paths if path.startswith(networkmanager.FOLDER)]
    written = [path for path in profiles if os.path.exists(path)]
    deleted = [path for path in profiles if path not in written]
    for path in deleted:
        name = path[len(networkmanager.path_prefix("")) : -len(".nmconnection")]
        if _profile_of(name) == os.path.basename(path).rpartition(".")[0]:
            commands.run(["nmcli", "device", "set", name, "managed", "no"])
    if deleted:
        commands.run(["nmcli", "connection", "reload"])
    for path in written:
        message = commands.run(["nmcli", "connection", "load", path])
        loaded = commands.run(["nmcli", "--terse", "--escape", "no", "--fields", "FILENAME", "connection", "show"])
        if path not in loaded.splitlines():
            raise RequestFailed(f"NetworkManager does not load {path}: {message.strip()}", 0, message)


def _profile_of(name: str) -> str:
    """The profile by which NetworkManager has created or set up a link; "" if there is none."""
    command = ["nmcli", "--terse", "--escape", "no", "--get-values", "GENERAL.CONNECTION", "device", "show", name]
    with contextlib.suppress(RequestFailed):  # there is no such link
        return commands.run(command).strip()
    return ""

# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Network managers: whether they run, which links they set up from which file, and what they say of files that they read."""

from __future__ import annotations

import contextlib
import fcntl
import functools
import glob
import os
import re
import socket
import struct
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace

from ansible_collections.patchbay.netdev.plugins.module_utils._boot import _networkd as networkd
from ansible_collections.patchbay.netdev.plugins.module_utils._boot import _networkmanager as networkmanager
from ansible_collections.patchbay.netdev.plugins.module_utils._boot import _systemd_files as files
from ansible_collections.patchbay.netdev.plugins.module_utils._model._boot import BootState
from ansible_collections.patchbay.netdev.plugins.module_utils._model._errors import RequestFailed
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._requests import Reload

SERVICES = {"networkd": "systemd-networkd.service", "networkmanager": "NetworkManager.service"}
_VERSIONS = {"networkd": ["networkctl", "--version"], "networkmanager": ["NetworkManager", "--version"]}
_LINKS = "/run/systemd/netif/links"
_NETDEVS = tuple(f"{folder}/systemd/network/*.netdev" for folder in ("/etc", "/run", "/usr/local/lib", "/usr/lib"))
_JOURNAL = ["journalctl", "--unit", SERVICES["networkd"], "--quiet", "--no-pager", "--output", "cat"]
_STEP, _STEPS, _STEPS_TO_SETTLE = 0.05, 10, 60  # a link was seen to fail within some milliseconds
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_NOTRAILERS = 0x8913, 0x8914, 0x20  # linux/sockios.h, linux/if.h


def run(command: Sequence[str]) -> str:
    """What a command prints; RequestFailed when it fails."""
    try:
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise RequestFailed(f"{' '.join(command)} failed: {error}", 0, str(error)) from error
    if done.returncode:
        text = done.stderr.strip() or done.stdout.strip()
        raise RequestFailed(f"{' '.join(command)} failed: {text}", 0, text)
    return done.stdout


def runs(program: str) -> bool:
    """Whether a network manager is at work; its folder in /run stays when it is stopped."""
    command = ["systemctl", "is-active", "--quiet", SERVICES[program]]
    try:
        return subprocess.run(command, check=False, capture_output=True, timeout=60).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return True  # without systemd, somebody else has started it


def asked(state: BootState) -> BootState:
    """With what the managers that run say of themselves and of links."""
    versions = {name: _version(name) for name in state.managers & _VERSIONS.keys() if runs(name)}
    governed = {
        name: (said["NETWORK_FILE"], said.get("ADDRESS_STATE") == "routable")
        for name, said in _links().items()
        if said.get("NETWORK_FILE") and said.get("ADMIN_STATE") != "unmanaged"
    }
    return replace(state, versions=versions, governed=governed, netdevs=_netdevs(set(state.files)))


@functools.cache
def _version(program: str) -> int:
    found = re.search(r"(\d+)(?:\.(\d+))?", run(_VERSIONS[program]))
    if not found:
        return 0
    return int(found[1]) * 100 + int(found[2]) if program == "networkmanager" else int(found[1])


def _links() -> dict[str, dict[str, str]]:
    """What networkd says of each link, by name."""
    found = {}
    for place in glob.glob(f"{_LINKS}/[0-9]*"):
        with contextlib.suppress(OSError):  # gone in the meantime
            name = socket.if_indextoname(int(os.path.basename(place)))
            with open(place, encoding="utf-8", errors="replace") as file:
                found[name] = dict(line.rstrip("\n").partition("=")[::2] for line in file)
    return found


def _netdevs(ours: set[str]) -> dict[str, str]:
    """The kind of each link that a .netdev file of others makes."""
    found = {}
    for path in (path for pattern in _NETDEVS for path in glob.glob(pattern) if path not in ours):
        with contextlib.suppress(OSError), open(path, encoding="utf-8", errors="replace") as file:
            said = dict(re.findall(r"^(Name|Kind)=(\S+)$", file.read(), re.MULTILINE))
            found[said.get("Name", "")] = said.get("Kind", "")
    return found


@contextlib.contextmanager
def overheard(request: Reload) -> Iterator[None]:
    """While networkd reads its files: what it says against those of the request, in its journal or by links that fail."""
    if request.program != "networkd":
        yield
        return
    listens = any(map(_sets_up, request.paths))
    cursor = _journal("--lines", "0", "--show-cursor").rpartition("cursor: ")[2].strip() if listens else ""
    failed = _failed()
    yield
    if listens:
        _listen(request.paths, cursor, failed)
    _await_settled()
    _announce_links(request.paths)


def _journal(*words: str) -> str:
    """What networkd has said; nothing where there is no journal."""
    with contextlib.suppress(RequestFailed):
        return run([*_JOURNAL, *words])
    return ""


def _listen(paths: Sequence[str], cursor: str, failed: set[str]) -> None:
    with contextlib.suppress(RequestFailed):
        run(["journalctl", "--sync"])
    for line in _journal(*(["--after-cursor", cursor] if cursor else ["--since", "-5s"])).splitlines():
        if line.startswith(tuple(f"{path}:" for path in paths)):
            raise RequestFailed(f"systemd-networkd does not understand {line}", 0, line)
    for _step in range(_STEPS):
        new = sorted(_failed() - failed)
        if new:
            names = ", ".join(new)
            raise RequestFailed(
                f"systemd-networkd could not set up {names} with these files (see: networkctl status {names})", 0, names
            )
        time.sleep(_STEP)


def _await_settled() -> None:
    """Until networkd has let go of the links that it has no file for any more: it answers before it does so."""
    for step in range(_STEPS_TO_SETTLE):
        past = (_is_past(said.get("NETWORK_FILE", "")) for said in _links().values() if said.get("ADMIN_STATE") != "unmanaged")
        if not any(past):
            time.sleep(_STEP * 4 if step else 0)  # what it said goes before what it does
            return
        time.sleep(_STEP)


def _sets_up(path: str) -> bool:
    """Whether it is a file by which networkd makes or sets up a link."""
    with contextlib.suppress(OSError), open(path, encoding="utf-8", errors="replace") as file:
        return file.read().startswith(networkd.HEADER)
    return False


def _is_past(path: str) -> bool:
    """Whether a file of ours is no longer there, or no longer one by which it sets up the link."""
    return path.startswith(networkd.path_prefix("")) and not _sets_up(path)


def check_profile(path: str, content: bytes) -> None:
    """NetworkManager says nothing of what it does not understand, and leaves it out: so it is compared with what it has read."""
    command = ["nmcli", "--offline", "connection", "modify", "connection.autoconnect", "yes"]
    try:
        done = subprocess.run(command, input=content, check=False, capture_output=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise RequestFailed(f"{' '.join(command)} failed: {error}", 0, str(error)) from error
    if done.returncode:
        text = done.stderr.decode(errors="replace").strip()
        raise RequestFailed(f"NetworkManager does not take {path}: {text}", 0, text)
    read = _lines(done.stdout.decode(errors="replace"))
    lost = [
        f"[{section}] {key}={value}"
        for (section, key), value in _lines(content.decode()).items()
        if _ordered(key, read.get((section, key), "")) != _ordered(key, value)
    ]
    if lost:
        raise RequestFailed(f"NetworkManager does not understand of {path}: {', '.join(lost)}", 0, lost[0])


def _lines(text: str) -> dict[tuple[str, str], str]:
    """The values of a profile by section and key, but for one that stands for nothing written."""
    found: dict[tuple[str, str], str] = {}
    section = ""
    for line in text.splitlines():
        if line.startswith("["):
            section = line.strip("[]")
        elif "=" in line and not line.startswith("#") and line != "autoconnect=true":
            key, _equals, value = line.partition("=")
            found[(section, key)] = value
    return found


def _ordered(key: str, value: str) -> list[str]:
    """The words of a rule come in another order."""
    return sorted(value.split()) if key.startswith("routing-rule") else [value]


def tell_of_profiles(paths: Sequence[str]) -> None:
    """Have NetworkManager read profiles; links whose profiles are gone stay as they are, where it would delete them."""
    if not runs("networkmanager"):
        return
    profiles = [path for path in paths if path.startswith(networkmanager.FOLDER)]
    written = [path for path in profiles if os.path.exists(path)]
    gone = [path for path in profiles if path not in written]
    for path in gone:
        name = path[len(networkmanager.path_prefix("")) : -len(".nmconnection")]
        if _profile_of(name) == os.path.basename(path).rpartition(".")[0]:
            run(["nmcli", "device", "set", name, "managed", "no"])
    if gone:
        run(["nmcli", "connection", "reload"])
    for path in written:
        said = run(["nmcli", "connection", "load", path])
        if path not in run(["nmcli", "--terse", "--escape", "no", "--fields", "FILENAME", "connection", "show"]).splitlines():
            raise RequestFailed(f"NetworkManager does not load {path}: {said.strip()}", 0, said)


def _profile_of(name: str) -> str:
    """By which profile NetworkManager has made or set up a link; "" when by none."""
    with contextlib.suppress(RequestFailed):  # there is no such link
        return run(["nmcli", "--terse", "--escape", "no", "--get-values", "GENERAL.CONNECTION", "device", "show", name]).strip()
    return ""


def _failed() -> set[str]:
    return {name for name, said in _links().items() if said.get("ADMIN_STATE") == "failed"}


def _announce_links(paths: Sequence[str]) -> None:
    """Have the kernel speak of links: networkd takes one for what a new .netdev file describes only when it hears of it.

    It would go on to make it once more, and fail with the lower device. The flag that changes here means nothing to the kernel.
    """
    names = [match[1] for match in (re.match(rf"{files.NETWORKD}/05-patchbay-(.*)\.netdev$", path) for path in paths) if match]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as channel:
        for name in names:
            with contextlib.suppress(OSError):  # it is not there
                asked_for = struct.pack("16sH14x", name.encode(), 0)
                (flags,) = struct.unpack_from("H", fcntl.ioctl(channel, _SIOCGIFFLAGS, asked_for), 16)
                for each in (flags ^ _IFF_NOTRAILERS, flags):
                    fcntl.ioctl(channel, _SIOCSIFFLAGS, struct.pack("16sH14x", name.encode(), each))
    if names:
        time.sleep(_STEP * 2)  # it hears of links and of files in an order of its own

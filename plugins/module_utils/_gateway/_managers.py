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

from ansible_collections.patchbay.netdev.plugins.module_utils._boot import _files as files
from ansible_collections.patchbay.netdev.plugins.module_utils._boot import _networkd as networkd
from ansible_collections.patchbay.netdev.plugins.module_utils._errors import RequestFailed
from ansible_collections.patchbay.netdev.plugins.module_utils._model import BootState
from ansible_collections.patchbay.netdev.plugins.module_utils._requests import Tell

SERVICES = {"networkd": "systemd-networkd.service", "networkmanager": "NetworkManager.service"}
_VERSIONS = {"networkd": ["networkctl", "--version"]}
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
    found = re.search(r"\d+", run(_VERSIONS[program]))
    return int(found[0]) if found else 0


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
def overheard(request: Tell) -> Iterator[None]:
    """While networkd reads its files: what it says against those of the request, in its journal or by links that fail."""
    if request.program != "networkd":
        yield
        return
    if not request.paths:
        yield
        _await_settled()
        return
    shown = run([*_JOURNAL, "--lines", "0", "--show-cursor"])
    cursor = shown.rpartition("cursor: ")[2].strip()
    failed = _failed()
    yield
    run(["journalctl", "--sync"])
    said = run([*_JOURNAL, *(["--after-cursor", cursor] if cursor else ["--since", "-5s"])]).splitlines()
    for line in said:
        if line.startswith(tuple(f"{path}:" for path in request.paths)):
            raise RequestFailed(f"systemd-networkd does not understand {line}", 0, line)
    for _step in range(_STEPS):
        new = sorted(_failed() - failed)
        if new:
            names = ", ".join(new)
            raise RequestFailed(
                f"systemd-networkd could not set up {names} with these files (see: networkctl status {names})", 0, names
            )
        time.sleep(_STEP)
    _await_settled()
    _announce_links(request.paths)


def _await_settled() -> None:
    """Until networkd has let go of the links that it has no file for any more: it answers before it does so."""
    for _step in range(_STEPS_TO_SETTLE):
        if not any(
            said.get("ADMIN_STATE") != "unmanaged" and _is_past(said.get("NETWORK_FILE", "")) for said in _links().values()
        ):
            break
        time.sleep(_STEP)
    time.sleep(_STEP * 4)  # routes and rules of links that it keeps


def _is_past(path: str) -> bool:
    """Whether a file of ours is no longer there, or no longer one by which it sets up the link."""
    if not path.startswith(networkd.stem("")):
        return False
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return not file.read().startswith(networkd.CREDIT)
    except OSError:
        return True


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

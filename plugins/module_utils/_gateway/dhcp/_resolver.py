# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The DNS servers of a lease, passed to the program that manages the resolver configuration of this host, and withdrawn again.

A namespace has a file of its own, which `ip netns exec` mounts over the host's (ip-netns(8)).
"""

from __future__ import annotations

import os
import shutil

from ansible_collections.patchbay.netdev.plugins.module_utils._gateway import _atomic_files as atomic_files
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway import _commands as commands
from ansible_collections.patchbay.netdev.plugins.module_utils._model._errors import Refused
from ansible_collections.patchbay.netdev.plugins.module_utils._model._lease import Lease

_RESOLVED, _RESOLVCONF = "resolvectl", "resolvconf"
# systemd-resolved runs, or is enabled: early in the boot it does not run yet.
_RESOLVED_FILES = ("/run/systemd/resolve", "/etc/systemd/system/dbus-org.freedesktop.resolve1.service")


_SECONDS = 5.0


def backend(netns: str, link: str) -> str:
    """The program, or the path of the file, that holds the DNS servers of a link. Refused if there is neither."""
    if netns:
        path = f"/etc/netns/{netns}/resolv.conf"
        first_line = _first_line(path)
        if first_line not in (None, _mark(link)):
            raise Refused(
                f"use_dns: {path} exists and was not written from the lease of {link}. "
                "Delete it, or omit use_dns and write it yourself"
            )
        return path
    if _is_installed(_RESOLVED) and any(map(os.path.exists, _RESOLVED_FILES)):
        return _RESOLVED
    if _is_installed(_RESOLVCONF):
        return _RESOLVCONF
    raise Refused(
        "use_dns: this host has neither systemd-resolved nor resolvconf, which build /etc/resolv.conf from several links. "
        "Install one (Debian: apt install systemd-resolved or openresolv), or omit use_dns"
    )


def publish(backend_: str, link: str, lease: Lease | None) -> None:
    """Pass the DNS servers of a lease to a backend, in place of those of an earlier lease; RequestFailed."""
    if lease is None or not lease.dns:
        withdraw(backend_, link)
    elif backend_ == _RESOLVED:
        _run(backend_, "dns", link, *lease.dns)
        _run(backend_, "domain", link, *(lease.domain.split() or [""]))
    elif backend_ == _RESOLVCONF:
        _run(backend_, "-a", f"{link}.patchbay", stdin=_text(lease))
    else:
        atomic_files.make_folder(os.path.dirname(backend_))
        atomic_files.write(backend_, f"{_mark(link)}\n{_text(lease)}".encode())


def withdraw(backend_: str, link: str) -> None:
    """Remove the DNS servers of a link from a backend; RequestFailed."""
    if backend_ == _RESOLVED:
        if os.path.exists(f"/sys/class/net/{link}"):  # else it has forgotten them together with the link
            _run(backend_, "revert", link)
    elif backend_ == _RESOLVCONF:
        _run(backend_, "-d", f"{link}.patchbay")
    elif _first_line(backend_) == _mark(link):
        atomic_files.delete(backend_)
        folder = os.path.dirname(backend_)
        if atomic_files.delete_folder_if_empty(folder):
            atomic_files.delete_folder_if_empty(os.path.dirname(folder))


def _text(lease: Lease) -> str:
    lines = [f"search {lease.domain}"] if lease.domain else []
    return "".join(f"{line}\n" for line in [*lines, *(f"nameserver {server}" for server in lease.dns)])


def _mark(link: str) -> str:
    return f"# Written by patchbay.netdev from the lease of {link}."


def _first_line(path: str) -> str | None:
    """None if the file does not exist."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.readline().rstrip("\n")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Refused(f"use_dns: {path} cannot be read: {error.strerror}. Repair or delete it") from error


def _is_installed(program: str) -> bool:
    return shutil.which(program, path=commands.PATH) is not None


def _run(*command: str, stdin: str = "") -> None:
    commands.run(command, stdin, _SECONDS)

# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The DNS servers of a lease, told to whoever puts the resolver's file together on this host, and taken back.

A namespace has a file of its own, which `ip netns exec` puts in the place of the host's (ip-netns(8)).
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess

from ansible_collections.patchbay.netdev.plugins.module_utils._model._errors import Refused, RequestFailed
from ansible_collections.patchbay.netdev.plugins.module_utils._model._lease import Lease

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_RESOLVED, _RESOLVCONF = "resolvectl", "resolvconf"
# It runs, or is to run: where links come back early in the boot, it does not yet.
_RESOLVED_SIGNS = ("/run/systemd/resolve", "/etc/systemd/system/dbus-org.freedesktop.resolve1.service")


def way(netns: str, link: str) -> str:
    """The program to tell, or the file to write, which `tell` and `withdraw` want to know; Refused when there is neither."""
    if netns:
        path = f"/etc/netns/{netns}/resolv.conf"
        first = _first_line(path)
        if first not in (None, _mark(link)):
            raise Refused(
                f"use_dns: {path} is there, and not of the lease of {link}. Delete it, or leave use_dns out and write it yourself"
            )
        return path
    if _there(_RESOLVED) and any(map(os.path.exists, _RESOLVED_SIGNS)):
        return _RESOLVED
    if _there(_RESOLVCONF):
        return _RESOLVCONF
    raise Refused(
        "use_dns: there is neither systemd-resolved nor resolvconf on this host, one of which puts /etc/resolv.conf together "
        "from several links. Install one (Debian: apt install systemd-resolved or openresolv), or leave use_dns out"
    )


def tell(to: str, link: str, lease: Lease | None) -> None:
    """What a lease says of DNS, in place of what a former one said; RequestFailed."""
    if lease is None or not lease.dns:
        withdraw(to, link)
    elif to == _RESOLVED:
        _run(to, "dns", link, *lease.dns)
        _run(to, "domain", link, *(lease.domain.split() or [""]))
    elif to == _RESOLVCONF:
        _run(to, "-a", f"{link}.patchbay", given=_text(lease))
    else:
        os.makedirs(os.path.dirname(to), mode=0o755, exist_ok=True)
        with open(f"{to}.new", "w", encoding="utf-8") as file:
            file.write(f"{_mark(link)}\n{_text(lease)}")
        os.chmod(f"{to}.new", 0o644)
        os.replace(f"{to}.new", to)


def withdraw(to: str, link: str) -> None:
    """Have it forget what it was told; RequestFailed."""
    if to == _RESOLVED:
        if os.path.exists(f"/sys/class/net/{link}"):  # else it has forgotten the link, with all of it
            _run(to, "revert", link)
    elif to == _RESOLVCONF:
        _run(to, "-d", f"{link}.patchbay")
    elif _first_line(to) == _mark(link):
        os.unlink(to)
        with contextlib.suppress(OSError):  # there is more in it
            os.rmdir(os.path.dirname(to))
            os.rmdir(os.path.dirname(os.path.dirname(to)))


def _text(lease: Lease) -> str:
    lines = [f"search {lease.domain}"] if lease.domain else []
    return "".join(f"{line}\n" for line in [*lines, *(f"nameserver {one}" for one in lease.dns)])


def _mark(link: str) -> str:
    return f"# Written by patchbay.netdev from the lease of {link}."


def _first_line(path: str) -> str | None:
    """None when there is no such file."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.readline().rstrip("\n")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Refused(f"use_dns: {path} cannot be read: {error.strerror}") from error


def _there(program: str) -> str | None:
    return shutil.which(program, path=_PATH)


def _run(program: str, *words: str, given: str = "") -> None:
    command = [_there(program) or program, *words]
    try:
        done = subprocess.run(command, input=given, check=False, capture_output=True, text=True, timeout=5, env={"PATH": _PATH})
    except (OSError, subprocess.TimeoutExpired) as error:
        raise RequestFailed(f"{' '.join(command)} failed: {error}", 0, str(error)) from error
    if done.returncode:
        text = done.stderr.strip() or done.stdout.strip()
        raise RequestFailed(f"{' '.join(command)} failed: {text}", 0, text)

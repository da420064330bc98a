# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What can go wrong, each with a sentence that names the link, the cause and the way out."""

from __future__ import annotations


class NetdevError(Exception):
    """Base of all errors that a user may see; its text is the whole message."""


class InvalidValue(NetdevError):
    """A value that was written cannot be meant."""


class Refused(NetdevError):
    """The kernel would refuse it, or accept it and do harm: nothing was changed."""


class NeedsRecreate(Refused):
    """A living link does not take a change; `changes` names the link and the change, without advice."""

    def __init__(self, changes: str, advice: str) -> None:
        super().__init__(f"{changes}: {advice}")
        self.changes = changes


class Missing(Refused):
    """Something that a link needs is not there: it may come later."""


class MissingLibrary(NetdevError):
    """pyroute2 cannot be imported by this interpreter; `__cause__` is what the import raised."""


class RequestFailed(NetdevError):
    """The kernel refused one request.

    errno is positive; text is the kernel's own sentence (its extended acknowledgement) or, without one, that of the errno.
    """

    def __init__(self, message: str, errno: int, text: str) -> None:
        super().__init__(message)
        self.errno = errno
        self.text = text


class ApplyFailed(NetdevError):
    """A plan failed half-way, or the kernel did not apply what it acknowledged; the changes have been rolled back.

    undone: the operations that rolled it back, as sentences; not_undone: what differs from the state before nevertheless.
    """

    def __init__(self, message: str, undone: list[str], not_undone: list[str]) -> None:
        super().__init__(message)
        self.undone = undone
        self.not_undone = not_undone

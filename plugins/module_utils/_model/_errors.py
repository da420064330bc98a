# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The errors of the engine. The text of each is a whole message: `<object>: <what is wrong>. <how to fix it>`."""

from __future__ import annotations


class NetdevError(Exception):
    """Base of all errors that a user sees."""


class InvalidValue(NetdevError):
    """An option has a value that is not valid, or that contradicts another."""


class Refused(NetdevError):
    """The kernel would reject the change, or apply it with harmful effects; nothing was changed."""


class NotPermitted(Refused):
    """The task runs without the privileges that reading or changing something requires."""


class NeedsRecreate(Refused):
    """The kernel makes a change only when it creates a link; `changes` names the link and the change, without advice."""

    def __init__(self, changes: str, advice: str) -> None:
        super().__init__(f"{changes}: {advice}")
        self.changes = changes


class Missing(Refused):
    """What a change needs does not exist yet, or not in the required state; another task may create it.

    problem: the first sentence of the message, without its full stop: the object, and what it lacks.
    """

    def __init__(self, problem: str, fix: str) -> None:
        super().__init__(f"{problem}. {fix}")
        self.problem = problem


class MissingLibrary(NetdevError):
    """This interpreter cannot import pyroute2; `__cause__` is the error of the import."""


class RequestFailed(NetdevError):
    """The kernel rejected a request.

    errno: positive. text: the kernel's own message (extended acknowledgement), or else the one of the errno.
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

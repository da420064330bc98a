# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The page on what each boot backend can express says what the table says."""

from __future__ import annotations

from ansible_collections.patchbay.netdev.tests.backends_page import PAGE, page


def test_page_is_the_table() -> None:
    """Run python tests/backends_page.py after a change of the table."""
    assert PAGE.read_text(encoding="utf-8") == page()


def test_page_names_every_word() -> None:
    """A cell for each, in the words of the files."""
    shown = page()
    for line in (
        "   * - ``mode``\n     - ``.netdev [MACVTAP] Mode``\n     - ``[macvlan] mode``, for vepa, bridge, private, ",
        "   * - ``sysctls``\n     - by udev\n     - by udev",
        "   * - ``bc_cutoff``\n     - ``.netdev [MACVLAN] BroadcastQueueThreshold``, from 256 on\n     - no",
        "   * - ``tx_queue_len``\n     - no\n     - ``[link] tx-queue-length``, from 1.44 on",
    ):
        assert line in shown

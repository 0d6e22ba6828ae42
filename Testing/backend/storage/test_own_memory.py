"""How much memory this process uses, and the most that it has used, as the system says."""

import sys

import numpy as np
import psutil
import pytest

from PseudoLabelCLLib.storage.files import own_memory
from PseudoLabelCLLib.storage.files.own_memory import (
    forget_peak,
    peak_resident_bytes,
    resident_bytes,
)

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="others say it otherwise")
LARGE = 300_000_000


def test_resident_memory_is_what_others_see_of_this_process():
    seen = psutil.Process().memory_info().rss
    assert resident_bytes() == pytest.approx(seen, rel=0.05)


def test_peak_keeps_what_was_given_back_until_it_is_forgotten():
    forget_peak()
    before = peak_resident_bytes()
    large = np.ones(LARGE, np.uint8)
    assert peak_resident_bytes() >= before + 0.9 * LARGE
    del large
    assert peak_resident_bytes() >= before + 0.9 * LARGE
    forget_peak()
    assert peak_resident_bytes() < before + 0.5 * LARGE


def test_system_that_says_nothing_is_no_error(monkeypatch, tmp_path):
    monkeypatch.setattr(own_memory, "_STATUS", tmp_path / "status")
    monkeypatch.setattr(own_memory, "_CLEAR", tmp_path / "no folder" / "clear_refs")
    assert resident_bytes() is None
    assert peak_resident_bytes() is None
    forget_peak()
    (tmp_path / "status").write_text("VmRSS:\t many kB\n")
    assert resident_bytes() is None

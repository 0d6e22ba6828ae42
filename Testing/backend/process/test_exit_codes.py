"""Exit codes in words."""

import signal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from PseudoLabelCLLib.process.exit_codes import exit_code_in_words


@pytest.mark.parametrize(
    ("exit_code", "words"),
    [
        (-9, "memory ran out (SIGKILL)"),
        (137, "memory ran out (SIGKILL)"),  # as a shell or launcher passes it on
        (-11, "it does not own (SIGSEGV)"),
        (139, "it does not own (SIGSEGV)"),
        (-6, "a library stopped it (SIGABRT)"),
        (3221225477, "it does not own (exit code 0xC0000005)"),  # Windows: access violation
        (-1073741819, "it does not own (exit code 0xC0000005)"),  # the same, signed
        (0, "without reporting"),
        (1, "exit code 1"),
        (255, "exit code 255"),
    ],
)
def test_known_codes_are_explained(exit_code, words):
    message, remedy = exit_code_in_words(exit_code)
    assert words in message
    assert remedy


def test_slicers_launcher_hides_the_reason_in_its_exit_code_and_tells_it_in_words():
    said = "error: [/opt/Slicer/bin/./python-real] exit abnormally - Report the problem.\n"
    message, remedy = exit_code_in_words(1, said)
    assert "memory ran out" in message
    assert "checkpoint" in remedy
    assert "memory" not in exit_code_in_words(1, "ValueError: bad\n")[0]


@given(st.integers(-(2**31), 2**32 - 1))
def test_every_code_has_a_sentence_and_a_remedy(exit_code):
    message, remedy = exit_code_in_words(exit_code)
    assert message.endswith(".")
    assert remedy.endswith(".")


@pytest.mark.parametrize("number", list(signal.Signals))
def test_every_signal_is_named(number):
    assert number.name in exit_code_in_words(-number)[0]

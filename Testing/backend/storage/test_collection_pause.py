"""The search for garbage pauses and comes back, whatever happens meanwhile."""

import gc

import pytest

from PseudoLabelCLLib.storage.files.collection_pause import paused_collection


@pytest.fixture(autouse=True)
def collection_as_before():
    was_enabled = gc.isenabled()
    yield
    (gc.enable if was_enabled else gc.disable)()


def test_collection_pauses_and_comes_back():
    gc.enable()
    with paused_collection():
        assert not gc.isenabled()
    assert gc.isenabled()


def test_collection_comes_back_after_an_error():
    gc.enable()
    with pytest.raises(ZeroDivisionError), paused_collection():
        raise ZeroDivisionError
    assert gc.isenabled()


def test_inner_pause_does_not_end_the_outer_one():
    gc.enable()
    with paused_collection():
        with paused_collection():
            pass
        assert not gc.isenabled()
    assert gc.isenabled()


def test_collection_that_others_switched_off_stays_off():
    gc.disable()
    with paused_collection():
        pass
    assert not gc.isenabled()


def test_function_can_be_decorated_and_called_twice():
    gc.enable()
    decorated = paused_collection()(gc.isenabled)
    assert [decorated(), decorated()] == [False, False]
    assert gc.isenabled()

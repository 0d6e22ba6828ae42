"""A folder of its own for what the program keeps for its user, for the tests of each folder."""

import pytest

from PseudoLabelCLLib.storage.files.own_seals import STATE_VARIABLE


@pytest.fixture(autouse=True, scope="session")
def own_state(tmp_path_factory):
    """Keeps what the program keeps for its user away from the one who runs the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(STATE_VARIABLE, str(tmp_path_factory.mktemp("state")))
        yield

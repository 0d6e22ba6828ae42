"""How fast this computer works is kept per device, torch and kind of work."""

import pytest

from PseudoLabelCLLib.domain.round_work import RoundWork, Work
from PseudoLabelCLLib.storage.files.own_seals import STATE_VARIABLE
from PseudoLabelCLLib.storage.project.kept_paces import KeptPace, keep_paces, kept_paces

WORK = RoundWork({Work.TRAINING: 10}, {Work.TRAINING: "kind", Work.PROPOSING: "other"})


@pytest.fixture(autouse=True)
def state(tmp_path, monkeypatch):
    monkeypatch.setenv(STATE_VARIABLE, str(tmp_path / "state"))
    return tmp_path / "state"


def pace(seconds=1.0, *, work=Work.TRAINING, kind="kind", device="CPU", torch="2.10"):
    return KeptPace(work, kind, device, torch, seconds)


def found(device="CPU", torch="2.10"):
    return {work: one.seconds for work, one in kept_paces(WORK, device, torch).items()}


def test_what_was_measured_is_found_for_the_same_device_torch_and_kind_alone():
    keep_paces([pace(0.5), pace(0.1, work=Work.PROPOSING, kind="other")])
    assert found() == {Work.TRAINING: 0.5, Work.PROPOSING: 0.1}
    assert found(device="GPU") == {}
    assert found(torch="2.11") == {}
    keep_paces([pace(9.0, kind="another network")])
    assert found()[Work.TRAINING] == 0.5


def test_newest_figure_counts_and_whoever_knows_no_torch_takes_the_newest_of_any():
    keep_paces([pace(0.5)])
    keep_paces([pace(0.7, torch="2.11")])
    assert found(torch=None) == {Work.TRAINING: 0.7}
    keep_paces([pace(0.6)])
    assert found() == {Work.TRAINING: 0.6}
    assert found(torch=None) == {Work.TRAINING: 0.6}


def test_oldest_figures_are_forgotten_first():
    keep_paces([pace(0.5)])
    for number in range(250):
        keep_paces([pace(1.0, kind=f"kind {number}")])
    assert found() == {}


def test_damaged_file_is_no_knowledge_and_is_written_anew(state):
    state.mkdir()
    (state / "paces.json").write_text("{", "utf-8")
    assert found() == {}
    keep_paces([pace(0.5)])
    assert found() == {Work.TRAINING: 0.5}


def test_where_nothing_can_be_kept_nothing_fails(state):
    state.write_text("a file in the folder's place", "utf-8")
    keep_paces([pace(0.5)])
    assert found() == {}

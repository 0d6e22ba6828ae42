"""The check behind Testing/robustness/kill_whole_loops.py finds what it looks for."""

import shutil
import sys
from pathlib import Path

import pytest
from judging import accept
from small_projects import drawn, write_drawing

if sys.platform == "win32":
    pytest.skip("the kills are POSIX signals, the processes forks", allow_module_level=True)

sys.path.insert(0, str(Path(__file__).parents[2] / "robustness"))
import kill_whole_loops as kills
from a_person import sum_of_voxels, sums_of_proposals

from PseudoLabelCLLib.storage.project.project_store import load_project

ACCEPTED = ("accepted", sum_of_voxels(drawn(shift=1)))


@pytest.fixture
def a_judged_project(a_project_in_review):
    """The proposal of "other-1" is accepted; returns the folder."""
    accept(a_project_in_review, load_project(a_project_in_review), "other-1")
    return a_project_in_review


def looked(root, book):
    return kills._look(root, book)["wrong"]


def test_a_whole_project_with_the_verdicts_that_were_given_is_whole(a_judged_project):
    book = kills.Book(
        given={("other-1", 0): ACCEPTED}, proposals={0: sums_of_proposals(a_judged_project, 0)}
    )
    assert looked(a_judged_project, book) == ""
    assert len(book.proposals[0]) == 2


def test_a_verdict_that_was_on_its_way_may_be_there_or_not(a_judged_project):
    book = kills.Book()
    book.possible["other-1", 0] = [("rejected", ""), ACCEPTED]
    book.possible["other-2", 0] = [("rejected", "")]
    assert looked(a_judged_project, book) == ""


def test_a_lost_verdict_is_found(a_judged_project):
    (a_judged_project / "reviews" / "round_00" / "other-1.json").unlink()
    book = kills.Book(given={("other-1", 0): ACCEPTED})
    assert looked(a_judged_project, book) == "the verdict on ('other-1', 0) is lost"


def test_other_voxels_than_those_that_were_shown_are_found(a_judged_project):
    (file,) = (a_judged_project / "reviews" / "round_00").glob("other-1*.seg.nrrd")
    write_drawing(file, drawn(shift=2))
    book = kills.Book(given={("other-1", 0): ACCEPTED})
    assert "is another one" in looked(a_judged_project, book)


def test_a_verdict_that_nobody_gave_is_found(a_judged_project):
    assert "is another one" in looked(a_judged_project, kills.Book())


def test_a_proposal_that_changed_and_a_round_that_went_are_found(a_judged_project):
    book = kills.Book(
        given={("other-1", 0): ACCEPTED}, proposals={0: sums_of_proposals(a_judged_project, 0)}
    )
    write_drawing(a_judged_project / "rounds" / "round_00" / "proposals" / "other-2.seg.nrrd")
    assert "not those that were shown" in looked(a_judged_project, book)
    shutil.rmtree(a_judged_project / "rounds" / "round_00")
    assert "round 0 is gone" in looked(a_judged_project, book)


def test_a_damaged_file_is_found(a_judged_project):
    (a_judged_project / "rounds" / "round_00" / "round.json").write_text("{", "utf-8")
    assert looked(a_judged_project, kills.Book()).startswith("ProjectDamagedError")


@pytest.mark.slow
@pytest.mark.long
def test_a_loop_with_kills_ends_with_nothing_lost(tmp_path):
    kills.in_fork(lambda: str(kills.make_project(tmp_path / "made", 0, *kills.SETTINGS)))
    result = kills.Result()
    kills.run_loop(tmp_path / "made" / "project", 5, result, lambda: result.number >= 3)
    assert result.faults == []
    assert (result.number, result.loops) == (3, 1)

"""The command "review": a verdict names what was listed, or is asked about at the terminal."""

import io
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from a_service import GRID, copied_service, fake_round, labels, named, write_service

from PseudoLabelCLLib.command_line.main import main
from PseudoLabelCLLib.domain.review import Verdict
from PseudoLabelCLLib.domain.volume import LabelVolume
from PseudoLabelCLLib.storage.project.project_layout import ProjectLayout
from PseudoLabelCLLib.storage.project.project_store import load_project
from PseudoLabelCLLib.storage.segmentation_io import read_segmentation, write_segmentation

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def a_template(tmp_path_factory):
    return write_service(tmp_path_factory.mktemp("template"))


@pytest.fixture
def service(a_template, tmp_path):
    return copied_service(a_template, tmp_path / "service")


@pytest.fixture
def listing(service, capfd):
    """What `review --json` prints, in a file."""
    assert main(["review", service.project, "--json"]) == 0
    return service.text("listing.json", capfd.readouterr().out)


class Terminal(io.StringIO):
    def isatty(self):
        return True


def answering(monkeypatch, text):
    monkeypatch.setattr(sys, "stdin", Terminal(text))


def reviews(service):
    return load_project(Path(service.project)).reviews


def propose_anew(service, index=0):
    """Let the round propose other voxels, as when it is trained again."""
    fake_round(Path(service.project), index)
    project = load_project(Path(service.project))
    array = labels().astype(np.int16)
    array[2] = 0
    for case_id in ("other-1", "other-2"):
        file = ProjectLayout(Path(service.project)).proposal(index, case_id)
        write_segmentation(file, LabelVolume(array, GRID), project.schema)


def test_list_names_round_and_fingerprint_that_a_verdict_takes(service, capfd):
    assert main(["review", service.project]) == 0
    line = next(line for line in capfd.readouterr().out.splitlines() if "other-1" in line)
    shown = line.split()[1]
    assert shown == named(service.project, "other-1")[1]
    assert (
        main(["review", service.project, "other-1", "--accept", "--proposal", shown.upper()]) == 0
    )
    assert reviews(service)[0].verdict is Verdict.ACCEPTED


def test_proposal_that_was_listed_before_it_was_made_anew_is_refused(service, capfd):
    listed = named(service.project, "other-1", "other-2")
    propose_anew(service)
    for cases, names in (["other-1"], listed[:2]), (["other-1", "other-2"], listed):
        assert main(["review", service.project, *cases, "--reject", *names]) == 1
        assert "is not the one shown here" in capfd.readouterr().err
    assert reviews(service) == ()


def test_proposal_of_the_round_before_is_refused(service, capfd):
    listed = named(service.project, "other-1")
    propose_anew(service, 1)
    assert main(["review", service.project, "other-1", "--accept", *listed]) == 1
    told = capfd.readouterr().err
    assert "shown here is round 0's; round 1 has made a new proposal" in told
    assert reviews(service) == ()


@pytest.mark.parametrize(
    ("said", "code"), [("y\n", 0), ("Yes\n", 0), ("n\n", 1), ("\n", 1), ("", 1)]
)
def test_single_case_is_asked_about_at_the_terminal(service, monkeypatch, capfd, said, code):
    answering(monkeypatch, said)
    assert main(["review", service.project, "other-1", "--accept"]) == code
    told = capfd.readouterr().err
    fingerprint = named(service.project, "other-1")[1].partition(":")[2]
    assert f"other-1: round 0, fingerprint {fingerprint}, doubt 0.10." in told
    assert "Is this the proposal that you saw? [y/N]" in told
    assert ("No verdict was saved." in told) == (code == 1)
    assert len(reviews(service)) == 1 - code


def test_machines_and_bulk_verdicts_are_not_asked(service, monkeypatch, capfd):
    answering(monkeypatch, "y\n")
    assert main(["review", service.project, "other-1", "other-2", "--accept"]) == 1
    assert "--listing FILE" in capfd.readouterr().err
    assert main(["review", service.project, "other-1", "--accept", "--json"]) == 1
    assert "--proposal ROUND:FINGERPRINT" in json.loads(capfd.readouterr().out)["error"]["remedy"]
    assert reviews(service) == ()


def test_listing_judges_what_it_names_and_says_how_many_were_not_looked_at(service, listing, capfd):
    arguments = ["review", service.project, "other-1", "other-2", "--accept", "--listing", listing]
    assert main(arguments) == 0
    told = capfd.readouterr().err
    assert (
        "2 of 2 proposals were judged from the listing, without being opened individually." in told
    )
    assert main([*arguments, "--json"]) == 0
    told = json.loads(capfd.readouterr().out)
    assert (told["judged"], told["not_looked_at"]) == (2, 2)
    propose_anew(service)
    assert main(arguments) == 1
    assert "is not the one shown here" in capfd.readouterr().err


def test_one_case_of_a_listing_is_told_in_the_singular(service, listing, capfd):
    assert main(["review", service.project, "other-1", "--reject", "--listing", listing]) == 0
    assert "1 of 1 proposal was judged from the listing" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("extent", "slices", "has_mask", "words"),
    [
        ([], (0,), False, "corrected, 1 slice"),
        (["--extent", "slices"], (0,), False, "corrected, 1 slice"),
        (["--extent", "voxels"], (0,), True, "corrected, changed voxels only"),
        (["--extent", "all"], None, False, "corrected"),
        (["--whole"], None, False, "corrected"),
    ],
)
def test_extent_says_what_of_a_correction_counts(service, capfd, extent, slices, has_mask, words):
    layout, project = ProjectLayout(Path(service.project)), load_project(Path(service.project))
    proposal = read_segmentation(layout.proposal(0, "other-1"), project.schema)[0]
    array = proposal.array.copy()
    array[0, 3, 3] = 1
    file = service.path("c.seg.nrrd")
    write_segmentation(file, LabelVolume(array, GRID), project.schema)
    shown = named(service.project, "other-1")
    command = ["review", service.project, "other-1", "--correct", str(file), *extent, *shown]
    assert main(command) == 0
    assert f"other-1: {words}\n" in capfd.readouterr().out
    (review,) = reviews(service)
    assert (review.truth_slices, review.truth_mask is not None) == (slices, has_mask)
    assert main(["review", service.project]) == 0
    assert words in capfd.readouterr().out


def test_status_says_that_single_voxels_count(service, capfd):
    test_extent_says_what_of_a_correction_counts(
        service, capfd, ["--extent", "voxels"], (0,), True, "corrected, changed voxels only"
    )
    assert main(["status", service.project]) == 0
    assert "(1 of them on single voxels only)" in capfd.readouterr().out

"""Tests of the report page as a whole."""

import re
from html.parser import HTMLParser

import pytest
from report_phantoms import make_figure, make_report, quality_of_dice

from PseudoLabelCLLib.domain.config import Profile
from PseudoLabelCLLib.domain.errors import StorageError
from PseudoLabelCLLib.domain.profiles import config_for
from PseudoLabelCLLib.domain.review import Verdict
from PseudoLabelCLLib.domain.segmentation import LabelClass, LabelSchema
from PseudoLabelCLLib.pipeline.learning_curve import CurvePoint, RoundCurve
from PseudoLabelCLLib.pipeline.prediction.measure_quality import CaseQuality, ClassQuality
from PseudoLabelCLLib.pipeline.report.curves import (
    RoundQuality,
)
from PseudoLabelCLLib.pipeline.report.report import (
    format_duration,
    render_report,
    write_report,
)

VOID_TAGS = {"meta", "input", "br"}


def page_of(report):
    return "".join(render_report(report))


class PageReader(HTMLParser):
    """Checks that every tag is closed in order and collects tags, attributes and text."""

    def __init__(self, page):
        super().__init__()
        self.open_tags, self.tags, self.attributes, self.text = [], [], [], []
        self.feed(page)
        self.close()
        assert not self.open_tags

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID_TAGS:
            self.open_tags.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag):
        assert self.open_tags.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


@pytest.fixture
def a_full_report():
    figures = [
        make_figure("plain", 0.1, verdict=Verdict.ACCEPTED),
        make_figure("doubtful", 0.9, has_reference=True, reason="The top is open."),
        make_figure("unknown", None, doubt_per_slice=()),
    ]
    curves = tuple(
        RoundCurve(n, tuple(CurvePoint(s, {"Dice": 1 / s}, 0.5 + s / 1000) for s in range(1, 300)))
        for n in range(2)
    )
    qualities = (
        RoundQuality(0, (("doubtful", quality_of_dice(0.5, 0.7)),)),
        RoundQuality(1, (("doubtful", quality_of_dice(0.8, 0.9)),)),
    )
    return make_report(
        figures,
        plan="Joint training.",
        notices=("Mind the gap.",),
        curves=curves,
        qualities=qualities,
        model_file="rounds/round_01/model.plcl",
        model_fingerprint="ab" * 32,
        settings=config_for(Profile.QUICK),
    )


def test_the_page_is_well_formed_and_asks_for_nothing_from_elsewhere(a_full_report):
    page = page_of(a_full_report)
    reader = PageReader(page)
    assert not {"script", "link", "iframe", "object"} & set(reader.tags)
    links = [value for name, value in reader.attributes if name in ("href", "src")]
    assert links
    assert all(link.startswith(("#", "data:image/")) for link in links)
    assert "http://" not in page
    assert "https://" not in page
    assert "url(" not in page
    assert "@import" not in page


def test_the_page_tells_what_the_round_did(a_full_report):
    text = " ".join(PageReader(page_of(a_full_report)).text)
    for words in (
        "Hearts", "report of round 1", "Joint training.", "Mind the gap.", "CPU, 2 threads",
        "2 min 05 s", "2026-03-02 10:11", "2 cases with human truth, 5 pseudo-labels, 1 left out",
        "Mean Dice is 0.850 on 1 case with a reference (round 0: 0.600)",
        "2 of 3 proposals to review, the most doubtful is doubtful (0.90)",
        "The top is open.", "accepted", "not reviewed", "rounds/round_01/model.plcl", "ab" * 32,
        "training.joint.num_steps", "+0.250",
    ):  # fmt: skip
        assert words in text


def test_cases_stand_most_doubtful_first_and_those_of_unknown_doubt_last(a_full_report):
    page = page_of(a_full_report)
    assert re.findall(r"<h3>(\w+)</h3>", page) == ["doubtful", "plain", "unknown"]


def test_links_from_the_table_lead_to_the_case(a_full_report):
    page = page_of(a_full_report)
    anchor = re.search(r'<a href="#([\w-]+)">doubtful</a>', page).group(1)
    assert f'<article id="{anchor}"><header><h3>doubtful</h3>' in page


def test_reference_contours_have_a_switch_only_where_there_is_a_reference(a_full_report):
    assert 'id="show-reference"' in page_of(a_full_report)
    without = page_of(make_report([make_figure()]))
    assert 'id="show-reference"' not in without


@pytest.mark.parametrize("name", ["<script>alert(1)</script>", 'a" onload="x', "Ä & ö <b>"])
def test_names_are_shown_as_text_and_never_as_code(name):
    schema = LabelSchema((LabelClass(1, name, "#56b4e9"),))
    quality = CaseQuality((ClassQuality(name, 1, 0.5, 1.0, 1.0, 3, 3),))
    report = make_report(
        [make_figure(name, reason=name)],
        schema=schema,
        project_name=name,
        device=name,
        plan=name,
        notices=(name,),
        model_file=name,
        curves=(RoundCurve(0, (CurvePoint(1, {name: 0.5}), CurvePoint(2, {name: 0.4}))),),
        qualities=(RoundQuality(0, ((name, quality),)),),
    )
    reader = PageReader(page_of(report))
    assert not {"script", "b"} & set(reader.tags)
    assert "onload" not in [attribute for attribute, _ in reader.attributes]
    assert "".join(reader.text).count(name) >= 8


def test_a_report_without_anything_to_show_is_a_page():
    text = " ".join(PageReader(page_of(make_report())).text)
    assert "No case has a reference, so the quality was not measured." in text


def test_references_that_hold_nothing_are_told():
    quality = quality_of_dice(None, None)
    page = page_of(make_report(qualities=(RoundQuality(0, (("a", quality),)),)))
    assert "The references hold no structure, so the quality was not measured." in page


def test_cases_are_read_one_after_the_other():
    alive = []

    def figures():
        for n in range(3):
            alive.append(n)
            yield make_figure(f"case{n}")

    page = page_of(make_report(figures()))
    assert alive == [0, 1, 2]
    assert page.count("<article") == 3


def test_fifty_two_cases_of_ten_slices_stay_below_six_megabytes():
    # Noise compresses worst: real images stay well below.
    size = len(page_of(make_report([make_figure(shape=(10, 220, 220), has_reference=True)])))
    assert 52 * size < 6e6


def test_the_report_is_written_as_utf8(tmp_path, a_full_report):
    path = tmp_path / "Ärzte" / "report.html"
    write_report(path, make_report([make_figure("Größe")]))
    assert "Größe" in path.read_text(encoding="utf-8")
    assert [p.name for p in path.parent.iterdir()] == ["report.html"]


def test_a_folder_that_is_a_file_is_a_storage_error(tmp_path):
    (tmp_path / "round_00").write_text("not a folder")
    with pytest.raises(StorageError):
        write_report(tmp_path / "round_00" / "report.html", make_report())


@pytest.mark.parametrize(
    ("duration_s", "words"),
    [(0.4, "0 s"), (59.4, "59 s"), (59.6, "1 min 00 s"), (365, "6 min 05 s"), (7500, "2 h 05 min")],
)
def test_durations_are_told_in_the_two_units_that_matter(duration_s, words):
    assert format_duration(duration_s) == words

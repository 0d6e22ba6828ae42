"""Texts and their translation: patterns are literals, all are collected, the German ones fit."""

import ast
from pathlib import Path
from string import Formatter

import pytest
from collect_texts import (
    LIBRARY_CONTEXT,
    MODULE,
    REPOSITORY,
    calls_in,
    collected,
    context_of,
    library_files,
    literals_in,
    patterns_in,
    translations_in,
    write_translations,
)
from PseudoLabelCLGui import translation

GERMAN = REPOSITORY / "Resources" / "Translations" / "PseudoLabelCL_de.ts"
# What makes a text of a pattern that was marked elsewhere, or of what another process said.
NOT_LITERAL = {
    "curation/export/model_card.py": {"how"},
    "domain/bound_settings.py": {"self.pattern"},
    "domain/doubt.py": {"ANATOMY_DISAGREES", "SECOND_PIECE"},
    "domain/findings.py": {"self.value[0]"},
    "domain/text.py": {"pattern", "text"},
    "messages/json_codec.py": {"value"},
    "pipeline/prediction/rank_for_review.py": {"COPIES_AGREE", "SOME_MISSING"},
    "process/exit_codes.py": {"what"},
    "process/probe_findings.py": {"found['error']"},
    "storage/files/atomic_files.py": {"_REFUSED[action]"},
    "storage/project/project_lock.py": {"str(found['holder'])"},
}


def names_in(pattern: str) -> set[str]:
    return {field for _, field, _, _ in Formatter().parse(pattern) if field is not None}


def name_of(path: Path) -> str:
    return path.relative_to(REPOSITORY / "PseudoLabelCLLib").as_posix()


@pytest.mark.parametrize("path", library_files(), ids=name_of)
def test_every_pattern_is_a_literal_that_is_collected(path):
    others = {
        ast.unparse(argument)
        for call in calls_in(path)
        for argument in patterns_in(call)
        if not literals_in(argument)
    }
    assert others == NOT_LITERAL.get(name_of(path), set())


@pytest.mark.parametrize("path", library_files(), ids=name_of)
def test_every_pattern_names_the_values_that_it_is_given(path):
    for call in calls_in(path):
        given = {keyword.arg for keyword in call.keywords}
        is_counted = getattr(call.func, "id", "") == "counted"
        for pattern in (text for one in patterns_in(call) for text in literals_in(one)):
            if (
                None in given
                or not (given or is_counted)
                or getattr(call.func, "id", "") == "pattern"
            ):
                continue
            named = names_in(pattern) - ({"count"} if is_counted else set())
            assert named == given - ({"count"} if is_counted else set()), pattern


@pytest.mark.parametrize(
    ("context", "text"),
    [
        (LIBRARY_CONTEXT, "There is a case '{case}' in the project already ({role})."),
        (LIBRARY_CONTEXT, "Use it voxel for voxel"),
        (LIBRARY_CONTEXT, "{count} labelled voxels of '{file}' lie outside the image"),
        (
            LIBRARY_CONTEXT,
            "{grids} and was resampled by position: {between} lay between its voxels.",
        ),
        ("review.show_review", "Accept"),
        ("PseudoLabelCL", "Next doubtful place"),
        ("PseudoLabelCL", "PseudoLabelCL"),
    ],
)
def test_errors_answers_notes_the_panel_and_its_form_are_collected(context, text):
    assert (context, text) in {(one.context, one.text) for one in collected()}


def test_what_only_the_command_line_says_is_not_collected():
    files = {one.file for one in collected()}
    assert not any("command_line" in file for file in files)
    assert any(file.endswith(".ui") for file in files)


def test_the_panel_looks_the_librarys_texts_up_where_they_are_collected():
    assert translation.LIBRARY_CONTEXT == LIBRARY_CONTEXT


def test_the_context_of_a_source_file_is_that_of_slicers_translator():
    # Slicer: Base/Python/slicer/i18n.py, getContext: the folder counts where it is a package
    assert context_of(MODULE / "PseudoLabelCL.py") == "PseudoLabelCL"
    gui = MODULE / "PseudoLabelCLGui"
    assert context_of(gui / "presenter" / "reasons.py") == "presenter.reasons"


def test_a_translator_gets_a_file_with_all_texts_and_what_is_known_of_them(tmp_path):
    known = translations_in(GERMAN)
    write_translations(tmp_path / "PseudoLabelCL_de.ts", "de", known)
    assert translations_in(tmp_path / "PseudoLabelCL_de.ts") == known
    told = (tmp_path / "PseudoLabelCL_de.ts").read_text("utf-8")
    assert told.count("<source>") == len(collected())
    assert told.count('type="unfinished"') == len(collected()) - len(known)


def test_every_german_text_translates_one_that_is_there_and_names_its_values():
    there = {(one.context, one.text) for one in collected()}
    known = translations_in(GERMAN)
    assert set(known) - there == set()
    wrong = [text for (_, text), german in known.items() if names_in(text) != names_in(german)]
    assert wrong == []
    assert len(known) > 400


def test_the_german_file_is_named_as_those_of_slicer():
    # With a file "*_de_DE.qm" Slicer would take no "*_de.qm", its own German texts among them.
    assert 'language="de"' in GERMAN.read_text("utf-8").splitlines()[2]

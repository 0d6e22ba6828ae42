"""What a name proposes: the structure that a clinician means, first."""

import json

import pytest

from PseudoLabelCLLib.storage.segments.terminology_list import (
    LIST_FILE,
    all_terminologies,
    in_words,
    propose_terminology,
    terminology_named,
)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("Left Kidney", "Kidney, left"),
        ("kidney_L", "Kidney, left"),
        ("LeftLung", "Lung, left"),
        ("Kidneys", "Kidney"),
        ("both kidneys", "Kidney, right and left"),
        ("right ventricle", "Right Ventricle"),
        ("LV", "Left Ventricle"),
        ("myocardium", "Myocardium"),
        ("lv myocardium", "Left ventricle myocardium"),
        ("hippocampus right", "Hippocampus, right"),
        ("anterior hippocampus", "Hippocampus"),
        ("proastate", "Prostate"),
        ("peripheral zone", "Peripheral zone of the prostate"),
        ("left liver", "Liver"),
        ("tumour", "Neoplasm"),
    ],
)
def test_first_proposal_is_what_the_name_means(name, words):
    assert in_words(propose_terminology(name)[0]) == words


@pytest.mark.parametrize("name", ["Segment_1", "label 7", "", "42", "posterior", "the", "l"])
def test_name_that_says_nothing_proposes_nothing(name):
    assert propose_terminology(name) == ()


def test_codes_are_those_of_slicer_and_of_the_standard():
    kidney = propose_terminology("kidney, left")[0]
    assert (kidney.category.value, kidney.category.meaning) == (
        "123037004", "Anatomical Structure",
    )  # fmt: skip
    assert (kidney.type.value, kidney.type_modifier.value) == ("64033007", "7771000")
    assert propose_terminology("heart")[0].type.value == "80891009"
    assert propose_terminology("mass")[0].category.value == "49755003"


def test_every_structure_is_found_by_its_own_words():
    for terms in all_terminologies():
        assert terminology_named(in_words(terms)) is not None, in_words(terms)
        assert terms in propose_terminology(in_words(terms))


def test_list_names_each_structure_once_with_codes_that_dicom_can_hold():
    structures = json.loads(LIST_FILE.read_text())["structures"]
    codes = [(s["scheme"], s["value"]) for s in structures]
    assert len(structures) >= 150
    assert len(set(codes)) == len(codes)
    assert all(len(s["scheme"]) <= 16 and len(s["value"]) <= 16 for s in structures)
    assert all(0 < len(s["meaning"]) <= 64 for s in structures)


def test_only_an_exact_name_chooses():
    assert in_words(terminology_named("kidney left")) == "Kidney, left"
    assert terminology_named("anterior hippocampus") is None
    assert terminology_named("flux capacitor") is None

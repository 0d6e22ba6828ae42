"""Model files described and copied without torch."""

import json
import subprocess
import sys
import zipfile
from dataclasses import replace

import pytest
from a_service import SCHEMA, TINY, write_tiny_model

from PseudoLabelCLLib.curation.export.model_card import (
    read_model_card,
    save_model,
)
from PseudoLabelCLLib.domain.config import Profile
from PseudoLabelCLLib.domain.errors import ModelFileError, ProjectError, StorageError
from PseudoLabelCLLib.domain.profiles import config_for
from PseudoLabelCLLib.domain.project import Project
from PseudoLabelCLLib.domain.round import Round, RoundState
from PseudoLabelCLLib.pipeline.prediction.model_file import (
    read_model,
    write_model,
)
from PseudoLabelCLLib.storage.files.fingerprint import file_fingerprint
from PseudoLabelCLLib.storage.project.project_layout import ProjectLayout
from PseudoLabelCLLib.storage.project.project_store import create_project

READ_WITHOUT_TORCH = """
import sys
from pathlib import Path
from PseudoLabelCLLib.curation.export.model_card import read_model_card
print(read_model_card(Path(sys.argv[1])).trained_on)
assert "torch" not in sys.modules
"""


@pytest.fixture(scope="module")
def a_model(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "model.plcl"
    write_tiny_model(path)
    return path


@pytest.fixture
def a_project(tmp_path, a_model):
    root = tmp_path / "project"
    rounds = (Round(0, RoundState.CLOSED), Round(1, RoundState.TRAINING))
    project = Project("p", SCHEMA, config_for(Profile.QUICK), (), rounds)
    create_project(root, project)
    ProjectLayout(root).model(0).write_bytes(a_model.read_bytes())
    return root, project


def rewritten(a_model, path, change):
    """The same model file with another card."""
    with zipfile.ZipFile(a_model) as before, zipfile.ZipFile(path, "w") as after:
        card = json.loads(before.read("model.json"))
        change(card)
        after.writestr("model.json", json.dumps(card))
        after.writestr("weights.safetensors", before.read("weights.safetensors"))
    return path


def test_card_tells_what_the_trained_model_says_of_itself(a_model):
    card = read_model_card(a_model)

    assert card.labels == read_model(a_model).card.schema
    assert card.file == str(a_model)
    assert card.fingerprint == file_fingerprint(a_model)
    assert card.trained_on == "Round 0 of the project 'hearts', trained on 1 human segmentation."


def test_card_tells_pseudo_labels_and_dice_where_there_are_any(a_model, tmp_path):
    model = read_model(a_model)
    training = replace(
        model.card.training, round_index=2, num_human_cases=3, num_pseudo_cases=17,
        validation_dice=0.9149,
    )  # fmt: skip
    write_model(tmp_path / "m.plcl", model.network, replace(model.card, training=training))

    assert read_model_card(tmp_path / "m.plcl").trained_on == (
        "Round 2 of the project 'hearts', trained on 3 human segmentations and 17 pseudo-labels; "
        "Dice 0.91 on validation cases."
    )


@pytest.mark.parametrize(
    ("selection", "told"),
    [
        (
            "best",
            "the best of 6 measurements on the same cases, so likely higher than on new ones",
        ),
        (
            "last-improvement",
            "the last improvement of 6 measurements on the same cases, so likely higher than on "
            "new ones",
        ),
        ("last", "of the last weights, which it did not choose"),
    ],
)
def test_card_says_how_its_validation_dice_was_selected(a_model, tmp_path, selection, told):
    model = read_model(a_model)
    training = replace(
        model.card.training, validation_dice=0.87, num_validation_cases=2, num_validations=6,
        selection=selection,
    )  # fmt: skip
    write_model(tmp_path / "m.plcl", model.network, replace(model.card, training=training))
    assert f"; Dice 0.87 on 2 validation cases ({told})." in (
        read_model_card(tmp_path / "m.plcl").trained_on
    )


def test_card_is_read_without_torch(a_model):
    child = subprocess.run(
        [sys.executable, "-c", READ_WITHOUT_TORCH, str(a_model)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "hearts" in child.stdout


def test_newer_card_asks_for_an_update(a_model, tmp_path):
    path = rewritten(a_model, tmp_path / "m.plcl", lambda card: card.update(schema_version=99))
    with pytest.raises(ModelFileError, match="newer version") as told:
        read_model_card(path)
    assert "Update" in told.value.remedy


@pytest.mark.parametrize(
    "change",
    [
        lambda card: card.pop("training"),
        lambda card: card.pop("schema"),
        lambda card: card["training"].update(num_human_cases="many"),
        lambda card: card["schema"].update(classes=[]),
    ],
)
def test_damaged_card_is_told(a_model, tmp_path, change):
    path = rewritten(a_model, tmp_path / "m.plcl", change)
    with pytest.raises(ModelFileError, match=r"description in 'm\.plcl' is damaged"):
        read_model_card(path)


def test_what_is_no_model_is_told(tmp_path):
    (tmp_path / "x.plcl").write_text("hello")
    with pytest.raises(ModelFileError, match="not a model file"):
        read_model_card(tmp_path / "x.plcl")
    with pytest.raises(ModelFileError, match=r"The model file .* was not found"):
        read_model_card(tmp_path / "y.plcl")


def test_saved_model_is_the_round_s_own_byte_for_byte(a_project, tmp_path, a_model):
    root, project = a_project
    file = tmp_path / "Herz über alles.plcl"

    card = save_model(root, project, 0, file)

    assert file.read_bytes() == a_model.read_bytes()
    assert card == read_model_card(file)
    assert read_model(file).card.network == TINY


def test_earlier_model_file_is_replaced_and_any_other_file_stays(a_project, tmp_path):
    root, project = a_project
    file, other = tmp_path / "m.plcl", tmp_path / "thesis.docx"
    save_model(root, project, 0, file)
    save_model(root, project, 0, file)
    other.write_text("years of work")

    with pytest.raises(ModelFileError, match="already exists and is not a model file"):
        save_model(root, project, 0, other)
    assert other.read_text() == "years of work"


def test_models_of_rounds_are_never_written_over(a_project):
    root, project = a_project
    for file in (ProjectLayout(root).model(0), ProjectLayout(root).model(1)):
        with pytest.raises(ProjectError, match="keep their own models"):
            save_model(root, project, 0, file)


@pytest.mark.parametrize("index", [-1, 1, 2])
def test_round_without_a_model_has_none_to_save(a_project, tmp_path, index):
    root, project = a_project
    with pytest.raises(ProjectError, match="no trained model"):
        save_model(root, project, index, tmp_path / "m.plcl")


def test_folder_in_the_file_s_place_is_told(a_project, tmp_path):
    root, project = a_project
    with pytest.raises(StorageError):
        save_model(root, project, 0, tmp_path)

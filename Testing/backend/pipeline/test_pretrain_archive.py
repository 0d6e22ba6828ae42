"""An archive of volumes without segmentations, from which projects can start."""

import numpy as np
import pytest
import torch
from learning_doubles import grid, make_generator, phantom_slices
from small_projects import write_drawing, write_image

from PseudoLabelCLLib.command_line.main import main
from PseudoLabelCLLib.curation.export.model_card import (
    read_model_card,
    read_starting_model,
    save_pretrained_model,
)
from PseudoLabelCLLib.domain.errors import ModelFileError, ProjectError
from PseudoLabelCLLib.domain.volume import Volume
from PseudoLabelCLLib.learning.networks.network import SegmentationNetwork
from PseudoLabelCLLib.pipeline.prediction.model_file import read_model
from PseudoLabelCLLib.storage.project.project_store import load_project
from PseudoLabelCLLib.storage.volume_io import write_volume

pytestmark = pytest.mark.slow

NUM_VOLUMES = 3
QUICKEST = (
    "network.widths=[4,4,4,4,4,4]", "network.embedding_size=4", "preprocess.window_size=[32,32]",
    "pretraining.global_local.global_steps=3", "pretraining.global_local.local_steps=2",
)  # fmt: skip


def archive(folder, *more):
    words = ["pretrain-archive", folder / "archive", "--output", folder / "start.plcl"]
    for one in (*QUICKEST, *more):
        words += ["--set", one]
    return main([str(word) for word in (*words, "--device", "cpu")])


@pytest.fixture(scope="module")
def a_folder(tmp_path_factory):
    """A folder with an archive and the model that was made of it."""
    folder = tmp_path_factory.mktemp("archive")
    (folder / "archive" / "deep").mkdir(parents=True)
    for number in range(NUM_VOLUMES):
        slices = phantom_slices(6, (32, 32), seed=number)
        where = folder / "archive" / ("deep" if number else "") / f"volume {number}.nrrd"
        geometry = grid((32, 32, 6), (1.5, 1.5, 6.0))
        write_volume(where, Volume((1000 * slices.images[:, 0]).astype(np.float32), geometry))
    assert archive(folder) == 0
    return folder


def test_the_model_has_what_was_learned_in_encoder_and_decoder_and_new_heads(a_folder):
    network = read_model(a_folder / "start.plcl").network
    random = SegmentationNetwork(network.config, network.num_classes, make_generator(0))
    pairs = zip(network.state_dict().items(), random.state_dict().values(), strict=True)
    changed = {name for (name, a), b in pairs if not torch.equal(a, b)}
    assert changed
    assert all(name.startswith("backbone.") for name in changed)


def test_it_says_from_how_many_volumes_it_learned(a_folder):
    start = read_starting_model(a_folder / "start.plcl")
    assert start.num_pretrained_on == NUM_VOLUMES
    assert not start.segments_the_same(load_project(a_folder / "start-pretraining").schema)


def test_the_project_in_which_it_was_learned_saves_it_too(a_folder):
    root, saved = a_folder / "start-pretraining", a_folder / "saved.plcl"
    save_pretrained_model(root, saved)
    assert saved.read_bytes() == (a_folder / "start.plcl").read_bytes()
    with pytest.raises(ProjectError, match="among the rounds of the project"):
        save_pretrained_model(root, root / "rounds" / "start.plcl")


def test_a_project_starts_from_it(a_folder, tmp_path, capsys):
    image, drawing = write_image(tmp_path / "one.nrrd"), write_drawing(tmp_path / "one.seg.nrrd")
    words = ["create", tmp_path / "project", "--annotated", image, drawing]
    words += ["--start-from", a_folder / "start.plcl"]
    assert main([str(word) for word in words]) == 0
    assert main(["start-from", str(tmp_path / "project")]) == 0
    told = "Round 0 starts from what 'start' learned from 3 volumes without segmentations."
    assert told in capsys.readouterr().out


def test_it_segments_nothing_and_says_so(a_folder, tmp_path, capsys):
    model, image = a_folder / "start.plcl", write_image(tmp_path / "one.nrrd")
    drawing = write_drawing(tmp_path / "one.seg.nrrd")
    with pytest.raises(ModelFileError, match="segments nothing by itself"):
        read_model_card(model)
    results = str(tmp_path / "results")
    assert main(["predict", str(model), str(image), "--output", results]) == 1
    assert "segments nothing by itself" in capsys.readouterr().err
    pair = ["--pair", str(image), str(drawing)]
    assert main(["evaluate", str(model), *pair]) == 1
    assert "segments nothing by itself" in capsys.readouterr().err


def test_called_again_it_goes_on_with_what_is_there(a_folder, capsys):
    before = (a_folder / "start.plcl").read_bytes()
    assert archive(a_folder) == 0
    assert "Goes on with the 3 volumes" in capsys.readouterr().out
    assert (a_folder / "start.plcl").read_bytes() == before


def test_another_file_is_not_replaced(a_folder, tmp_path, capsys):
    (tmp_path / "notes.txt").write_text("mine")
    words = ["pretrain-archive", str(a_folder / "archive"), "--output", str(tmp_path / "notes.txt")]
    assert main(words) == 1
    assert "is not a model file" in capsys.readouterr().err
    assert (tmp_path / "notes.txt").read_text() == "mine"
    assert not (tmp_path / "notes-pretraining").exists()

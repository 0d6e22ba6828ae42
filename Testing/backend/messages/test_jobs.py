"""Jobs on disk."""

import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from PseudoLabelCLLib.domain.errors import (
    ProjectDamagedError,
    ProjectError,
    ProjectNewerError,
    StorageError,
)
from PseudoLabelCLLib.domain.file_formats import SegmentationFormat
from PseudoLabelCLLib.messages.jobs import (
    DeviceChoice,
    DoctorJob,
    EvaluateJob,
    EvaluationPair,
    PredictJob,
    PretrainJob,
    TrainJob,
)
from PseudoLabelCLLib.process.job_files import (
    job_from_json,
    job_to_json,
    new_job_id,
    read_job,
    write_job,
)

texts = st.text(max_size=20)
devices = st.sampled_from(DeviceChoice)
pairs = st.builds(EvaluationPair, texts, texts, texts)
jobs = st.one_of(
    st.builds(PretrainJob, texts, devices),
    st.builds(TrainJob, texts, st.integers(1, 99), devices),
    st.builds(
        PredictJob, texts, st.lists(texts, min_size=1, max_size=3).map(tuple), texts, devices,
        st.sampled_from(SegmentationFormat), st.booleans(),
    ),
    st.builds(
        EvaluateJob, project=texts, pairs=st.lists(pairs, max_size=2).map(tuple),
        rounds=st.lists(st.integers(0, 9), max_size=3).map(tuple), output=st.none() | texts,
        device=devices,
    ),
    st.builds(EvaluateJob, model=texts, pairs=st.lists(pairs, min_size=1, max_size=2).map(tuple)),
    st.builds(DoctorJob, devices),
)  # fmt: skip


@given(jobs)
def test_every_job_survives_json(job):
    assert job_from_json(json.loads(json.dumps(job_to_json(job))), "job.json") == job


@given(jobs)
def test_json_names_the_kind_and_the_schema(job):
    content = job_to_json(job)
    assert (content["kind"], content["schema_version"]) == (job.kind, 1)
    assert set(content) == {"kind", "schema_version"} | set(dataclasses.asdict(job))


def test_job_is_read_back_from_its_folder(tmp_path):
    job = PredictJob("Modell.plcl", ("Bild Ü.nrrd",), "hierhin", uncertainty=True)
    path = write_job(tmp_path / "jobs" / "Auftrag 1", job)
    assert path == tmp_path / "jobs" / "Auftrag 1" / "job.json"
    assert read_job(path) == job


def test_job_ids_differ_and_name_the_kind():
    ids = {new_job_id(DoctorJob()) for _ in range(100)}
    assert len(ids) == 100
    assert all("-doctor-" in one for one in ids)


@pytest.mark.parametrize(
    ("content", "error", "words"),
    [
        ([], ProjectDamagedError, "no job"),
        ({}, ProjectDamagedError, "schema_version"),
        ({"schema_version": 1}, ProjectDamagedError, "kind"),
        ({"schema_version": 2, "kind": "train"}, ProjectNewerError, "newer version"),
        ({"schema_version": 1, "kind": "dance"}, ProjectDamagedError, "dance"),
        ({"schema_version": 1, "kind": "train"}, ProjectDamagedError, "lacks project"),
        (
            {"schema_version": 1, "kind": "train", "project": "p", "device": "tpu"},
            ProjectDamagedError, "device",
        ),
        (
            {"schema_version": 1, "kind": "train", "project": "p", "rounds": 0},
            ProjectDamagedError, "At least 1 round",
        ),
    ],
)  # fmt: skip
def test_what_is_no_job_is_refused_in_plain_words(tmp_path, content, error, words):
    path = tmp_path / "job.json"
    path.write_text(json.dumps(content))
    with pytest.raises(error, match=words):
        read_job(path)


def test_missing_job_is_a_storage_error(tmp_path):
    with pytest.raises(StorageError):
        read_job(tmp_path / "job.json")


@pytest.mark.parametrize(
    "make",
    [
        lambda: TrainJob("p", rounds=0),
        lambda: PredictJob("m", (), "o"),
        lambda: PredictJob("m", ("a", "b"), "o", series_uids=("1.2",)),
        EvaluateJob,
        lambda: EvaluateJob(project="p", model="m"),
        lambda: EvaluateJob(model="m"),
    ],
)
def test_jobs_that_cannot_be_done_are_refused(make):
    with pytest.raises(ProjectError):
        make()

"""Files of label schemas."""

import json

import pytest

from PseudoLabelCLLib.curation.cases.label_schema_file import (
    read_label_schema,
    write_label_schema,
)
from PseudoLabelCLLib.curation.samples.sample_data import phantom_schema
from PseudoLabelCLLib.domain.errors import (
    ProjectDamagedError,
    ProjectNewerError,
)


def test_label_schema_survives_its_file(tmp_path):
    write_label_schema(tmp_path / "labels.json", phantom_schema())

    assert read_label_schema(tmp_path / "labels.json") == phantom_schema()


def test_newer_label_schema_is_told(tmp_path):
    path = tmp_path / "labels.json"
    write_label_schema(path, phantom_schema())
    path.write_text(json.dumps(json.loads(path.read_text()) | {"schema_version": 99}))

    with pytest.raises(ProjectNewerError):
        read_label_schema(path)


@pytest.mark.parametrize("text", ["[]", "{}", '{"schema_version": true}', "{", '"labels"'])
def test_other_json_is_no_label_schema(tmp_path, text):
    path = tmp_path / "labels.json"
    path.write_text(text)

    with pytest.raises(ProjectDamagedError):
        read_label_schema(path)

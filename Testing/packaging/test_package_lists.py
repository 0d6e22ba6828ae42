"""What is installed, what the catalogue is told, and the module file that Slicer loads."""

import ast
import json
import re
import subprocess
import sys

import pytest
from file_lists import LIBRARY, MODULE, REPOSITORY, ROOT_CMAKE, files_there, listed

from PseudoLabelCLLib import __version__
from PseudoLabelCLLib.messages.readiness import OLDEST_PYTHON, REQUIREMENTS

MODULE_FILE = MODULE / "PseudoLabelCL.py"
RAW = "https://raw.githubusercontent.com/PseudoLabelCL/SlicerPseudoLabelCL/main/"
# Slicer/Slicer, Schemas/slicer-extension-catalog-entry-schema-v1.0.2.json
CATALOGUE_KEYS = {
    "$schema", "category", "scm_url", "scm_revision", "scm_type", "build_dependencies",
    "dicom_support_rule", "build_subdirectory", "enabled", "tier",
}  # fmt: skip
SLICER_CLASSES = ("", "Widget", "Logic", "Test")


def metadata_of(name):
    return re.search(rf"set\({name}\s+(.*?)\s*\)", ROOT_CMAKE.read_text("utf-8"), re.DOTALL)[1]


def top_level_imports(path):
    for node in ast.parse(path.read_text("utf-8")).body:
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module.partition(".")[0]


@pytest.mark.parametrize(
    ("cmake", "name"), files_there(), ids=lambda value: getattr(value, "name", value)
)
def test_every_file_is_installed_and_no_other(cmake, name):
    remedy = "call: python Testing/packaging/file_lists.py --write"
    assert listed(cmake, name) == files_there()[cmake, name], remedy


def test_library_installs_more_than_python_files():
    resources = listed(ROOT_CMAKE, "LIBRARY_RESOURCES")
    assert "PseudoLabelCLLib/pipeline/report/style.css" in resources
    # Slicer takes the icon of an installed module from Resources/Icons beside its .py file
    assert {"Resources/UI/PseudoLabelCL.ui", "Resources/Icons/PseudoLabelCL.png"} <= set(resources)


def test_slicer_finds_one_module_and_no_helper_in_the_modules_folder():
    # Slicer loads every Python file that lies directly in a module folder as a module
    assert [file.name for file in MODULE.glob("*.py")] == ["PseudoLabelCL.py"]


def test_module_file_is_thin_and_loads_nothing_but_slicer_at_start_up():
    assert len(MODULE_FILE.read_text("utf-8").splitlines()) <= 125
    allowed = {"slicer", "qt", "PseudoLabelCLGui", *sys.stdlib_module_names}
    assert set(top_level_imports(MODULE_FILE)) <= allowed


def test_module_file_has_the_four_classes_that_slicer_looks_for():
    body = ast.parse(MODULE_FILE.read_text("utf-8")).body
    classes = [node.name for node in body if isinstance(node, ast.ClassDef)]
    assert classes == [f"PseudoLabelCL{ending}" for ending in SLICER_CLASSES]


def test_catalogue_entry_has_what_the_schema_asks_for():
    raw = (REPOSITORY / "PseudoLabelCL.json").read_bytes()
    entry = json.loads(raw)
    assert b"\r" not in raw
    assert set(entry) <= CATALOGUE_KEYS
    assert {"$schema", "category", "scm_url"} <= set(entry)
    assert 1 <= entry["tier"] <= 5
    assert entry["build_dependencies"] == [metadata_of("EXTENSION_DEPENDS").strip('"')]


def test_extension_its_catalogue_entry_and_its_project_bear_one_name():
    project = re.search(r"^project\((\w+)\)", ROOT_CMAKE.read_text("utf-8"), re.MULTILINE)[1]
    assert (REPOSITORY / f"{project}.json").is_file()
    assert not project.startswith("Slicer")


def test_pictures_of_the_extension_are_in_the_repository():
    urls = re.findall(
        r'"([^"]+)"', metadata_of("EXTENSION_ICONURL") + metadata_of("EXTENSION_SCREENSHOTURLS")
    )
    assert len(urls) >= 2
    missing = [url for url in urls if not (REPOSITORY / url.removeprefix(RAW)).is_file()]
    assert missing == []


def test_ranges_of_packages_are_said_alike_everywhere():
    lines = (REPOSITORY / "Resources" / "requirements.txt").read_text("utf-8").splitlines()
    asked = {str(one) for one in REQUIREMENTS}
    assert {line for line in lines if not line.startswith("#")} == asked
    project = (REPOSITORY / "pyproject.toml").read_text("utf-8")
    dependencies = re.search(r"^dependencies = \[(.*?)\]", project, re.DOTALL | re.MULTILINE)[1]
    assert set(re.findall(r'"([^"]+)"', dependencies)) == asked
    assert f'requires-python = ">={OLDEST_PYTHON}"' in project


def test_version_is_said_alike_everywhere():
    for name, pattern in (("pyproject.toml", 'version = "{}"'), ("CITATION.cff", "version: {}")):
        assert pattern.format(__version__) in (REPOSITORY / name).read_text("utf-8")
    assert f"## {__version__}" in (REPOSITORY / "CHANGELOG.md").read_text("utf-8")


def test_interpreter_of_any_age_can_read_what_the_probe_runs_in_it():
    source = (LIBRARY / "process" / "probe_steps.py").read_text("utf-8")
    ast.parse(source, feature_version=(3, 7))
    assert set(top_level_imports(LIBRARY / "process" / "probe_steps.py")) <= {
        "__future__", *sys.stdlib_module_names,
    }  # fmt: skip


def test_a_list_that_lacks_a_file_is_seen(tmp_path):
    text = ROOT_CMAKE.read_text("utf-8").replace("  PseudoLabelCLLib/worker.py\n", "")
    (tmp_path / "CMakeLists.txt").write_text(text, "utf-8")
    there = files_there()[ROOT_CMAKE, "LIBRARY_SCRIPTS"]
    assert listed(tmp_path / "CMakeLists.txt", "LIBRARY_SCRIPTS") != there


def test_lists_are_written_only_when_asked_for():
    before = ROOT_CMAKE.read_bytes()
    script = REPOSITORY / "Testing" / "packaging" / "file_lists.py"
    asked = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)
    assert "--write" in asked.stderr
    assert ROOT_CMAKE.read_bytes() == before

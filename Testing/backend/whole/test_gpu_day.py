"""A day at the GPU: which parts run, what is not run again, and what its table says.

The parts themselves are not tested here: they need packed volumes, and most of all a GPU.
"""

import ast
import json
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))

import gpu_day
from gpu_day_rows import Found, Rows, at_most

ROOT = Path(__file__).parents[3]
BENCHMARKS = ROOT / "Testing" / "benchmarks"
HEAD = {"asked": {"device": "cpu", "tiny": True}, "where": "a CPU"}


@pytest.fixture
def results(tmp_path):
    return tmp_path / "results"


@pytest.fixture
def run(results, monkeypatch, capsys):
    """Run the day with trivial parts in this process; returns those that ran, and the table."""

    def run_with(*words, measure=lambda rows: rows.once("a row", lambda: Found("7 s"))):
        ran = []

        def part(arguments, name, time_s):
            ran.append(name)
            rows = Rows(arguments.results / f"{name}.json", HEAD)
            measure(rows)
            rows.finish()
            return ""

        monkeypatch.setattr(gpu_day, "_run_child", part)
        asked = ("--pack", "pack", "--results", str(results), "--device", "cpu", "--tiny")
        assert gpu_day.main(("run", *asked, *words)) == 0
        return ran, capsys.readouterr().out

    return run_with


def rows_of(results, name):
    return json.loads((results / f"{name}.json").read_text())["rows"]


def test_all_parts_run_in_their_order_the_most_important_first(run):
    ran, _ = run()
    assert ran == list(gpu_day.PARTS)
    assert ran[0] == "correctness"


def test_shares_of_the_time_add_up_to_less_than_nine_minutes():
    assert sum(part.share_s for part in gpu_day.PARTS.values()) <= 540


@pytest.mark.parametrize("name", gpu_day.PARTS)
def test_every_part_has_its_function(name):
    part = gpu_day.PARTS[name]
    assert f"def {part.function}(asked: Asked, rows: Rows)" in (
        BENCHMARKS / f"{part.module}.py"
    ).read_text(encoding="utf-8")


def test_part_with_a_result_is_not_run_again(run):
    run("--only", "speed", "hearts")
    assert run("--skip", "paper")[0] == [
        name for name in gpu_day.PARTS if name not in ("speed", "hearts", "paper")
    ]


def test_part_that_was_cut_off_goes_on_with_its_next_row(run, results):
    results.mkdir()
    before = Rows(results / "speed.json", HEAD)
    before.once("first", lambda: Found("measured before"))
    before.once("second", lambda: 1 / 0)

    def measure(rows):
        for name in ("first", "second", "third"):
            rows.once(name, lambda: Found("measured now"))

    ran, _ = run("--only", "speed", measure=measure)
    found = {name: row["found"] for name, row in rows_of(results, "speed").items()}
    assert ran == ["speed"]
    assert found == {
        "first": "measured before", "second": "measured now", "third": "measured now"
    }  # fmt: skip


def test_row_that_fails_is_told_and_the_others_are_measured(run, results):
    def measure(rows):
        rows.once("first", lambda: 1 / 0)
        rows.once("second", lambda: at_most(3, 2, "3 s"))
        rows.once("third", lambda: Found("never"), needs=False)

    _, table = run("--only", "speed", measure=measure)
    assert "| first | failed: ZeroDivisionError" in table
    assert "| second | 3 s | at most 2 | **no** |" in table
    assert "| third | needs a GPU |" in table


def test_table_is_printed_from_results_alone(run, results, capsys):
    run("--only", "hearts")
    assert gpu_day.main(("run", "--results", str(results), "--print")) == 0
    table = capsys.readouterr().out
    assert "| a row | 7 s |" in table
    assert table.count("Not run.") == len(gpu_day.PARTS) - 1


def test_parts_for_which_no_time_is_left_are_named(run):
    ran, table = run("--minutes", "0.1")
    assert ran == []
    assert table.count("Not begun: no time was left.") == len(gpu_day.PARTS)


def test_results_of_another_device_are_refused(run, results):
    run("--only", "hearts")
    words = ("run", "--pack", "pack", "--results", str(results), "--device", "cuda")
    with pytest.raises(SystemExit, match="choose other --results"):
        gpu_day.main(words)


@pytest.mark.parametrize(
    ("script", "told"),
    [("import time; time.sleep(60)", "Cut off after its 1 s"), ("raise SystemExit(3)", "status 3")],
)
def test_part_that_hangs_or_dies_is_told(results, tmp_path, monkeypatch, capsys, script, told):
    (tmp_path / "part.py").write_text(script)
    monkeypatch.setattr(gpu_day, "__file__", str(tmp_path / "part.py"))
    monkeypatch.setattr(gpu_day, "LEAST_S", 0.5)
    words = ("--pack", "pack", "--results", str(results), "--only", "hearts")
    gpu_day.main(("run", *words, "--minutes", str(1 / 60)))
    assert told in capsys.readouterr().out


def imports_of(path):
    """Return what a file imports as it begins."""
    names = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Import):
            names |= {one.name for one in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {node.module, *(f"{node.module}.{one.name}" for one in node.names)}
    return names


def file_of(name):
    """Return the file of a module of the product or of the benchmarks, None of any other."""
    folder = ROOT if name.startswith("PseudoLabelCLLib") else BENCHMARKS
    path = folder / (name.replace(".", "/") + ".py")
    return path if path.exists() else None


def test_parts_need_torch_and_numpy_alone():
    waiting = {part.module for part in gpu_day.PARTS.values()} | {"gpu_day", "gpu_day_child"}
    seen, outside = set(), set()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        path = file_of(name)
        if path is not None:
            waiting |= imports_of(path)
        elif not name.startswith(("PseudoLabelCLLib", "gpu_day")):
            outside.add(name.split(".")[0])
    carried = {"safetensors"}  # by the pack
    assert outside - sys.stdlib_module_names == {"torch", "numpy", *carried}

"""A folder is a task, or says in one line why it is none."""

import subprocess
import sys
from pathlib import Path

import pytest

from trainer.errors import BadInput
from trainer.task import Task, genome_path, open_task

ROOT = Path(__file__).parents[2]
HILL = ROOT / "benchmarks" / "tasks" / "hill"
PREPARE = 'METRIC, BUDGET_S = "loss", 5\ndef examine(submission, serve): return {"loss": 1.0}\n'
NEEDS_DATA = (
    PREPARE
    + """
import os, pathlib, sys
data = pathlib.Path(os.environ["LINEAGES_TASK"]) / "data"
def ready(): return data.exists()
def fingerprint(): return data.read_text()
"""
)


def folder_with(folder: Path, prepare: str = PREPARE, **files: str) -> Path:
    folder.mkdir(exist_ok=True)
    for name, text in {"prepare.py": prepare, "train.py": "", "program.md": "", **files}.items():
        (folder / name).write_text(text)
    return folder


def reason(folder: Path, **options: float | str) -> str:
    with pytest.raises(BadInput) as caught:
        open_task(folder, "cpu", **options)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_task_is_what_its_prepare_says() -> None:
    task = open_task(HILL, "cpu")
    assert (task.metric, task.budget_s, task.startup_s, task.profile) == ("loss", 5.0, None, "")
    assert task.prepare == (HILL / "prepare.py").read_text()
    assert Path(task.folder).is_absolute()


def test_startup_and_profile_are_optional(tmp_path: Path) -> None:
    said = PREPARE + "STARTUP_S = 60\nclass PROFILE: name = 'cpu'\n"
    task = open_task(folder_with(tmp_path, said), "cpu")
    assert (task.startup_s, task.profile) == (60.0, "cpu")


def test_budget_and_profile_can_be_chosen(tmp_path: Path) -> None:
    said = PREPARE + "import os\nPROFILE = os.environ['LINEAGES_PROFILE']\n"
    task = open_task(folder_with(tmp_path, said), "cpu", budget_s=2.5, profile="gpu")
    assert (task.budget_s, task.profile) == (2.5, "gpu")


def test_the_environment_can_choose_the_profile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LINEAGES_PROFILE", "gpu")
    said = NEEDS_DATA.replace('/ "data"', "/ PROFILE").replace(
        "data =", "PROFILE = os.environ.get('LINEAGES_PROFILE', 'cpu')\ndata ="
    )
    work = "if __name__ == '__main__': data.write_text('x')"
    task = open_task(folder_with(tmp_path, said + work), "cpu")
    assert task.profile == "gpu" and (tmp_path / "gpu").exists()


def test_a_task_that_cannot_compute_where_it_should_says_so(tmp_path: Path) -> None:
    folder_with(tmp_path, PREPARE + "DEVICE = 'cpu'")
    assert open_task(tmp_path, "cpu").device == "cpu"
    with pytest.raises(BadInput, match="would compute on cpu, not on cuda"):
        open_task(tmp_path, "cuda")


def test_what_an_exam_scores_on_is_pinned(tmp_path: Path) -> None:
    folder_with(tmp_path, NEEDS_DATA, data="these rows")
    assert open_task(tmp_path, "cpu").fingerprint == "these rows"


def test_no_file_of_the_task_is_imported_here() -> None:
    code = f"""
import pathlib, sys
from trainer import trial
from trainer.task import open_task
open_task(pathlib.Path({str(HILL)!r}), "cpu")
print(sorted({{"torch", "numpy", "prepare"}} & set(sys.modules)))
"""
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "[]"


def test_the_exam_hash_follows_prepare_and_its_data(tmp_path: Path) -> None:
    def exam_hash(prepare: str) -> str:
        return open_task(folder_with(tmp_path, prepare), "cpu").exam_hash

    first = exam_hash(PREPARE)
    assert exam_hash(PREPARE) == first
    assert exam_hash(PREPARE + "# changed") != first
    (tmp_path / "data").write_text("a")
    with_data = exam_hash(NEEDS_DATA)
    (tmp_path / "data").write_text("b")
    assert exam_hash(NEEDS_DATA) != with_data


def test_missing_data_is_prepared_with_its_output_shown(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    work = "if __name__ == '__main__': data.write_text('x'); print('half', file=sys.stderr); print('done')"
    task = open_task(folder_with(tmp_path, NEEDS_DATA + work), "cpu")
    shown = capfd.readouterr()
    assert isinstance(task, Task)
    assert "half" in shown.err and "done" in shown.out


def test_a_preparation_that_fails_is_bad_input_with_its_last_line(tmp_path: Path) -> None:
    work = "if __name__ == '__main__': raise OSError('no network')"
    assert "OSError: no network" in reason(folder_with(tmp_path, NEEDS_DATA + work))


def test_a_preparation_that_prepares_nothing_is_bad_input(tmp_path: Path) -> None:
    assert "ready()" in reason(folder_with(tmp_path, NEEDS_DATA))


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    assert str(tmp_path / "nowhere") in reason(tmp_path / "nowhere")


def test_a_task_may_keep_its_genome_as_this_repository_does(tmp_path: Path) -> None:
    (folder_with(tmp_path) / "trainer").mkdir()
    (tmp_path / "train.py").rename(tmp_path / "trainer" / "train.py")
    assert genome_path(tmp_path) == tmp_path / "trainer" / "train.py"
    assert open_task(tmp_path, "cpu").metric == "loss"


@pytest.mark.parametrize("name", ["train.py", "prepare.py", "program.md"])
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    (folder_with(tmp_path) / name).unlink()
    assert f"has no {name}" in reason(tmp_path)


@pytest.mark.parametrize("name", ["train.py", "prepare.py"])
def test_a_syntax_error_is_named_with_its_line(tmp_path: Path, name: str) -> None:
    assert f"{name}, line 2" in reason(folder_with(tmp_path, **{name: "x = 1\ndef f(:"}))


@pytest.mark.parametrize(
    ("prepare", "expected"),
    [
        ('METRIC, BUDGET_S = "loss", 5', "examine"),
        ("BUDGET_S = 5\ndef examine(s, serve): ...", "METRIC"),
        ("METRIC = 'loss'\ndef examine(s, serve): ...", "BUDGET_S"),
        (PREPARE + "BUDGET_S = -1", "positive"),
        (PREPARE + "BUDGET_S = 'long'", "budget_s"),
        (PREPARE + "BUDGET_S = float('nan')", "float values"),
        (PREPARE + "STARTUP_S = 0", "start-up limit"),
        (PREPARE + "import no_such_module", "no_such_module"),
        (PREPARE + "raise SystemExit('no such profile')", "no such profile"),
        (PREPARE + "import os; os._exit(3)", "exit code 3"),
        (PREPARE + "import os; os.kill(os.getpid(), 11)", "killed by SIGSEGV"),
    ],
)
def test_a_prepare_that_breaks_the_contract_says_which_part(
    tmp_path: Path, prepare: str, expected: str
) -> None:
    assert expected in reason(folder_with(tmp_path, prepare))


@pytest.mark.parametrize("budget_s", [0.0, -1.0, float("nan"), float("inf")])
def test_a_budget_that_is_no_time_is_bad_input(tmp_path: Path, budget_s: float) -> None:
    assert "positive" in reason(folder_with(tmp_path), budget_s=budget_s)


def test_describing_a_task_leaves_its_folder_alone(tmp_path: Path) -> None:
    open_task(folder_with(tmp_path, PREPARE + "open('mess', 'w').close()"), "cpu")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["prepare.py", "program.md", "train.py"]

"""Who may import whom: the rule that keeps decisions pure and the trainer ignorant of the population."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PURE = [
    "evidence", "genome", "merging", "names", "notebook", "policy", "proposals", "racing", "records", "state",
    "foresight", "repository/genomes", "repository/marks", "submitting/receiving",
]  # fmt: skip
PURE_FOLDERS = [
    "deciding", "folding", "hearing", "knobs", "making", "promising", "reckoning", "structure", "telling",
    "weighing",
]  # fmt: skip
IMPURE = {"os", "subprocess", "time", "logging", "ray", "git", "torch", "pathlib", "socket", "threading"}
LOCKS = ROOT / "trainer" / "syntax.py"  # what the interpreter does not: nobody can see that from outside
READ_BY_RESULTS = {
    f"population.{name}"
    for name in ("records", "state", "journal", "evidence", "names", "reckoning", "structure")
} | {"population.promising.forecasts"}


def imports(path: Path) -> set[str]:
    """Full names of the modules a file imports, wherever in the file it does."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found |= {node.module or ""} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def tops(path: Path) -> set[str]:
    return {name.partition(".")[0] for name in imports(path)}


def sources(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


def reached(path: Path) -> set[Path]:
    """A file of the program with all of the program that it imports, however far away."""
    seen, waiting = {path}, [path]
    while waiting:
        for name in imports(waiting.pop()):
            module = ROOT / Path(*name.split(".")).with_suffix(".py")
            if module.is_file() and module not in seen:
                seen.add(module)
                waiting.append(module)
    return seen


def pure() -> list[Path]:
    """Files in which everything is decided and nothing is done."""
    named = [ROOT / "population" / f"{name}.py" for name in PURE]
    return named + [path for folder in PURE_FOLDERS for path in sources(f"population/{folder}")]


@pytest.mark.parametrize("path", pure(), ids=lambda p: p.stem)
def test_decisions_are_pure_and_so_is_all_they_import(path: Path) -> None:
    found = {module.name: tops(module) & IMPURE for module in reached(path) - {LOCKS}}
    assert not any(found.values()), found


@pytest.mark.parametrize("path", sources("trainer"), ids=lambda p: p.stem)
def test_the_trainer_knows_nothing_of_the_population(path: Path) -> None:
    assert not tops(path) & {"population", "results", "scheduler"}


def test_the_genome_imports_only_prepare_and_what_it_trains_with() -> None:
    assert "prepare" in tops(ROOT / "trainer" / "train.py")
    assert not tops(ROOT / "trainer" / "train.py") & {"trainer", "population", "results", "scheduler"}


def test_the_genome_is_executed_and_never_imported_by_the_program() -> None:
    for folder in ("population", "trainer", "results"):
        assert not [path for path in sources(folder) if "trainer.train" in imports(path)]


def test_ray_git_and_litellm_have_one_importer_each() -> None:
    program = [*sources("population"), *sources("trainer"), *sources("results"), ROOT / "scheduler.py"]
    assert {path.parent.name for path in program if "ray" in tops(path)} == {"cluster"}
    assert [path.name for path in program if "git" in tops(path)] == ["plumbing.py"]
    assert [path.name for path in program if "litellm" in tops(path)] == ["models.py"]


@pytest.mark.parametrize("path", sources("results"), ids=lambda p: p.stem)
def test_results_read_the_journal_its_fold_and_its_evidence_and_nothing_else(path: Path) -> None:
    modules = {name for name in imports(path) if name.startswith("population.")}
    assert all(any(name == m or name.startswith(m + ".") for m in READ_BY_RESULTS) for name in modules)


def test_prepare_stands_alone_when_a_trial_imports_it() -> None:
    """Only preparing data, which happens in the repository, may reach for the rest of it."""
    tree = ast.parse((ROOT / "prepare.py").read_text())
    tree.body = [node for node in tree.body if not isinstance(node, ast.FunctionDef)]
    at_import = {n.module or "" for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
    at_import |= {alias.name for n in ast.walk(tree) if isinstance(n, ast.Import) for alias in n.names}
    assert not {name.partition(".")[0] for name in at_import} & {"trainer", "population", "results"}

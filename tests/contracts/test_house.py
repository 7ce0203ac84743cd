"""The house's rules that no tool of others checks: what may be imported, what may be read, how long a module may be."""

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("domain", "adapters", "projections", "api", "workers", "infra")
LONGEST = 300
IMPURE = {"asyncio", "os", "random", "secrets", "socket", "subprocess", "time"}
STARTS = {f"subprocess.{name}" for name in ("run", "Popen", "call", "check_call", "check_output")}
STARTS |= {f"asyncio.create_subprocess_{kind}" for kind in ("exec", "shell")}
READS_ENVIRONMENT = {
    "infra/settings.py",
    "adapters/runtime/environment.py",  # what children get of it
    "infra/install.py",  # runs before there is anything to read settings with
}


@cache
def modules() -> dict[str, str]:
    """The text of every module of the six packages, by its path."""
    paths = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
    return {path.relative_to(ROOT).as_posix(): path.read_text() for path in paths}


@cache
def nodes(module: str) -> list[ast.AST]:
    return list(ast.walk(ast.parse(modules()[module])))


def imported(module: str) -> set[str]:
    """The first names of what a module imports."""
    plain = [alias.name for node in nodes(module) if isinstance(node, ast.Import) for alias in node.names]
    parts = [node.module or "" for node in nodes(module) if isinstance(node, ast.ImportFrom) and node.level == 0]
    return {name.partition(".")[0] for name in [*plain, *parts]}


def reads_of_environment(module: str) -> list[int]:
    """Lines that use it, but for those that set a variable for a library."""
    every = nodes(module)
    set_for_libraries = [n.value for n in every if isinstance(n, ast.Subscript) and isinstance(n.ctx, ast.Store)]
    used = [n for n in every if isinstance(n, ast.Attribute) and n.attr in {"environ", "environb", "getenv"}]
    return [node.lineno for node in used if node not in set_for_libraries]


def hands_on_everything(module: str) -> list[int]:
    """Lines that start a process and do not say what it gets to see of our environment."""
    calls = [node for node in nodes(module) if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)]
    starting = [call for call in calls if ast.unparse(call.func) in STARTS]
    return [call.lineno for call in starting if not any(keyword.arg == "env" for keyword in call.keywords)]


def domain() -> list[str]:
    return [module for module in modules() if module.startswith("domain/")]


def test_there_is_a_house_to_look_at() -> None:
    assert {module.partition("/")[0] for module in modules()} == set(PACKAGES)


def test_the_domain_imports_the_standard_library_and_itself() -> None:
    allowed = set(sys.stdlib_module_names) | {"domain"}
    assert {module: imported(module) - allowed for module in domain() if imported(module) - allowed} == {}


def test_the_domain_has_no_clock_no_random_and_no_input() -> None:
    assert {module: imported(module) & IMPURE for module in domain() if imported(module) & IMPURE} == {}


def test_only_the_settings_read_the_environment() -> None:
    read = {module: reads_of_environment(module) for module in modules() if module not in READS_ENVIRONMENT}
    assert {module: lines for module, lines in read.items() if lines} == {}


def test_nobody_hands_the_whole_environment_on_to_a_child() -> None:
    assert {module: lines for module in modules() if (lines := hands_on_everything(module))} == {}


def test_a_module_is_short_enough_to_read() -> None:
    lengths = {module: text.count("\n") for module, text in modules().items()}
    assert {module: length for module, length in lengths.items() if length > LONGEST} == {}


def test_a_module_says_what_it_is() -> None:
    assert [module for module, text in modules().items() if not ast.get_docstring(ast.parse(text))] == []


def test_workers_start_without_what_only_one_of_them_is_made_of() -> None:
    loaded = "import sys, infra.work; print(*{name.partition('.')[0] for name in sys.modules})"
    started = subprocess.run([sys.executable, "-c", loaded], cwd=ROOT, check=True, capture_output=True, text=True)
    assert {"workers", "fastapi", "playwright"} & set(started.stdout.split()) == {"workers"}

"""The house's rules that no tool of others checks: what may be imported, what may be read, how long a module may be."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("domain", "adapters", "projections", "api", "workers", "infra")
LONGEST = 300
READS_ENVIRONMENT = {
    "infra/settings.py",
    "infra/install.py",  # runs before there is anything to read settings with
}


def modules(*packages: str) -> list[str]:
    return [str(path.relative_to(ROOT)) for package in packages for path in sorted((ROOT / package).rglob("*.py"))]


def imported(module: str) -> Iterator[str]:
    for node in ast.walk(ast.parse((ROOT / module).read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield (node.module or "").partition(".")[0]


@pytest.mark.parametrize("module", modules("domain"))
def test_the_domain_imports_the_standard_library_and_itself(module: str) -> None:
    assert set(imported(module)) <= set(sys.stdlib_module_names) | {"domain"}


@pytest.mark.parametrize("module", modules("domain"))
def test_the_domain_has_no_clock_no_random_and_no_input(module: str) -> None:
    assert not set(imported(module)) & {"asyncio", "os", "random", "secrets", "socket", "subprocess", "time"}


@pytest.mark.parametrize("module", sorted(set(modules(*PACKAGES)) - READS_ENVIRONMENT))
def test_only_the_settings_read_the_environment(module: str) -> None:
    nodes = list(ast.walk(ast.parse((ROOT / module).read_text())))
    set_for_children = [n.value for n in nodes if isinstance(n, ast.Subscript) and isinstance(n.ctx, ast.Store)]
    handed_on = [
        v for n in nodes if isinstance(n, ast.Dict) for k, v in zip(n.keys, n.values, strict=True) if k is None
    ]
    used = [n for n in nodes if isinstance(n, ast.Attribute) and n.attr in {"environ", "environb", "getenv"}]
    assert not [node.lineno for node in used if node not in [*set_for_children, *handed_on]]


@pytest.mark.parametrize("module", modules(*PACKAGES))
def test_a_module_is_short_enough_to_read(module: str) -> None:
    assert len((ROOT / module).read_text().splitlines()) <= LONGEST


@pytest.mark.parametrize("module", modules(*PACKAGES))
def test_a_module_says_what_it_is(module: str) -> None:
    assert ast.get_docstring(ast.parse((ROOT / module).read_text()))

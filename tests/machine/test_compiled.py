"""The cache of compiled functions follows every file that is compiled into them."""

import ast

from robotini_ray.machine import compiled as compiled_module
from robotini_ray.machine.compiled import compiled, fingerprint
from robotini_ray.simulator.world.physics import advance


def test_a_change_in_any_source_changes_the_fingerprint(tmp_path):
    sources = (tmp_path / "a.py", tmp_path / "b.py")
    for path in sources:
        path.write_text("CONSTANT = 1\n")
    before = fingerprint(sources)
    assert fingerprint(sources) == before
    sources[1].write_text("CONSTANT = 2\n")
    assert fingerprint(sources) != before


def users():
    return {path for path in compiled_module.PACKAGE.rglob("*.py") if "\n@compiled\n" in path.read_text(encoding="utf-8")}


def test_all_files_with_compiled_functions_count():
    assert users()
    assert users() <= set(compiled_module.SOURCES)


def test_so_do_all_files_that_they_take_constants_from():
    taken = set()
    for path in users():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module and any(alias.name.isupper() for alias in node.names):
                parts = node.module.split(".")
                if parts[0] == compiled_module.PACKAGE.name:
                    taken.add(compiled_module.PACKAGE.joinpath(*parts[1:]).with_suffix(".py"))
    assert taken
    assert taken <= set(compiled_module.SOURCES)


def test_the_cache_lies_in_the_directory_of_the_fingerprint():
    assert fingerprint() in advance._cache.cache_path


def test_a_compiled_function_computes():
    @compiled
    def twice(number):
        return 2 * number

    assert twice(21) == 42

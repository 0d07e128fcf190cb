"""The cache of compiled functions follows every file that is compiled into them."""

from robotini_ray import compiled as compiled_module
from robotini_ray.compiled import compiled, fingerprint
from robotini_ray.simulator.physics import advance


def test_a_change_in_any_source_changes_the_fingerprint(tmp_path):
    sources = (tmp_path / "a.py", tmp_path / "b.py")
    for path in sources:
        path.write_text("CONSTANT = 1\n")
    before = fingerprint(sources)
    assert fingerprint(sources) == before
    sources[1].write_text("CONSTANT = 2\n")
    assert fingerprint(sources) != before


def test_all_files_with_compiled_functions_count():
    package = compiled_module.PACKAGE
    users = {path for path in package.rglob("*.py") if "\n@compiled\n" in path.read_text(encoding="utf-8")}
    assert users
    assert users <= set(compiled_module.SOURCES)


def test_the_cache_lies_in_the_directory_of_the_fingerprint():
    assert fingerprint() in advance._cache.cache_path


def test_a_compiled_function_computes():
    @compiled
    def twice(number):
        return 2 * number

    assert twice(21) == 42

"""The cache of compiled functions follows every file that is compiled into them."""

import ast
import tempfile

import pytest

from robotini_ray.machine import compiled as compiled_module
from robotini_ray.machine.compiled import cache_directory, compiled, fingerprint
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


class TestUnwritablePlaces:
    """A file in place of a folder: nobody can write below it, root included."""

    @pytest.fixture
    def blocked(self, tmp_path):
        (tmp_path / "file").write_text("")
        return tmp_path / "file"

    @pytest.fixture
    def temporary(self, tmp_path, monkeypatch):
        (tmp_path / "tmp").mkdir()
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
        return tmp_path / "tmp"

    def test_the_first_place_is_taken_without_a_word(self, tmp_path, caplog):
        assert cache_directory(tmp_path / "first", "compiled-x") == tmp_path / "first" / "compiled-x"
        assert not caplog.messages

    def test_the_users_cache_is_the_next_and_said_once(self, blocked, tmp_path, monkeypatch, caplog):
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
        wanted = tmp_path / "cache" / "robotini_ray" / "compiled-x"
        assert [cache_directory(blocked, "compiled-x") for _ in range(2)] == [wanted] * 2
        assert caplog.messages == [f"compiled functions are cached in {wanted}, because {blocked} cannot be written to"]

    def test_then_a_private_folder_in_the_temporary_directory(self, blocked, temporary, monkeypatch):
        monkeypatch.setenv("XDG_CACHE_HOME", str(blocked))
        found = cache_directory(blocked, "compiled-x")
        assert found is not None and found.is_dir() and found.parent.parent == temporary

    def test_without_any_place_functions_are_compiled_but_not_kept(self, blocked, monkeypatch, caplog):
        monkeypatch.setenv("XDG_CACHE_HOME", str(blocked))
        monkeypatch.setattr(tempfile, "tempdir", str(blocked))
        monkeypatch.setattr(compiled_module, "DIRECTORY", cache_directory(blocked, "compiled-x"))
        assert compiled_module.DIRECTORY is None
        (line,) = caplog.messages
        assert "not cached" in line and "set NUMBA_CACHE_DIR" in line

        @compiled
        def thrice(number):
            return 3 * number

        assert thrice(14) == 42

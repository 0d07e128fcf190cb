import shlex
import subprocess
import sys

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from robotini_ray.machine.terminal_text import (
    WIDTH,
    command_text,
    launch_command,
    launch_line,
    near,
    one_line,
    printable,
    printable_lines,
    wrapped,
)
from robotini_ray.machine.text_table import format_table


@given(st.text(alphabet=st.characters(), max_size=200))
@example("\x1b]0;title\x07\x1b[2J\r\n\u202e\ud800")
def test_nothing_moves_the_cursor(text):
    shown = one_line(text)
    assert shown.isprintable() and len(shown) <= 60
    shown.encode()


def test_a_long_text_is_not_cut_and_line_breaks_stay_only_where_they_are_ours():
    assert printable("x" * 500 + "\x1b[2J\n") == "x" * 500 + "\\x1b[2J\\x0a"
    assert printable_lines("a\x1b[2J:\n  b\r") == "a\\x1b[2J:\n  b\\x0d"


def test_a_table_of_foreign_cells_moves_no_cursor():
    lines = format_table(["name", "laps"], [["\x1b[2Jmine", "3"], ["a\nb", "10"]]).splitlines()
    assert lines[2:] == ["\\x1b[2Jmine     3", "a\\x0ab         10"]


def test_what_can_be_read_stays():
    assert one_line('Åsa "<b>[red]"') == 'Åsa "<b>[red]"'
    assert one_line("a\x1bb") == "a\\x1bb"
    assert one_line("x" * 100, 10) == "xxxxxxx..."


class TestCommandText:
    def test_a_short_command_is_one_indented_line(self):
        assert command_text(["python", "-m", "x"]) == "  python -m x"

    @settings(max_examples=30)
    @given(
        st.lists(
            st.text(st.characters(codec="ascii", exclude_characters="\n\r\0"), min_size=1, max_size=30), min_size=1, max_size=12
        )
    )
    def test_it_is_the_same_command_to_a_shell_in_lines_that_fit(self, words):
        text = command_text(["printf", "%s|", *words])
        done = subprocess.run(["sh", "-c", text], capture_output=True, text=True, check=True)
        assert done.stdout == "".join(f"{word}|" for word in words)
        assert all(len(line) <= WIDTH or len(line.split(maxsplit=1)[0]) > 20 for line in text.splitlines())

    def test_only_a_word_that_is_longer_makes_a_longer_line(self):
        lines = command_text(["python", "--run-dir", "/deep" * 30, "--fresh"]).splitlines()
        assert lines == ["  python --run-dir \\", f"    {'/deep' * 30} \\", "    --fresh"]


class TestCommandsOfThisProgram:
    @pytest.fixture
    def folder(self, tmp_path, monkeypatch):
        """The folder of an environment's programs, below the working directory; the running Python is one of them."""
        folder = tmp_path / ".venv" / "bin"
        folder.mkdir(parents=True)
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "executable", str(folder / "python"))
        return folder

    def test_without_the_script_they_name_the_module(self, folder):
        assert launch_command("monitor", "--port", 0) == "  .venv/bin/python -m robotini_ray.launch monitor --port 0"
        assert launch_line("simulate") == ".venv/bin/python -m robotini_ray.launch simulate"

    def test_the_script_beside_this_python_goes_first(self, folder):
        (folder / "robotini").touch()
        assert launch_command("monitor", "--port", 0) == "  .venv/bin/robotini monitor --port 0"
        assert launch_line("simulate") == ".venv/bin/robotini simulate"

    def test_words_are_quoted_for_a_shell(self, folder):
        assert shlex.split(launch_command("monitor", "--run-dir", "my runs/a"))[-1] == "my runs/a"
        assert shlex.split(launch_line("monitor", "--run-dir", "my runs/a"))[-1] == "my runs/a"

    def test_paths_are_named_as_they_are_seen_from_here(self, folder, tmp_path, monkeypatch):
        assert near(tmp_path / "runs" / "a") == "runs/a"
        assert near(tmp_path.parent / "b") == str(tmp_path.parent / "b")
        (folder / "robotini").touch()
        monkeypatch.chdir(folder.parent.parent.parent)
        assert launch_line("simulate") == f"{tmp_path.name}/.venv/bin/robotini simulate"
        (tmp_path / "other").mkdir()
        monkeypatch.chdir(tmp_path / "other")
        assert launch_line("simulate") == f"{folder}/robotini simulate"


class TestWrapped:
    @given(st.text(st.sampled_from("ab/ -\n"), max_size=400))
    def test_no_line_is_longer_but_for_a_long_word_and_no_word_is_lost(self, text):
        text = "\n".join(line.strip() for line in text.split("\n"))
        found = wrapped(text, 20)
        assert found.split() == text.split()
        assert all(len(line) <= 20 or len(line.split()) == 1 for line in found.splitlines())

    def test_commands_stay_as_they_are(self):
        command = "  python -m robotini_ray.launch " + "word " * 30 + "end"
        assert wrapped(f"drive it:\n{command}", 30) == f"drive it:\n{command}"

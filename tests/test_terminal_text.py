from hypothesis import example, given
from hypothesis import strategies as st

from robotini_ray.terminal_text import one_line


@given(st.text(alphabet=st.characters(), max_size=200))
@example("\x1b]0;title\x07\x1b[2J\r\n\u202e\ud800")
def test_nothing_moves_the_cursor(text):
    shown = one_line(text)
    assert shown.isprintable() and len(shown) <= 60
    shown.encode()


def test_what_can_be_read_stays():
    assert one_line('Åsa "<b>[red]"') == 'Åsa "<b>[red]"'
    assert one_line("a\x1bb") == "a\\x1bb"
    assert one_line("x" * 100, 10) == "xxxxxxx..."

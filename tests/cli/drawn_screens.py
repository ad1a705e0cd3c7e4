"""A terminal that keeps what it shows, and Rich's drawing of it."""

from __future__ import annotations

import io
import re
from html import escape
from typing import Final

from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

__all__ = ["Screen", "drawing"]

# What Rich writes to draw over its last lines, and colours, which stay in the text of a line.
_CODES: Final = re.compile(r"\x1b\[(\d*)A|\x1b\[\?25[lh]|(\x1b\[2K)|([\r\n])")
# Dark in both themes of a page, as terminals mostly are; each colour has a contrast of 4.5 to 1 on the first one.
_COLOURS: Final = TerminalTheme(
    (22, 27, 34),
    (230, 237, 243),
    [
        *[(110, 118, 129), (255, 123, 114), (63, 185, 80), (210, 153, 34)],
        *[(121, 192, 255), (210, 168, 255), (86, 212, 221), (230, 237, 243)],
    ],
)
# Rich's own format loads a font from a server, and says nothing to screen readers.
_FORMAT: Final = """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {{width}} {{height}}" width="{{width}}" height="{{height}}" \
role="img" aria-labelledby="{{unique_id}} {{unique_id}}-in-words">
<title id="{{unique_id}}">{title}</title>
<desc id="{{unique_id}}-in-words">{words}</desc>
<style>
.{{unique_id}}-matrix {{{{ font: {{char_height}}px/{{line_height}}px ui-monospace, Consolas, monospace }}}}
.{{unique_id}}-title {{{{ font: bold 18px system-ui, -apple-system, 'Segoe UI', sans-serif }}}}
{{styles}}
</style>
<defs>
<clipPath id="{{unique_id}}-clip-terminal">
<rect x="0" y="0" width="{{terminal_width}}" height="{{terminal_height}}"/>
</clipPath>
{{lines}}
</defs>
{{chrome}}
<g transform="translate({{terminal_x}}, {{terminal_y}})" clip-path="url(#{{unique_id}}-clip-terminal)">
{{backgrounds}}
<g class="{{unique_id}}-matrix">
{{matrix}}
</g>
</g>
</svg>
"""


class Screen(io.StringIO):
    """A terminal of Rich's: text over its earlier lines where Rich has moved the cursor up."""

    encoding = "utf-8"

    def __init__(self) -> None:
        super().__init__()
        self._lines = [""]
        self._row = 0

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        last = 0
        for code in _CODES.finditer(text):
            self._put(text[last : code.start()])
            last = code.end()
            if code[3] == "\n":
                self._row += 1
                self._lines += [""] * (self._row == len(self._lines))
            elif code[2]:
                self._lines[self._row] = ""
            elif code[0].endswith("A"):
                self._row -= int(code[1] or 1)
        self._put(text[last:])
        return len(text)

    def _put(self, text: str) -> None:
        self._lines[self._row] += text

    @property
    def text(self) -> str:
        """What it shows now, with the codes of its colours."""
        return "\n".join(self._lines).strip("\n")


def drawing(ansi: str, *, name: str, command: str, width: int) -> str:
    """Return the SVG of a screen.

    Args:
        ansi: What the screen shows, with the codes of its colours.
        name: Begins all ids and classes, which must be unique in the page that the drawing stands in.
        command: What was typed, for the title of the window.
        width: Columns of the terminal.
    """
    text = Text.from_ansi(ansi)
    console = Console(file=io.StringIO(), record=True, width=width, force_terminal=True, legacy_windows=False)
    console.print(text, soft_wrap=True)
    words = escape(text.plain).replace("{", "{{").replace("}", "}}")
    code_format = _FORMAT.format(title=escape(command), words=words)
    return console.export_svg(title=command, theme=_COLOURS, code_format=code_format, unique_id=name)

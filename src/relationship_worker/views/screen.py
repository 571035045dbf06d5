"""Texts and tables for a terminal of 80 columns, and JSON for machines. What data hold never steers the terminal."""

import re
import sys
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from io import StringIO
from typing import Any, TextIO

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

WIDTH = 80  # columns; wider tables are harder to read, not easier
LABEL = 10  # columns of what a line is about

# Control, bidi and other invisible characters: they move the cursor or turn the text around. The two joiners stay: Persian
# and Indic names need them.
_HIDDEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff"
    "\U000e0000-\U000e007f]"
)
_SPACE_BETWEEN_TOKENS = re.compile(rb'("(?:[^"\\]|\\.)*+")|[ \t\r\n]+', re.DOTALL)


def visible(text: str) -> str:
    """The text with what a terminal would obey, or not show, as an escape."""
    return _HIDDEN.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def when(time: datetime) -> str:
    """A time as a person reads it, in UTC, with fractions where there are any."""
    return f"{time.astimezone(UTC).replace(tzinfo=None)} UTC"


def open_console(out: TextIO | None = None, *, width: int | None = None) -> Console:
    """A terminal or a file; both get the same lines, of 80 columns at the most."""
    out = out or sys.stdout
    width = width or min(WIDTH, Console(file=out).width)
    return Console(file=out, width=width, highlight=False, markup=False, emoji=False)


def table(
    widths: Mapping[str, int],
    rows: Sequence[Sequence[str | Text]],
    *,
    header: bool = False,
    whole: Collection[str] = (),
) -> Table:
    """Columns of fixed widths (wide characters take two). What does not fit ends in an ellipsis; in the columns `whole`,
    which are there to be copied, it goes on below."""
    made = Table(box=None, show_header=header, padding=(0, 1, 0, 0), pad_edge=False, header_style="underline")
    for name, width in widths.items():
        made.add_column(name, width=width, no_wrap=name not in whole, overflow="fold" if name in whole else "ellipsis")
    for row in rows:
        made.add_row(*row)
    return made


class Page:
    """What a command shows a person: labelled lines, broken where they are too long."""

    def __init__(self) -> None:
        self._lines = StringIO()
        self._console = open_console(self._lines, width=open_console().width)

    def print(self) -> None:
        """Print it, without the blanks that fill up columns."""
        encoding = sys.stdout.encoding or "utf-8"
        lines = (line.rstrip() for line in self._lines.getvalue().split("\n"))
        text = "\n".join(lines).encode(encoding, "backslashreplace")  # a terminal without Chinese still shows the rest
        print(text.decode(encoding), end="")

    def line(self, text: str = "") -> None:
        """A line as it is: what is to be copied is never broken."""
        self._console.print(Text(visible(text)), soft_wrap=True)

    def about(self, label: str, *texts: str) -> None:
        """Lines under one label, which stands beside the first."""
        grid = Table.grid(padding=(0, 1, 0, 0))
        grid.add_column(width=LABEL)
        grid.add_column(overflow="fold", width=self._console.width - LABEL - 1)
        for text in texts:
            grid.add_row(label, Text(visible(text)))
            label = ""
        self._console.print(grid)

    def table(self, widths: Mapping[str, int], rows: Sequence[Sequence[str]], *, whole: Collection[str] = ()) -> None:
        """A table with a heading."""
        cells = [[Text(visible(cell)) for cell in row] for row in rows]
        self._console.print(table(widths, cells, header=True, whole=whole))


def raw(text: str | None) -> msgspec.Raw | None:
    """JSON text as it was told, to be put into other JSON."""
    return None if text is None else msgspec.Raw(text.encode())


def print_json(shown: Mapping[str, Any]) -> None:
    """One line of JSON, in UTF-8 whatever the terminal's encoding; what was told as JSON keeps its digits and escapes."""
    told = msgspec.json.encode(shown)
    line = _SPACE_BETWEEN_TOKENS.sub(lambda found: found[1] or b"", told).decode()
    escaped = _HIDDEN.sub(lambda found: "".join(f"\\u{unit:04x}" for unit in _utf16(found[0])), line)
    sys.stdout.buffer.write(escaped.encode() + b"\n")
    sys.stdout.buffer.flush()


def _utf16(character: str) -> Sequence[int]:
    data = character.encode("utf-16-be")
    return [int.from_bytes(data[i : i + 2], "big") for i in range(0, len(data), 2)]

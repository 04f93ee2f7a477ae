"""A table that fits where it is shown: columns are left out by importance, never broken."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from rich import box
from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

_LEAST_WIDTH = 8  # characters of a text that is shortened


@dataclass(frozen=True)
class FittingTable:
    """Rows of markup under headings; a line a row, however narrow it is.

    ``drop`` names the headings that may be left out, the first first. Where that is not enough the
    widest texts at the left of their columns are shortened. A line below names what is left out.
    """

    headings: Mapping[str, str]
    rows: Sequence[Sequence[str]]
    title: str = ""
    caption: str = ""
    drop: Sequence[str] = ()
    more: str = "--json has all"

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Show as many columns as there is room for."""
        width = options.max_width
        shown = list(self.headings)
        for heading in (*self._dropped(), ""):
            for gap in (1, 0):  # beside the box's own blank
                table = self._table(shown, gap)
                if self._width(table, console, options) <= width:
                    break
            else:
                if heading:
                    shown.remove(heading)
                continue
            break
        else:
            self._shorten(table, console, options, width)
        yield table
        left_out = [heading for heading in self.headings if heading not in shown]
        if left_out:
            yield Text(f"Too narrow for: {', '.join(left_out)} ({self.more}).", style="dim")

    def fits(self, console: Console) -> bool:
        """Tell whether all columns have room."""
        return self._width(self._table(list(self.headings), 0), console, console.options) <= (
            console.width
        )

    def _dropped(self) -> Iterator[str]:
        return (heading for heading in self.drop if heading in self.headings)

    def _table(self, shown: Sequence[str], gap: int) -> Table:
        table = Table(
            title=self.title or None,
            title_justify="left",
            caption=self.caption or None,
            caption_justify="left",
            box=box.SIMPLE_HEAD,
            padding=(0, gap, 0, 0),
        )
        table.show_edge = table.pad_edge = False
        for heading in shown:
            justify = self.headings[heading]
            table.add_column(
                heading, justify=justify, no_wrap=True, overflow="ellipsis"  # type: ignore[arg-type]
            )
        places = [list(self.headings).index(heading) for heading in shown]
        for row in self.rows:
            table.add_row(*(row[place] for place in places))
        return table

    @staticmethod
    def _width(table: Table, console: Console, options: ConsoleOptions) -> int:
        wide = options.update(max_width=10_000)
        captions, table.title, table.caption = (table.title, table.caption), None, None
        width = console.measure(table, options=wide).maximum
        table.title, table.caption = captions
        return width

    def _shorten(self, table: Table, console: Console, options: ConsoleOptions, width: int) -> None:
        wide = options.update(max_width=10_000)
        widths = {
            place: max(
                Measurement.get(console, wide, Text.from_markup(str(cell))).maximum
                for cell in (column.header, *column.cells)
            )
            for place, column in enumerate(table.columns)
            if column.justify == "left"
        }
        for place, of_column in sorted(widths.items(), key=lambda item: -item[1]):
            excess = self._width(table, console, options) - width
            if excess <= 0:
                return
            table.columns[place].max_width = max(_LEAST_WIDTH, of_column - excess)

"""Plots as files, by Matplotlib, which the extra ``plot`` brings."""

import io
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from k2.errors import ConfigError
from k2.home.atomic_files import written_whole

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_ENDINGS = (".png", ".svg", ".html")
_DOTS_PER_INCH = 150
# Text stays text, which one can search and copy; the same bars give the same file.
_STYLE: Any = {"svg.fonttype": "none", "svg.hashsalt": "k2"}


def check_plot_file(path: Path) -> None:
    """See that a plot can be made of that name, before anything is read for it.

    Raises:
        ConfigError: the name ends otherwise, or Matplotlib is not installed.
    """
    if path.suffix.lower() not in _ENDINGS:
        raise ConfigError(f"{path.name}: a name that ends in .png, .svg or .html is wanted.")
    try:
        import matplotlib  # noqa: F401 — to know whether it is there
    except ImportError as error:
        raise ConfigError(
            "Plots want Matplotlib, which the extra `plot` brings: `pip install 'k2[plot]'`, or"
            " `uv sync --extra plot` in a checkout."
        ) from error


def new_figure(width: float = 12, height: float = 7) -> "Figure":
    """Return an empty figure, in inches; it needs no screen."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def save_plot(figure: "Figure", path: Path) -> None:
    """Write a figure in the format that its name asks for; a page of HTML holds it as SVG.

    Raises:
        ConfigError: the file cannot be written.
    """
    import matplotlib

    kind = path.suffix.lower().removeprefix(".")
    drawn = io.BytesIO()
    with matplotlib.rc_context(_STYLE):
        if kind == "png":
            figure.savefig(drawn, format="png", dpi=_DOTS_PER_INCH)
        else:
            figure.savefig(drawn, format="svg", metadata={"Date": None})
    content = drawn.getvalue() if kind != "html" else _page(drawn.getvalue().decode())
    with written_whole(path) as draft:
        draft.write_bytes(content)


def _page(svg: str) -> bytes:
    inline = svg[svg.index("<svg") :]
    # As wide as the window: the picture's own size is in its viewBox.
    inline = re.sub(r' (width|height)="[^"]*pt"', "", inline, count=2)
    return f'<!DOCTYPE html>\n<meta charset="utf-8">\n<title>K2</title>\n{inline}'.encode()

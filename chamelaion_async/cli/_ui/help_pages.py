"""The form of ``--help``: the tables of cyclopts without boxes, so that each command fits on a small terminal."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cyclopts.help import HelpPanel
    from rich.console import Console, ConsoleOptions, RenderableType

__all__ = ["HelpPages"]


class HelpPages:
    """A help formatter for cyclopts.

    What it needs is imported when help is asked for: it would be a good part of the time in which a command starts.

    Args:
        hidden: Options that no command names, since the help of the whole does. Shells complete them all the same.
    """

    def __init__(self, *, hidden: Collection[str]) -> None:
        self._hidden = frozenset(hidden)

    def __call__(self, console: Console, options: ConsoleOptions, panel: HelpPanel) -> None:
        """Print the table of the commands, or of the arguments and options of one."""
        from cyclopts.help import DefaultFormatter, PanelSpec  # noqa: PLC0415

        class NoBox(PanelSpec):
            def build(self, renderable: RenderableType, **_: Any) -> Any:
                return renderable

        entries = [entry for entry in panel.entries if self._hidden.isdisjoint(entry.positive_names)]
        DefaultFormatter(panel_spec=NoBox())(console, options, panel.copy(entries=entries))

    def render_usage(self, console: Console, options: ConsoleOptions, usage: object) -> None:
        """Print the line that begins with "Usage"."""
        from cyclopts.help import DefaultFormatter  # noqa: PLC0415

        DefaultFormatter().render_usage(console, options, usage)

    def render_description(self, console: Console, options: ConsoleOptions, description: object) -> None:
        """Print what a command does."""
        from cyclopts.help import DefaultFormatter  # noqa: PLC0415

        DefaultFormatter().render_description(console, options, description)

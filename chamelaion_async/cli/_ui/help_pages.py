"""The form of ``--help``: the tables of cyclopts without boxes, so that each command fits on a small terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cyclopts.help import HelpPanel
    from rich.console import Console, ConsoleOptions, RenderableType

__all__ = ["HelpPages"]


class HelpPages:
    """A help formatter for cyclopts.

    What it needs is imported when help is asked for: it would be a good part of the time in which a command starts.
    """

    def __call__(self, console: Console, options: ConsoleOptions, panel: HelpPanel) -> None:
        """Print the table of the commands, or of the arguments and options of one."""
        from cyclopts.help import DefaultFormatter, PanelSpec  # noqa: PLC0415

        class NoBox(PanelSpec):
            def build(self, renderable: RenderableType, **_: Any) -> Any:
                return renderable

        DefaultFormatter(panel_spec=NoBox())(console, options, panel)

    def render_usage(self, console: Console, options: ConsoleOptions, usage: object) -> None:
        """Print the line that begins with "Usage"."""
        from cyclopts.help import DefaultFormatter  # noqa: PLC0415

        DefaultFormatter().render_usage(console, options, usage)

    def render_description(self, console: Console, options: ConsoleOptions, description: object) -> None:
        """Print what a command does."""
        from cyclopts.help import DefaultFormatter  # noqa: PLC0415

        DefaultFormatter().render_description(console, options, description)

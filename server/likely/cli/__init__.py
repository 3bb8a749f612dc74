"""The command line: one file per command; the composition root.

Nothing heavy is imported before a command needs it: an editor waits for `likely serve`.
"""

from likely.cli.program import commands, main

__all__ = ["commands", "main"]

"""What several commands share: their options, what they print, and how they end.

================  =====================================================================
``options``       options for the service, its credentials and the two families of jobs
``submission``    a paid submission: its media, its id, and advice if the answer is lost
``translation``   options of a translation as text
``waiting``       waits for one or several jobs, with a board that shows them
``ids``           ids from the command line, from files and from stdin
``recent``        whether a 404 may only mean "not yet"
``traffic``       the requests of a client, for a line on the board
``board``         what ``wait`` shows: rows on a terminal, lines, or JSON; rows for any other work too
``list_table``    what ``list`` and ``voices`` show: a table, tab-separated lines, or JSON
``columns``       the columns of both
``progress``      the progress of an upload or a download
``output_files``  the outputs of a job as files
``many_outputs``  the outputs of many jobs in one folder
``console``       a Python prompt, for ``shell``
``json_records``  jobs and errors as JSON, one object a line
``errors``        exit code, text and label of every error class, in one table
``exits``         the exit codes
``advice``        command lines that can be pasted into a shell
``text``          times, sizes and text from outside, safe to print on a terminal
``printing``      lines on stdout and stderr
``streams``       stdout and stderr that are closed, full, slow or without a reader
``signals``       SIGTERM
================  =====================================================================
"""

from __future__ import annotations

__all__: list[str] = []

"""What ``batch`` is made of: rows in, files out, and a journal in between that survives any end of the process.

::

    list file ── list_file ─> Record ── checks ─> Row ┐
                             (outputs: names)         ├── plan ─> PlannedRow ─> RowProgress
    journal file ── journal ─> Entry (entries) ───────┘                            │
                       ▲                                                           ▼
                       └─ a step of a row ── submitting, saving <── runner: all rows at once
                                                                      │
                                                        reports, closing, summary

================  ===================================================================
``job_list``      a list with the files that belong to it, and all checks of it together
``list_file``     CSV and JSON lines, read into records
``checks``        records become rows, unless something is wrong with them
``rows``          the jobs of a list
``outputs``       the names of outputs
``entries``       what a journal says of each submission
``journal``       the file: one line a step, on disk before the next step is taken
``subtitles``       the subtitles that a row names
``plan``          rows matched with submissions
``progress``      how far a row has come
``submitting``    the submission of a row: once, whenever the process dies
``saving``        the outputs of a row as files
``runner``        a run
``report``        what is shown of a row
``closing``       what is printed of all rows
``summary``       the summary as CSV
================  ===================================================================

The life of a row, as the journal names its steps::

    submitting ──> accepted ──> completed ──> saved
        │ ▲            └──────> failed
        ▼ │
      refused

``submitting`` with the reference is written before the POST. So a process that dies leaves either no trace of a row
and no job, or a reference by which the next run finds the job. Every other step can be found out from the service.
"""

from __future__ import annotations

__all__: list[str] = []

"""When to poll, and the loops that do: tenacity's loop for a single wait, one schedule for a batch.

::

    Polls.wait ---> poll_until_finished (_Wait, tenacity) ---> WaitSubscription --+
                             |                                                    v
                         PollState (WaitPlan, FailureStreak, spacing, wait_errors)  Loader (loading/)
                             |                                                    ^
    Polls.follow --> BatchIterator --> Batch (Schedule) --> Member (a PollState) -+

- ``Polls``: the waits of one family of requests, with the loader that they share.
- ``poll_until_finished``: the loop of a single wait. Tenacity runs it, and ``_Wait`` answers tenacity's questions.
- ``WaitSubscription``: asks the loader for polls of a single wait, and pauses with a ``Sleep`` that news can end.
- ``Batch``: waits for many requests without a task for each. ``Member``: one of them, which passes what the loader
  reads on to its ``MemberOwner``, the batch.
- ``BatchIterator``: hands the outcomes of a batch over, and unchanged requests again after some seconds of silence.
- ``OpenWaits``: the waits that draining the client ends.
- ``Schedule``: calls back with each member when its next poll is due, in slices.
- ``PollState``: decides whether a snapshot answers the poll, when to poll next, and when the wait is over. It takes
  times as arguments and does no I/O. ``WaitPlan``: what the requests of one wait share.
- ``FailureStreak``: how long failures may go on. ``Refusals``: when a 429 ends all requests of ``get_many``.
- ``Durations``: how long finished jobs took, which every read adds to. ``LearnedIntervals``: the pause by that, with
  polls where the end is likely. ``Forecast``: how long a job will still take.
- ``spacing``: the pause by the age of a job. ``wait_errors``: the texts of the errors that end waits.

The life of one poll: the state begins it, and the loader is asked for it. A snapshot that answers the poll ends it,
and the job is finished or the next pause begins; an error adds to the failure streak, which ends the wait or sets the
pause. A snapshot from another wait's read is news: it may end a pause, and the wait with it.
"""

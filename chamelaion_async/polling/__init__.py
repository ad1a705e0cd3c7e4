"""When to poll, and the loops that do: one for a single wait, one schedule for a batch.

::

    Polls.wait ---> poll_until_finished (tenacity) ---> WaitSubscription ---+
                            |                                               v
                        PollState  (WaitPlan, spacing)                    Loader (loading/)
                            |                                               ^
    Polls.follow --> Batch (timers, no task per id) ------------------------+

``PollState`` decides: whether a snapshot answers the poll, whether an error may pass, when to poll next, and which
error tells why a wait ended. It takes times as arguments and does no I/O; the wait and the batch both ask it.
"""

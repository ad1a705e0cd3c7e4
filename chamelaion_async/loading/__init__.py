"""How to find out what waits want to know, with few requests: GETs, and pages of the list.

::

    subscribers (polling/: WaitSubscription, Member)
        |  join, ask, nudge, leave     ^  on_snapshot, on_error
        v                              |
    Loader <---------------------------+
        |-- Registry ---> Entry, RareFields
        |-- ReadQueue --> Bucket, ListScan (EntryGroups of Entries)
        |       |-- ListIndex
        |       '-- ListHealth
        |-- ReaderPool (tasks; each calls back Loader._read_once)
        |-- ReadsUnderWay (the same tasks, with their reads)
        |-- Delivery (answers to subscribers; places to the queue)
        '-- Source.turn, send(Read) -> Answer      HttpSource --> Transport (_http/)

- ``Loader``: sends every poll, and ends those that fail.
- ``Delivery``: hands each answer to the subscribers of the requests that it shows, and checks pages with GETs.
- ``Subscriber``: what a wait offers the loader: an id, an entry, and two methods that receive snapshots and errors.
- ``Registry``: finds the entry of an id, a reference or a UUID.
- ``Entry``: one request that is polled, and the state of its next poll; ``RareFields`` are what few entries need.
- ``ReadQueue``: keeps the polls in order, and chooses the next ``Read``: a GET or a page.
- ``EntryGroup``: entries that one page may show: a ``Bucket`` of neighbours in the list, or a ``ListScan`` that
  searches entries whose place is unknown.
- ``ListIndex``: the places of requests in the list. ``ListHealth``: whether pages may be read, and when one is late.
- ``ReaderPool``: starts a task for each read that is wanted, a few at first. ``ReadsUnderWay``: which of these reads
  are overdue, and which nothing waits for any more.
- ``Source``: waits for the lane, sends one read, and decodes its ``Answer``; ``HttpSource`` does so over HTTP.
- ``Snapshot``: a request as one answer showed it; ``ReadStamp``: when that answer came. ``packing`` turns requests
  into the tuples that are kept; ``slices`` works on very many items without holding the loop; ``times`` is the clock.

The life of one poll:

1. A subscriber calls ``ask``. The read queue files the entry by the time of asking: alone, in its bucket or in its
   scan.
2. The reader pool starts a task, and the source waits until the lane admits a read.
3. Only then the queue chooses the read: a GET, or a page if that answers for more than one request.
4. The source sends it. If it is late, fails or is refused, the entries are queued again, for GETs if it was a page.
5. The answer becomes snapshots. The delivery hands each to all subscribers of that request; the registry keeps it.
"""

"""How to find out what waits want to know, with as few requests as the service needs: GETs, and pages of the list.

::

    subscribers (polling/)
        | join, ask, leave            ^ on_snapshot, on_error
        v                             |
    Loader ----------------------------------------------+
        |  entries by id          |  what to read next   |  tasks
        v                         v                      v
    Registry --> Entry <---- ReadQueue              ReaderPool
                   ^          |        |
                   |      ListIndex  ListHealth
              Bucket, ListScan
        Loader --turn, send--> Source (HttpSource) --> Transport

The life of one poll: a subscriber asks; the read queue files its entry under the time of asking, alone or in the
bucket or scan of the list that it belongs to; the reader pool starts a task; the source waits for the lane; then the
queue chooses the read, a GET or a page; the answer comes back as snapshots, and the loader hands each to all who
subscribe to that request. A page that is late, refused or fails costs no poll: its entries are queued for GETs.
"""

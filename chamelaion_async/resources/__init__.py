"""The areas of the API: arguments in, models out.

Each public method is one endpoint, except those of ``requests.py`` that wait, which go through ``polling/``. What a
submission costs decides how it is sent: ``generate.py`` builds the call, ``submission.py`` sends it once, and
``baseline.py`` decides from the list of jobs whether a lost answer started one.
"""

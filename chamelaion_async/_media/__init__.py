"""Files on their way to the service and back.

Uploads: ``uploads`` says what may be sent, ``chunks`` reads it piece by piece, ``form`` sends it.

Downloads: ``downloads`` repeats attempts until the output is complete. ``targets`` names the files, ``redirects``
sends the requests, ``urls`` quotes their URLs, ``answers`` refuses what is no output, ``ranges`` decides whether an
answer continues the bytes on disk, and ``partial_file`` holds these bytes.

``threads`` does the work on disk for both.
"""

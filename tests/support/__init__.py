"""What several folders of tests share.

``api``      the API in memory, in place of all that aiohttp would send
``source``   the same one layer lower, in place of the loader's ``Source``
``errors``   the class of each status, and errors as calls raise them
``raw_server``  a server on a real socket that answers byte for byte
``engines``  real Valkey and Redis servers
``limiters`` rate limits as services have them
``inner_suite``  the test suite of another program, which uses the plugin
``loops``    turns of a loop, and what may not be left on it
"""

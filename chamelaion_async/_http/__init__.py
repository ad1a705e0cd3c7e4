"""One HTTP call: the session it goes through, its rate and concurrency, its retries, and its answer as a value."""

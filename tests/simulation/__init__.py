"""Random worlds of a service and of those who wait for its jobs, played on virtual time. See ``__main__``."""

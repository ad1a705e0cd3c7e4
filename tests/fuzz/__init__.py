"""Hostile input by the million: targets that any engine can drive, a short form for pytest, a long one in run.py."""

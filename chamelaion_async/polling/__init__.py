"""Waiting for jobs: when to look, and the loop that looks."""

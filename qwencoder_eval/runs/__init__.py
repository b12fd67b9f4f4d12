"""Runs on disk: directory, keys, journal, lock, resume."""

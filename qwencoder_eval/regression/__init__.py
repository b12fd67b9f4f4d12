"""Runs held against each other: compare two, gate on it, every night."""

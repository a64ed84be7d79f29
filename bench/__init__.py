"""Measurements; each prints its table. None of them is a test."""

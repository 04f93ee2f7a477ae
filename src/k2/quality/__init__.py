"""Checks on whole tables: balance, backlog, and the difference of two tables."""

"""Quality: balance and backlog of all tables, checks, coverage, and the difference of two tables."""

"""Compaction of small files, clean-up of the log, and removal of replaced files."""

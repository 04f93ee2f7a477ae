"""Checks on whole tables."""

"""The tests of K2."""

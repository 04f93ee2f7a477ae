"""Bars: open, high, low, close and volume of a market in a window of time."""

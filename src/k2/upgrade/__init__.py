"""Upgrade tables of an older definition: rebuild them from Bronze, compare them with the live ones, and swap them in."""

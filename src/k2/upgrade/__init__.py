"""Tables of an older definition rebuilt from Bronze beside the live ones, proven, and swapped in."""

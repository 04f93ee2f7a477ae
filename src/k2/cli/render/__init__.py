"""How the command line prints: tables, candles, the live view, the summary."""

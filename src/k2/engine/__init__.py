"""Streams and how they run: started, chained, watched, retried, stopped. No layer is known by name here."""

"""Pure Arrow table → Arrow table: no session, settings, clock or client."""

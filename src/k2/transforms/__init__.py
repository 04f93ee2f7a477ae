"""Pure DataFrame → DataFrame: no session, settings, clock or client."""

"""Deliver events from the outbox to each sink, in order and at least once.

cloud_events   an event of the outbox as a CloudEvent 1.0
sink           what a sink is
kafka, webhook, redis_streams   the sinks that K2 has
sinks          those that the settings and installed packages name
dispatcher     gives each new event to each sink, and tries until it is taken
backlog        what was not delivered: counted, given up, sent again
"""

"""An event of the outbox as a CloudEvent 1.0."""

from datetime import UTC, datetime

from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent

from k2.jobs.outbox import Event

CONTENT_TYPE = "application/cloudevents+json"
_FORMAT = JSONFormat()


def cloud_event(event: Event) -> CloudEvent:
    """Return the CloudEvent. Its id is the event's place in the outbox, the same at each attempt;
    ``correlationid`` is the request that asked for the job.
    """
    attributes = {
        "id": str(event.seq),
        "source": f"/k2/{event.source}",
        "type": event.type,
        "subject": event.subject,
        "time": datetime.fromtimestamp(event.created_ms / 1000, UTC),
        "datacontenttype": "application/json",
        "partitionkey": event.subject,
    }
    if request_id := event.data.get("request_id"):
        attributes["correlationid"] = str(request_id)
    return CloudEvent(attributes, event.data)


def as_json(event: Event) -> bytes:
    """Return the CloudEvent in its structured JSON form."""
    return bytes(_FORMAT.write(cloud_event(event)))

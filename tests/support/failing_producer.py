"""A stand-in for the feed's producer, whose Kafka does not take what it is sent at first."""

from k2.errors import UnavailableError


class FailingProducer:
    """Takes records, but for the first ``failures`` times that it is asked to keep them."""

    def __init__(self, failures: int = 0) -> None:
        self.failures, self.records = failures, list[bytes]()

    def send(self, _topic: str, _key: object, value: bytes, _time_ms: object = None) -> None:
        self.records.append(value)

    def flush(self, _seconds: object = None) -> None:
        if self.failures:
            self.failures -= 1
            raise UnavailableError("Kafka did not take 3 records")

    def __enter__(self) -> "FailingProducer":
        return self

    def __exit__(self, *_error: object) -> None:
        return

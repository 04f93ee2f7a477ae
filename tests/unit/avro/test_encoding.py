"""The wire format, against payloads that nobody on this project made."""

import json
from io import BytesIO

import fastavro
import pytest

from k2.avro.encoding import encoder

pytestmark = pytest.mark.unit


def test_a_foreign_payload_is_reproduced_byte_for_byte(shared_data):
    vectors = json.loads((shared_data / "avro" / "confluent_wire_vectors.json").read_text())
    vector = next(one for one in vectors if one["schema"])
    payload = bytes.fromhex(vector["hex"])
    record = fastavro.schemaless_reader(
        BytesIO(payload[5:]), fastavro.parse_schema(vector["schema"])
    )

    encode = encoder(json.dumps(vector["schema"]), vector["schema_id"])

    assert encode(record) == payload


def test_the_schema_id_is_four_bytes_big_endian():
    encode = encoder('{"type": "record", "name": "R", "fields": []}', 0x01020304)

    assert encode({}) == b"\x00\x01\x02\x03\x04"

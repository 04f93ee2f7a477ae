"""The wire format, against payloads that nobody on this project made."""

import json
from io import BytesIO

import fastavro
import pytest

from k2.avro.encoding import encoder
from tests.support.recordings import INVENTED, SHARED

pytestmark = pytest.mark.unit

FILES = [
    INVENTED / "avro" / "wire_vectors.json",
    SHARED / "data" / "avro" / "confluent_wire_vectors.json",
]
VECTORS = [
    vector
    for file in FILES
    if file.is_file()
    for vector in json.loads(file.read_text())
    if vector["schema"]
]


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_a_foreign_payload_is_reproduced_byte_for_byte(vector):
    payload = bytes.fromhex(vector["hex"])
    record = fastavro.schemaless_reader(
        BytesIO(payload[5:]), fastavro.parse_schema(vector["schema"])
    )

    encode = encoder(json.dumps(vector["schema"]), vector["schema_id"])

    assert encode(record) == payload


def test_the_schema_id_is_four_bytes_big_endian():
    encode = encoder('{"type": "record", "name": "R", "fields": []}', 0x01020304)

    assert encode({}) == b"\x00\x01\x02\x03\x04"

"""The registry's answers, refusals and failures, against a small HTTP server of the test's own."""

import json
from io import BytesIO

import pytest
from fastavro import parse_schema, schemaless_reader

from k2.connectors.schema_registry import SchemaRegistry
from k2.errors import ContractError, UnavailableError
from k2.exchanges import exchange_named
from tests.support.fake_registry import fake_registry

pytestmark = pytest.mark.unit


@pytest.fixture
def fake():
    with fake_registry() as registry:
        yield registry


def test_a_known_schema_is_asked_for_once_and_then_read_from_disk(fake, tmp_path):
    fake.answers["GET /schemas/ids/7"] = (200, {"schema": '"string"'})
    SchemaRegistry(fake.url, tmp_path / "cache").schema_by_id(7)
    fake.answers["GET /schemas/ids/7"] = (503, {"error_code": 503, "message": "down"})

    again = SchemaRegistry(fake.url, tmp_path / "cache", attempts=1)
    text = [again.schema_by_id(7) for _ in range(3)]

    assert text == ['"string"'] * 3
    assert fake.asked == ["GET /schemas/ids/7"] * 2
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["7.avsc"]


def test_an_unknown_id_is_none_and_never_remembered(fake, tmp_path):
    registry = SchemaRegistry(fake.url, tmp_path)
    assert registry.schema_by_id(7) is None
    fake.answers["GET /schemas/ids/7"] = (200, {"schema": '"int"'})

    assert registry.schema_by_id(7) == '"int"'


def test_a_negative_id_is_unknown_without_asking(fake):
    assert SchemaRegistry(fake.url).schema_by_id(-1) is None
    assert fake.asked == []


def test_a_failure_that_passes_is_not_seen(fake):
    fake.answers["GET /schemas/ids/7"] = ([500, 503, 200], {"schema": '"int"'})

    assert SchemaRegistry(fake.url).schema_by_id(7) == '"int"'
    assert len(fake.asked) == 3


@pytest.mark.parametrize("status", [500, 401, 429])
def test_a_failure_that_stays_is_unavailable_and_never_an_unknown_id(fake, tmp_path, status):
    fake.answers["GET /schemas/ids/7"] = (status, {"error_code": status, "message": "down"})

    with pytest.raises(UnavailableError, match=fake.url):
        SchemaRegistry(fake.url, tmp_path, attempts=2).schema_by_id(7)

    assert list(tmp_path.iterdir()) == []


def test_a_refused_connection_is_unavailable(fake):
    fake.server.shutdown()
    fake.server.server_close()

    with pytest.raises(UnavailableError, match="does not answer"):
        SchemaRegistry(fake.url, attempts=2).schema_by_id(7)


def test_a_server_that_is_no_registry_is_unavailable(fake):
    fake.answers["GET /schemas/ids/7"] = (200, ["hello"])

    with pytest.raises(UnavailableError):
        SchemaRegistry(fake.url, attempts=1).schema_by_id(7)


def test_all_versions_are_registered_in_order_under_a_transitive_subject(fake):
    kraken = exchange_named("kraken")
    path = f"/subjects/{kraken.subject}/versions"
    fake.answers[f"PUT /config/{kraken.subject}"] = (200, {"compatibility": "BACKWARD_TRANSITIVE"})
    fake.answers[f"POST {path}"] = (200, {"id": 5})

    ids = SchemaRegistry(fake.url).register(kraken)

    assert list(ids) == list(kraken.raw_schemas)
    assert fake.asked[0] == f"PUT /config/{kraken.subject}"
    assert json.loads(fake.bodies[0])["compatibility"] == "BACKWARD_TRANSITIVE"
    assert fake.asked.count(f"POST {path}") == len(kraken.raw_schemas)


def test_an_incompatible_schema_breaks_the_contract(fake):
    binance = exchange_named("binance")
    fake.answers[f"PUT /config/{binance.subject}"] = (200, {"compatibility": "x"})
    fake.answers[f"POST /subjects/{binance.subject}/versions"] = (
        409,
        {"error_code": 409, "message": "incompatible"},
    )

    with pytest.raises(ContractError, match=r"binance_raw_trade_v1\.avsc"):
        SchemaRegistry(fake.url).register(binance)


STATUS = {"type": "enum", "name": "Status", "namespace": "io.k2", "symbols": ["NEW", "OLD"]}
INNER = {"type": "record", "name": "Inner", "fields": [{"name": "status", "type": "io.k2.Status"}]}
OUTER = {
    "type": "record",
    "name": "Outer",
    "fields": [{"name": "status", "type": "io.k2.Status"}, {"name": "inner", "type": "Inner"}],
}


def refer(*names):
    return [{"name": name, "subject": name, "version": 2} for name in names]


def tell_outer(fake):
    """Outer refers to Status and Inner, and Inner to Status."""
    for name, schema, references in (
        ("io.k2.Status", STATUS, []),
        ("Inner", INNER, refer("io.k2.Status")),
    ):
        fake.answers[f"GET /subjects/{name}/versions/2"] = (
            200,
            {
                **{"subject": name, "version": 2, "id": 5, "schema": json.dumps(schema)},
                "references": references,
            },
        )
    told = {"schema": json.dumps(OUTER), "references": refer("Inner", "io.k2.Status")}
    fake.answers["GET /schemas/ids/7"] = (200, told)


def test_a_schema_has_all_that_it_refers_to(fake, tmp_path):
    tell_outer(fake)

    text = SchemaRegistry(fake.url, tmp_path).schema_by_id(7)

    read = schemaless_reader(BytesIO(b"\2\0"), parse_schema(json.loads(text)), None)
    assert read == {"status": "OLD", "inner": {"status": "NEW"}}
    assert (tmp_path / "7.avsc").read_text() == text
    assert len(fake.asked) == 3


def test_a_schema_whose_reference_is_gone_is_unknown(fake, tmp_path):
    tell_outer(fake)
    del fake.answers["GET /subjects/io.k2.Status/versions/2"]

    assert SchemaRegistry(fake.url, tmp_path).schema_by_id(7) is None
    assert list(tmp_path.iterdir()) == []


def test_references_in_a_circle_end(fake):
    tell_outer(fake)
    fake.answers["GET /subjects/io.k2.Status/versions/2"][1]["references"] = refer("Inner")

    assert parse_schema(json.loads(SchemaRegistry(fake.url).schema_by_id(7)))
    assert len(fake.asked) == 3


def test_what_is_no_avro_is_told_as_such(fake):
    record = json.dumps({"type": "record", "name": "KrakenRawTrade", "fields": []})
    fake.answers["GET /schemas/ids/7"] = (200, {"schema": record, "schemaType": "JSON"})

    assert json.loads(SchemaRegistry(fake.url).schema_by_id(7)) == {"schemaType": "JSON"}


def test_an_id_of_another_schema_than_before_is_refused_by_name(fake, tmp_path):
    fake.answers["GET /schemas/ids/7"] = (200, {"schema": json.dumps(STATUS)})
    SchemaRegistry(fake.url, tmp_path).schema_by_id(7)
    fake.answers["GET /schemas/ids/7"] = (200, {"schema": '"int"'})

    with pytest.raises(ContractError, match=rf"Schema 7 of .*{fake.url}.*remove {tmp_path}"):
        SchemaRegistry(fake.url, tmp_path).schema_by_id(7)

    assert json.loads((tmp_path / "7.avsc").read_text()) == STATUS


def test_an_id_that_is_another_schemas_at_registration_is_refused(fake, tmp_path):
    binance = exchange_named("binance")
    (tmp_path / "5.avsc").write_text('"int"')
    fake.answers[f"PUT /config/{binance.subject}"] = (200, {"compatibility": "x"})
    fake.answers[f"POST /subjects/{binance.subject}/versions"] = (200, {"id": 5})

    with pytest.raises(ContractError, match="Schema 5"):
        SchemaRegistry(fake.url, tmp_path).register(binance)


def test_other_docs_and_another_order_are_the_same_schema(fake, tmp_path):
    fake.answers["GET /schemas/ids/7"] = (200, {"schema": json.dumps(STATUS | {"doc": "old"})})
    SchemaRegistry(fake.url, tmp_path).schema_by_id(7)
    full = {"symbols": STATUS["symbols"], "name": "io.k2.Status", "type": "enum"}
    fake.answers["GET /schemas/ids/7"] = (200, {"schema": json.dumps(full)})

    assert json.loads(SchemaRegistry(fake.url, tmp_path).schema_by_id(7)) == full


def test_a_schema_that_is_gone_is_read_as_it_was(fake, tmp_path):
    (tmp_path / "7.avsc").write_text('"int"')

    assert SchemaRegistry(fake.url, tmp_path).schema_by_id(7) == '"int"'


def test_half_a_schema_on_disk_is_told_again(fake, tmp_path):
    (tmp_path / "7.avsc").write_text(json.dumps(OUTER))
    tell_outer(fake)

    text = SchemaRegistry(fake.url, tmp_path).schema_by_id(7)

    assert parse_schema(json.loads(text))
    assert (tmp_path / "7.avsc").read_text() == text

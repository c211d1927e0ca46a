"""usage: registry_client.py REGISTRY_URL CONTRACTS_FOLDER

Drives a registry with the public Confluent client: what its serializer writes, its deserializer must read
back with everything fetched anew, and what the client knows as an error must be answered as one.
Prints the number of checks; the first that fails ends it with a traceback and exit code 1."""
import faulthandler
faulthandler.dump_traceback_later(60, exit=True)
import datetime
import decimal
import json
import pathlib
import sys
import uuid

from confluent_kafka.schema_registry import Schema, SchemaReference, SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.schema_registry.error import SchemaRegistryError
from confluent_kafka.serialization import MessageField, SerializationContext

URL, CONTRACTS = sys.argv[1], pathlib.Path(sys.argv[2])
RUN = uuid.uuid4().hex
CHECKS = 0


def check(what, condition):
    global CHECKS
    assert condition, what
    CHECKS += 1


def client():
    """A client that has nothing cached."""
    return SchemaRegistryClient({"url": URL})


def value_of(topic):
    return SerializationContext(topic, MessageField.VALUE)


def refused(what, status, codes, call):
    try:
        answer = call()
    except SchemaRegistryError as error:
        got = (error.http_status_code, error.error_code)
        check(f"{what}: {got}", got[0] == status and got[1] in codes)
        check(f"{what} says why", bool(error.error_message))
    else:
        check(f"{what} was answered: {answer!r}", False)


def contract(subject):
    return (CONTRACTS / subject / "1.avsc").read_text()


def record(name, *fields):
    return json.dumps({"type": "record", "name": name, "namespace": "oracle", "fields": list(fields)})


def round_trip(topic, schema, value, **conf):
    written = AvroSerializer(client(), schema, conf=conf or None)(value, value_of(topic))
    schema_id = int.from_bytes(written[1:5], "big")
    check(f"{topic} has the frame", written[0] == 0 and schema_id > 0)
    read = AvroDeserializer(client())(written, value_of(topic))
    check(f"{topic}: {read!r} is not {value!r}", read == value)
    return schema_id, written


def serializers():
    day = datetime.date(1996, 1, 2)
    line = {
        "l_linenumber": 1, "l_partkey": 155190, "l_suppkey": 7706,
        "l_quantity": decimal.Decimal("17.00"), "l_extendedprice": decimal.Decimal("21168.23"),
        "l_discount": decimal.Decimal("0.04"), "l_tax": decimal.Decimal("0.02"),
        "l_returnflag": "N", "l_linestatus": "O",
        "l_shipdate": day, "l_commitdate": day, "l_receiptdate": day,
        "l_shipinstruct": "DELIVER IN PERSON", "l_shipmode": "TRUCK", "l_comment": "é",
    }
    order = {
        "o_orderkey": 1, "o_custkey": 36901, "o_orderstatus": "O",
        "o_totalprice": decimal.Decimal("173665.47"), "o_orderdate": day,
        "o_orderpriority": "5-LOW", "o_clerk": "Clerk#000000951", "o_shippriority": 0,
        "o_comment": "", "lines": [line, dict(line, l_linenumber=2)],
    }
    round_trip(f"tpch-{RUN}", contract("tpch.orders-value"), order)
    created = {
        "order_id": uuid.uuid4(), "product_name": "lamp", "quantity": 2,
        "created_at": datetime.datetime(2026, 1, 5, 10, tzinfo=datetime.timezone.utc),
    }
    topic = f"created-{RUN}"
    first, _ = round_trip(topic, contract("orders.created-value"), created)
    again, _ = round_trip(topic, contract("orders.created-value"), created,
                          **{"auto.register.schemas": False, "use.latest.version": True})
    found, _ = round_trip(topic, contract("orders.created-value"), created,
                          **{"auto.register.schemas": False})
    check("one schema has one id", first == again == found)
    latest = client().get_latest_version(f"{topic}-value")
    check("latest is version 1", (latest.version, latest.schema_id) == (1, first))


def evolution():
    topic = f"evolved-{RUN}"
    subject = f"{topic}-value"
    v1 = record("E", {"name": "a", "type": "int"})
    v2 = record("E", {"name": "a", "type": "long"}, {"name": "b", "type": ["null", "string"], "default": None})
    worse = record("E", {"name": "c", "type": "string"})
    first, written = round_trip(topic, v1, {"a": 7})
    read = AvroDeserializer(client(), v2)(written, value_of(topic))
    check("the newer schema reads the older record", read == {"a": 7, "b": None})
    c = client()
    check("v2 may follow", c.test_compatibility(subject, Schema(v2, "AVRO")))
    check("worse may not", not c.test_compatibility(subject, Schema(worse, "AVRO")))
    refused("registering worse", 409, (409, 40901), lambda: c.register_schema(subject, Schema(worse, "AVRO")))
    second, _ = round_trip(topic, v2, {"a": 2**40, "b": "x"})
    check("another schema has another id", first != second)
    check("two versions", client().get_versions(subject) == [1, 2])
    check("lookup finds version 1", client().lookup_schema(subject, Schema(v1, "AVRO")).version == 1)
    elsewhere = client().register_schema(f"elsewhere-{RUN}", Schema(v1, "AVRO"))
    check("the same content has the same id", elsewhere == first)
    forward = record("E", {"name": "a", "type": "long"}, {"name": "d", "type": "int"})
    refused("what reads no older record", 409, (409, 40901), lambda: c.register_schema(subject, Schema(forward, "AVRO")))
    c.set_compatibility(subject, "FORWARD")
    check("the level is kept", client().get_compatibility(subject) == "FORWARD")
    third = c.register_schema(subject, Schema(forward, "AVRO"))
    check("the level counts", client().get_version(subject, 3).schema_id == third)


def references():
    base, user = f"base-{RUN}", f"user-{RUN}"
    c = client()
    c.register_schema(base, Schema(record("Base", {"name": "zip", "type": "string"}), "AVRO"))
    schema = Schema(record("User", {"name": "at", "type": "oracle.Base"}), "AVRO",
                    [SchemaReference("oracle.Base", base, 1)])
    schema_id, _ = round_trip(user, schema, {"at": {"zip": "8000"}})
    known = client().get_schema(schema_id)
    check("references are shown", [(r.name, r.subject, r.version) for r in known.references]
          == [("oracle.Base", base, 1)])


def errors_and_deletes():
    c = client()
    none, gone = f"none-{RUN}", f"gone-{RUN}"
    refused("an unknown subject", 404, (40401,), lambda: c.get_latest_version(none))
    refused("an unknown id", 404, (40403,), lambda: c.get_schema(2_000_000_000))
    refused("no schema", 422, (42201,), lambda: c.register_schema(none, Schema('{"type":"nonsense"}', "AVRO")))
    c.register_schema(gone, Schema(record("G", {"name": "a", "type": "int"}), "AVRO"))
    refused("an unknown version", 404, (40402,), lambda: c.get_version(gone, 9))
    check("the subject is listed", gone in client().get_subjects())
    check("deleting tells the versions", c.delete_subject(gone) == [1])
    check("the subject is gone", gone not in client().get_subjects())
    check("for good", c.delete_subject(gone, True) == [1])


serializers()
evolution()
references()
errors_and_deletes()
print(f"{CHECKS} checks")

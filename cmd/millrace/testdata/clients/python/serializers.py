"""Writes and reads events with the serializers of confluent-kafka.

    serializers.py write|read BOOTSTRAP REGISTRY TOPIC COUNT DESCRIPTORS FORMAT,...

The topics are TOPIC-FORMAT, of avro, jsonschema, protobuf, nested and place. `read` prints
what it found, one JSON object a line; both end with exit code 0 only when all
went well. A FORMAT may have a way behind it: avro/headers is in TOPIC-avro-headers, with
the ids of schemas in headers, and place/alone is TOPIC-place, read without the registry, as
Protobuf can be. DESCRIPTORS is a file with a FileDescriptorSet of event.proto: message
classes are made of it here, so that no compiler is needed.
"""

import json
import pathlib
import sys
import time

from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition
from confluent_kafka.schema_registry import SchemaRegistryClient, header_schema_id_serializer
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.schema_registry.json_schema import JSONDeserializer, JSONSerializer
from confluent_kafka.schema_registry.protobuf import ProtobufDeserializer, ProtobufSerializer
from confluent_kafka.serialization import MessageField, SerializationContext
from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory

HERE = pathlib.Path(__file__).parent


def event(n):
    """The event number n; the Go side makes the same."""
    return {
        "vehicle": f"Grüße-{n}",
        "sequence": 9007199254740993 + n,  # no double holds it
        "speed": n + 0.5,
        "moving": n % 2 == 0,
        "note": None if n % 3 == 0 else f"note {n}",
        "state": "PARKED" if n % 2 else "DRIVING",
        "codes": list(range(n % 4)),
        "labels": {"n": str(n)},
        "place": {"lat": 52.5 + n, "lon": -13.25},
    }


def car(n):
    return {"name": f"car {n}", "place": {"lat": 52.5 + n, "lon": -13.25}}


def place(n):
    return {"lat": 52.5 + n, "lon": -13.25}


def message_classes(path):
    files = descriptor_pb2.FileDescriptorSet.FromString(pathlib.Path(path).read_bytes())
    pool = descriptor_pool.DescriptorPool()
    for file in files.file:
        pool.Add(file)
    return [message_factory.GetMessageClass(pool.FindMessageTypeByName(name)) for name in ("fleet.Event", "fleet.Fleet.Car", "fleet.Place")]


def to_message(cls):
    def convert(value):
        return json_format.ParseDict({k: v for k, v in value.items() if v is not None}, cls())

    return convert


def from_message(message):
    value = json_format.MessageToDict(message, always_print_fields_with_no_presence=True)
    if "sequence" in value:
        value["sequence"] = int(value["sequence"])  # the JSON mapping writes long integers as text
        value.setdefault("note", None)
    return value


def formats(registry, descriptors):
    """Per topic: what makes its values, serializer, deserializer, and what is done before and after."""
    avro = (HERE / "event.avsc").read_text()
    schema = (HERE / "event.schema.json").read_text()
    same = lambda value: value
    out = {
        "avro": (event, lambda conf: AvroSerializer(registry, avro, conf=conf), lambda: AvroDeserializer(registry), same, same),
        "jsonschema": (
            event,
            lambda conf: JSONSerializer(schema, registry, conf=conf),
            lambda: JSONDeserializer(None, schema_registry_client=registry),
            same,
            same,
        ),
    }
    now = {"use.deprecated.format": False}
    for topic, make, cls in zip(("protobuf", "nested", "place"), (event, car, place), message_classes(descriptors)):
        out[topic] = (
            make,
            lambda conf, cls=cls: ProtobufSerializer(cls, registry, now | conf),
            lambda cls=cls: ProtobufDeserializer(cls, now, registry),
            to_message(cls),
            from_message,
        )
    return out


def write(bootstrap, topic, values, serializer):
    failed = []
    producer = Producer({"bootstrap.servers": bootstrap, "log_level": 4})
    for value in values:
        headers = []
        value = serializer(value, SerializationContext(topic, MessageField.VALUE, headers))
        producer.produce(topic, value, partition=0, headers=headers, on_delivery=lambda err, _: err and failed.append(err))
    left = producer.flush(30)
    if left or failed:
        sys.exit(f"{topic}: {left} records not sent, {failed}")


def read(bootstrap, topic, count, deserializer, after):
    consumer = Consumer({"bootstrap.servers": bootstrap, "log_level": 4, "group.id": "python-" + topic, "enable.auto.commit": False})
    consumer.assign([TopicPartition(topic, 0, 0)])
    found, deadline = 0, time.monotonic() + 30
    while found < count:
        if time.monotonic() > deadline:
            sys.exit(f"{topic}: {found} records of {count}")
        message = consumer.poll(1)
        if message is None:
            continue
        if message.error():
            if message.error().code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
                continue
            sys.exit(str(message.error()))
        value = after(deserializer(message.value(), SerializationContext(topic, MessageField.VALUE, message.headers())))
        print(json.dumps({"topic": topic, "offset": message.offset(), "value": value}))
        found += 1
    consumer.close()


def main(step, bootstrap, url, prefix, count, descriptors, names):
    registry = SchemaRegistryClient({"url": url})
    for name in names.split(","):
        name, _, way = name.partition("/")
        make, serializer, deserializer, before, after = formats(None if way == "alone" else registry, descriptors)[name]
        topic = f"{prefix}-{name}-headers" if way == "headers" else f"{prefix}-{name}"
        if step == "write":
            conf = {"schema.id.serializer": header_schema_id_serializer} if way == "headers" else {}
            write(bootstrap, topic, [before(make(n)) for n in range(int(count))], serializer(conf))
        else:
            read(bootstrap, topic, int(count), deserializer(), after)


main(*sys.argv[1:])

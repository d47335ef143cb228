"""Does all that kafka-mcp, a client of v3, can do, and prints what it was told: operate.py URL TOPIC GROUP ACLS"""

import json
import sys

from kafka_mcp.api_client import Api

url, topic, group, acls = sys.argv[1:]
api = Api(base_url=url)


def show(name, value):
    print(json.dumps({"name": name, "value": value}), flush=True)


def names(answer, member):
    return [each[member] for each in answer["data"]]


cluster = api.cluster_id()
show("cluster", api.get_cluster()["cluster_id"] == cluster)
made = api.create_topic(topic, partitions_count=2, configs={"retention.ms": 3600000, "cleanup.policy": "delete"})
show("created", [made["topic_name"], made["partitions_count"], made["replication_factor"]])
show("listed", topic in names(api.list_topics(), "topic_name"))
show("partitions", names(api.list_partitions(topic), "partition_id"))
show("partition", api.get_partition(topic, 1)["partition_id"])
api.update_topic_config(topic, "retention.ms", 7200000)
api.update_topic_configs(topic, {"max.message.bytes": 65536})
configs = {each["name"]: each["value"] for each in api.list_topic_configs(topic)["data"]}
show("configs", [configs["retention.ms"], configs["max.message.bytes"]])
for n in range(3):
    told = api.produce_record(topic, {"n": n}, key="k", partition_id=n % 2, headers=[{"name": "h", "value": "AA=="}])
    show("produced", [told["error_code"], told["partition_id"], told["offset"]])
instance = api.create_consumer(group, name="one")["instance_id"]
api.subscribe_consumer(group, instance, [topic])
values = []
while len(values) < 3:
    values += [record["value"]["n"] for record in api.consume_records(group, instance)]
show("consumed", sorted(values))
api.commit_offsets(group, instance)
show("group", [api.get_consumer_group(group)["state"], group in names(api.list_consumer_groups(), "consumer_group_id")])
show("members", len(api.list_consumers(group)["data"]))
show("lags", [api.get_group_lag_summary(group)["total_lag"], names(api.get_group_lags(group), "lag")])
api.delete_consumer(group, instance)
brokers = names(api.list_brokers(), "broker_id")
show("brokers", [api.get_broker(brokers[0])["broker_id"] == brokers[0], "message.max.bytes" in names(api.list_broker_configs(brokers[0]), "name")])
if acls == "acls":
    entry = ("TOPIC", topic, "LITERAL", "User:alice", "*", "READ", "ALLOW")
    api.create_acl(*entry)
    show("acls", names(api.list_acls("TOPIC", topic), "principal"))
    show("deleted", names(api.delete_acls("TOPIC", topic, "LITERAL", operation="ANY", permission="ANY"), "operation"))
    show("acls", names(api.list_acls("TOPIC", topic), "principal"))
sys.stdin.readline()
api.delete_topic(topic)
try:
    api.get_topic(topic)
except Exception as err:
    show("gone", str(err)[:16])

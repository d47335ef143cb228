package faults

import (
	"regexp"
	"time"
)

// both directions of a connection.
var silence = Harm{HoldRequests: true, HoldAnswers: true}

// diskErrors are what a broker logs whose disk is full.
var diskErrors = regexp.MustCompile(`KafkaStorageException|No space left|all log dirs in|LogDirFailureHandler`)

// lateTopics is what a broker logs that hears of new partitions late.
var lateTopics = regexp.MustCompile(`Expected partition \S+ with topic id \S+ to exist`)

// badTimestamps is what brokers log of records that they refuse.
var badTimestamps = regexp.MustCompile(`InvalidTimestampException`)

// Schedules are all there are, in the order of the table.
var Schedules = []Schedule{
	{Name: "the leader of a partition is killed", Fault: LeaderKilled(), Short: true},
	{Name: "the leader is suspended for 10 s", Fault: LeaderSuspended(10 * time.Second), Short: true},
	{Name: "the disk of a broker is full", Fault: DiskFull(), Disk: true, Logs: diskErrors},
	{Name: "all brokers refuse connections for 5 s", Fault: BrokersAway(5 * time.Second), Short: true},
	{Name: "all brokers refuse connections for 30 s", Fault: BrokersAway(30 * time.Second)},
	{Name: "all brokers are killed, and are back after 120 s", Fault: BrokersKilled(120 * time.Second)},
	{Name: "the brokers are restarted one after the other", Fault: RollingRestart()},

	{Name: "the leader cannot be reached for 5 s", Fault: LeaderCutOff(silence, 5*time.Second), Short: true},
	{Name: "the leader cannot be reached for 20 s", Fault: LeaderCutOff(silence, 20*time.Second)},
	{Name: "answers of the leader do not arrive for 5 s", Fault: LeaderCutOff(Harm{HoldAnswers: true}, 5*time.Second)},
	{Name: "requests do not arrive at the leader for 5 s", Fault: LeaderCutOff(Harm{HoldRequests: true}, 5*time.Second)},
	// Only after the limit of silence is it known that no response will come.
	{Name: "all connections to brokers are half open", Fault: ConnectionsForgotten(), Short: true, Recovery: 5*time.Second + goalRecovery},
	{Name: "the way to the brokers takes 100 ms longer", Fault: Network(Harm{Latency: 100 * time.Millisecond}, 10*time.Second)},
	{Name: "2 % of what is sent is lost at first", Fault: Network(Harm{Loss: 0.02}, 10*time.Second)},
	{Name: "the way to the brokers takes 64 KB a second", Fault: Network(Harm{Rate: 64 << 10}, 10*time.Second)},

	{Name: "a topic is deleted and created again", Fault: TopicRecreated(), Short: true},
	{Name: "partitions are added", Fault: PartitionsAdded(), Short: true, Logs: lateTopics, Settings: []string{"client.metadata.max.age.ms=2000"}},
	{Name: "the right to write is taken for 3 s", Fault: RightTaken(3 * time.Second), Short: true},
	{Name: "clients have clocks that are wrong by a month", Bad: 0.01, Short: true, Logs: badTimestamps},

	{Name: "one of two nodes is terminated", Nodes: 2, Fault: NodeTerminated(), Short: true},
	{Name: "one of two nodes is killed", Nodes: 2, Fault: NodeKilled(time.Second), Cuts: true},
	{Name: "one of two nodes that share consumers is killed", Nodes: 2, Cluster: true, Fault: NodeKilled(15 * time.Second), Cuts: true, Short: true},
	{Name: "the schema registry refuses connections for 5 s", Registry: true, Fault: RegistryAway(5 * time.Second), Short: true},
	{Name: "the schema registry answers 2 s later", Registry: true, Fault: RegistrySlow(Harm{Latency: time.Second}, 5*time.Second)},
}

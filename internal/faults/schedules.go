package faults

import "time"

// Schedules are all there are, in the order of the table.
var Schedules = []Schedule{
	{Name: "the leader is killed", Fault: LeaderKilled(), Short: true},
	{Name: "the leader is suspended for 10 s", Fault: LeaderSuspended(10 * time.Second), Short: true},
	{Name: "all brokers are away for 5 s", Fault: BrokersAway(5 * time.Second), Short: true},
	{Name: "all brokers are away for 30 s", Fault: BrokersAway(30 * time.Second)},
	{Name: "all brokers are killed, and are back after 120 s", Fault: BrokersKilled(120 * time.Second)},
	{Name: "the brokers are restarted one after the other", Fault: RollingRestart()},
	{Name: "nothing comes through to the leader or back for 5 s", Fault: LeaderCutOff(Harm{HoldRequests: true, HoldAnswers: true}, 5*time.Second), Short: true},
	{Name: "no answer of the leader comes through for 5 s", Fault: LeaderCutOff(Harm{HoldAnswers: true}, 5*time.Second)},
	{Name: "100 ms to each broker and back, for 10 s", Fault: Network(Harm{Latency: 50 * time.Millisecond}, 10*time.Second)},
	{Name: "2 % of the pieces are lost, for 10 s", Fault: Network(Harm{Loss: 0.02}, 10*time.Second)},
	{Name: "all connections to brokers are half open", Fault: ConnectionsForgotten(), Short: true},
	{Name: "the disk of a broker is full", Fault: DiskFull(), Disk: true, Short: true},
}

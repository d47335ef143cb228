package admin_test

import (
	"io"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"millrace/admin"
	"millrace/internal/kafka"
	"millrace/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// startPartial returns an Admin of two brokers that each lead a partition of readings. That of the
// second ends its connections when it gets such a request.
func startPartial(t *testing.T, key kmsg.Key) (*admin.Admin, *kadm.Client) {
	t.Helper()
	f := testkit.Fake(t, kfake.NumBrokers(2), kfake.SeedTopics(2, "readings"))
	for p := range int32(2) {
		if err := f.MoveTopicPartition("readings", p, p); err != nil {
			t.Fatal(err)
		}
	}
	f.ControlKey(int16(key), func(kmsg.Request) (kmsg.Response, error, bool) {
		f.KeepControl()
		return nil, io.EOF, f.CurrentNode() == 1
	})
	client, err := kafka.NewAdmin(kafka.Settings{Brokers: f.Broker.Addrs, RequestTimeout: 200 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return admin.New(client, admin.Settings{}, admin.Deps{}), kadm.NewClient(client)
}

// A partition whose broker fails is among those whose records were to be deleted.
func TestRecordsThatAreNotDeleted(t *testing.T) {
	a, _ := startPartial(t, kmsg.DeleteRecords)
	all, err := a.DeleteRecords(t.Context(), "readings", map[int32]int64{0: admin.Latest, 1: admin.Latest})
	if err != nil || len(all) != 2 || all[0].Err != nil || all[1].Partition != 1 || all[1].Err == nil {
		t.Errorf("deleted %+v, error %v", all, err)
	}
}

// A lag without what one of the brokers leads would be too small.
func TestLagsOfABrokerThatFails(t *testing.T) {
	a, second := startPartial(t, kmsg.ListOffsets)
	var offsets kadm.Offsets
	offsets.AddOffset("readings", 0, 0, -1)
	offsets.AddOffset("readings", 1, 0, -1)
	if err := second.CommitAllOffsets(t.Context(), "g", offsets); err != nil {
		t.Fatal(err)
	}
	if all, err := a.Lags(t.Context(), &admin.Group{ID: "g", Type: admin.Classic}); err == nil {
		t.Errorf("lags %+v", all)
	}
}

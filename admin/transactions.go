package admin

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"

	"millrace/internal/apierr"
)

// Transaction is what a coordinator knows of a transactional id.
type Transaction struct {
	ID          string
	Coordinator int32 // a broker's id
	// State is as ONGOING and COMPLETE_COMMIT.
	State    string
	Producer int64

	// The rest is only of a transaction that is described by itself.

	Epoch   int16
	Timeout time.Duration
	// Began is zero while no transaction is open.
	Began time.Time
	// Partitions are those that are written to, or that lack a marker yet; sorted.
	Partitions []TopicPartition
}

// Transactions returns all transactional ids, sorted: those in one of states, or in any for none.
func (a *Admin) Transactions(ctx context.Context, states ...string) ([]Transaction, error) {
	found, err := within(ctx, func() (kadm.ListedTransactions, error) { return a.kadm.ListTransactions(ctx, nil, nil) })
	if err != nil {
		return nil, failed(err)
	}
	var all []Transaction
	for _, t := range found.Sorted() {
		state := upperSnake(t.State)
		if len(states) == 0 || slices.Contains(states, state) {
			all = append(all, Transaction{ID: t.TxnID, Coordinator: t.Coordinator, State: state, Producer: t.ProducerID})
		}
	}
	return all, nil
}

// Transaction describes one transactional id.
func (a *Admin) Transaction(ctx context.Context, id string) (*Transaction, error) {
	all, err := a.describeTransactions(ctx, []string{id})
	if err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return nil, apierr.NotFound.New("Transactional id %s cannot be found.", id)
	}
	return all[0], nil
}

// describeTransactions leaves out ids that are not known, or no longer.
func (a *Admin) describeTransactions(ctx context.Context, ids []string) (all []*Transaction, err error) {
	if len(ids) == 0 {
		return nil, nil
	}
	found, err := within(ctx, func() (kadm.DescribedTransactions, error) { return a.kadm.DescribeTransactions(ctx, ids...) })
	if err != nil {
		return nil, failed(err)
	}
	for _, d := range found.Sorted() {
		if errors.Is(d.Err, kerr.TransactionalIDNotFound) {
			continue
		}
		if d.Err != nil {
			return nil, failed(d.Err)
		}
		t := &Transaction{
			ID: d.TxnID, Coordinator: d.Coordinator, State: upperSnake(d.State), Producer: d.ProducerID,
			Epoch: d.ProducerEpoch, Timeout: time.Duration(d.TimeoutMillis) * time.Millisecond,
		}
		if d.StartTimestamp > 0 {
			t.Began = time.UnixMilli(d.StartTimestamp)
		}
		for _, of := range d.Topics.Sorted() {
			for _, p := range of.Partitions {
				if a.open(of.Topic) == nil {
					t.Partitions = append(t.Partitions, TopicPartition{of.Topic, p})
				}
			}
		}
		slices.SortFunc(t.Partitions, TopicPartition.Compare)
		all = append(all, t)
	}
	return all, nil
}

// OpenTransaction is a transaction that a partition has records of, and no end.
type OpenTransaction struct {
	TopicPartition
	Producer int64
	Epoch    int16
	// Start is the offset of its first record there: nobody who reads only what is committed gets
	// further.
	Start int64
	// Last is when the producer wrote there last.
	Last time.Time
	// ID is the transactional id of the producer, empty where no coordinator knows it.
	ID string

	coordinatorEpoch int32
}

// HangingTransactions returns the open transactions of topics, or of all topics for none, that no
// coordinator will end (KIP-664), sorted: their producer has not written for longer than idle, and
// its transactional id is unknown, or its transaction has nothing to do with the partition.
func (a *Admin) HangingTransactions(ctx context.Context, idle time.Duration, topics ...string) ([]OpenTransaction, error) {
	open, err := a.openTransactions(ctx, topics)
	if err != nil {
		return nil, err
	}
	open = slices.DeleteFunc(open, func(o OpenTransaction) bool { return time.Since(o.Last) < idle })
	if len(open) == 0 {
		return nil, nil
	}
	ids, err := a.idsOf(ctx, open)
	if err != nil {
		return nil, err
	}
	described, err := a.describeTransactions(ctx, ids)
	if err != nil {
		return nil, err
	}
	by := map[int64]*Transaction{}
	for _, t := range described {
		by[t.Producer] = t
	}
	var hanging []OpenTransaction
	for _, o := range open {
		t := by[o.Producer]
		if t != nil && slices.Contains(t.Partitions, o.TopicPartition) {
			continue // its coordinator will end it there
		}
		if t != nil {
			o.ID = t.ID
		}
		hanging = append(hanging, o)
	}
	return hanging, nil
}

// openTransactions returns the open transactions of topics, sorted.
func (a *Admin) openTransactions(ctx context.Context, topics []string) (all []OpenTransaction, err error) {
	var set kadm.TopicsSet
	for _, t := range topics {
		if err := a.open(t); err != nil {
			return nil, err
		}
		set.Add(t)
	}
	found, err := within(ctx, func() (kadm.DescribedProducersTopics, error) { return a.kadm.DescribeProducers(ctx, set) })
	if err != nil {
		return nil, failed(err)
	}
	for _, p := range found.SortedPartitions() {
		if p.Err != nil && len(topics) > 0 {
			return nil, apierr.FromKafka(p.Err, p.ErrMessage)
		}
		if a.open(p.Topic) != nil {
			continue
		}
		for _, d := range p.ActiveProducers {
			if d.CurrentTxnStartOffset >= 0 {
				all = append(all, OpenTransaction{
					TopicPartition: TopicPartition{p.Topic, p.Partition}, Producer: d.ProducerID, Epoch: d.ProducerEpoch,
					Start: d.CurrentTxnStartOffset, Last: time.UnixMilli(d.LastTimestamp),
					coordinatorEpoch: max(0, d.CoordinatorEpoch), // -1 before the first marker
				})
			}
		}
	}
	slices.SortFunc(all, func(a, b OpenTransaction) int {
		return cmp.Or(a.Compare(b.TopicPartition), cmp.Compare(a.Start, b.Start))
	})
	return all, nil
}

// idsOf returns the transactional ids of producers that coordinators know.
func (a *Admin) idsOf(ctx context.Context, open []OpenTransaction) (ids []string, err error) {
	var producers []int64
	for _, o := range open {
		producers = append(producers, o.Producer)
	}
	slices.Sort(producers)
	producers = slices.Compact(producers)
	listed, err := within(ctx, func() (kadm.ListedTransactions, error) { return a.kadm.ListTransactions(ctx, producers, nil) })
	if err != nil {
		return nil, failed(err)
	}
	return listed.TransactionalIDs(), nil
}

// AbortTransaction has a partition forget the open transaction whose first record there has the
// offset start: a marker of its end is written. It is for one that hangs; the producer of one that
// does not would lose records of what it commits.
func (a *Admin) AbortTransaction(ctx context.Context, p TopicPartition, start int64) error {
	open, err := a.openTransactions(ctx, []string{p.Topic})
	if err != nil {
		return err
	}
	at := slices.IndexFunc(open, func(o OpenTransaction) bool { return o.TopicPartition == p && o.Start == start })
	if at < 0 {
		return apierr.NotFound.New("Partition %d of topic %s has no open transaction that begins at offset %d.", p.Partition, p.Topic, start)
	}
	o := &open[at]
	marker := kadm.TxnMarkers{ProducerID: o.Producer, ProducerEpoch: o.Epoch, CoordinatorEpoch: o.coordinatorEpoch}
	marker.Topics.Add(p.Topic, p.Partition)
	answer, err := within(ctx, func() (kadm.TxnMarkersResponses, error) { return a.kadm.WriteTxnMarkers(ctx, marker) })
	if err != nil {
		return failed(err)
	}
	return failed(answer[o.Producer].Topics[p.Topic].Partitions[p.Partition].Err)
}

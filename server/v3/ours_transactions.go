package v3

import (
	"strings"
	"time"

	"millrace/admin"
	"millrace/internal/apierr"
	"millrace/server"
)

// transactions are those of producers: what coordinators know of them, and those that hang. The
// Confluent proxy does not show them.
type transactions struct{ *shared }

func (s *transactions) routes() []server.Route {
	const idle = "idle_ms"
	return []server.Route{
		with(s.pages("/transactions", "millrace.v3.transactions.list", server.Cluster, s.list), "state"),
		s.get("/transactions/{transactional_id}", "millrace.v3.transactions.get", server.Cluster, s.one),
		with(s.pages("/topics/-/hanging-transactions", "millrace.v3.transactions.list-hanging", server.Topics, s.hanging), idle),
		with(s.pages("/topics/{topic}/hanging-transactions", "millrace.v3.transactions.list-hanging", server.Topic, s.hangingOf), idle),
		s.change("POST "+partitionPath+"/transactions:abort", "millrace.v3.transactions.abort", server.Topic, fields(abortTransaction{}), s.abort),
	}
}

// transaction is the entry of a transactional id in a list.
type transaction struct {
	Kind        string `json:"kind"`
	Metadata    self   `json:"metadata"`
	ClusterID   string `json:"cluster_id"`
	ID          string `json:"transactional_id"`
	State       string `json:"state"`
	Producer    int64  `json:"producer_id"`
	Coordinator link   `json:"coordinator"`
}

// fullTransaction is the description of a transactional id.
type fullTransaction struct {
	transaction
	Epoch      int16         `json:"producer_epoch"`
	TimeoutMs  int64         `json:"timeout_ms"`
	Began      *int64        `json:"start_timestamp"` // nil while no transaction is open
	Partitions []partitionOf `json:"partitions"`
}

// partitionOf names a partition in an answer.
type partitionOf struct {
	Topic     string `json:"topic_name"`
	Partition int32  `json:"partition_id"`
}

func newTransaction(u *urls, t *admin.Transaction) transaction {
	return transaction{
		Kind:        "KafkaTransaction",
		Metadata:    self{u.to("transactions", t.ID), u.name("transaction", t.ID)},
		ClusterID:   u.cluster,
		ID:          t.ID,
		State:       t.State,
		Producer:    t.Producer,
		Coordinator: u.link("brokers", t.Coordinator),
	}
}

// list handles GET /transactions.
func (s *transactions) list(c *call) error {
	state, err := server.QueryText(c.RequestCtx, "state", server.MaxWord)
	if err != nil {
		return err
	}
	var states []string
	if state != "" {
		states = []string{strings.ToUpper(state)}
	}
	all, err := s.Admin.Transactions(c.life, states...)
	if err != nil {
		return err
	}
	return respondList(c, listOf[transaction]("KafkaTransactionList", c.urls.to("transactions")), all,
		func(t admin.Transaction) string { return t.ID },
		func(t admin.Transaction) transaction { return newTransaction(&c.urls, &t) })
}

// one handles GET /transactions/{transactional_id}.
func (s *transactions) one(c *call) error {
	id, err := server.PathParam(c.RequestCtx, "transactional_id")
	if err != nil {
		return err
	}
	t, err := s.Admin.Transaction(c.life, id)
	if err != nil {
		return err
	}
	d := fullTransaction{transaction: newTransaction(&c.urls, t), Epoch: t.Epoch, TimeoutMs: t.Timeout.Milliseconds(), Partitions: []partitionOf{}}
	if !t.Began.IsZero() {
		began := t.Began.UnixMilli()
		d.Began = &began
	}
	for _, p := range visible(c, server.Topic, t.Partitions, topicOf) {
		d.Partitions = append(d.Partitions, partitionOf(p))
	}
	return c.respond(d)
}

func topicOf(p admin.TopicPartition) string { return p.Topic }

// hangingTransaction is the description of a transaction that hangs.
type hangingTransaction struct {
	Topic     string  `json:"topic_name"`
	Partition int32   `json:"partition_id"`
	Start     int64   `json:"start_offset"`
	Producer  int64   `json:"producer_id"`
	Epoch     int16   `json:"producer_epoch"`
	Last      int64   `json:"last_timestamp"`
	ID        *string `json:"transactional_id"` // nil where no coordinator knows it
}

func newHanging(o admin.OpenTransaction) hangingTransaction {
	d := hangingTransaction{
		Topic: o.Topic, Partition: o.Partition, Start: o.Start,
		Producer: o.Producer, Epoch: o.Epoch, Last: o.Last.UnixMilli(),
	}
	if o.ID != "" {
		d.ID = &o.ID
	}
	return d
}

// hanging handles GET /topics/-/hanging-transactions.
func (s *transactions) hanging(c *call) error { return s.respond(c, "-") }

// hangingOf handles GET /topics/{topic}/hanging-transactions.
func (s *transactions) hangingOf(c *call) error {
	t, err := c.topic(false)
	if err != nil {
		return err
	}
	return s.respond(c, t.Name, t.Name)
}

// longestTransaction is the brokers' transaction.max.timeout.ms by default: a transaction whose
// producer was silent for longer should have been ended by its coordinator.
const longestTransaction = 15 * time.Minute

func (s *transactions) respond(c *call, path string, of ...string) error {
	idle, err := server.QueryInt(c.RequestCtx, "idle_ms", int(longestTransaction.Milliseconds()))
	if err != nil {
		return err
	}
	if idle < 0 {
		return apierr.BadRequest.New("The query parameter idle_ms must not be negative.")
	}
	all, err := s.Admin.HangingTransactions(c.life, time.Duration(idle)*time.Millisecond, of...)
	if err != nil {
		return err
	}
	all = visible(c, server.Topic, all, func(o admin.OpenTransaction) string { return o.Topic })
	return respondList(c, listOf[hangingTransaction]("KafkaHangingTransactionList", c.urls.to("topics", path, "hanging-transactions")), all,
		func(o admin.OpenTransaction) string {
			return partitionKey(o.TopicPartition) + ordered(int32(o.Start>>32)) + ordered(int32(o.Start))
		}, newHanging)
}

// abortTransaction is the body of a request that ends a transaction.
type abortTransaction struct {
	Start *offset `json:"start_offset"`
}

// abort handles POST …/partitions/{partition}/transactions:abort.
func (s *transactions) abort(c *call) error {
	t, p, err := c.partition()
	if err != nil {
		return err
	}
	var body abortTransaction
	if err := c.read(&body, noBody); err != nil {
		return err
	}
	if body.Start == nil {
		return apierr.Unprocessable.New("start_offset is missing: that of the transaction, as the list of those that hang has it.")
	}
	c.note("start_offset", int64(*body.Start))
	if err := s.Admin.AbortTransaction(c.life, admin.TopicPartition{Topic: t.Name, Partition: p.ID}, int64(*body.Start)); err != nil {
		return err
	}
	return c.done()
}

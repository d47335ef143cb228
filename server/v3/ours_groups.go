package v3

import (
	"bytes"
	"encoding/csv"
	"io"
	"maps"
	"reflect"
	"slices"
	"strings"

	"millrace/admin"
	"millrace/internal/apierr"
	"millrace/server"
)

// groupChanges are the changes of groups, which the Confluent proxy does not have.
type groupChanges struct{ *shared }

func (s *groupChanges) routes() []server.Route {
	const offsets = groupPath + "/offsets/{topic}"
	reset := s.change("POST "+groupPath+"/offsets:reset", "millrace.v3.consumer-groups.reset-offsets", server.Group, fields(resetOffsets{}), s.reset)
	reset.Content = append([]string{mediaCSV}, reset.Content...)
	return []server.Route{
		with(reset, append([]string{"validate_only"}, pageWords...)...),
		s.change("DELETE "+groupPath, "millrace.v3.consumer-groups.delete", server.Group, nil, s.delete),
		s.change("DELETE "+offsets, "millrace.v3.consumer-groups.delete-offsets", server.Group, nil, s.deleteOffsets),
		s.change("DELETE "+offsets+"/partitions/{partition}", "millrace.v3.consumer-groups.delete-offsets", server.Group, nil, s.deleteOffsets),
	}
}

// resetOffsets is the body of a request that moves the offsets of a group.
type resetOffsets struct {
	// To is earliest, latest, timestamp, shift or offsets.
	To *text `json:"to" max:"64"`
	// Timestamp is for the second of these, in milliseconds or as ISO-8601, Shift for the fourth.
	Timestamp *text   `json:"timestamp" max:"64"`
	Shift     *offset `json:"shift"`
	// Topics bound the change; none: those in which the group has offsets.
	Topics []text `json:"topics" max:"1000"`
	// Data are the new offsets, for the last.
	Data         []newOffset `json:"data" max:"10000"`
	ValidateOnly bool        `json:"validate_only"`
}

// newOffset is where a group is to go on in a partition.
type newOffset struct {
	Topic     text    `json:"topic_name" max:"249"`
	Partition *number `json:"partition_id"`
	Offset    *offset `json:"offset"`
}

// movedOffset is the change of an offset.
type movedOffset struct {
	Topic     string `json:"topic_name"`
	Partition int32  `json:"partition_id"`
	From      *int64 `json:"current_offset"` // nil: there was none
	To        int64  `json:"new_offset"`
}

// reset handles POST /consumer-groups/{group}/offsets:reset. With validate_only nothing changes.
func (s *groupChanges) reset(c *call) error {
	id, err := server.PathParam(c.RequestCtx, "group")
	if err != nil {
		return err
	}
	body, err := c.resetAsked()
	if err != nil {
		return err
	}
	r, err := body.reset()
	if err != nil {
		return err
	}
	if _, _, err := c.pageAsked(); err != nil { // before anything changes
		return err
	}
	for _, topic := range body.topics() { // before anything is looked up
		if err := server.Allow(c.RequestCtx, server.Administer, server.Topic, topic); err != nil {
			return err
		}
	}
	g, err := s.Admin.Group(c.life, id)
	if err != nil {
		return err
	}
	moves, err := s.Admin.PlanReset(c.life, g, r)
	if err != nil {
		return err
	}
	for _, m := range moves { // topics that the group has offsets in, where the body names none
		if err := server.Allow(c.RequestCtx, server.Administer, server.Topic, m.Topic); err != nil {
			return err
		}
	}
	c.note("to", string(*body.To))
	c.note("validate_only", body.ValidateOnly)
	if !body.ValidateOnly {
		if err := s.Admin.MoveOffsets(c.life, g, moves); err != nil {
			return err
		}
	}
	return respondList(c, listOf[movedOffset]("KafkaConsumerGroupOffsetList", c.urls.to("consumer-groups", id, "lags")), moves,
		func(m admin.Move) string { return partitionKey(m.TopicPartition) }, newMovedOffset)
}

// mediaCSV is the type of a file of offsets.
const mediaCSV = "text/csv"

// resetAsked reads the body: JSON, or a file of offsets. The query may have validate_only for both.
func (c *call) resetAsked() (body resetOffsets, err error) {
	if c.media() == mediaCSV {
		body, err = c.offsetsFile()
	} else {
		err = c.read(&body, noBody)
	}
	if err != nil {
		return body, err
	}
	validate, err := server.QueryBool(c.RequestCtx, "validate_only")
	body.ValidateOnly = body.ValidateOnly || validate
	return body, err
}

// offsetsFile reads a file as kafka-consumer-groups --export writes it for one group: lines of
// topic, partition and offset.
func (c *call) offsetsFile() (body resetOffsets, err error) {
	file, err := c.boundedBody()
	if err != nil {
		return body, err
	}
	to := text("offsets")
	body.To = &to
	lines := csv.NewReader(bytes.NewReader(file))
	lines.FieldsPerRecord, lines.TrimLeadingSpace, lines.ReuseRecord = 3, true, true
	for {
		columns, err := lines.Read()
		switch {
		case err == io.EOF:
			return body, checkBounds(reflect.ValueOf(&body).Elem())
		case err != nil:
			return body, apierr.BadRequest.New("The file is not one of lines of topic, partition and offset: %s.", err)
		}
		d, err := newOffsetOf(columns)
		if err != nil {
			line, _ := lines.FieldPos(0)
			return body, apierr.BadRequest.New("Line %d of the file: %s", line, apierr.From(err).Message())
		}
		body.Data = append(body.Data, d)
	}
}

func newOffsetOf(columns []string) (newOffset, error) {
	d := newOffset{Topic: text(strings.Clone(columns[0])), Partition: new(number), Offset: new(offset)}
	if err := d.Partition.UnmarshalJSON([]byte(strings.TrimSpace(columns[1]))); err != nil {
		return d, err
	}
	return d, d.Offset.UnmarshalJSON([]byte(strings.TrimSpace(columns[2])))
}

func newMovedOffset(m admin.Move) movedOffset {
	d := movedOffset{Topic: m.Topic, Partition: m.Partition, To: m.To}
	if m.From >= 0 {
		d.From = &m.From
	}
	return d
}

// reset converts the body.
func (b *resetOffsets) reset() (r admin.Reset, err error) {
	if b.To == nil {
		return r, apierr.Unprocessable.New("to is missing. It is earliest, latest, timestamp, shift or offsets.")
	}
	var ok bool
	if r.To, ok = admin.ParseResetTo(string(*b.To)); !ok {
		return r, apierr.BadRequest.New("to must be earliest, latest, timestamp, shift or offsets, not %q.", string(*b.To))
	}
	for _, t := range b.Topics {
		r.Topics = append(r.Topics, string(t))
	}
	switch {
	case r.To == admin.ToTimestamp && b.Timestamp == nil:
		return r, apierr.Unprocessable.New("timestamp is missing.")
	case r.To == admin.ToTimestamp:
		at, ok := server.ParseTime(string(*b.Timestamp))
		if !ok {
			return r, apierr.BadRequest.New("timestamp must be a number of milliseconds since 1970 or an ISO-8601 time, not %q.", string(*b.Timestamp))
		}
		r.Timestamp = max(0, at.UnixMilli())
	case r.To == admin.ByShift && b.Shift == nil:
		return r, apierr.Unprocessable.New("shift is missing.")
	case r.To == admin.ByShift:
		r.Shift = int64(*b.Shift)
	case r.To == admin.ToOffsets:
		r.Offsets, err = b.offsets()
	}
	return r, err
}

// topics returns the topics that the body names.
func (b *resetOffsets) topics() (all []string) {
	for _, t := range b.Topics {
		all = append(all, string(t))
	}
	for _, d := range b.Data {
		all = append(all, string(d.Topic))
	}
	return all
}

func (b *resetOffsets) offsets() (map[admin.TopicPartition]int64, error) {
	all := map[admin.TopicPartition]int64{}
	for _, d := range b.Data {
		if d.Topic == "" || d.Partition == nil || d.Offset == nil || *d.Partition < 0 || *d.Offset < 0 {
			return nil, apierr.Unprocessable.New("Each element of data needs topic_name, partition_id and offset.")
		}
		all[admin.TopicPartition{Topic: string(d.Topic), Partition: int32(*d.Partition)}] = int64(*d.Offset)
	}
	if len(all) == 0 {
		return nil, apierr.Unprocessable.New("data is missing or empty.")
	}
	return all, nil
}

// delete handles DELETE /consumer-groups/{group}.
func (s *groupChanges) delete(c *call) error {
	id, err := server.PathParam(c.RequestCtx, "group")
	if err != nil {
		return err
	}
	if err := s.Admin.DeleteGroup(c.life, id); err != nil {
		return err
	}
	return c.done()
}

// deleteOffsets handles DELETE /consumer-groups/{group}/offsets/{topic}, and the same of one
// partition.
func (s *groupChanges) deleteOffsets(c *call) error {
	topic, err := server.PathParam(c.RequestCtx, "topic")
	if err != nil {
		return err
	}
	partition := int32(-1)
	if c.UserValue("partition") != nil {
		if partition, err = c.pathNumber("partition"); err != nil {
			return err
		}
		if partition < 0 {
			return apierr.PartitionNotFound.New("There is no partition %d; partitions count from 0.", partition)
		}
	}
	g, err := c.group()
	if err != nil {
		return err
	}
	if err := s.Admin.DeleteOffsets(c.life, g, topic, partition); err != nil {
		return err
	}
	return c.done()
}

// sortedPartitions returns the keys of a map in order.
func sortedPartitions[T any](of map[admin.TopicPartition]T) []admin.TopicPartition {
	return slices.SortedFunc(maps.Keys(of), admin.TopicPartition.Compare)
}

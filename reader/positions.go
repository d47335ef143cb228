package reader

import (
	"encoding/base64"
	"slices"
	"strconv"
	"strings"

	"millrace/internal/apierr"
)

const (
	// maxPositions bounds the partition numbers in a text of positions: they come from clients,
	// and the slice is as long.
	maxPositions = 100_000
	// shortID is how many bytes of Kafka's topic id are in the text: enough for two topics of one
	// name to differ but by a chance of one in 10^10.
	shortID = 6
)

// Positions are the offsets that a reader has reached in the partitions of a topic. Their text is
// the id of an event, from which a client resumes: the name of the topic; the beginning of
// Kafka's id of it, which tells it from one that was deleted; and the offset of the next record
// of each partition, in base 36, joined by dots. A partition that does not follow the one before
// it is named:
//
//	t/Yk3x-T/5k.0.1zz    partitions 0, 1 and 2
//	t/Yk3x-T/3:5k.7:0.1  partitions 3, 7 and 8
//
// The zero value has none. Not for concurrent use.
type Positions struct {
	topic, id string
	next      []int64 // by partition; -1: not read

	// before and after are the text around the position that changes. Records of one partition
	// come in runs, and each needs the whole text.
	cur           int
	before, after []byte
	cut           bool // before and after are right for cur
}

// positionsIn returns the positions in a topic before any partition was read.
func positionsIn(topic string, id [16]byte) Positions {
	a := Positions{topic: topic}
	if id != [16]byte{} { // brokers before 2.8 have none
		a.id = base64.RawURLEncoding.EncodeToString(id[:])[:shortID]
	}
	return a
}

// sameTopic reports whether both are in one topic, and not in two topics of one name, as far as
// the ids show it.
func (a *Positions) sameTopic(b *Positions) bool {
	return a.topic == b.topic && (a.id == b.id || a.id == "" || b.id == "")
}

// Set sets the offset of the partition's next record.
func (a *Positions) Set(partition int32, offset int64) {
	p := int(partition)
	if grow := p + 1 - len(a.next); grow > 0 {
		a.next = append(a.next, slices.Repeat([]int64{-1}, grow)...)
		a.cut = false
	}
	if p != a.cur || a.next[p] < 0 {
		a.cur, a.cut = p, false
	}
	a.next[p] = offset
}

// At returns the offset of the partition's next record; ok is false when the
// partition is not read.
func (a *Positions) At(partition int32) (offset int64, ok bool) {
	if int(partition) >= len(a.next) || a.next[partition] < 0 {
		return 0, false
	}
	return a.next[partition], true
}

// Append appends the text to dst.
func (a *Positions) Append(dst []byte) []byte {
	if a.cur >= len(a.next) {
		return dst // there are none
	}
	if !a.cut {
		a.split()
	}
	dst = append(dst, a.before...)
	dst = strconv.AppendInt(dst, a.next[a.cur], 36)
	return append(dst, a.after...)
}

// split computes the text before and after the position of cur.
func (a *Positions) split() {
	a.before, a.after, a.cut = a.before[:0], a.after[:0], true
	a.before = append(append(append(append(a.before, a.topic...), '/'), a.id...), '/')
	part := &a.before
	expected, first := 0, true
	for p, offset := range a.next {
		if offset < 0 {
			continue
		}
		if !first {
			*part = append(*part, '.')
		}
		if p != expected {
			*part = append(strconv.AppendInt(*part, int64(p), 10), ':')
		}
		if p == a.cur {
			part = &a.after
		} else {
			*part = strconv.AppendInt(*part, offset, 36)
		}
		expected, first = p+1, false
	}
}

// ParsePositions reads the text of positions. An error is [apierr.BadRequest].
func ParsePositions(text string) (*Positions, error) {
	parts := strings.SplitN(text, "/", 4)
	if len(parts) != 3 {
		return nil, badPositions(text)
	}
	a := &Positions{topic: parts[0], id: parts[1]}
	next := 0
	for item := range strings.SplitSeq(parts[2], ".") {
		if name, offset, named := strings.Cut(item, ":"); named {
			p, err := strconv.ParseUint(name, 10, 32)
			if err != nil || int(p) < next {
				return nil, badPositions(text)
			}
			next, item = int(p), offset
		}
		offset, err := strconv.ParseUint(item, 36, 63)
		if err != nil || next >= maxPositions {
			return nil, badPositions(text)
		}
		a.Set(int32(next), int64(offset))
		next++
	}
	return a, nil
}

func badPositions(text string) error {
	return apierr.BadRequest.New("%.100q is not the id of an event of a stream.", text)
}

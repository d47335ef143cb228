package ui

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"millrace/codec/json"
	"millrace/metadata"
)

// A topic that cannot be written comes before all that are busy, however quiet it is, and a search
// has every topic on one of its pages.
func TestTopicsInNeedComeFirst(t *testing.T) {
	p, s := idle(t, discard)
	known := &metadata.Snapshot{}
	for n := range 250 {
		topic := &metadata.Topic{Name: fmt.Sprintf("Topic-%03d", n), Partitions: []metadata.Partition{{Replicas: []int32{1}, ISR: []int32{1}, Leader: 1}}}
		switch n {
		case 240:
			topic.Partitions[0].Leader = -1
		case 241:
			topic.Partitions[0].ISR = nil
		default:
			s.Metrics().Topics().Produced(topic.Name, 1, 1)
		}
		known.Topics = append(known.Topics, topic)
	}
	all := p.topicsOf(known)
	if len(all.List) != 250 || all.List[0].Name != "Topic-240" || all.List[1].Name != "Topic-241" || all.Leaderless != 1 || all.Behind != 1 {
		t.Errorf("the first are %+v of %d", all.List[:2], len(all.List))
	}
	names := func(m *topicMessage) []string { return []string{m.Name} }
	seen := map[string]bool{}
	for page, want := range []int{100, 100, 50, 0} {
		f := search(all.List, "", page, names)
		if f.Count != 250 || len(f.List) != want {
			t.Errorf("page %d has %d rows of %d", page, len(f.List), f.Count)
		}
		for _, m := range f.List {
			seen[m.Name] = true
		}
	}
	if len(seen) != 250 {
		t.Errorf("the pages have %d topics", len(seen))
	}
	if f := search(all.List, "tOPIC-24", 0, names); f.Count != 10 || f.List[0].Leaderless != 1 {
		t.Errorf("a search finds %+v", f)
	}
}

// The rate of a topic that nobody uses any more falls until a float hardly holds it. A page that is
// open for an hour is shown the figures all the same.
func TestTopicIsIdleForAnHour(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, s := idle(t, discard)
		known := &metadata.Snapshot{Topics: []*metadata.Topic{{Name: "t", Partitions: make([]metadata.Partition, 1)}}}
		p.topicsOf(known)
		s.Metrics().Topics().Produced("t", 1, 100)
		for n := range 3600 {
			time.Sleep(sampleEvery)
			m := p.topicsOf(known)
			if data, err := json.Marshal(m); err != nil {
				t.Fatalf("second %d: %v", n, err)
			} else if rate := m.List[0].InBytes; n == 0 && rate != 30 || n == 3599 && rate != 0 {
				t.Errorf("second %d: %s", n, data)
			}
		}
	})
}

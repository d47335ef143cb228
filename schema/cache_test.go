package schema

import (
	"bytes"
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"millrace/codec"
	"millrace/internal/apierr"
)

// asked is a question by id, told apart by nothing else.
func asked(id int32) *question { return &question{id: id} }

func answer(id int32, v string) *entry[string] { return &entry[string]{question: *asked(id), value: v} }

func TestCacheIsBounded(t *testing.T) {
	c := newCache[string](10)
	for i := range int32(100) {
		c.put(answer(i, "v"))
		if n := c.size(); n > 10 {
			t.Fatalf("%d answers of 10", n)
		}
		if c.get(asked(i)) == nil {
			t.Fatalf("the answer %d is not there", i)
		}
	}
	c = newCache[string](10)
	big := bytes.Repeat([]byte{'x'}, maxCachedText/4)
	for i := range int32(8) {
		c.put(&entry[string]{question: question{id: i, text: big}})
	}
	if n := c.size(); n != 4 || c.text != 4*len(big) {
		t.Errorf("%d texts of a quarter of the bound are kept, %d bytes", n, c.text)
	}
	for i := range int32(8) {
		c.remove((&question{id: i, text: big}).hash())
	}
	if c.size() != 0 || c.text != 0 {
		t.Errorf("empty it has %d answers and %d bytes", c.size(), c.text)
	}
}

// What is in use stays, however many questions come that are asked once, or
// that have no good answer.
func TestCacheKeepsWhatIsOfUse(t *testing.T) {
	c := newCache[string](10)
	for i := range int32(5) {
		c.put(answer(i, "v"))
	}
	for i := int32(5); i < 2000; i++ {
		for good := range int32(5) {
			if c.get(asked(good)) == nil {
				t.Fatalf("the answer %d was forgotten for the question %d", good, i)
			}
		}
		e := answer(i, "")
		if i%2 == 0 {
			e.err = apierr.RegistryRefused.New("no")
		}
		c.put(e)
	}
}

func TestQuestionsAreToldApart(t *testing.T) {
	all := []question{
		{id: 1},
		{id: 2},
		{id: 1, format: codec.Avro},
		{id: 1, key: true},
		{id: 1, topic: "t"},
		{id: 1, text: []byte("t")},
		{topic: "a", text: []byte("b")},
		{topic: "ab"},
		{text: []byte("ab")},
		{id: 256},
		{id: -1},
	}
	c := newCache[int](len(all))
	names := map[string]bool{}
	for i, q := range all {
		c.put(&entry[int]{question: q.clone(), value: i})
		names[q.name()] = true
	}
	if len(names) != len(all) {
		t.Errorf("%d names of %d questions", len(names), len(all))
	}
	for i, q := range all {
		if e := c.get(&q); e == nil || e.value != i {
			t.Errorf("the question %+v has the answer %+v", q, e)
		}
	}
	// Two questions with one hash: the answer of one is never the other's.
	e := answer(1, "v")
	c2 := newCache[string](2)
	c2.entries[asked(2).hash()] = e
	if c2.get(asked(2)) != nil {
		t.Error("a question got another one's answer")
	}
	c2.put(answer(2, "w"))
	if got := c2.get(asked(2)); got == nil || got.value != "w" {
		t.Error("an answer did not take the place of the other")
	}
}

// How long an answer holds: for ever, as long as it says, and when it says no
// only for a while; the registry's absence is not an answer.
func TestHowLongAnswersHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := usual("http://registry.example")
		s.NegativeTTL = 5 * time.Second
		r := open(t, s)
		var count int
		var hold time.Duration
		var fault error
		ask := func(context.Context, *question) (string, time.Duration, error) {
			count++
			return fmt.Sprint("answer ", count), hold, fault
		}
		c := newCache[string](10)
		load := func(id int32) (string, error) { return load(t.Context(), r, c, asked(id), ask) }
		want := func(id int32, answer string, asks int) {
			t.Helper()
			if got, err := load(id); got != answer || err != nil || count != asks {
				t.Errorf("question %d: got %q, %v after asking %d times, want %q after %d", id, got, err, count, answer, asks)
			}
		}
		want(1, "answer 1", 1)
		time.Sleep(1000 * time.Hour)
		want(1, "answer 1", 1)

		hold = time.Minute
		want(2, "answer 2", 2)
		time.Sleep(time.Minute - 1)
		want(2, "answer 2", 2)
		time.Sleep(time.Nanosecond)
		want(2, "answer 3", 3)

		time.Sleep(time.Minute)
		fault = apierr.RegistryAway.New("away")
		want(2, "answer 3", 4) // what it was before
		want(2, "answer 3", 4) // and that holds for a while
		time.Sleep(staleTime)
		want(2, "answer 3", 5)
		for i := range 2 {
			if _, err := load(3); err != fault || count != 6+i {
				t.Errorf("the registry's absence: %v after asking %d times", err, count)
			}
		}

		fault = apierr.RegistryRefused.New("no")
		for range 2 {
			if _, err := load(4); err != fault || count != 8 {
				t.Errorf("a no: %v after asking %d times", err, count)
			}
		}
		fault = nil
		time.Sleep(s.NegativeTTL)
		want(4, "answer 9", 9)
	})
}

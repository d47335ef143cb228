package schema

import (
	"bytes"
	"context"
	"testing"
	"testing/synctest"
	"time"

	"millrace/codec"
	"millrace/internal/apierr"
)

// asked is a question by id, which nothing else distinguishes.
func asked(id int32) *question { return &question{id: id} }

func answer(id, value int32) *entry { return &entry{question: *asked(id), value: stored{id: value}} }

// roomy is a cache that is bounded by the number of entries only.
func roomy(limit int) *cache { return newCache(limit, 1<<30) }

func TestCacheIsBounded(t *testing.T) {
	c := roomy(10)
	for i := range int32(100) {
		c.put(answer(i, i))
		if n, _ := c.size(); n > 10 {
			t.Fatalf("%d answers of 10", n)
		}
		if c.get(asked(i)) == nil {
			t.Fatalf("the answer %d is not there", i)
		}
	}
}

// The bound covers the texts of questions and the schemas, each schema once however many entries
// have it.
func TestCacheIsBoundedByBytes(t *testing.T) {
	const quarter = 1 << 20
	big := func(i int32) *entry {
		e := answer(i, i)
		e.value.schema, e.value.size = &raw{}, quarter-entrySize
		return e
	}
	c := newCache(100, 4*quarter)
	var all []*entry
	for i := range int32(8) {
		all = append(all, big(i))
		c.put(all[i])
		if c.get(asked(i)) == nil {
			t.Fatalf("the answer %d is not there", i)
		}
	}
	if n, held := c.size(); n != 4 || held != 4*quarter {
		t.Errorf("%d schemas of a quarter of the bound are kept, %d bytes", n, held)
	}
	text := bytes.Repeat([]byte{'x'}, quarter)
	c.put(&entry{question: question{id: 1, text: text}})
	if n, held := c.size(); n != 3 || held != 2*quarter+len(text)+entrySize {
		t.Errorf("with a text of a quarter %d are kept, %d bytes", n, held)
	}

	c = newCache(100, 4*quarter)
	for i := range int32(50) {
		e := answer(i, 1)
		e.value = all[0].value
		c.put(e)
	}
	if n, held := c.size(); n != 50 || held != quarter+49*entrySize {
		t.Errorf("%d answers with one schema are kept, %d bytes", n, held)
	}
	for i := range int32(50) {
		c.release(c.entries.Delete(asked(i).hash()))
	}
	if n, held := c.size(); n != 0 || held != 0 || len(c.holders) != 0 {
		t.Errorf("empty it has %d answers, %d bytes and %d schemas", n, held, len(c.holders))
	}

	huge := big(1)
	huge.value.size = 5 * quarter
	c.put(answer(2, 2))
	c.put(huge)
	if n, _ := c.size(); n != 1 || c.get(asked(1)) == nil {
		t.Errorf("beside an answer that is too large are %d", n-1)
	}
}

// Entries in use stay, however many questions arrive that are asked once, or whose answer is
// negative.
func TestCacheKeepsWhatIsOfUse(t *testing.T) {
	c := roomy(10)
	for i := range int32(5) {
		c.put(answer(i, i))
	}
	for i := int32(5); i < 2000; i++ {
		for good := range int32(5) {
			if c.get(asked(good)) == nil {
				t.Fatalf("the answer %d was forgotten for the question %d", good, i)
			}
		}
		e := answer(i, i)
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
	c := roomy(len(all))
	keys := map[callKey]bool{}
	for i, q := range all {
		c.put(&entry{question: q.clone(), value: stored{id: int32(i)}})
		keys[q.callKey()] = true
	}
	if len(keys) != len(all) {
		t.Errorf("%d keys of %d questions", len(keys), len(all))
	}
	for i, q := range all {
		if e := c.get(&q); e == nil || e.value.id != int32(i) {
			t.Errorf("the question %+v has the answer %+v", q, e)
		}
	}
	// Two questions with one hash do not get each other's answer.
	e := answer(1, 1)
	c2 := roomy(2)
	c2.entries.Put(asked(2).hash(), e)
	if c2.get(asked(2)) != nil {
		t.Error("a question got another one's answer")
	}
	c2.put(answer(2, 7))
	if got := c2.get(asked(2)); got == nil || got.value.id != 7 {
		t.Error("an answer did not take the place of the other")
	}
}

// An answer is cached forever, or for its own time, or, if negative, for a while only; an outage
// of the registry is not cached.
func TestHowLongAnswersHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := usual("http://registry.example")
		s.NegativeTTL = 5 * time.Second
		r := open(t, s)
		var count int32
		var hold time.Duration
		var fault error
		ask := func(context.Context, *question) (stored, time.Duration, error) {
			count++
			return stored{id: count}, hold, fault
		}
		c := roomy(10)
		load := func(id int32) (stored, error) { return r.load(t.Context(), c, asked(id), ask) }
		want := func(id, answer, asks int32) {
			t.Helper()
			if got, err := load(id); got.id != answer || err != nil || count != asks {
				t.Errorf("question %d: got the answer %d, %v after asking %d times, want %d after %d", id, got.id, err, count, answer, asks)
			}
		}
		want(1, 1, 1)
		time.Sleep(1000 * time.Hour)
		want(1, 1, 1)

		hold = time.Minute
		want(2, 2, 2)
		time.Sleep(time.Minute - 1)
		want(2, 2, 2)
		time.Sleep(time.Nanosecond)
		want(2, 3, 3)

		time.Sleep(time.Minute)
		fault = apierr.RegistryAway.New("away")
		want(2, 3, 4) // the former answer
		want(2, 3, 4) // which is cached for a while
		time.Sleep(staleTime)
		want(2, 3, 5)
		for i := range 2 {
			if _, err := load(3); err != fault || count != int32(6+i) {
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
		want(4, 9, 9)
	})
}

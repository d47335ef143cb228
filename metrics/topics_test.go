package metrics

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// produced returns the scraped values of millrace_topic_produced_records_total.
func produced(t testing.TB, m *Metrics) map[string]float64 {
	t.Helper()
	_, families := scrape(t, m)
	shown := make(map[string]float64)
	for _, metric := range families[topicProducedRecords.Name].GetMetric() {
		shown[metric.GetLabel()[0].GetValue()] = metric.GetCounter().GetValue()
	}
	return shown
}

func TestFirstTopicsAreShownAndTheRestSummedUp(t *testing.T) {
	m := New(Settings{Topics: 2}, Build{})
	for i, name := range []string{"a", "b", "c", "d", "a"} {
		m.Topics().Produced(name, i+1, 100)
	}
	if got, want := produced(t, m), (map[string]float64{"a": 6, "b": 2, Other: 7}); !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	none := New(Settings{}, Build{})
	none.Topics().Produced("a", 1, 1)
	if got, want := produced(t, none), (map[string]float64{Other: 1}); !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestBusyTopicTakesAPlaceAndNoSeriesFalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := New(Settings{Topics: 2}, Build{})
		topics := m.Topics()
		topics.Produced("first", 10, 1000)
		topics.Produced("second", 10, 1000)
		topics.Produced("third", 100, 100_000)
		if got, want := produced(t, m), (map[string]float64{"first": 10, "second": 10, Other: 100}); !maps.Equal(got, want) {
			t.Errorf("before a minute is over: %v, want %v", got, want)
		}
		topics.Produced("first", 5, 2000) // stays; second is replaced
		time.Sleep(rankEvery)
		if got, want := produced(t, m), (map[string]float64{"first": 15, "third": 0, Other: 100}); !maps.Equal(got, want) {
			t.Errorf("after a minute: %v, want %v", got, want)
		}
		topics.Produced("third", 7, 100)
		topics.Produced("second", 3, 100)
		if got, want := produced(t, m), (map[string]float64{"first": 15, "third": 7, Other: 103}); !maps.Equal(got, want) {
			t.Errorf("after the change: %v, want %v", got, want)
		}
		// A topic that is only a little busier is not shown yet.
		topics.Produced("first", 0, 10_000_000)
		topics.Produced("third", 0, 1_000_000)
		topics.Produced("second", 0, 1_500_000)
		time.Sleep(rankEvery)
		if got := produced(t, m); got["third"] != 7 {
			t.Errorf("a series went for little: %v", got)
		}
		// A topic that is shown again continues its former series.
		topics.Produced("second", 1, 1_000_000_000)
		time.Sleep(rankEvery)
		produced(t, m)
		topics.Produced("second", 2, 1)
		if got := produced(t, m); got["second"] != 12 {
			t.Errorf("after its return: %v", got)
		}
	})
}

// However topics change and whichever are shown: no series falls, and the increase between two
// scrapes never exceeds the true one.
func TestTopicSeriesOnlyGrow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := New(Settings{Topics: 5}, Build{})
		random := rand.New(rand.NewPCG(1, 2))
		was := map[string]float64{}
		top := map[string]float64{}
		for round := range 200 {
			happened := 0.0
			hot := random.IntN(40)
			for range 50 {
				i := random.IntN(40)
				n := 1
				if i == hot || random.IntN(3) == 0 {
					i, n = hot, 1000
				}
				m.Topics().Produced(fmt.Sprint("t", i), n, n)
				happened += float64(n)
			}
			time.Sleep(rankEvery / 3)
			now := produced(t, m)
			grown := 0.0
			for name, n := range now {
				if n < top[name] {
					t.Fatalf("round %d: %s fell from %v to %v", round, name, top[name], n)
				}
				top[name] = n
				if before, ok := was[name]; ok {
					grown += n - before
				}
			}
			if grown > happened {
				t.Fatalf("round %d: %v records are shown, %v were produced", round, grown, happened)
			}
			if len(now) > 6 {
				t.Fatalf("round %d: %d series", round, len(now))
			}
			was = now
		}
		if len(top) < 15 {
			t.Errorf("only %v were ever shown", slices.Sorted(maps.Keys(top)))
		}
	})
}

func TestTrackedTopicsAreBounded(t *testing.T) {
	m := New(Settings{Topics: 3}, Build{})
	for i := range trackedTopics + 1000 {
		m.Topics().Consumed(fmt.Sprint("t", i), 1, 1)
	}
	if n := len(m.Topics().byName); n != trackedTopics {
		t.Errorf("%d topics are tracked", n)
	}
	text, _ := scrape(t, m)
	if want := fmt.Sprintf("millrace_topic_consumed_records_total{topic=%q} %d\n", Other, trackedTopics+1000-3); !strings.Contains(text, want) {
		t.Errorf("missing %s", want)
	}
}

package main

import (
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"

	"millrace/internal/testkit"
)

// The limit of a look-up answers what millrace does: status, headers and bytes.
func TestFloorAnswersAsMillrace(t *testing.T) {
	testkit.Long(t)
	t.Parallel()
	broker := testkit.Fake(t)
	c, err := openCluster(t.Context(), broker.Addrs)
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	topics, err := c.newTopics(t.Context(), 1, 3)
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{cluster: c, binary: testkit.Binary(t)}
	all, err := b.lookUps(t.Context(), topics[0])
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != 8 {
		t.Errorf("%d look-ups", len(all))
	}
	for i, l := range all {
		floor, err := startHTTPFloor(t.Context(), l.answer)
		if err != nil {
			t.Fatal(err)
		}
		got, err := ask(t.Context(), floor.url, l)
		floor.stop()
		if err != nil {
			t.Fatal(err)
		}
		sortHeaders(&got)
		sortHeaders(&l.answer)
		if !reflect.DeepEqual(got, l.answer) {
			t.Errorf("%s: the floor answers %+v, millrace %+v", l.name, got, l.answer)
		}
		want, empty := http.StatusOK, false
		if i%2 == 1 {
			want, empty = http.StatusNotModified, true
		}
		if got.Status != want || (len(got.Body) == 0) != empty || got.header("Etag") == "" {
			t.Errorf("%s: %+v", l.name, got)
		}
	}
}

func sortHeaders(a *floorAnswer) {
	slices.SortFunc(a.Headers, func(x, y [2]string) int { return strings.Compare(x[0], y[0]) })
}

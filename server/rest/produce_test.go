package rest

import (
	"fmt"
	"math"
	"testing"
)

// Slots whose offsets are counted up in place are those that are written one by one.
func TestAppendWritten(t *testing.T) {
	check := func(offset int64, count int) {
		t.Helper()
		want := "["
		for i := range int64(count) {
			want += fmt.Sprintf(`{"partition":12,"offset":%d,"error_code":null,"error":null},`, offset+i)
		}
		if got := appendWritten([]byte("["), 12, offset, count); string(got) != want {
			t.Fatalf("from %d on:\n%s\nwant\n%s", offset, got, want)
		}
	}
	check(0, 1)
	check(0, 1200)
	check(-1, 12) // a broker that did not say the offset
	for limit := int64(10); limit < 1e18; limit *= 10 {
		check(limit-3, 5)
		check(limit-1, 1)
		check(limit, 2)
	}
	check(1e18-2, 5)
	check(math.MaxInt64-20, 20)
}

func BenchmarkAppendWritten(b *testing.B) {
	dst := make([]byte, 0, 1<<20)
	for b.Loop() {
		appendWritten(dst, 0, 123456, 1000)
	}
}

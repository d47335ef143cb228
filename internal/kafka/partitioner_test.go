package kafka

import "testing"

// TestMurmur2 has the vectors of Kafka's own UtilsTest.
func TestMurmur2(t *testing.T) {
	f := func(key string, want int32) {
		t.Helper()
		if got := int32(murmur2([]byte(key))); got != want {
			t.Errorf("murmur2(%q) = %d, want %d", key, got, want)
		}
	}
	f("21", -973932308)
	f("foobar", -790332482)
	f("a-little-bit-long-string", -985981536)
	f("a-little-bit-longer-string", -1486304829)
	f("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971)
	f("abc", 479470107)
}

// TestKeyPartition has the choices of a Java producer among 1,000 partitions.
func TestKeyPartition(t *testing.T) {
	f := func(key string, want int32) {
		t.Helper()
		if got := KeyPartition([]byte(key), 1000); got != want {
			t.Errorf("key %q goes to %d, want %d", key, got, want)
		}
	}
	f("", 681)
	f("a", 524)
	f("ab", 434)
	f("abc", 107)
	f("123456789", 566)
	f("\x00 ", 742)
}

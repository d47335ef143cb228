package main

import (
	"slices"
	"strings"
	"testing"
)

// describe lists the servers of a case, with what tells them apart.
func describe(b *bench, c produceCase) []string {
	var out []string
	for _, one := range b.producers(c) {
		out = append(out, strings.Trim(strings.Join([]string{one.server, one.at.Format, one.at.Compression}, "|"), "|"))
	}
	return out
}

// Each limit is measured once, before what is divided by it, and peers only
// where their own codec and the lack of a registry do not matter.
func TestProducersOfACase(t *testing.T) {
	b := &bench{opts: options{peers: []peer{{name: "P"}}}}
	got := describe(b, produceCase{100, 200, []kind{{"json", "none"}, {"binary", "none"}, {"avro", "none"}, {"json", "zstd"}}})
	want := []string{
		"HTTP floor|json", "Kafka floor||none", "millrace json|json|none", "P json|json|none",
		"HTTP floor|binary", "millrace binary|binary|none", "P binary|binary|none",
		"HTTP floor|avro", "Kafka floor|avro|none", "millrace avro|avro|none",
		"Kafka floor||zstd", "millrace json|json|zstd",
	}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	b.opts = options{linger: 5}
	if got := describe(b, produceCase{1, 200, []kind{plainJSON}}); !slices.Contains(got, "Kafka floor, linger 0||none") {
		t.Errorf("with a linger: %q", got)
	}
}

// Without a word on the command line every dimension is measured; what is asked
// for takes the place of all of that.
func TestProduceCases(t *testing.T) {
	f := func(args []string, records, sizes []int, formats, codecs []string) {
		t.Helper()
		o, err := readOptions(args)
		if err != nil {
			t.Fatal(err)
		}
		var gotRecords, gotSizes []int
		var gotFormats, gotCodecs []string
		for _, c := range o.produceCases() {
			gotRecords, gotSizes = append(gotRecords, c.records), append(gotSizes, c.valueBytes)
			for _, k := range c.kinds {
				gotFormats, gotCodecs = append(gotFormats, k.format), append(gotCodecs, k.codec)
			}
		}
		if !equalSets(gotRecords, records) || !equalSets(gotSizes, sizes) || !equalSets(gotFormats, formats) || !equalSets(gotCodecs, codecs) {
			t.Errorf("%q: records %v, sizes %v, formats %q, codecs %q", args, gotRecords, gotSizes, gotFormats, gotCodecs)
		}
	}
	formats, codecs := []string{"json", "binary", "avro"}, []string{"none", "gzip", "snappy", "lz4", "zstd"}
	f(nil, []int{1, 10, 100, 1000}, []int{200, 1024}, formats, codecs)
	f([]string{"-quick"}, []int{1, 100}, []int{200, 1024}, formats, codecs)
	f([]string{"-formats", "json"}, []int{1, 10, 100, 1000}, []int{200}, []string{"json"}, []string{"none"})
	f([]string{"-records", "5", "-compression", "all", "-formats", "binary,avro", "-quick"}, []int{5}, []int{200}, formats[1:], codecs)
	f([]string{"-value-bytes", "1024,4096"}, []int{1, 10, 100, 1000}, []int{1024, 4096}, []string{"json"}, []string{"none"})
}

func equalSets[T int | string](a, b []T) bool {
	sorted := func(s []T) []T {
		s = slices.Clone(s)
		slices.Sort(s)
		return slices.Compact(s)
	}
	return slices.Equal(sorted(a), sorted(b))
}

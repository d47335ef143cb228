package main

import "slices"

// produceCase is produce requests of one size. All that is measured of it, in
// every format and codec, takes turns, so that limits stand beside what is
// divided by them.
type produceCase struct {
	records, valueBytes int
	kinds               []kind
}

// kind is in what format records are sent, and how they are compressed on their
// way to Kafka.
type kind struct{ format, codec string }

var plainJSON = kind{"json", "none"}

// defaultCases cover each dimension without the product of all: how costs grow
// with the number of records, with larger values, with the format, and with the
// codec, whose cost is in the batches of large requests.
var defaultCases = []produceCase{
	{1, 200, []kind{plainJSON, {"binary", "none"}, {avroFormat, "none"}}},
	{10, 200, []kind{plainJSON}},
	{100, 200, append([]kind{plainJSON, {"binary", "none"}, {avroFormat, "none"}}, compressed...)},
	{1000, 200, append([]kind{plainJSON}, compressed...)},
	{1, 1024, []kind{plainJSON}},
	{100, 1024, []kind{plainJSON}},
}

// quickCases have each dimension once.
var quickCases = []produceCase{
	{1, 200, []kind{plainJSON}},
	{100, 200, append([]kind{plainJSON, {"binary", "none"}, {avroFormat, "none"}}, compressed...)},
	{100, 1024, []kind{plainJSON}},
}

var compressed = []kind{{"json", "gzip"}, {"json", "snappy"}, {"json", "lz4"}, {"json", "zstd"}}

// produceCases are what the produce suite measures: the cases above, or the
// product of what the command line asks for.
func (o *options) produceCases() (cases []produceCase) {
	switch {
	case !o.product && o.quick:
		return quickCases
	case !o.product:
		return defaultCases
	}
	for _, size := range o.valueBytes {
		for _, n := range o.records {
			c := produceCase{records: n, valueBytes: size}
			for _, codec := range o.compression {
				for _, format := range o.formats {
					c.kinds = append(c.kinds, kind{format, codec})
				}
			}
			cases = append(cases, c)
		}
	}
	return cases
}

// citationRecords are how many records a request of the avro suite has: fewer
// sizes than elsewhere unless they are asked for.
func (o *options) citationRecords() []int {
	switch {
	case o.product:
		return o.records
	case o.quick:
		return []int{100}
	}
	return []int{1, 100}
}

// producers lists what is measured of a case: each limit once, before the first
// that it is a limit of.
func (b *bench) producers(c produceCase) (all []contender) {
	add := func(one contender) {
		same := func(o contender) bool { return o.server == one.server && o.at == one.at }
		if !slices.ContainsFunc(all, same) {
			all = append(all, one)
		}
	}
	for _, k := range c.kinds {
		at := place{
			Suite: "produce", Records: c.records, Connections: connections(c.records),
			ValueBytes: c.valueBytes, Format: k.format, Compression: k.codec,
		}
		add(contender{server: httpFloor, at: at.of(httpFloor), run: b.runHTTPFloor})
		add(contender{server: kafkaFloor, at: at.of(kafkaFloor), run: b.kafkaFloorWith(b.opts.linger), kafka: true})
		if b.opts.linger > 0 {
			add(contender{server: kafkaFloor + noLinger, at: at.of(kafkaFloor), run: b.kafkaFloorWith(0), kafka: true})
		}
		add(contender{server: "millrace " + k.format, at: at, run: b.runMillrace, kafka: true})
		if k.codec == c.kinds[0].codec && k.format != avroFormat { // a registry and a codec are the peer's own matter
			for _, p := range b.opts.peers {
				add(contender{server: p.name + " " + k.format, at: at, run: b.peerRun(p), kafka: true, peer: p.name})
			}
		}
	}
	return all
}

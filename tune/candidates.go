package tune

import (
	"fmt"
	"strconv"

	"millrace/internal/kafka"
)

// candidate is one setting of producer.compression.*.
type candidate struct {
	codec kafka.Codec
	// level is the one in the properties file, 0 for the default, and effort
	// the same for the compressor, where the default is 0.
	level, effort int
}

// candidates are all distinct ones: the Go codecs have fewer levels than Kafka's settings (see
// kafka.Compressor).
var candidates = []candidate{
	{kafka.None, 0, 0},
	{kafka.Snappy, 0, 0},
	{kafka.LZ4, 0, 0},
	{kafka.LZ4, 1, 1},
	{kafka.LZ4, 12, 12},
	{kafka.Zstd, 1, 1},
	{kafka.Zstd, 0, 0},
	{kafka.Zstd, 6, 6},
	{kafka.Zstd, 12, 12},
	{kafka.Gzip, 1, 1},
	{kafka.Gzip, 0, 0},
	{kafka.Gzip, 9, 9},
}

// name is short, for tables and plots.
func (c candidate) name() string {
	if c.level == 0 {
		return string(c.codec)
	}
	return string(c.codec) + " " + strconv.Itoa(c.level)
}

// lines returns the lines for the properties file.
func (c candidate) lines() []string {
	lines := []string{"producer.compression.type=" + string(c.codec)}
	if c.level != 0 {
		lines = append(lines, fmt.Sprintf("producer.compression.%s.level=%d", c.codec, c.level))
	}
	return lines
}

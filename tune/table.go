package tune

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
)

// WriteTable writes the report for a terminal: the advice, all settings at the size of batch that
// it is for, and their results at the other sizes.
func (r *Report) WriteTable(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n%s\n", r.summary(), r.assumptions())
	if r.Stored != nil {
		fmt.Fprintf(&b, "stored now: %s\n", r.Stored)
	}
	for _, n := range r.Notes {
		fmt.Fprintf(&b, "note: %s\n", n)
	}
	size := r.advised()
	fmt.Fprintf(&b, "\nBatches of %s (%s): %s of %s records\n\n", bytesOf(size.BatchBytes), size.Why, count(size.Batches), digits(size.Records))
	r.settingsTable(&b, size)
	if len(r.Sizes) > 1 {
		fmt.Fprintf(&b, "\nRatio by size of batch, and CPU s per million records\n\n")
		r.sizesTable(&b)
	}
	fmt.Fprintf(&b, "\nSet\n  %s\n%s\n", strings.Join(r.Advice.Settings, "\n  "), fold(r.Advice.Reason, 100))
	fmt.Fprintf(&b, "At once, where admin.enable is true:\n  curl -X PUT -d '%s' http://HOST:8082/admin/config\n", r.Advice.Change)
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("cannot write the table: %w", err)
	}
	return nil
}

func (r *Report) summary() string {
	return fmt.Sprintf("%s: %s records of %s bytes on average", r.Source, count(r.Records), count(int(math.Round(r.RecordBytes))))
}

func (r *Report) assumptions() string {
	return fmt.Sprintf("%s records/s (%s); replicas: %d; a core-hour costs %g, a GB on the network %g, a GB on a disk %g",
		count(int(math.Round(r.Rate))), r.RateFrom, r.Replicas, r.Weights.CPU, r.Weights.Network, r.Weights.Disk)
}

// String describes the stored batches in one line.
func (s *Stored) String() string {
	var codecs []string
	for codec := range s.Codecs {
		codecs = append(codecs, codec)
	}
	slices.SortFunc(codecs, func(a, b string) int { return s.Codecs[b] - s.Codecs[a] })
	return fmt.Sprintf("%s, ratio %s, batches of %s and %s records", strings.Join(codecs, " and "), digits(s.Ratio), bytesOf(s.Bytes), digits(s.Records))
}

func (r *Report) settingsTable(b *strings.Builder, size *Size) {
	columns := tabwriter.NewWriter(b, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(columns, "\tratio\tcompress\tdecompress\tCPU s per\tnetwork\tdisk\tcost\t\n")
	fmt.Fprint(columns, "\t\tMB/s\tMB/s\tmillion\tGB/day\tGB/day\ta day\t\n")
	for _, row := range size.Rows {
		compress, decompress := "-", "-"
		if row.Compress > 0 {
			compress = digits(row.Compress)
		}
		if row.Decompress > 0 {
			decompress = digits(row.Decompress)
		}
		mark := ""
		if row.Name == r.Advice.Name {
			mark = "<"
		}
		fmt.Fprintf(columns, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", row.Name, digits(row.Ratio), compress, decompress,
			digits(row.CPU), digits(row.Day.Network), digits(row.Day.Disk), digits(row.Day.Cost), mark)
	}
	_ = columns.Flush() // into a strings.Builder
}

func (r *Report) sizesTable(b *strings.Builder) {
	columns := tabwriter.NewWriter(b, 0, 0, 2, ' ', tabwriter.AlignRight)
	for _, s := range r.Sizes {
		fmt.Fprintf(columns, "\t%s\tCPU s", bytesOf(s.BatchBytes))
	}
	fmt.Fprintln(columns, "\t")
	for i, row := range r.Sizes[0].Rows {
		fmt.Fprint(columns, row.Name)
		for _, s := range r.Sizes {
			fmt.Fprintf(columns, "\t%s\t%s", digits(s.Rows[i].Ratio), digits(s.Rows[i].CPU))
		}
		fmt.Fprintln(columns, "\t")
	}
	_ = columns.Flush()
}

// digits formats three significant digits, and no more than are before the point.
func digits(v float64) string {
	switch abs := math.Abs(v); {
	case abs >= 1000:
		return count(int(math.Round(v)))
	case abs >= 100:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case abs >= 10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	case abs >= 0.095 || v == 0:
		return strconv.FormatFloat(v, 'f', 2, 64)
	default:
		return strconv.FormatFloat(v, 'g', 2, 64)
	}
}

// count formats a whole number with commas.
func count(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// bytesOf formats the size of a batch.
func bytesOf(n int) string {
	switch {
	case n%1024 == 0 && n < 1<<20:
		return fmt.Sprintf("%d KiB", n/1024)
	case n >= 1_000_000:
		return digitsOf(float64(n)/1e6) + " MB"
	case n >= 1000:
		return digitsOf(float64(n)/1e3) + " KB"
	}
	return fmt.Sprintf("%d B", n)
}

// digitsOf formats a number without zeros at its end.
func digitsOf(v float64) string { return strconv.FormatFloat(v, 'g', 3, 64) }

// fold breaks a text into lines of at most width, indented by two.
func fold(text string, width int) string {
	var lines []string
	line := " "
	for word := range strings.FieldsSeq(text) {
		if len(line)+1+len(word) > width {
			lines, line = append(lines, line), " "
		}
		line += " " + word
	}
	return strings.Join(append(lines, line), "\n")
}

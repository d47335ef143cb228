//go:build !race

package avro

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"millrace/internal/testkit"
)

// evolved changes the text of a schema somewhere, mostly into another schema.
func evolved(r *rand.Rand, text string) string {
	changes := []string{
		`"int"`, `"long"`, `"long"`, `"int"`, `"float"`, `"double"`, `"string"`, `"bytes"`, `"null"`, `"int"`, `"size":12`, `"size":16`,
		`"default":7`, `"doc":""`, `"name":"f1"`, `"name":"a1"`, `"name":"f2"`, `"name":"f1","aliases":["f2"]`, `"name":"f3"`, `"name":"f9"`,
		`"symbols":["`, `"symbols":["NEW","`, `"name":"top.`, `"name":"other.`,
	}
	for range 2 + r.IntN(4) {
		k := 2 * r.IntN(len(changes)/2)
		if n := strings.Count(text, changes[k]); n > 0 {
			at := r.IntN(n)
			parts := strings.SplitN(text, changes[k], at+2)
			text = strings.Join(parts[:at+1], changes[k]) + changes[k+1] + parts[at+1]
		}
	}
	return text
}

// compatPairs is how many random pairs of schemas Java is asked about, each way.
const compatPairs = 3000

// Java's library decides as we do on each case and on random pairs.
func TestReadsAgreesWithJava(t *testing.T) {
	java := testkit.StartAvroOracle(t, "testdata/oracle/Oracle.java")
	var questions []testkit.AvroQuestion
	ask := func(reader, writer string) {
		questions = append(questions, testkit.AvroQuestion{Read: true, Schema: reader, Payload: []byte(writer)})
	}
	for _, c := range compatCases {
		ask(c.reader, c.writer)
	}
	g, r := newGenerator(7), rand.New(rand.NewPCG(7, 8))
	for range compatPairs {
		g.known = nil
		old := dressed.Replace(g.schema(3).text)
		next := evolved(r, old)
		ask(next, old)
		ask(old, next)
	}
	compatible, compared := 0, 0
	for i, verdict := range java.Ask(t, questions) {
		q := questions[i]
		if strings.Contains(verdict.Refused, "SchemaParseException") {
			continue // there is no such schema
		}
		compared++
		err := javaPair(t, q)
		if (err == nil) != (verdict.Refused == "") {
			t.Errorf("%s\nreads\n%s\nwe say %v, Java %q", q.Schema, q.Payload, err, verdict.Refused)
		}
		if err == nil {
			compatible++
		}
	}
	t.Logf("%d pairs, of which %d are compatible", compared, compatible)
	if compatible < compatPairs/2 || compared-compatible < compatPairs/4 {
		t.Errorf("of %d pairs %d are compatible: that tests too little", compared, compatible)
	}
}

func javaPair(t *testing.T, q testkit.AvroQuestion) error {
	t.Helper()
	reader, err := Compile(q.Schema, nil)
	if err != nil {
		return fmt.Errorf("reader: %w", err)
	}
	writer, err := Compile(string(q.Payload), nil)
	if err != nil {
		return fmt.Errorf("writer: %w", err)
	}
	return reader.Reads(writer)
}

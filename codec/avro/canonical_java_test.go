//go:build !race

package avro

import (
	"testing"

	"millrace/internal/testkit"
)

// Java writes each of the schemas, and random ones, as Canonical does.
func TestCanonicalAgreesWithJava(t *testing.T) {
	java := testkit.StartAvroOracle(t, "testdata/oracle/Oracle.java")
	var questions []testkit.AvroQuestion
	for _, c := range spellings {
		questions = append(questions, testkit.AvroQuestion{Print: true, Schema: c.text})
	}
	questions = append(questions, testkit.AvroQuestion{Print: true, Schema: testkit.CitationSchema})
	g := newGenerator(9)
	for range 2000 {
		g.known = nil
		questions = append(questions, testkit.AvroQuestion{Print: true, Schema: dressed.Replace(g.schema(3).text)})
	}
	refused := 0
	for i, v := range java.Ask(t, questions) {
		if v.Refused != "" {
			refused++
			continue
		}
		if got := Canonical(questions[i].Schema); got != string(v.Payload) {
			t.Errorf("%s\ngot  %s\nJava %s", questions[i].Schema, got, v.Payload)
		}
	}
	if refused > len(questions)/10 {
		t.Errorf("Java refuses %d of %d", refused, len(questions))
	}
}

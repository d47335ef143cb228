package testkit

import (
	"encoding/json"
	"fmt"
	"strconv"
	"testing"
)

// CitationSchema is an Avro schema of [ParkingCitations]: 19 fields, of which seven
// may be null, typed as somebody would who knows what they mean.
const CitationSchema = `{"type":"record","name":"Citation","namespace":"city.parking","fields":[
	{"name":"Ticket","type":"string"},
	{"name":"IssueData","type":"string"},
	{"name":"IssueTime","type":["null","int"],"default":null},
	{"name":"MeterId","type":["null","string"],"default":null},
	{"name":"MarkedTime","type":["null","int"],"default":null},
	{"name":"RPState","type":"string"},
	{"name":"PlateExpiry","type":["null","int"],"default":null},
	{"name":"VIN","type":["null","string"],"default":null},
	{"name":"Make","type":"string"},
	{"name":"BodyStyle","type":"string"},
	{"name":"Color","type":"string"},
	{"name":"Location","type":"string"},
	{"name":"Route","type":["null","string"],"default":null},
	{"name":"Agency","type":"int"},
	{"name":"ViolationCode","type":"string"},
	{"name":"ViolationDescr","type":"string"},
	{"name":"Fine","type":["null","double"],"default":null},
	{"name":"Latitude","type":"double"},
	{"name":"Longitude","type":"double"}]}`

// citationFields says in the order of the schema what becomes of each member:
// s(tring), i(nt), d(ouble), in upper case where an empty text is null.
var citationFields = []struct {
	name string
	kind byte
}{
	{"Ticket", 's'},
	{"IssueData", 's'},
	{"IssueTime", 'I'},
	{"MeterId", 'S'},
	{"MarkedTime", 'I'},
	{"RPState", 's'},
	{"PlateExpiry", 'I'},
	{"VIN", 'S'},
	{"Make", 's'},
	{"BodyStyle", 's'},
	{"Color", 's'},
	{"Location", 's'},
	{"Route", 'S'},
	{"Agency", 'i'},
	{"ViolationCode", 's'},
	{"ViolationDescr", 's'},
	{"Fine", 'D'},
	{"Latitude", 'd'},
	{"Longitude", 'd'},
}

// AvroCitations returns [ParkingCitations] as values of [CitationSchema], in
// Avro's JSON encoding when tagged, else with the unions untagged.
func AvroCitations(t testing.TB, tagged bool) [][]byte {
	t.Helper()
	out := ParkingCitations(t)
	for i, r := range out {
		var err error
		if out[i], err = AvroCitation(r, tagged); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// AvroCitation makes one value of [AvroCitations] out of a citation.
func AvroCitation(record []byte, tagged bool) ([]byte, error) {
	var members map[string]string
	if err := json.Unmarshal(record, &members); err != nil {
		return nil, fmt.Errorf("cannot read a citation: %w", err)
	}
	text := []byte{'{'}
	for k, f := range citationFields {
		if k > 0 {
			text = append(text, ',')
		}
		text = append(strconv.AppendQuote(text, f.name), ':')
		text = appendAvro(text, members[f.name], f.kind, tagged)
	}
	return append(text, '}'), nil
}

// appendAvro appends one value of a citation as what kind says.
func appendAvro(dst []byte, value string, kind byte, tagged bool) []byte {
	nullable := kind < 'a'
	if nullable && value == "" {
		return append(dst, "null"...)
	}
	kind |= 0x20
	if nullable && tagged {
		dst = append(dst, map[byte]string{'s': `{"string":`, 'i': `{"int":`, 'd': `{"double":`}[kind]...)
	}
	switch kind {
	case 's':
		quoted, err := json.Marshal(value)
		if err != nil {
			panic("BUG: a text is not JSON: " + err.Error())
		}
		dst = append(dst, quoted...)
	case 'i':
		n, err := strconv.Atoi(value)
		if err != nil {
			n = 0 // a clerk's slip
		}
		dst = strconv.AppendInt(dst, int64(n), 10)
	case 'd':
		f, err := strconv.ParseFloat(value, 64)
		if err != nil {
			f = 0
		}
		dst = strconv.AppendFloat(dst, f, 'f', -1, 64)
	}
	if nullable && tagged {
		dst = append(dst, '}')
	}
	return dst
}

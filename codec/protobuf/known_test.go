package protobuf

import (
	"fmt"
	"testing"

	"millrace/codec"
)

// imports are the files that Confluent's registry and serializers know without references
// (KNOWN_DEPENDENCIES of ProtobufSchema), with a type of each and a value of it.
var imports = []struct{ path, kind, json string }{
	{"confluent/meta.proto", "confluent.Meta", `{"doc":"d","rules":[{"name":"n","doc":"","expr":"e","sql":"s"}]}`},
	{"confluent/type/decimal.proto", "confluent.type.Decimal", `{"value":"AQ==","precision":2,"scale":1}`},
	{"confluent/type/variant.proto", "confluent.type.Variant", `{"metadata":"AQ==","value":"Ag=="}`},
	{"google/type/calendar_period.proto", "google.type.CalendarPeriod", `"FORTNIGHT"`},
	{"google/type/color.proto", "google.type.Color", `{"red":1,"green":0.5,"blue":0.25,"alpha":0.5}`},
	{"google/type/date.proto", "google.type.Date", `{"year":2026,"month":1,"day":2}`},
	{"google/type/datetime.proto", "google.type.DateTime", `{"year":2026,"utcOffset":"3600s"}`},
	{"google/type/dayofweek.proto", "google.type.DayOfWeek", `"MONDAY"`},
	{"google/type/decimal.proto", "google.type.Decimal", `{"value":"1.5"}`},
	{"google/type/expr.proto", "google.type.Expr", `{"expression":"a","title":"b","description":"c","location":"d"}`},
	{"google/type/fraction.proto", "google.type.Fraction", `{"numerator":"1","denominator":"2"}`},
	{"google/type/interval.proto", "google.type.Interval", `{"startTime":"2026-01-02T03:04:05Z"}`},
	{"google/type/latlng.proto", "google.type.LatLng", `{"latitude":1.5,"longitude":2.5}`},
	{"google/type/money.proto", "google.type.Money", `{"currencyCode":"EUR","units":"1","nanos":2}`},
	{"google/type/month.proto", "google.type.Month", `"MAY"`},
	{"google/type/phone_number.proto", "google.type.PhoneNumber", `{"shortCode":{"regionCode":"US","number":"611"},"extension":"1"}`},
	{"google/type/postal_address.proto", "google.type.PostalAddress", `{"revision":1,"addressLines":["a"],"recipients":["b"],"organization":"c"}`},
	{"google/type/quaternion.proto", "google.type.Quaternion", `{"x":1,"y":2,"z":3,"w":4}`},
	{"google/type/timeofday.proto", "google.type.TimeOfDay", `{"hours":1,"minutes":2}`},
	{"google/protobuf/any.proto", "google.protobuf.Any", `{"@type":"type.googleapis.com/google.protobuf.Duration","value":"1s"}`},
	{"google/protobuf/api.proto", "google.protobuf.Api", `{"name":"n"}`},
	{"google/protobuf/descriptor.proto", "google.protobuf.FileDescriptorSet", `{"file":[{"name":"n"}]}`},
	{"google/protobuf/duration.proto", "google.protobuf.Duration", `"1.500s"`},
	{"google/protobuf/empty.proto", "google.protobuf.Empty", `{}`},
	{"google/protobuf/field_mask.proto", "google.protobuf.FieldMask", `"a,b"`},
	{"google/protobuf/source_context.proto", "google.protobuf.SourceContext", `{"fileName":"f"}`},
	{"google/protobuf/struct.proto", "google.protobuf.Struct", `{"a":[1,null]}`},
	{"google/protobuf/timestamp.proto", "google.protobuf.Timestamp", `"2026-01-02T03:04:05Z"`},
	{"google/protobuf/type.proto", "google.protobuf.Type", `{"name":"n"}`},
	{"google/protobuf/wrappers.proto", "google.protobuf.Int64Value", `"5"`},
}

// Each of the files can be imported without a reference, and a value of its type is read as it was
// written, whatever fields the writer left out.
func TestImportsThatNeedNoReference(t *testing.T) {
	for _, i := range imports {
		more := ""
		if i.kind == "google.protobuf.Any" {
			more = `import "google/protobuf/duration.proto";`
		}
		s, err := Compile(fmt.Sprintf(`syntax = "proto3"; import %q; %s message M { %s f = 1; }`, i.path, more, i.kind), nil)
		if err != nil {
			t.Errorf("%s: %v", i.path, err)
			continue
		}
		stored, err := s.AppendEncoded(nil, []byte(`{"f":`+i.json+`}`), codec.Tagged, nil)
		if err != nil {
			t.Errorf("%s: %v", i.path, err)
			continue
		}
		read, err := s.AppendDecoded(nil, stored, codec.Tagged)
		if err != nil {
			t.Errorf("%s: %v", i.path, err)
			continue
		}
		again, err := s.AppendEncoded(nil, read, codec.Tagged, nil)
		if err != nil || string(again) != string(stored) {
			t.Errorf("%s: %s is written as %x, read as %s, and written as %x: %v", i.path, i.json, stored, read, again, err)
		}
	}
}

// The options of Confluent's file, its rules among them, may stand at what a schema declares.
func TestRulesInOptions(t *testing.T) {
	if _, err := Compile(`syntax = "proto3"; import "confluent/meta.proto";
		message M { option (confluent.message_meta).doc = "d";
			string s = 1 [(confluent.field_meta) = { tags: "PII" rules: [{ name: "short" expr: "size(s) < 9" }] }]; }`, nil); err != nil {
		t.Error(err)
	}
}

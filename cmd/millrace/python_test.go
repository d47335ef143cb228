package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/bufbuild/protocompile"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/types/descriptorpb"

	"millrace/internal/testkit"
)

const pythonDir = "testdata/clients/python"

// events is how many records of a topic each side writes.
const events = 12

// Confluent's client for Python, with its serializers for the three formats,
// reads what we wrote and writes what we read: beside the registry that is
// built in, and beside a real one.
func TestPythonClient(t *testing.T) {
	t.Parallel()
	python := testkit.Python(t, filepath.Join(pythonDir, "requirements.txt"))
	t.Run("dev", func(t *testing.T) {
		p, url, kafka := dev(t)
		registry := p.WaitLine(t, `Registry\s+(http://\S+)`, 20*time.Second)[1]
		c := pythonClient{python, kafka, registry, url, descriptorFile(t), true}
		pythonRoundTrip(t, c)
		pythonHeaders(t, c)
	})
	t.Run("real", func(t *testing.T) {
		b, registry := testkit.RealKafka(t), testkit.Registry(t)
		_, url := serve(t, b, atRegistry(t)...)
		pythonRoundTrip(t, pythonClient{python, strings.Join(b.Addrs, ","), registry, url, descriptorFile(t), false})
	})
}

// pythonClient is the program with what it talks to.
type pythonClient struct {
	python, kafka, registry, rest, descriptors string
	// readsText says that the registry makes descriptors of Protobuf texts, which
	// this client asks for as it cannot read texts: Confluent's does, and ours, and
	// Apicurio's does not. There it reads such records without the registry.
	readsText bool
}

// run does a step of the program and returns what it printed.
func (c pythonClient) run(t *testing.T, step, topic string, count int, formats ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), c.python, filepath.Join(pythonDir, "serializers.py"),
		step, c.kafka, c.registry, topic, fmt.Sprint(count), c.descriptors, strings.Join(formats, ","))
	var stderr bytes.Buffer
	cmd.Stderr, cmd.WaitDelay = &stderr, time.Second
	kill := time.AfterFunc(2*time.Minute, func() { _ = cmd.Process.Kill() })
	defer kill.Stop()
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("python, %s: %v\n%s", step, err, stderr.String())
	}
	return string(out)
}

// pythonRoundTrip has Python write events, reads them by us, writes the same
// by us behind them, and has Python read all of them. Of one topic we are the first
// to write, with a schema of ours.
func pythonRoundTrip(t *testing.T, c pythonClient) {
	topic := testkit.Topic(t)
	c.produce(t, topic+"-place", "place")
	formats := []string{"avro", "jsonschema", "protobuf", "nested", "place"}
	c.run(t, "write", topic, events, formats...)
	for _, format := range formats {
		count := events
		if format == "place" { // ours are in front
			count = 2 * events
		}
		records := c.consume(t, topic+"-"+format, format, count)
		for n, got := range records {
			if want := eventIn(format, n%events); !reflect.DeepEqual(got, want) {
				t.Errorf("%s, record %d:\ngot  %v\nwant %v", format, n, got, want)
			}
		}
		if format != "nested" && format != "place" { // we write the first message of a file only
			c.produce(t, topic+"-"+format, format)
		}
	}
	formats = []string{"avro", "jsonschema", "protobuf", "place/alone"} // nobody but Python writes nested ones
	if c.readsText {
		formats[3] = "place"
	}
	read := strings.Split(strings.TrimSpace(c.run(t, "read", topic, 2*events, formats...)), "\n")
	if len(read) != len(formats)*2*events {
		t.Fatalf("python read %d records", len(read))
	}
	for _, line := range read {
		var got struct {
			Topic  string
			Offset int
			Value  any
		}
		decodeNumbers(t, line, &got)
		want := plainEvent(got.Offset % events)
		if strings.HasSuffix(got.Topic, "-place") {
			want = eventIn("place", got.Offset%events)
		}
		if !reflect.DeepEqual(got.Value, want) {
			t.Errorf("python read from %s at %d\n%v\nwant %v", got.Topic, got.Offset, got.Value, want)
		}
	}
}

// pythonHeaders has Python write events whose schemas are named by a GUID in a header, which a
// registry must give (Confluent's does, and ours, and Apicurio's does not), reads them by us, and
// has Python read what we write behind them, with ids in front of the values.
func pythonHeaders(t *testing.T, c pythonClient) {
	topic := testkit.Topic(t)
	formats := []string{"avro", "jsonschema", "protobuf"}
	var ways []string
	for _, format := range formats {
		ways = append(ways, format+"/headers")
	}
	c.run(t, "write", topic, events, ways...)
	for _, format := range formats {
		name := topic + "-" + format + "-headers"
		first := testkit.ReadTopic(t, testkit.Broker{Addrs: []string{c.kafka}}, name, events)[0]
		if len(first.Headers) != 1 || first.Headers[0].Key != "__value_schema_id" || len(first.Headers[0].Value) < 17 {
			t.Fatalf("%s: python did not name the schema by a header: %v", format, first.Headers)
		}
		for n, got := range c.consume(t, name, format, events) {
			if want := eventIn(format, n); !reflect.DeepEqual(got, want) {
				t.Errorf("%s with headers, record %d:\ngot  %v\nwant %v", format, n, got, want)
			}
		}
		if format != "protobuf" { // whose id stands in no frame
			c.produce(t, name, format)
		}
	}
	read := strings.Split(strings.TrimSpace(c.run(t, "read", topic, 2*events, ways[:2]...)), "\n")
	if len(read) != 2*2*events {
		t.Fatalf("python read %d records", len(read))
	}
	for _, line := range read {
		var got struct {
			Offset int
			Value  any
		}
		decodeNumbers(t, line, &got)
		if want := plainEvent(got.Offset % events); !reflect.DeepEqual(got.Value, want) {
			t.Errorf("python read %v\nwant %v", got.Value, want)
		}
	}
}

// plainEvent is event(n) of the Python program.
func plainEvent(n int) any {
	note, state, codes := any(nil), "DRIVING", []int{0, 1, 2}[:n%4]
	if n%3 != 0 {
		note = fmt.Sprint("note ", n)
	}
	if n%2 == 1 {
		state = "PARKED"
	}
	return asNumbers(map[string]any{
		"vehicle": fmt.Sprint("Grüße-", n), "sequence": 9007199254740993 + n, "speed": float64(n) + 0.5, "moving": n%2 == 0,
		"note": note, "state": state, "codes": codes, "labels": map[string]string{"n": fmt.Sprint(n)},
		"place": map[string]float64{"lat": 52.5 + float64(n), "lon": -13.25},
	})
}

// eventIn is that event as the API has it in a format.
func eventIn(format string, n int) any {
	event := plainEvent(n).(map[string]any)
	switch note := event["note"]; format {
	case "avro":
		if note != nil {
			event["note"] = map[string]any{"string": note}
		}
	case "protobuf":
		event["sequence"] = event["sequence"].(json.Number).String()
		if note == nil {
			delete(event, "note")
		}
	case "nested":
		return asNumbers(map[string]any{"name": fmt.Sprint("car ", n), "place": event["place"]})
	case "place":
		return event["place"]
	}
	return event
}

func asNumbers(v any) (out any) {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.UseNumber()
	if err := dec.Decode(&out); err != nil {
		panic(err)
	}
	return out
}

func decodeNumbers(t *testing.T, text string, v any) {
	t.Helper()
	dec := json.NewDecoder(strings.NewReader(text))
	dec.UseNumber()
	if err := dec.Decode(v); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
}

// media is the media type of a format.
func media(format string) string {
	return "application/vnd.kafka." + formatName(format) + ".v2+json"
}

// formatName is what the API calls it: nested messages and places are Protobuf.
func formatName(format string) string {
	if format == "nested" || format == "place" {
		return "protobuf"
	}
	return format
}

// consume reads the values of a topic from its beginning.
func (c pythonClient) consume(t *testing.T, topic, format string, count int) (values []any) {
	t.Helper()
	group := c.rest + "/consumers/" + testkit.Group(t)
	instance := group + "/instances/i"
	name := formatName(format)
	c.call(t, "POST", group, "application/vnd.kafka.v2+json", `{"name":"i","format":"`+name+`"}`)
	c.call(t, "POST", instance+"/assignments", "application/vnd.kafka.v2+json", `{"partitions":[{"topic":"`+topic+`","partition":0}]}`)
	c.call(t, "POST", instance+"/positions/beginning", "application/vnd.kafka.v2+json", `{"partitions":[{"topic":"`+topic+`","partition":0}]}`)
	testkit.Eventually(t, 30*time.Second, "the records of "+topic, func() bool {
		var records []struct{ Value any }
		decodeNumbers(t, c.call(t, "GET", instance+"/records?timeout=500", media(format), ""), &records)
		for _, r := range records {
			values = append(values, r.Value)
		}
		return len(values) >= count
	})
	c.call(t, "DELETE", instance, "application/vnd.kafka.v2+json", "")
	return values
}

// produce writes the events again. Schemas come as text, as the first client of a
// topic sends it; but a text of Protobuf cannot import, so that such a schema is
// named by the id that Python has registered.
func (c pythonClient) produce(t *testing.T, topic, format string) {
	t.Helper()
	body := map[string]any{}
	switch format {
	case "avro", "jsonschema", "place":
		file := map[string]string{"avro": "event.avsc", "jsonschema": "event.schema.json", "place": "place.proto"}[format]
		text, err := os.ReadFile(filepath.Join(pythonDir, file))
		if err != nil {
			t.Fatal(err)
		}
		body["value_schema"] = string(text)
	case "protobuf":
		first := testkit.ReadTopic(t, testkit.Broker{Addrs: []string{c.kafka}}, topic, events)[0]
		body["value_schema_id"] = binary.BigEndian.Uint32(first.Value[1:])
	}
	var records []any
	for n := range events {
		records = append(records, map[string]any{"value": eventIn(format, n)})
	}
	body["records"] = records
	text, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	c.call(t, "POST", c.rest+"/topics/"+topic, media(format), string(text))
}

func (c pythonClient) call(t *testing.T, method, url, media, body string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", media)
	} else if method == "GET" {
		req.Header.Set("Accept", media)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode >= 300 {
		t.Fatalf("%s %s: %d %s %v", method, url, resp.StatusCode, text, err)
	}
	return string(text)
}

// descriptorFile compiles event.proto for Python.
func descriptorFile(t *testing.T) string {
	t.Helper()
	c := protocompile.Compiler{Resolver: &protocompile.SourceResolver{ImportPaths: []string{pythonDir}}}
	files, err := c.Compile(t.Context(), "place.proto", "event.proto")
	if err != nil {
		t.Fatal(err)
	}
	var set descriptorpb.FileDescriptorSet
	for _, f := range files {
		set.File = append(set.File, protodesc.ToFileDescriptorProto(f))
	}
	raw, err := proto.Marshal(&set)
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "events.bin")
	if err := os.WriteFile(name, raw, 0o644); err != nil {
		t.Fatal(err)
	}
	return name
}

package testkit

import (
	"bufio"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// AvroVersion is the version of Java's Avro that [StartAvroOracle] asks; 1.12.0
// would read arrays of double as if they were of float.
const AvroVersion = "1.12.1"

const avroPOM = `<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>millrace</groupId><artifactId>avro-oracle</artifactId><version>1</version><packaging>pom</packaging>
  <dependencies>
    <dependency><groupId>org.apache.avro</groupId><artifactId>avro</artifactId><version>` + AvroVersion + `</version></dependency>
    <dependency><groupId>org.slf4j</groupId><artifactId>slf4j-simple</artifactId><version>2.0.16</version></dependency>
  </dependencies>
</project>
`

// AvroOracle is Java's own Avro in a child process. It is for one goroutine.
type AvroOracle struct {
	in  *bufio.Writer
	out *bufio.Reader
}

// StartAvroOracle runs source, a Java program that answers lines, with Avro on
// its class path, until t ends. Without Java the test is skipped, in CI it fails.
func StartAvroOracle(t testing.TB, source string) *AvroOracle {
	t.Helper()
	if testing.Short() {
		t.Skip("needs Java, which -short leaves out")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute) // may download
	defer cancel()
	java, err := findJava(ctx)
	var jars string
	if err == nil {
		jars, err = avroJars(ctx)
	}
	if errors.Is(err, ErrNoJava) {
		Missing(t, err.Error())
	}
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(java, "-Xmx512m", "-Dorg.slf4j.simpleLogger.defaultLogLevel=error", "-cp", filepath.Join(jars, "*"), source)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("Java's Avro: %v", err)
		}
	})
	return &AvroOracle{in: bufio.NewWriterSize(in, 1<<16), out: bufio.NewReaderSize(out, 1<<16)}
}

func avroJars(ctx context.Context) (string, error) {
	return install(ctx, "avro-"+AvroVersion, func(ctx context.Context, mvn, work, dir string) error {
		file := filepath.Join(work, "pom.xml")
		if err := os.WriteFile(file, []byte(avroPOM), 0o644); err != nil {
			return fmt.Errorf("cannot write the download's pom.xml: %w", err)
		}
		return run(ctx, mvn, "--batch-mode", "--quiet", "--file", file,
			"dependency:copy-dependencies", "-DincludeScope=runtime", "-DoutputDirectory="+dir)
	})
}

// AvroQuestion is one thing to encode, JSON text to binary, or to decode; or with
// Read whether Schema reads what was written with another schema, the payload; or
// with Print how Java writes Schema.
type AvroQuestion struct {
	Decode  bool
	Read    bool
	Print   bool
	Schema  string
	Payload []byte
}

// AvroVerdict is what Java makes of it: the other form, or why it refuses.
type AvroVerdict struct {
	Payload []byte
	Refused string
}

// Ask asks all questions and returns the verdicts in their order.
func (o *AvroOracle) Ask(t testing.TB, questions []AvroQuestion) []AvroVerdict {
	t.Helper()
	written := make(chan error, 1)
	go func() {
		for _, q := range questions {
			op := "encode"
			switch {
			case q.Decode:
				op = "decode"
			case q.Read:
				op = "read"
			case q.Print:
				op = "print"
			}
			encode := base64.StdEncoding.EncodeToString
			if _, err := io.WriteString(o.in, op+"\t"+encode([]byte(q.Schema))+"\t"+encode(q.Payload)+"\n"); err != nil {
				written <- err
				return
			}
		}
		written <- o.in.Flush()
	}()
	verdicts := make([]AvroVerdict, len(questions))
	for i := range verdicts {
		line, err := o.out.ReadString('\n')
		if err != nil {
			t.Fatalf("Java's Avro has gone after %d answers: %v", i, err)
		}
		word, text, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		payload, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			t.Fatalf("Java's Avro answers %q", line)
		}
		if word == "ok" {
			verdicts[i].Payload = payload
		} else {
			verdicts[i].Refused = string(payload)
		}
	}
	if err := <-written; err != nil {
		t.Fatal(err)
	}
	return verdicts
}

package javaconf

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/magiconair/properties"

	"millrace/internal/testkit"
)

// javaCases are texts and the properties that java.util.Properties reads from them; the test
// below compares with Java itself where it is installed.
var javaCases = []struct{ text, want string }{
	{"a=b", "a=b"},
	{"a = b  ", "a=b  "},
	{"a:b", "a=b"},
	{"a b", "a=b"},
	{"a", "a="},
	{"a=", "a="},
	{" \t\fa\t:\f b c", "a=b c"},
	{"a==b", "a==b"},
	{"a:=b", "a==b"},
	{"a = :b", "a=:b"},
	{"# c\n! d\n  # e\na=b", "a=b"},
	{"a=b # c", "a=b # c"},
	{"# c \\\na=b", "a=b"},
	{"a=b\\\n   c", "a=bc"},
	{"a=b\\\n\nc=d", "a=b|c=d"},
	{"a=b\\\n   # c", "a=b# c"},
	{"\\\n\na=b", "a=b"},
	{"a=b\\\\\nc=d", "a=b\\|c=d"},
	{"a=b\\\\\\\nc=d", "a=b\\c=d"},
	{"a=b\\", "a=b"},
	{"a\\=b=c", "a=b=c"},
	{"a\\ b=c", "a b=c"},
	{"a\\:b\\=c:d", "a:b=c=d"},
	{"a=\\tb\\q\\\\", "a=\tbq\\"},
	{"a=\\u0041\\u00e4", "a=Aä"},
	{"a=\\ud83d\\ude00", "a=😀"},
	{"a=1\na=2", "a=1|a=2"},
	{"a=1\r\nb=2\rc=3", "a=1|b=2|c=3"},
	{"a=b\\\r\n  c", "a=bc"},
	{"=b", "=b"},
	{"", ""},
	{"\n \n\t", ""},
}

func TestPropertiesCases(t *testing.T) {
	for _, c := range javaCases {
		got, faults := ParseProperties([]byte(c.text))
		var joined []string
		for _, p := range got {
			joined = append(joined, p.Key+"="+p.Value)
		}
		if s := strings.Join(joined, "|"); s != c.want || len(faults) > 0 {
			t.Errorf("%q: got %q and faults %v, want %q", c.text, s, faults, c.want)
		}
	}
}

func TestPropertiesLines(t *testing.T) {
	got, faults := ParseProperties([]byte("# one\n\na=b\\\n c\nbad=\\u12\nd=e\nbad\\uxyz1=2\n"))
	if want := []Property{{"a", "bc", 3}, {"d", "e", 6}}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if len(faults) != 2 || faults[0].Line != 5 || faults[1].Line != 7 {
		t.Errorf("got faults %v, want lines 5 and 7", faults)
	}
}

func TestPropertiesEncoding(t *testing.T) {
	for name, data := range map[string][]byte{
		"UTF-8":          []byte("a=grün"),
		"UTF-8 with BOM": []byte("\uFEFFa=grün"),
		"ISO-8859-1":     {'a', '=', 'g', 'r', 0xFC, 'n'},
	} {
		if got, _ := ParseProperties(data); len(got) != 1 || got[0].Key != "a" || got[0].Value != "grün" {
			t.Errorf("%s: got %+v", name, got)
		}
	}
}

const javaReader = `
import java.io.*; import java.util.*; import java.nio.charset.StandardCharsets;
public class Read { public static void main(String[] files) throws Exception {
  PrintStream out = new PrintStream(System.out, true, "UTF-8");
  for (String f : files) {
    Properties p = new Properties();
    try (Reader r = new InputStreamReader(new FileInputStream(f), StandardCharsets.UTF_8)) { p.load(r); }
    StringBuilder s = new StringBuilder();
    for (String k : new TreeSet<>(p.stringPropertyNames())) s.append(k).append('=').append(p.getProperty(k)).append('|');
    out.println(s.toString().replace("\\", "\\\\").replace("\t", "\\t"));
  } } }`

// TestPropertiesAgainstJava checks the cases against Java.
func TestPropertiesAgainstJava(t *testing.T) {
	testkit.Long(t)
	java := tool(t, "java")
	dir := t.TempDir()
	source := writeFile(t, dir, "Read.java", javaReader)
	args := []string{source}
	for i, c := range javaCases {
		args = append(args, writeFile(t, dir, fmt.Sprintf("%d.properties", i), c.text))
	}
	out, err := exec.Command(java, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("cannot run java: %v\n%s", err, out)
	}
	answers := strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
	if len(answers) != len(javaCases) {
		t.Fatalf("Java gave %d answers for %d files", len(answers), len(javaCases))
	}
	for i, c := range javaCases {
		last := map[string]string{}
		ours, _ := ParseProperties([]byte(c.text))
		for _, p := range ours {
			last[p.Key] = p.Value
		}
		var joined strings.Builder
		for _, key := range slices.Sorted(maps.Keys(last)) {
			joined.WriteString(key + "=" + last[key] + "|")
		}
		got := strings.NewReplacer(`\`, `\\`, "\t", `\t`).Replace(joined.String())
		if got != answers[i] {
			t.Errorf("%q: we read %q, Java %q", c.text, got, answers[i])
		}
	}
}

// FuzzProperties looks for panics, for lines out of order, and for
// disagreement with another reader of the format, on the texts where that one
// is known to follow Java.
func FuzzProperties(f *testing.F) {
	for _, c := range javaCases {
		f.Add([]byte(c.text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		before := bytes.Clone(data)
		got, faults := ParseProperties(data)
		if !bytes.Equal(before, data) {
			t.Fatal("the input was changed")
		}
		line := 0
		last := map[string]string{}
		for _, p := range got {
			if p.Line <= line {
				t.Fatalf("line %d follows line %d", p.Line, line)
			}
			line = p.Line
			last[p.Key] = p.Value
		}
		if len(faults) > 0 || !oracleFollowsJava(data) {
			return
		}
		loader := properties.Loader{Encoding: properties.UTF8, DisableExpansion: true}
		other, err := loader.LoadBytes(data)
		if err != nil {
			return
		}
		if theirs := other.Map(); !maps.Equal(last, theirs) {
			t.Fatalf("%q: we read %q, the other reader %q", data, last, theirs)
		}
	})
}

// differsFromJava matches the texts that the other reader is known to read differently: carriage
// returns, escaped surrogates, and a byte order mark.
var differsFromJava = regexp.MustCompile(`\r|\\u[dD][89a-fA-F]|^\x{FEFF}`)

// plainKey begins a line whose continuation the other reader reads correctly: the separator
// stands on the first line, and text after it.
var plainKey = regexp.MustCompile(`^[ \t\f]*[^\\ \t\f=:#!]+=[^\\ \t\f]`)

// oracleFollowsJava excludes the texts that the other reader is known to read differently from
// Java.
func oracleFollowsJava(data []byte) bool {
	if !utf8.Valid(data) || differsFromJava.Match(data) {
		return false
	}
	continued := false
	for _, line := range strings.Split(string(data), "\n") {
		trimmed := strings.TrimLeft(line, blanks)
		comment := !continued && trimmed != "" && (trimmed[0] == '#' || trimmed[0] == '!')
		if !continued && !comment && continues(line) && !plainKey.MatchString(line) {
			return false
		}
		if !continued && trimmed != "" && (trimmed[0] == '=' || trimmed[0] == ':') {
			return false // an empty key, which the other reader does not have
		}
		continued = !comment && continues(line)
	}
	return true
}

// tool returns a program of a Java 17 runtime, or openssl. Without it the test is left out.
func tool(t *testing.T, name string) string {
	t.Helper()
	testkit.Needs(t, name)
	return name
}

func writeFile(t *testing.T, dir, name, content string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

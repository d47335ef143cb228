package javaconf

import (
	"maps"
	"strings"
	"testing"
)

func TestParseJAAS(t *testing.T) {
	const module = "org.apache.kafka.common.security.plain.PlainLoginModule"
	for text, want := range map[string]map[string]string{
		module + ` required username="u" password="p";`:                            {"username": "u", "password": "p"},
		module + ` required username='u' password='p"q';`:                          {"username": "u", "password": `p"q`},
		module + ` required username=alice password=s-e_c$1;`:                      {"username": "alice", "password": "s-e_c$1"},
		module + " REQUIRED\n\tusername = \"u\" /* c; */ password=\"p\" // d\n ; ": {"username": "u", "password": "p"},
		module + ` required password="a\"b\\c\nd\101\0";`:                          {"password": "a\"b\\c\ndA\x00"},
		module + ` required password="a;b=c // d";`:                                {"password": "a;b=c // d"},
		module + ` required password="grün";`:                                      {"password": "grün"},
		module + ` required;`:                                                      {},
	} {
		got, err := ParseJAAS(text)
		if err != nil || got.Module != module || !maps.Equal(got.Options, want) {
			t.Errorf("%s: got %q %q, %v, want %q", text, got.Module, got.Options, err, want)
		}
	}
}

func TestParseJAASFaults(t *testing.T) {
	for text, want := range map[string]string{
		``:                                           "does not begin with",
		`M`:                                          "does not begin with",
		`M maybe username="u";`:                      "no control flag",
		`M required username="hunter2"`:              "does not end with ';'",
		`M required username "hunter2";`:             "no '='",
		`M required ="hunter2";`:                     "no name before '='",
		`M required username=;`:                      "no value after '='",
		`M required password="hunter2;`:              "a string without an end, from character 21 on",
		"M required password=\"hun\nter2\";":         "a string without an end",
		`M required password={hunter2};`:             "unexpected character at character 21",
		`M required a="b"; N required p="hunter2";`:  "goes on after its ';'",
		`M required password="hunter2"; trailing`:    "goes on after its ';'",
		`M required password="hunter2" username="a\`: "a string without an end",
	} {
		_, err := ParseJAAS(text)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: got %v, want %q and no secret", text, err, want)
		}
	}
}

package javaconf

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// Property is one entry of a properties file. Line is the line where it begins,
// counted from 1.
type Property struct {
	Key, Value string
	Line       int
}

// LineFault is a line that does not have the form of the file.
type LineFault struct {
	Line    int
	Problem string
}

// ParseProperties reads the format of java.util.Properties.load: comments begin with # or !, a
// key ends at =, : or a blank, a backslash at a line's end continues it, and \t \n \r \f \uXXXX
// are escapes. A key may occur more than once; all occurrences are returned, in order. A line
// with a fault is skipped and reported; the others are still read.
//
// Java reads ISO-8859-1, people write UTF-8: a file that is valid UTF-8 is taken as that, any
// other as ISO-8859-1.
func ParseProperties(data []byte) ([]Property, []LineFault) {
	var (
		properties []Property
		faults     []LineFault
	)
	lines := naturalLines(decodeText(data))
	for i := 0; i < len(lines); i++ {
		first := i
		text := strings.TrimLeft(lines[i], blanks)
		if text == "" || text[0] == '#' || text[0] == '!' {
			continue
		}
		for continues(text) {
			text = text[:len(text)-1]
			if i+1 == len(lines) {
				break
			}
			i++
			text += strings.TrimLeft(lines[i], blanks)
		}
		if text == "" {
			continue
		}
		rawKey, rawValue := splitProperty(text)
		key, keyErr := unescape(rawKey)
		value, valueErr := unescape(rawValue)
		if keyErr != nil || valueErr != nil {
			faults = append(faults, LineFault{first + 1, `a \u escape needs four hexadecimal digits`})
			continue
		}
		properties = append(properties, Property{key, value, first + 1})
	}
	return properties, faults
}

// blanks are what Java's reader skips around keys and at a line's start.
const blanks = " \t\f"

func decodeText(data []byte) string {
	if utf8.Valid(data) {
		return strings.TrimPrefix(string(data), "\uFEFF")
	}
	var text strings.Builder
	text.Grow(2 * len(data))
	for _, b := range data {
		text.WriteRune(rune(b)) // ISO-8859-1 is the first 256 code points
	}
	return text.String()
}

func naturalLines(text string) []string {
	text = strings.ReplaceAll(text, "\r\n", "\n")
	text = strings.ReplaceAll(text, "\r", "\n")
	return strings.Split(text, "\n")
}

// continues reports whether a line ends in an odd number of backslashes.
func continues(line string) bool {
	n := len(line) - len(strings.TrimRight(line, `\`))
	return n%2 == 1
}

// splitProperty cuts a logical line at the first separator that is not escaped.
func splitProperty(line string) (key, value string) {
	end := len(line)
	for i := 0; i < len(line); i++ {
		if line[i] == '\\' {
			i++ // the escaped character is no separator
			continue
		}
		if strings.IndexByte("=:"+blanks, line[i]) >= 0 {
			end = i
			break
		}
	}
	value = strings.TrimLeft(line[end:], blanks)
	if value != "" && (value[0] == '=' || value[0] == ':') {
		value = strings.TrimLeft(value[1:], blanks)
	}
	return line[:end], value
}

// unescape resolves the escapes of a key or value. The work is done in UTF-16,
// as a character beyond U+FFFF is written as two \u escapes.
func unescape(text string) (string, error) {
	if strings.IndexByte(text, '\\') < 0 {
		return text, nil
	}
	units := make([]uint16, 0, len(text))
	for i := 0; i < len(text); {
		if text[i] != '\\' {
			r, size := utf8.DecodeRuneInString(text[i:])
			units = utf16.AppendRune(units, r)
			i += size
			continue
		}
		i++
		if i == len(text) {
			break // a lone backslash at the end of the file has no meaning
		}
		if text[i] == 'u' {
			if i+5 > len(text) {
				return "", fmt.Errorf("short escape")
			}
			unit, err := strconv.ParseUint(text[i+1:i+5], 16, 16)
			if err != nil {
				return "", fmt.Errorf("cannot read escape: %w", err)
			}
			units = append(units, uint16(unit))
			i += 5
			continue
		}
		r, size := utf8.DecodeRuneInString(text[i:])
		if escaped, ok := controls[r]; ok {
			r = escaped
		}
		units = utf16.AppendRune(units, r)
		i += size
	}
	return string(utf16.Decode(units)), nil
}

var controls = map[rune]rune{'t': '\t', 'n': '\n', 'r': '\r', 'f': '\f'}

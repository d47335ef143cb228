package apierr

import (
	"fmt"
	"strconv"
	"unicode/utf8"
)

const (
	// maxQuoted bounds what an error quotes of one value, in bytes. Clients choose
	// the values, and errors go into answers and log lines.
	maxQuoted = 300
	// maxDetail bounds a whole sentence, and maxLogged what the log has of an error.
	maxDetail, maxLogged = 8 << 10, 16 << 10
)

// detail formats a sentence with its values cut to maxQuoted.
func detail(format string, args []any) string {
	for n, arg := range args {
		switch v := arg.(type) {
		case string:
			if len(v) > maxQuoted {
				args[n] = cut(v, maxQuoted)
			}
		case []byte:
			if len(v) > maxQuoted {
				args[n] = cut(string(v[:maxQuoted+1]), maxQuoted)
			}
		}
	}
	return cut(fmt.Sprintf(format, args...), maxDetail)
}

// Quote returns a name that a client chose in quotes, cut to what errors quote.
func Quote(name []byte) string {
	return strconv.Quote(cut(string(name[:min(len(name), maxQuoted+1)]), maxQuoted))
}

// cut returns at most max bytes of the text, and a mark if that is not all.
func cut(text string, max int) string {
	if len(text) <= max {
		return text
	}
	for max > 0 && !utf8.RuneStart(text[max]) {
		max--
	}
	return text[:max] + "…"
}

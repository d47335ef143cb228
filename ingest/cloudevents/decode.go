package cloudevents

import "unicode/utf8"

// appendDecoded appends the text of an HTTP header as the binding has it: perhaps quoted, then
// percent-encoded (§3.1.3.2). ok is false if it is malformed.
func appendDecoded(dst, value []byte) (out []byte, ok bool) {
	n := len(dst)
	quoted := len(value) >= 2 && value[0] == '"' && value[len(value)-1] == '"'
	if quoted {
		value = value[1 : len(value)-1]
	}
	for i := 0; i < len(value); i++ {
		c := value[i]
		switch {
		case c == '\\' && quoted && i+1 < len(value):
			i++
			c = value[i]
		case c == '%':
			if i+2 >= len(value) {
				return dst, false
			}
			high, low := unhex(value[i+1]), unhex(value[i+2])
			if high > 15 || low > 15 {
				return dst, false
			}
			c = high<<4 | low
			i += 2
		}
		dst = append(dst, c)
	}
	return dst, utf8.Valid(dst[n:])
}

// unhex returns the value of a hexadecimal digit; of another byte it is more than 15.
func unhex(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10
	}
	return 255
}

package server

import "strings"

// HeldTag returns the ETag in an If-None-Match header that matches tag, in any encoding, or ""
// (RFC 9110 §13.1.2).
func HeldTag(header []byte, tag string) string {
	if len(header) == 0 {
		return ""
	}
	if string(header) == tag {
		return tag
	}
	for one := range strings.SplitSeq(string(header), ",") {
		one = strings.TrimPrefix(strings.TrimSpace(one), "W/")
		if one == "*" {
			return tag
		}
		if PlainTag(one) != tag[1:len(tag)-1] {
			continue
		}
		for _, encoding := range encodings {
			if one == encodedTag([]byte(tag), encoding) {
				return one
			}
		}
		return tag
	}
	return ""
}

// PlainTag removes from an ETag the parts that [encodedTag] and caches may have added, and its
// quotes.
func PlainTag(tag string) string {
	tag = strings.Trim(strings.TrimPrefix(strings.TrimSpace(tag), "W/"), `"`)
	tag, _, _ = strings.Cut(tag, "-")
	return tag
}

// encodedTag returns the ETag of a response in another encoding, whose bytes differ.
func encodedTag(tag []byte, encoding string) string {
	return string(tag[:len(tag)-1]) + "-" + encoding + `"`
}

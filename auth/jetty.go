package auth

import (
	"crypto/md5" //nolint:gosec // Jetty's format
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// The prefixes of credentials in the files of Jetty's PropertyFileLoginModule, which the
// Confluent proxy reads.
const (
	obfuscatedPrefix = "OBF:"
	md5Prefix        = "MD5:"
	cryptPrefix      = "CRYPT:"
)

// reveal returns the password that Jetty has obfuscated: each character by four digits to base
// 36, those beyond ASCII by five of which the first is U. It hides a password from a glance, and
// from nobody else.
func reveal(text string) (string, error) {
	bad := fmt.Errorf("%s is followed by a text that Jetty does not write", obfuscatedPrefix)
	var out []byte
	for len(text) > 0 {
		wide := text[0] == 'U'
		if wide {
			text = text[1:]
		}
		if len(text) < 4 {
			return "", bad
		}
		n, err := strconv.ParseUint(text[:4], 36, 32)
		if err != nil {
			return "", bad
		}
		text = text[4:]
		if wide {
			out = append(out, byte(n>>8))
			continue
		}
		out = append(out, byte((int(n/256)+int(n%256)-254)/2))
	}
	return string(out), nil
}

// md5Hash is a password's MD5 as Jetty computes it: of its ISO-8859-1 bytes.
type md5Hash [md5.Size]byte

func parseMD5(text string) (h md5Hash, err error) {
	raw, err := hex.DecodeString(strings.ToLower(text))
	if err != nil || len(raw) != len(h) {
		return h, errors.New("it has not the 32 hexadecimal digits of an MD5")
	}
	copy(h[:], raw)
	return h, nil
}

func (h md5Hash) matches(password string) bool {
	latin := make([]byte, 0, len(password))
	for _, r := range password {
		if r > 0xff {
			return false
		}
		latin = append(latin, byte(r))
	}
	sum := md5.Sum(latin)
	return sameBytes(sum[:], h[:])
}

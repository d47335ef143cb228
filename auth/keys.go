package auth

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"regexp"
	"time"

	"go.yaml.in/yaml/v3"
)

// keyPrefix is how every API key begins. It tells a key from a token behind Bearer, and lets
// scanners of repositories find keys that were committed.
const keyPrefix = "mrk_"

// keyBytes is how many random bytes a key has. With so many, one SHA-256 is a safe way to keep
// it: there is nothing to guess, so a slow hash would protect nothing.
const keyBytes = 32

// keyEntry is one key of a file of keys, as it is written.
type keyEntry struct {
	ID      string    `yaml:"id"`
	SHA256  string    `yaml:"sha256"`
	Roles   []string  `yaml:"roles,flow,omitempty"`
	Expires time.Time `yaml:"expires,omitempty"`
}

// key is an API key that is known.
type key struct {
	identity *Identity
	expires  time.Time // zero: never
}

var keyID = regexp.MustCompile(`^[A-Za-z0-9._-]{1,100}$`)

// parseKeys reads a file of keys, a list in YAML.
func parseKeys(data []byte) ([]keyEntry, error) {
	d := yaml.NewDecoder(bytes.NewReader(data))
	d.KnownFields(true)
	var entries []keyEntry
	if err := d.Decode(&entries); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if err := onlyDocument(d); err != nil {
		return nil, err
	}
	seen := map[string]bool{}
	for n, e := range entries {
		raw, err := hex.DecodeString(e.SHA256)
		switch {
		case !keyID.MatchString(e.ID):
			return nil, fmt.Errorf("key %d: the id is not 1 to 100 of A-Z a-z 0-9 . _ -", n+1)
		case err != nil || len(raw) != sha256.Size:
			return nil, fmt.Errorf("key %d: sha256 has not the 64 hexadecimal digits that `millrace key new` prints", n+1)
		case seen[string(raw)]: // whatever the case of the digits
			return nil, fmt.Errorf("key %d: the same sha256 occurs twice", n+1)
		}
		seen[string(raw)] = true
	}
	return entries, nil
}

// NewKey makes an API key. entry is what a file of keys has of it; the key itself is not kept.
func NewKey(id string, roles []string, expires time.Time) (secret, entry string, err error) {
	if !keyID.MatchString(id) {
		return "", "", errors.New("the id of a key is 1 to 100 of A-Z a-z 0-9 . _ -")
	}
	var random [keyBytes]byte
	_, _ = rand.Read(random[:]) // it never fails
	secret = keyPrefix + base64.RawURLEncoding.EncodeToString(random[:])
	sum := sha256.Sum256([]byte(secret))
	text, err := yaml.Marshal([]keyEntry{{ID: id, SHA256: hex.EncodeToString(sum[:]), Roles: roles, Expires: expires}})
	if err != nil {
		return "", "", fmt.Errorf("cannot write the entry of the key: %w", err)
	}
	return secret, string(text), nil
}

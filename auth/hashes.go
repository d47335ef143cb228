package auth

import (
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/bcrypt"
)

// secret is the form in which a password is in the file. matches may take tens of milliseconds.
type secret interface {
	matches(password string) bool
}

// The bounds of a hash's cost: a file that asks for more would make each login a denial of
// service.
const (
	maxBcryptCost   = 15
	maxArgonMemory  = 256 << 10 // KiB
	maxArgonTime    = 10
	maxArgonThreads = 16
)

var errEmpty = errors.New("the password is empty")

// parseSecret reads a credential. weak says that the file shows the password, or lets it be
// found by trying.
func parseSecret(text string) (s secret, weak bool, err error) {
	switch {
	case strings.HasPrefix(text, "$argon2id$"):
		s, err = parseArgon(text)
		return s, false, err
	case strings.HasPrefix(text, "$2"):
		cost, err := bcrypt.Cost([]byte(text))
		if err == nil && cost > maxBcryptCost {
			err = fmt.Errorf("the cost %d is over %d", cost, maxBcryptCost)
		}
		return bcryptHash(text), false, err
	case strings.HasPrefix(text, obfuscatedPrefix):
		if text, err = reveal(text[len(obfuscatedPrefix):]); err == nil && text == "" {
			err = errEmpty
		}
		return plainText(text), true, err
	case strings.HasPrefix(text, md5Prefix):
		s, err = parseMD5(text[len(md5Prefix):])
		return s, true, err
	case strings.HasPrefix(text, cryptPrefix):
		return nil, true, errors.New("CRYPT looks at eight characters of a password and is not supported; allowed: bcrypt ($2y$…), as `htpasswd -nB NAME` writes it")
	case text == "":
		return nil, true, errEmpty
	}
	return plainText(text), true, nil
}

type plainText string

func (p plainText) matches(password string) bool { return sameBytes([]byte(p), []byte(password)) }

type bcryptHash string

func (h bcryptHash) matches(password string) bool {
	return bcrypt.CompareHashAndPassword([]byte(h), []byte(password)) == nil
}

// argonHash is an argon2id hash in the form of the reference implementation
// ($argon2id$v=19$m=…,t=…,p=…$SALT$HASH).
type argonHash struct {
	memory, time uint32
	threads      uint8
	salt, sum    []byte
}

func parseArgon(text string) (*argonHash, error) {
	parts := strings.Split(text, "$")
	h := &argonHash{}
	if len(parts) != 6 || parts[2] != "v=19" {
		return nil, errors.New("it is no argon2id hash of version 19")
	}
	if n, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &h.memory, &h.time, &h.threads); n != 3 || err != nil {
		return nil, errors.New("its parameters are not m=…,t=…,p=…")
	}
	if h.memory > maxArgonMemory || h.time > maxArgonTime || h.threads > maxArgonThreads || h.time < 1 || h.threads < 1 {
		return nil, fmt.Errorf("its parameters are out of range; allowed: m to %d, t from 1 to %d, p from 1 to %d", maxArgonMemory, maxArgonTime, maxArgonThreads)
	}
	var err, err2 error
	h.salt, err = base64.RawStdEncoding.DecodeString(parts[4])
	h.sum, err2 = base64.RawStdEncoding.DecodeString(parts[5])
	if err != nil || err2 != nil || len(h.sum) < 16 {
		return nil, errors.New("its salt or hash is not base64, or too short")
	}
	return h, nil
}

func (h *argonHash) matches(password string) bool {
	sum := argon2.IDKey([]byte(password), h.salt, h.time, h.memory, h.threads, uint32(len(h.sum)))
	return sameBytes(sum, h.sum)
}

// sameBytes compares in a time that does not tell where two secrets differ.
func sameBytes(a, b []byte) bool { return subtle.ConstantTimeCompare(a, b) == 1 }

// HashPassword returns the bcrypt hash of a password, for a file of passwords.
func HashPassword(password string) (string, error) {
	h, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.DefaultCost)
	if err != nil {
		return "", fmt.Errorf("cannot hash the password: %w", err)
	}
	return string(h), nil
}

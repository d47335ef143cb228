package javaconf

import (
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/des"
	"crypto/pbkdf2"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"hash"
)

// These types are the parts of an encrypted private key (RFC 5958) under PBES2 (RFC 8018), the
// form that openssl and Java write; the standard library reads only plain keys.
type (
	encryptedKey struct {
		Algorithm pkix.AlgorithmIdentifier
		Data      []byte
	}
	pbes2Parameters struct {
		KeyDerivation pkix.AlgorithmIdentifier
		Encryption    pkix.AlgorithmIdentifier
	}
	pbkdf2Parameters struct {
		Salt       []byte
		Iterations int
		KeyLength  int                      `asn1:"optional"`
		PRF        pkix.AlgorithmIdentifier `asn1:"optional"`
	}
)

const (
	oidPBES2  = "1.2.840.113549.1.5.13"
	oidPBKDF2 = "1.2.840.113549.1.5.12"
)

// maxIterations bounds the work that a key file can demand; tools write up to a million.
const maxIterations = 10_000_000

var derivationHashes = map[string]func() hash.Hash{
	"":                    sha1.New, // the default of the standard
	"1.2.840.113549.2.7":  sha1.New,
	"1.2.840.113549.2.9":  sha256.New,
	"1.2.840.113549.2.10": sha512.New384,
	"1.2.840.113549.2.11": sha512.New,
}

var keyCiphers = map[string]struct {
	keyLength int
	make      func(key []byte) (cipher.Block, error)
}{
	"2.16.840.1.101.3.4.1.2":  {16, aes.NewCipher},
	"2.16.840.1.101.3.4.1.22": {24, aes.NewCipher},
	"2.16.840.1.101.3.4.1.42": {32, aes.NewCipher},
	"1.2.840.113549.3.7":      {24, des.NewTripleDESCipher},
}

// decryptPKCS8 reads an encrypted private key.
func decryptPKCS8(der []byte, password string) (crypto.PrivateKey, error) {
	if password == "" {
		return nil, ErrNoKeyPassword
	}
	var outer encryptedKey
	if _, err := asn1.Unmarshal(der, &outer); err != nil {
		return nil, fmt.Errorf("cannot parse encrypted key: %w", err)
	}
	if outer.Algorithm.Algorithm.String() != oidPBES2 {
		return nil, fmt.Errorf("its encryption %s is not supported; PBES2 is", outer.Algorithm.Algorithm)
	}
	var scheme pbes2Parameters
	if _, err := asn1.Unmarshal(outer.Algorithm.Parameters.FullBytes, &scheme); err != nil {
		return nil, fmt.Errorf("cannot parse encryption scheme: %w", err)
	}
	suite, ok := keyCiphers[scheme.Encryption.Algorithm.String()]
	if !ok {
		return nil, fmt.Errorf("its cipher %s is not supported; AES-CBC and 3DES-CBC are", scheme.Encryption.Algorithm)
	}
	key, err := deriveKey(scheme.KeyDerivation, password, suite.keyLength)
	if err != nil {
		return nil, err
	}
	block, err := suite.make(key)
	if err != nil {
		return nil, fmt.Errorf("cannot set up cipher: %w", err)
	}
	var iv []byte
	if _, err := asn1.Unmarshal(scheme.Encryption.Parameters.FullBytes, &iv); err != nil || len(iv) != block.BlockSize() {
		return nil, errors.New("its cipher has no usable initial vector")
	}
	plain, ok := decryptCBC(block, iv, outer.Data)
	if !ok {
		return nil, ErrPassword
	}
	parsed, err := x509.ParsePKCS8PrivateKey(plain)
	if err != nil {
		return nil, ErrPassword // one wrong password in 256 leaves padding that looks right
	}
	return parsed, nil
}

func deriveKey(algorithm pkix.AlgorithmIdentifier, password string, length int) ([]byte, error) {
	if algorithm.Algorithm.String() != oidPBKDF2 {
		return nil, fmt.Errorf("its key derivation %s is not supported; PBKDF2 is", algorithm.Algorithm)
	}
	var p pbkdf2Parameters
	if _, err := asn1.Unmarshal(algorithm.Parameters.FullBytes, &p); err != nil {
		return nil, fmt.Errorf("cannot parse key derivation: %w", err)
	}
	newHash, ok := derivationHashes[p.PRF.Algorithm.String()]
	if !ok {
		return nil, fmt.Errorf("its key derivation's hash %s is not supported", p.PRF.Algorithm)
	}
	if p.Iterations < 1 || p.Iterations > maxIterations {
		return nil, fmt.Errorf("its key derivation asks for %d rounds", p.Iterations)
	}
	key, err := pbkdf2.Key(newHash, password, p.Salt, p.Iterations, length)
	if err != nil {
		return nil, fmt.Errorf("cannot derive key: %w", err)
	}
	return key, nil
}

// decryptCBC decrypts and removes the padding; false means that the key was wrong.
func decryptCBC(block cipher.Block, iv, data []byte) ([]byte, bool) {
	size := block.BlockSize()
	if len(data) == 0 || len(data)%size != 0 {
		return nil, false
	}
	plain := make([]byte, len(data))
	cipher.NewCBCDecrypter(block, iv).CryptBlocks(plain, data)
	padding := int(plain[len(plain)-1])
	if padding == 0 || padding > size {
		return nil, false
	}
	for _, b := range plain[len(plain)-padding:] {
		if int(b) != padding {
			return nil, false
		}
	}
	return plain[:len(plain)-padding], true
}

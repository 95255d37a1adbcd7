package authn

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Sealer encrypts secrets that a dialect's clients read back, with AES-256-GCM.
// What is sealed for one purpose does not open for another.
type Sealer struct {
	aead        cipher.AEAD
	fingerprint string
}

// The environment variables that hold the sealing key, as 64 hex digits, or name
// a file that does. Without either the key is a file in the data directory.
const (
	SealKeyEnv     = "ROSTER_SEAL_KEY"
	SealKeyFileEnv = "ROSTER_SEAL_KEY_FILE"
)

// SealKeyGiven reports whether the environment says what the sealing key is.
func SealKeyGiven() bool { return os.Getenv(SealKeyEnv) != "" || os.Getenv(SealKeyFileEnv) != "" }

// NewSealer returns a sealer with a key of 32 bytes.
func NewSealer(key []byte) (*Sealer, error) {
	if len(key) != 32 {
		return nil, errors.New("the sealing key must be 32 bytes")
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCM(block)
	print := sha256.Sum256(append([]byte("roster seal key\x00"), key...))
	return &Sealer{aead, hex.EncodeToString(print[:16])}, err
}

// Fingerprint names the key without telling anything of it: nodes that share
// secrets must have the same.
func (s *Sealer) Fingerprint() string { return s.fingerprint }

// LoadSealer takes the key from where the environment says, or from seal.key in
// dir, which it makes, readable by its owner only, if there is none.
func LoadSealer(dir string) (*Sealer, error) {
	if env := os.Getenv(SealKeyEnv); env != "" {
		key, err := hex.DecodeString(strings.TrimSpace(env))
		if err != nil || len(key) != 32 {
			return nil, fmt.Errorf("%s must be 64 hex digits", SealKeyEnv)
		}
		return NewSealer(key)
	}
	path, named := os.Getenv(SealKeyFileEnv), true
	if path == "" {
		path, named = filepath.Join(dir, "seal.key"), false
	}
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) && !named {
		text = []byte(hex.EncodeToString(random(32)))
		f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if err != nil {
			return nil, err
		}
		_, werr := f.Write(text)
		if err := errors.Join(werr, f.Sync(), f.Close()); err != nil {
			return nil, err
		}
	} else if err != nil {
		return nil, err
	}
	key, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil || len(key) != 32 {
		return nil, fmt.Errorf("%s does not hold a key of 64 hex digits", path)
	}
	return NewSealer(key)
}

// Seal encrypts a secret for a purpose.
func (s *Sealer) Seal(purpose, secret string) []byte {
	nonce := random(s.aead.NonceSize())
	return s.aead.Seal(nonce, nonce, []byte(secret), []byte(purpose))
}

// Open decrypts what Seal made for the same purpose.
func (s *Sealer) Open(purpose string, sealed []byte) (string, error) {
	n := s.aead.NonceSize()
	if len(sealed) < n {
		return "", errors.New("sealed secret is too short")
	}
	plain, err := s.aead.Open(nil, sealed[:n], sealed[n:], []byte(purpose))
	return string(plain), err
}

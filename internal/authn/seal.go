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
	s, err := FindSealer(dir)
	if s != nil || err != nil {
		return s, err
	}
	key := random(32)
	if err := WriteSealKey(dir, key); err != nil {
		return nil, err
	}
	return NewSealer(key)
}

// FindSealer is [LoadSealer], but makes no key: it returns nil if there is none.
func FindSealer(dir string) (*Sealer, error) {
	key, err := SealKeyFromEnv()
	if key == nil && err == nil {
		key, err = ReadSealKey(dir)
	}
	if key == nil || err != nil {
		return nil, err
	}
	return NewSealer(key)
}

// SealKeyFromEnv returns the key that [SealKeyEnv] holds, or the file that
// [SealKeyFileEnv] names; nil if neither is set.
func SealKeyFromEnv() ([]byte, error) {
	env := os.Getenv(SealKeyEnv)
	if env == "" {
		path := os.Getenv(SealKeyFileEnv)
		if path == "" {
			return nil, nil
		}
		return readKey(path)
	}
	key, err := hex.DecodeString(strings.TrimSpace(env))
	if err != nil || len(key) != 32 {
		return nil, fmt.Errorf("%s must be 64 hex digits", SealKeyEnv)
	}
	return key, nil
}

// SealKeyFile is the file in a data directory that holds the key, as
// [SealKeyEnv] does.
func SealKeyFile(dir string) string { return filepath.Join(dir, "seal.key") }

// ReadSealKey returns the key that a data directory has in a file, nil if it has
// none.
func ReadSealKey(dir string) ([]byte, error) {
	key, err := readKey(SealKeyFile(dir))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	return key, err
}

func readKey(path string) ([]byte, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	key, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil || len(key) != 32 {
		return nil, fmt.Errorf("%s does not hold a key of 64 hex digits", path)
	}
	return key, nil
}

// WriteSealKey gives a data directory without a key one, readable by its owner
// only.
func WriteSealKey(dir string, key []byte) error {
	f, err := os.OpenFile(SealKeyFile(dir), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, werr := f.WriteString(hex.EncodeToString(key))
	return errors.Join(werr, f.Sync(), f.Close())
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

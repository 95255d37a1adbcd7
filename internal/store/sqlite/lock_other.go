//go:build !unix

package sqlite

import (
	"errors"
	"os"
)

// lockFile takes the lock that keeps a second process out: the file itself,
// which Windows refuses to remove while somebody has it open.
func lockFile(path string) (*os.File, error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, ErrLocked
	}
	return os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
}

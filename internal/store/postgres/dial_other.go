//go:build !linux

package postgres

import "syscall"

// abandon does nothing where the system has no such option: a broken connection is
// noticed by its statements' time limits.
func abandon(string, string, syscall.RawConn) error { return nil }

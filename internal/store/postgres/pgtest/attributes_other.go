//go:build !linux

package pgtest

import "syscall"

// attributes make a process run as the account.
func attributes(who *syscall.Credential) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Credential: who}
}

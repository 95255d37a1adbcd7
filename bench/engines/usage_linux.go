package main

import (
	"fmt"
	"os"
	"syscall"
	"time"
)

// usageNow returns what the process has used of the machine so far.
func usageNow() (usage, error) {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		return usage{}, err
	}
	written, err := bytesWritten()
	if err != nil {
		return usage{}, err
	}
	return usage{cpu: time.Duration(r.Utime.Nano() + r.Stime.Nano()), written: written}, nil
}

// bytesWritten returns how many bytes the process has sent towards the disk
// (proc_pid_io(5), write_bytes).
func bytesWritten() (int64, error) {
	f, err := os.Open("/proc/self/io")
	if err != nil {
		return 0, err
	}
	defer f.Close()
	var key string
	var n int64
	for key != "write_bytes:" {
		if _, err := fmt.Fscan(f, &key, &n); err != nil {
			return 0, err
		}
	}
	return n, nil
}

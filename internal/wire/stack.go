package wire

import "runtime"

// stack returns where the calling goroutine is, for the log.
func stack() string {
	b := make([]byte, 16<<10)
	return string(b[:runtime.Stack(b, false)])
}

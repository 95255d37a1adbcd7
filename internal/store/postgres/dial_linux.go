package postgres

import (
	"syscall"
	"time"
)

// abandon makes the system give a connection up when what was sent on it is not
// acknowledged in time: keep-alives are not sent while data waits.
func abandon(network, _ string, c syscall.RawConn) error {
	if len(network) < 3 || network[:3] != "tcp" {
		return nil
	}
	const userTimeout = 18 // TCP_USER_TIMEOUT, tcp(7)
	var err error
	if cerr := c.Control(func(fd uintptr) {
		err = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, userTimeout, int((10 * time.Second).Milliseconds()))
	}); cerr != nil {
		return cerr
	}
	return err
}

package syncano

import (
	"net/http"
	"time"

	"roster/internal/directory"
	"roster/internal/wire"
)

// How many requests a second the original took (section 3.6).
const (
	perAddress  = 10 // without a key, from one address
	perAccount  = 60 // of one account, outside of instances
	perInstance = 60
)

var errThrottled = &directory.Error{Kind: directory.TooMany, Code: "syncano.throttled", Detail: answers[directory.TooMany].detail}

// throttle refuses what comes too fast, if the operator wants that.
func (d *door) throttle(r *http.Request, v *visit) error {
	if d.rates == nil {
		return nil
	}
	key, rate := "address "+wire.CutHost(r.RemoteAddr), perAddress
	switch {
	case !v.tenant.ID.IsZero() && !v.hidden:
		key, rate = "instance "+v.tenant.ID.String(), perInstance
	case !v.caller.credential.ID.IsZero():
		key, rate = "account "+v.caller.credential.ID.String(), perAccount
	}
	if !d.rates.Take(key, rate, time.Second, d.directory.Now()) {
		return errThrottled
	}
	return nil
}

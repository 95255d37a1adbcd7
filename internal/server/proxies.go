package server

import (
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// forwardedFor is what proxies add the address of their client to, the last one
// at the end.
const forwardedFor = "X-Forwarded-For"

// parseProxies reads the networks that trusted proxies connect from: addresses,
// or prefixes such as 10.0.0.0/8.
func parseProxies(list []string) ([]netip.Prefix, error) {
	var prefixes []netip.Prefix
	for _, text := range list {
		prefix, err := netip.ParsePrefix(text)
		if err != nil {
			var addr netip.Addr
			if addr, err = netip.ParseAddr(text); err == nil {
				prefix, err = addr.Prefix(addr.BitLen())
			}
		}
		if err != nil {
			return nil, fmt.Errorf("--proxies: %q is neither an address nor a network such as 10.0.0.0/8", text)
		}
		prefixes = append(prefixes, prefix.Masked())
	}
	return prefixes, nil
}

// behind makes requests that come from trusted proxies bear the address of the
// client, which failed sign-ins and rates are limited by. That is the last address
// in X-Forwarded-For that is not such a proxy's: what stands before it anybody may
// have written. Where one cannot be read, the proxy that passed it on stands for
// its clients.
func behind(proxies []netip.Prefix, next http.Handler) http.Handler {
	if len(proxies) == 0 {
		return next
	}
	trusted := func(a netip.Addr) bool {
		return slices.ContainsFunc(proxies, func(p netip.Prefix) bool { return p.Contains(a) })
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		from, ok := parseHop(r.RemoteAddr)
		if ok && trusted(from) {
			r = r.WithContext(r.Context()) // a copy, to change
			r.RemoteAddr = netip.AddrPortFrom(clientBehind(from, r.Header[forwardedFor], trusted), 0).String()
		}
		next.ServeHTTP(w, r)
	})
}

// clientBehind returns who is behind the trusted proxy that a request came from.
func clientBehind(from netip.Addr, forwarded []string, trusted func(netip.Addr) bool) netip.Addr {
	for _, line := range slices.Backward(forwarded) {
		for rest, more := line, true; more && trusted(from); {
			var hop string
			if i := strings.LastIndexByte(rest, ','); i >= 0 {
				rest, hop = rest[:i], rest[i+1:]
			} else {
				hop, more = rest, false
			}
			addr, ok := parseHop(strings.TrimSpace(hop))
			if !ok {
				return from
			}
			from = addr
		}
	}
	return from
}

// parseHop reads an address, which some proxies write with a port.
func parseHop(text string) (netip.Addr, bool) {
	addr, err := netip.ParseAddr(text)
	if err != nil {
		with, err := netip.ParseAddrPort(text)
		if err != nil {
			return netip.Addr{}, false
		}
		addr = with.Addr()
	}
	return addr.Unmap().WithZone(""), true
}

package auth

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
)

// ErrPlaintext says that passwords and tokens would travel in the clear.
var ErrPlaintext = errors.New("others could read passwords and tokens on the way")

// CheckListen says whether a server may listen at HOST:PORT without TLS: on loopback addresses, and elsewhere when somebody
// has said that it may (allowed), because a proxy in front has TLS. Without a host it would be all addresses. ErrPlaintext, ErrInvalid.
func CheckListen(address string, tls, allowed bool) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("%w: listen at %q: %w", ErrInvalid, address, err)
	}
	// localhost is loopback by RFC 6761, section 6.3; any other name may change what it means.
	loopback := host == "localhost"
	if ip, err := netip.ParseAddr(host); err == nil {
		loopback = ip.Unmap().IsLoopback()
	}
	if tls || allowed || loopback {
		return nil
	}
	return fmt.Errorf("%w: %q is not a loopback address and there is no TLS", ErrPlaintext, address)
}

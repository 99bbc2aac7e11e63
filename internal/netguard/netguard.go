// Package netguard knows which addresses lead inside: to this machine, its network, and what only those should
// reach. What others have named is not asked there on their behalf unless somebody who may has said so.
package netguard

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"time"
)

// ErrInside: an address that leads inside, and is not among those that are allowed.
var ErrInside = errors.New("a private or local address")

// sharedSpace is carrier-grade NAT (RFC 6598); thisNet is 0.0.0.0/8, which Linux takes for itself.
var (
	sharedSpace = netip.MustParsePrefix("100.64.0.0/10")
	thisNet     = netip.MustParsePrefix("0.0.0.0/8")
	nat64       = netip.MustParsePrefix("64:ff9b::/96")
)

// bare is the address that is meant, without zone, and out of what wraps it.
func bare(a netip.Addr) netip.Addr {
	a = a.Unmap().WithZone("")
	if nat64.Contains(a) {
		b := a.As16()
		return netip.AddrFrom4([4]byte(b[12:]))
	}
	return a
}

// Inside tells loopback, private, link-local and multicast addresses from those of the open network.
func Inside(a netip.Addr) bool {
	a = bare(a)
	return a.IsLoopback() || a.IsPrivate() || a.IsLinkLocalUnicast() || a.IsMulticast() || a.IsUnspecified() ||
		sharedSpace.Contains(a) || thisNet.Contains(a)
}

// Among tells whether an address is in one of some networks.
func Among(a netip.Addr, networks []netip.Prefix) bool {
	a = bare(a)
	for _, n := range networks {
		if n.Contains(a) {
			return true
		}
	}
	return false
}

// Dialer connects to addresses of the open network, and inside only to those of the networks given: ErrInside. It looks at the
// address that is connected to, so that a name that says something else the second time does not help. onlyInside
// refuses the open network as well: for what must not travel there unencrypted.
func Dialer(allowed []netip.Prefix, onlyInside bool, timeout time.Duration) *net.Dialer {
	return &net.Dialer{Timeout: timeout, Control: func(_, address string, _ syscall.RawConn) error {
		to, err := netip.ParseAddrPort(address)
		switch {
		case err != nil:
			return fmt.Errorf("%w: %q", ErrInside, address)
		case Among(to.Addr(), allowed):
			return nil
		case Inside(to.Addr()):
			return fmt.Errorf("%w: %s; an administrator can allow it", ErrInside, to.Addr())
		case onlyInside:
			return fmt.Errorf("without TLS only networks are reached that an administrator has allowed, and %s is not in one", to.Addr())
		}
		return nil
	}}
}

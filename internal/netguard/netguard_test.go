package netguard

import (
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"
)

func TestInside(t *testing.T) {
	for text, inside := range map[string]bool{
		"127.0.0.1": true, "127.8.9.1": true, "::1": true, "10.1.2.3": true, "172.16.0.1": true, "192.168.1.1": true, "169.254.169.254": true, "fe80::1%eth0": true,
		"fd00::1": true, "::ffff:10.0.0.1": true, "64:ff9b::a00:1": true, "0.0.0.0": true, "0.1.2.3": true, "100.64.1.1": true, "224.0.0.1": true, "::": true,
		"192.0.2.1": false, "8.8.8.8": false, "2001:db8::1": false, "172.32.0.1": false, "100.128.0.1": false, "64:ff9b::808:808": false,
	} {
		if got := Inside(netip.MustParseAddr(text)); got != inside {
			t.Errorf("%s: %v", text, got)
		}
	}
}

// The address that is connected to counts, whatever name led there.
func TestDialer(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	for _, host := range []string{"127.0.0.1", "localhost"} {
		if c, err := Dialer(nil, false, time.Second).DialContext(t.Context(), "tcp4", net.JoinHostPort(host, port)); !errors.Is(err, ErrInside) {
			t.Errorf("%s is reached: %v %v", host, c, err)
		}
	}
	for _, only := range []bool{false, true} {
		c, err := Dialer([]netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, only, time.Second).DialContext(t.Context(), "tcp4", listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		_ = c.Close()
	}
}

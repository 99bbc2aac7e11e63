package s3

import (
	"context"
	"net"
	"time"
)

// quietLimit is how long a connection may say nothing, in either direction. A server that takes a request and never
// answers, or stops in the middle of a blob, holds nobody longer; the request is then sent again.
const quietLimit = time.Minute

// quietDialer dials connections that end when nothing was sent or received for quietLimit.
func quietDialer(dial func(ctx context.Context, network, address string) (net.Conn, error)) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return quietConn{conn}, nil
	}
}

type quietConn struct{ net.Conn }

// wake begins the time anew, for whoever reads and whoever writes: while a blob is sent nothing is received.
func (c quietConn) wake() error { return c.SetDeadline(time.Now().Add(quietLimit)) }

func (c quietConn) Read(p []byte) (int, error) {
	if err := c.wake(); err != nil {
		return 0, err
	}
	n, err := c.Conn.Read(p)
	if n > 0 {
		_ = c.wake() // it was open just now
	}
	return n, err
}

func (c quietConn) Write(p []byte) (int, error) {
	if err := c.wake(); err != nil {
		return 0, err
	}
	n, err := c.Conn.Write(p)
	if n > 0 {
		_ = c.wake()
	}
	return n, err
}

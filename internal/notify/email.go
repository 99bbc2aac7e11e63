package notify

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/mail"
	"net/netip"
	"net/smtp"
	"net/textproto"
	"slices"
	"strconv"
	"strings"
	"time"

	"reqpm/internal/netguard"
)

// mail sends a message by SMTP.
func (n *Notifier) mail(ctx context.Context, s ChannelSettings, m Message, id string, allowed []netip.Prefix) (status, answer string, err error) {
	from, err := mail.ParseAddress(s.From)
	if err != nil {
		return "", "", permanent{err}
	}
	var to []*mail.Address
	for _, address := range s.To {
		t, err := mail.ParseAddress(address)
		if err != nil {
			return "", "", permanent{err}
		}
		to = append(to, t)
	}
	wire, err := netguard.Dialer(allowed, s.Security == "none", n.cfg.Timeout).DialContext(ctx, "tcp", net.JoinHostPort(s.Host, strconv.Itoa(s.Port)))
	if err != nil {
		return "", "", err
	}
	defer wire.Close()
	if deadline, ok := ctx.Deadline(); ok {
		_ = wire.SetDeadline(deadline)
	}
	stop := context.AfterFunc(ctx, func() { _ = wire.SetDeadline(time.Now()) })
	defer stop()
	conf := &tls.Config{ServerName: s.Host, RootCAs: n.cfg.Roots, MinVersion: tls.VersionTLS12}
	conn := wire
	if s.Security == "tls" {
		conn = tls.Client(wire, conf)
	}
	refused, err := deliver(conn, conf, s, from, to, m.mail(from, to, id, time.Now()))
	if err != nil {
		if said, ok := errors.AsType[*textproto.Error](err); ok {
			status = "SMTP " + strconv.Itoa(said.Code)
			answer = line(said.Msg)
			if said.Code >= 500 {
				return status, answer, permanent{err}
			}
		}
		return status, answer, err
	}
	return "SMTP 250", line(strings.Join(refused, "; ")), nil
}

// deliver speaks SMTP (RFC 5321). An address that the server will never take keeps the message from nobody else: refused says which.
func deliver(conn net.Conn, conf *tls.Config, s ChannelSettings, from *mail.Address, to []*mail.Address, text []byte) (refused []string, err error) {
	c, err := smtp.NewClient(conn, s.Host)
	if err != nil {
		return nil, err
	}
	defer func() { _ = c.Close() }()
	if err := c.Hello(literal(conn)); err != nil {
		return nil, err
	}
	if s.Security == "starttls" {
		if ok, _ := c.Extension("STARTTLS"); !ok {
			return nil, permanent{errors.New("the server has no STARTTLS; nothing is sent without TLS")}
		}
		if err := c.StartTLS(conf); err != nil {
			return nil, err
		}
	}
	if s.Username != "" {
		if err := login(c, s); err != nil {
			return nil, err
		}
	}
	if err := c.Mail(from.Address); err != nil {
		return nil, err
	}
	var last error
	for _, t := range to {
		err := c.Rcpt(t.Address)
		if said, ok := errors.AsType[*textproto.Error](err); ok && said.Code >= 500 {
			refused, last = append(refused, fmt.Sprintf("%s: %d %s", t.Address, said.Code, said.Msg)), err
			continue
		}
		if err != nil {
			return nil, err
		}
	}
	if len(refused) == len(to) {
		return nil, last
	}
	w, err := c.Data()
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(text); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	_ = c.Quit() // it has the message
	return refused, nil
}

// literal is how a client without a name of its own calls itself (RFC 5321, 4.1.3 and 4.1.4): "localhost" is refused by many.
func literal(conn net.Conn) string {
	address, err := netip.ParseAddrPort(conn.LocalAddr().String())
	if err != nil {
		return "localhost"
	}
	if a := address.Addr().Unmap(); a.Is4() {
		return "[" + a.String() + "]"
	}
	return "[IPv6:" + address.Addr().WithZone("").String() + "]"
}

// login says who sends: with PLAIN (RFC 4616), or with LOGIN where the server has only that. Neither goes over a connection
// without TLS.
func login(c *smtp.Client, s ChannelSettings) error {
	ok, offered := c.Extension("AUTH")
	mechanisms := strings.Fields(strings.ToUpper(offered))
	switch {
	case !ok:
		return permanent{errors.New("the server takes no login; leave out username and password")}
	case slices.Contains(mechanisms, "PLAIN"):
		return c.Auth(smtp.PlainAuth("", s.Username, s.Password, s.Host))
	case slices.Contains(mechanisms, "LOGIN"):
		return c.Auth(&loginAuth{s.Username, s.Password})
	}
	return permanent{fmt.Errorf("the server takes logins by %s only; PLAIN and LOGIN are known here", strings.Join(mechanisms, ", "))}
}

// loginAuth is AUTH LOGIN, which no RFC has (draft-murchison-sasl-login-00): the server asks for the name, then for the password.
type loginAuth struct{ username, password string }

func (a *loginAuth) Start(server *smtp.ServerInfo) (string, []byte, error) {
	if !server.TLS {
		return "", nil, errors.New("a password does not travel without TLS")
	}
	return "LOGIN", nil, nil
}

func (a *loginAuth) Next(asked []byte, more bool) ([]byte, error) {
	if !more {
		return nil, nil
	}
	answer := a.username
	if strings.HasPrefix(strings.ToLower(string(asked)), "pass") {
		answer = a.password
	}
	return []byte(answer), nil
}

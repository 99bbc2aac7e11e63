package notify

import (
	"bytes"
	"cmp"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"math/big"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"reqpm/internal/store"
)

// mailbox is a real SMTP server (go-smtp) on loopback.
type mailbox struct {
	t          *testing.T
	mechanisms []string // of AUTH; none: it takes no login
	host       string
	port       int
	roots      *x509.CertPool // who has signed its certificate

	mu     sync.Mutex
	said   []error // what a MAIL, and after them each RCPT, is answered, one after the other; nil or none: it is taken
	mails  []string
	logins []string // mechanism, name and password
	hello  string
	secure bool // the last message came over TLS
}

// certificate is one for a name, and the pool that trusts it.
func certificate(t *testing.T, name string) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	if ip := net.ParseIP(name); ip != nil {
		template.IPAddresses = []net.IP{ip}
	} else {
		template.DNSNames = []string{name}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(parsed)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

// newMailbox starts a server with security (starttls, tls, none) and a certificate for a name, until the test's end.
func newMailbox(t *testing.T, security, name string, mechanisms ...string) *mailbox {
	t.Helper()
	m := &mailbox{t: t, mechanisms: mechanisms}
	s := smtp.NewServer(m)
	s.Domain, s.ErrorLog = "mail.example.org", nowhere{}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().(*net.TCPAddr)
	m.host, m.port = address.IP.String(), address.Port
	if security != "none" {
		var own tls.Certificate
		own, m.roots = certificate(t, name)
		s.TLSConfig = &tls.Config{Certificates: []tls.Certificate{own}}
	}
	if security == "tls" {
		listener = tls.NewListener(listener, s.TLSConfig)
		s.TLSConfig = nil
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.Serve(listener) // ends with Close
	}()
	t.Cleanup(func() {
		_ = s.Close()
		<-done
	})
	return m
}

type nowhere struct{}

func (nowhere) Printf(string, ...any) {}
func (nowhere) Println(...any)        {}

func (m *mailbox) NewSession(c *smtp.Conn) (smtp.Session, error) { return &mailSession{m, c}, nil }

type mailSession struct {
	m *mailbox
	c *smtp.Conn
}

// next is what is answered now.
func (s *mailSession) next() error {
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	if len(s.m.said) == 0 {
		return nil
	}
	err := s.m.said[0]
	s.m.said = s.m.said[1:]
	return err
}

func (s *mailSession) AuthMechanisms() []string { return s.m.mechanisms }

func (s *mailSession) Auth(mechanism string) (sasl.Server, error) {
	check := func(name, password string) error {
		s.m.mu.Lock()
		defer s.m.mu.Unlock()
		s.m.logins = append(s.m.logins, mechanism+" "+name+" "+password)
		if name != "reqpm" || password != "sesame-open" {
			return &smtp.SMTPError{Code: 535, Message: "the password " + password + " is wrong for " + name}
		}
		return nil
	}
	switch mechanism {
	case sasl.Plain:
		return sasl.NewPlainServer(func(_, name, password string) error { return check(name, password) }), nil
	case sasl.Login:
		return &loginServer{check: check}, nil
	}
	return nil, errors.New("not that")
}

// loginServer asks as Exchange and Postfix do.
type loginServer struct {
	asked int
	name  string
	check func(name, password string) error
}

func (l *loginServer) Next(answer []byte) ([]byte, bool, error) {
	l.asked++
	switch l.asked {
	case 1:
		return []byte("Username:"), false, nil
	case 2:
		l.name = string(answer)
		return []byte("Password:"), false, nil
	}
	return nil, true, l.check(l.name, string(answer))
}

func (s *mailSession) Reset()        {}
func (s *mailSession) Logout() error { return nil }

func (s *mailSession) Mail(string, *smtp.MailOptions) error { return s.next() }
func (s *mailSession) Rcpt(string, *smtp.RcptOptions) error { return s.next() }

func (s *mailSession) Data(r io.Reader) error {
	text, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	_, secure := s.c.TLSConnectionState()
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	s.m.mails, s.m.secure, s.m.hello = append(s.m.mails, string(bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n")))), secure, s.c.Hostname()
	return nil
}

// settings lead to the server.
func (m *mailbox) settings(security string) ChannelSettings {
	s := ChannelSettings{Host: m.host, Port: m.port, Security: security, From: "ReqPM <reqpm@example.org>", To: []string{"Ada <ada@example.org>"}}
	if security != "none" && len(m.mechanisms) > 0 {
		s.Username, s.Password = "reqpm", "sesame-open"
	}
	return s
}

// tell has one message sent about a failed run, until it is sent or given up, and gives the row.
func (m *mailbox) tell(s ChannelSettings, roots *x509.CertPool, limit time.Duration) store.Notification {
	m.t.Helper()
	b := newBed(m.t, filepath.Join(m.t.TempDir(), "reqpm.db"), roots)
	b.n.cfg.Timeout = limit
	b.allowLoopback()
	b.channel(store.Channel{Name: "mail", Kind: Email, Events: []string{Failed}}, s)
	b.end(store.Failed)
	row := b.settled()[0]
	for _, text := range []string{row.Status, row.Answer} {
		if s.Password != "" && strings.Contains(text, s.Password) {
			m.t.Errorf("the password is shown: %s", text)
		}
	}
	return row
}

// Every way in: without TLS, STARTTLS and TLS from the start, with PLAIN and with LOGIN.
func TestEmail(t *testing.T) {
	for _, test := range []struct {
		name, security string
		mechanisms     []string
		login          string
	}{
		{"without TLS", "none", nil, ""},
		{"STARTTLS", "starttls", nil, ""},
		{"STARTTLS and PLAIN", "starttls", []string{"LOGIN", "PLAIN"}, "PLAIN reqpm sesame-open"},
		{"STARTTLS and LOGIN", "starttls", []string{"XOAUTH2", "LOGIN"}, "LOGIN reqpm sesame-open"},
		{"TLS and PLAIN", "tls", []string{"PLAIN"}, "PLAIN reqpm sesame-open"},
		{"TLS and LOGIN", "tls", []string{"LOGIN"}, "LOGIN reqpm sesame-open"},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := newMailbox(t, test.security, "127.0.0.1", test.mechanisms...)
			if row := m.tell(m.settings(test.security), m.roots, 10*time.Second); row.State != store.NotifySent || row.Status != "SMTP 250" || row.Attempts != 1 {
				t.Fatalf("%+v", row)
			}
			if got := strings.Join(m.logins, ", "); got != test.login {
				t.Errorf("logins %q", got)
			}
			if len(m.mails) != 1 || m.secure != (test.security != "none") || m.hello != "[127.0.0.1]" {
				t.Fatalf("%d messages, TLS %v, from %s", len(m.mails), m.secure, m.hello)
			}
			for _, want := range []string{"Subject: [ReqPM] app: run 1 failed\n", `To: "Ada" <ada@example.org>`, "Message-ID: <reqpm-1-0@example.org>", "x=3D=3D1 (el9): it does not compile"} {
				if !strings.Contains(m.mails[0], want) {
					t.Errorf("%s is not in\n%s", want, m.mails[0])
				}
			}
		})
	}
}

// What a server may do wrong, or say no to: what may be otherwise later is tried again, the rest is given up at once.
func TestEmailRefused(t *testing.T) {
	busy, never := &smtp.SMTPError{Code: 451, Message: "come later"}, &smtp.SMTPError{Code: 550, Message: "no such person"}
	for _, test := range []struct {
		name, security, certificate string
		mechanisms                  []string
		said                        []error
		change                      func(*ChannelSettings)
		want                        store.Notification
		mails                       int
	}{
		{name: "certificate of another", security: "tls", certificate: "other.example.org", want: store.Notification{State: store.NotifyFailed, Attempts: 3, Status: "cannot validate certificate for 127.0.0.1"}},
		{name: "the same with STARTTLS", security: "starttls", certificate: "other.example.org", mechanisms: []string{"PLAIN"}, want: store.Notification{State: store.NotifyFailed, Attempts: 3, Status: "cannot validate certificate for 127.0.0.1"}},
		{name: "no STARTTLS", security: "none", change: func(s *ChannelSettings) { s.Security = "starttls" }, want: store.Notification{State: store.NotifyFailed, Attempts: 1, Status: "no STARTTLS"}},
		{name: "TLS where there is none", security: "none", change: func(s *ChannelSettings) { s.Security = "tls" }, want: store.Notification{State: store.NotifyFailed, Attempts: 3, Status: "tls"}},
		{name: "wrong password", security: "starttls", mechanisms: []string{"PLAIN"}, change: func(s *ChannelSettings) { s.Password = "another-one" }, want: store.Notification{State: store.NotifyFailed, Attempts: 1, Status: "535"}},
		{name: "wrong name, and an answer with the password", security: "tls", mechanisms: []string{"LOGIN"}, change: func(s *ChannelSettings) { s.Username = "somebody" }, want: store.Notification{State: store.NotifyFailed, Attempts: 1, Status: "535"}},
		{name: "no login", security: "tls", change: func(s *ChannelSettings) { s.Username, s.Password = "reqpm", "sesame-open" }, want: store.Notification{State: store.NotifyFailed, Attempts: 1, Status: "takes no login"}},
		{name: "no login that is known", security: "tls", mechanisms: []string{"XOAUTH2"}, want: store.Notification{State: store.NotifyFailed, Attempts: 1, Status: "XOAUTH2 only"}},
		{name: "later, later, well", security: "starttls", said: []error{busy, nil, busy}, want: store.Notification{State: store.NotifySent, Attempts: 3, Status: "SMTP 250"}, mails: 1},
		{name: "later, and later for ever", security: "starttls", said: []error{busy, busy, busy, busy}, want: store.Notification{State: store.NotifyFailed, Attempts: 3, Status: "451"}},
		{name: "no such person", security: "none", said: []error{nil, never}, want: store.Notification{State: store.NotifyFailed, Attempts: 1, Status: "550"}},
		{name: "no such person, and one who is there", security: "none", said: []error{nil, never}, change: func(s *ChannelSettings) { s.To = append(s.To, "bob@example.org") },
			want: store.Notification{State: store.NotifySent, Attempts: 1, Status: "SMTP 250", Answer: "ada@example.org: 550 5.0.0 no such person"}, mails: 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := newMailbox(t, test.security, cmp.Or(test.certificate, "127.0.0.1"), test.mechanisms...)
			m.said = slices.Clone(test.said)
			s := m.settings(test.security)
			if test.change != nil {
				test.change(&s)
			}
			row := m.tell(s, m.roots, 10*time.Second)
			if row.State != test.want.State || row.Attempts != test.want.Attempts || !strings.Contains(row.Status, test.want.Status) || !strings.Contains(row.Answer, test.want.Answer) {
				t.Errorf("%+v", row)
			}
			if len(m.mails) != test.mails {
				t.Errorf("%d messages", len(m.mails))
			}
		})
	}
}

// Nobody has signed the certificate.
func TestEmailUnknownAuthority(t *testing.T) {
	m := newMailbox(t, "tls", "127.0.0.1", "PLAIN")
	if row := m.tell(m.settings("tls"), x509.NewCertPool(), 10*time.Second); row.State != store.NotifyFailed || !strings.Contains(row.Status, "unknown authority") || len(m.logins) > 0 {
		t.Errorf("%+v, logins %q", row, m.logins)
	}
}

// A server that takes the connection and says nothing, or stops in the middle, holds nobody longer than the time that an attempt has.
func TestEmailHangs(t *testing.T) {
	for name, greeting := range map[string]string{"at once": "", "after its greeting": "220 mail.example.org\r\n"} {
		for _, security := range []string{"none", "starttls", "tls"} {
			t.Run(name+", "+security, func(t *testing.T) {
				listener, err := net.Listen("tcp", "127.0.0.1:0")
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { listener.Close() })
				go func() {
					for {
						c, err := listener.Accept()
						if err != nil {
							return
						}
						defer c.Close()
						_, _ = io.WriteString(c, greeting)
					}
				}()
				address := listener.Addr().(*net.TCPAddr)
				m := &mailbox{t: t, host: address.IP.String(), port: address.Port}
				begun := time.Now()
				row := m.tell(m.settings(security), nil, 300*time.Millisecond)
				if row.State != store.NotifyFailed || row.Attempts != 3 || !strings.Contains(row.Status, "timeout") && !strings.Contains(row.Status, "tls:") {
					t.Errorf("%+v", row)
				}
				if took := time.Since(begun); took > 20*time.Second {
					t.Errorf("three attempts of 0.3 s took %v", took)
				}
			})
		}
	}
}

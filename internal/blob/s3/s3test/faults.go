package s3test

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync"
	"testing"
)

// Fault is what a Faulty does to requests.
type Fault string

// What may go wrong with a bucket.
const (
	None     Fault = ""
	Internal Fault = "500 InternalError"
	SlowDown Fault = "503 SlowDown"
	Reset    Fault = "the connection is reset"
	Hang     Fault = "no answer at all"
	Full     Fault = "507 QuotaExceeded, to whatever is put"
)

// Faulty stands before a server and passes requests on, or does not.
type Faulty struct {
	server *Server
	url    string
	next   http.Handler

	mu      sync.Mutex
	fault   Fault
	changed chan struct{} // closed when fault is another
	met     map[Fault]int
}

// Before starts one, until the test's end.
func Before(t testing.TB, s *Server) *Faulty {
	t.Helper()
	to, err := url.Parse(s.url)
	if err != nil {
		t.Fatal(err)
	}
	// The Host header stays as it is, for it is signed.
	f := &Faulty{server: s, changed: make(chan struct{}), met: map[Fault]int{},
		next: &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host, r.Out.Host = to.Scheme, to.Host, r.In.Host
		}}}
	front := httptest.NewServer(f)
	f.url = front.URL
	t.Cleanup(func() {
		f.Set(None)
		front.CloseClientConnections()
		front.Close()
	})
	return f
}

// Address is a place in the bucket, through this.
func (f *Faulty) Address(prefix string) string {
	return fmt.Sprintf("s3://%s/%s?endpoint=%s", Bucket, prefix, f.url)
}

// Set has requests meet a fault from now on. Those that hang go on to hang until their client gives up, or Set is called.
func (f *Faulty) Set(fault Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fault = fault
	close(f.changed)
	f.changed = make(chan struct{})
}

// Met is how many requests have met a fault.
func (f *Faulty) Met(fault Fault) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.met[fault]
}

func (f *Faulty) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	fault, changed := f.fault, f.changed
	if fault == Full && r.Method != http.MethodPut && r.Method != http.MethodPost {
		fault = None
	}
	f.met[fault]++
	f.mu.Unlock()
	switch fault {
	case None:
		f.next.ServeHTTP(w, r)
	case Internal:
		refuse(w, http.StatusInternalServerError, "InternalError", "We encountered an internal error. Please try again.")
	case SlowDown:
		refuse(w, http.StatusServiceUnavailable, "SlowDown", "Please reduce your request rate.")
	case Full:
		refuse(w, http.StatusInsufficientStorage, "QuotaExceeded", "The bucket has no room.")
	case Reset:
		cut(w)
	case Hang:
		select {
		case <-r.Context().Done():
		case <-changed:
		}
		cut(w)
	}
}

// refuse answers as S3 does (Amazon S3 API Reference, Error Responses).
func refuse(w http.ResponseWriter, status int, code, message string) {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	fmt.Fprintf(w, `<?xml version="1.0" encoding="UTF-8"?><Error><Code>%s</Code><Message>%s</Message><RequestId>1</RequestId></Error>`, code, message)
}

// cut ends a connection with a reset.
func cut(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}

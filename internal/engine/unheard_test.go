package engine_test

import (
	"bytes"
	"io"
	"net"
	"net/url"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"reqpm/internal/store"
	"reqpm/internal/store/storetest"
)

// proxy stands between a store and PostgreSQL. Once lose is set, it cuts the connection that commits next, after the
// database has committed and before the store can hear of it.
type proxy struct {
	listener net.Listener
	database string // the server's socket
	lose     atomic.Bool
	lost     atomic.Int64
}

func startProxy(t *testing.T, database string) (*proxy, string) {
	t.Helper()
	u, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	query := u.Query()
	p := &proxy{database: filepath.Join(query.Get("host"), ".s.PGSQL.5432")}
	dir := t.TempDir()
	if p.listener, err = net.Listen("unix", filepath.Join(dir, ".s.PGSQL.5432")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.listener.Close() })
	go func() {
		for {
			c, err := p.listener.Accept()
			if err != nil {
				return
			}
			go p.carry(c)
		}
	}()
	query.Set("host", dir)
	u.RawQuery = query.Encode()
	return p, u.String()
}

func (p *proxy) carry(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("unix", p.database)
	if err != nil {
		return
	}
	defer server.Close()
	var losing atomic.Bool
	go func() {
		defer client.Close()
		buffer := make([]byte, 64<<10)
		for {
			n, err := server.Read(buffer)
			if losing.Load() || err != nil { // the database has answered, so it has committed
				p.lost.Add(1)
				return
			}
			if _, err := client.Write(buffer[:n]); err != nil {
				return
			}
		}
	}()
	buffer := make([]byte, 64<<10)
	for {
		n, err := client.Read(buffer)
		if err != nil {
			return
		}
		if bytes.Contains(bytes.ToLower(buffer[:n]), []byte("commit\x00")) && p.lose.CompareAndSwap(true, false) {
			losing.Store(true)
			if _, err := server.Write(buffer[:n]); err == nil {
				_, _ = io.Copy(io.Discard, client) // until it is closed
			}
			return
		}
		if _, err := server.Write(buffer[:n]); err != nil {
			return
		}
	}
}

// A claim that was committed, whose answer was lost with the connection: the step is this worker's, who lives and
// knows nothing of it. It is done all the same.
func TestUnheardClaim(t *testing.T) {
	database := storetest.Postgres(t)
	p, through := startProxy(t, database)
	h := &house{t: t, url: database, store: storetest.Open(t, through)}
	_, stop := h.start(h.config("w", succeed))
	defer stop()
	direct := storetest.Open(t, database)
	h.await("the worker is there", 5*time.Second, func() bool {
		living, err := direct.LivingWorkers(t.Context())
		return err == nil && len(living) == 1
	})
	h.store = direct
	p.lose.Store(true)
	run := h.run(h.project("p"), build("a", 1))
	h.awaitRun(run, store.RunSucceeded, 10*time.Second)
	if p.lost.Load() == 0 {
		t.Error("no answer was lost")
	}
	if s := h.steps(run)["a"]; s.Attempt != 1 {
		t.Errorf("the step took %d attempts", s.Attempt)
	}
}

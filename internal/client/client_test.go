package client_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"reqpm/internal/api"
	"reqpm/internal/client"
)

// What a server may answer that no ReqPM server does. That the client understands those is tested with the real
// server, in package cli.

func against(t *testing.T, answer http.HandlerFunc) *client.Client {
	t.Helper()
	server := httptest.NewServer(answer)
	t.Cleanup(server.Close)
	c, err := client.New(client.Config{Server: server.URL, Token: "rqp_x", Patience: time.Second, Idle: 200 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestAddresses(t *testing.T) {
	for _, bad := range []string{"", "reqpm.example.org", "ftp://x", "http://", "https://me:secret@host", "https://host/?q=1", "https://host#x", "http://[::1", "https://ho st"} {
		if _, err := client.New(client.Config{Server: bad}); !errors.Is(err, client.ErrAddress) {
			t.Errorf("%q: %v", bad, err)
		} else if strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: the password is said: %v", bad, err)
		}
	}
	if _, err := client.New(client.Config{Server: "https://host", Token: "a\r\nX: y"}); err == nil {
		t.Error("a token with a line end was taken")
	}
	if c, err := client.New(client.Config{Server: "https://host/prefix/"}); err != nil || c.Server() != "https://host/prefix" {
		t.Errorf("%v", err)
	}
}

func TestAnswersThatAreNone(t *testing.T) {
	var elsewhere atomic.Int32
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) }))
	defer other.Close()
	for name, answer := range map[string]http.HandlerFunc{
		"a page": func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>welcome to the proxy") },
		"half an answer": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			fmt.Fprint(w, `{"id":`)
		},
		"another address": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, other.URL, http.StatusTemporaryRedirect)
		},
		"too much":         func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, 65<<20)) },
		"another document": func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"id":"seven"}`) },
	} {
		if _, err := against(t, answer).Project(t.Context(), "app"); !errors.Is(err, client.ErrUnreachable) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if elsewhere.Load() > 0 {
		t.Error("a redirect was followed, with the token")
	}
	for name, answer := range map[string]http.HandlerFunc{
		"no problem document": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) },
		"a broken one": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(http.StatusTeapot)
			fmt.Fprint(w, `{"status": "x", "deta`)
		},
	} {
		if _, err := against(t, answer).Project(t.Context(), "app"); !client.IsStatus(err, http.StatusTeapot) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAListThatNeverEnds(t *testing.T) {
	c := against(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"items":[{"id":1}],"next":"same"}`) })
	if all, err := client.Collect(c.Projects(t.Context(), ""), 0); err != nil || len(all) != 2 {
		t.Errorf("%d projects, %v: the second page said that it is the one before", len(all), err)
	}
}

// A stream resumes behind the last id, bears silence and noise, and gives up a server that is gone.
func TestStreams(t *testing.T) {
	var asked atomic.Int32
	c := against(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		switch n := asked.Add(1); {
		case n == 1:
			fmt.Fprint(w, ": hello\n\nid: 7\ndata: {\"text\":\"one \"}\n\nid: 9\ndata: {\"text\":\"cut off")
		case n == 2 && r.Header.Get("Last-Event-ID") == "7":
			w.(http.Flusher).Flush()
			<-r.Context().Done() // silent: the client goes away
		case n == 3 && r.Header.Get("Last-Event-ID") == "7":
			fmt.Fprint(w, "id: 9\ndata: {\"text\":\"two\"}\n\nevent: end\nid: 9\ndata: {}\n\n")
		default:
			t.Errorf("request %d with Last-Event-ID %q", n, r.Header.Get("Last-Event-ID"))
			fmt.Fprint(w, "event: end\ndata: {}\n\n")
		}
	})
	got := ""
	for text, err := range c.FollowLog(t.Context(), 1, 1, 0) {
		if err != nil {
			t.Fatal(err)
		}
		got += text
	}
	if got != "one two" {
		t.Errorf("%q", got)
	}

	gone := against(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) })
	for _, err := range gone.Events(t.Context(), 1) {
		if !client.IsStatus(err, http.StatusServiceUnavailable) {
			t.Errorf("%v", err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, err := range gone.Events(ctx, 1) {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%v", err)
		}
	}
	page := against(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>") })
	for _, err := range page.Events(t.Context(), 1) {
		if !errors.Is(err, client.ErrUnreachable) {
			t.Errorf("%v", err)
		}
	}
}

// A part that is not the one asked for is never put behind what is there.
func TestDownloadOfAnotherPart(t *testing.T) {
	c := against(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Range", "bytes 0-3/10")
		w.WriteHeader(http.StatusPartialContent)
		fmt.Fprint(w, "wron")
	})
	path := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(path, []byte("begun"), 0o644); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if err := c.Download(ctx, api.Artifact{ID: 1, Name: "f", Size: 10}, f); err == nil {
		t.Error("another part was taken")
	}
	if text, _ := os.ReadFile(path); string(text) != "begun" {
		t.Errorf("%q", text)
	}
}

package client

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"time"

	"reqpm/internal/api"
)

// message is one server-sent event.
type message struct {
	id, event, data string
	// begins is set for a first message of each connection, which has nothing else.
	begins bool
}

const mostMessage = 4 << 20

// stream yields the messages of an event stream. When the connection breaks it comes again, with the id of the last
// message; it ends with a message whose event is end, with a refusal that later tries cannot change, or when the server
// has not answered for the client's patience.
func (c *Client) stream(ctx context.Context, path, last, end string) iter.Seq2[message, error] {
	return func(yield func(message, error) bool) {
		var failing time.Time // since when
		wait := 200 * time.Millisecond
		for {
			progress, done, err := c.connection(ctx, path, &last, end, yield)
			switch {
			case done:
				return
			case ctx.Err() != nil:
				yield(message{}, context.Cause(ctx))
				return
			}
			if progress {
				failing, wait = time.Time{}, 200*time.Millisecond
			}
			refused, isRefusal := errors.AsType[*Error](err)
			if isRefusal && !refused.Temporary() {
				yield(message{}, err)
				return
			}
			if failing.IsZero() {
				failing = time.Now()
			}
			if err != nil && time.Since(failing) > c.cfg.Patience {
				yield(message{}, err)
				return
			}
			if err != nil {
				c.cfg.Waiting(err)
			}
			select {
			case <-ctx.Done():
			case <-time.After(wait + rand.N(wait)): // many clients do not come back at once
			}
			wait = min(2*wait, 5*time.Second)
		}
	}
}

// connection reads one connection. done: nothing more is wanted, or comes.
func (c *Client) connection(ctx context.Context, path string, last *string, end string, yield func(message, error) bool) (progress, done bool, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	// Whoever is gone without a word, a machine that lost its network, is found out by silence.
	idle := time.AfterFunc(c.cfg.Idle, func() {
		cancel(fmt.Errorf("%s: %w: nothing came for %v", c.base, ErrUnreachable, c.cfg.Idle))
	})
	defer idle.Stop()
	r, err := c.request(ctx, http.MethodGet, api.Prefix+path, nil)
	if err != nil {
		return false, false, err
	}
	r.Header.Set("Accept", "text/event-stream")
	if *last != "" {
		r.Header.Set("Last-Event-ID", *last)
	}
	answer, err := c.send(r)
	if err != nil {
		return false, false, err
	}
	defer answer.Body.Close()
	if kind := answer.Header.Get("Content-Type"); !strings.HasPrefix(kind, "text/event-stream") {
		return false, false, fmt.Errorf("%s: %w as a ReqPM server does: no event stream but %q", c.base, ErrUnreachable, kind)
	}
	if !yield(message{begins: true}, nil) {
		return true, true, nil
	}
	lines := bufio.NewScanner(answer.Body)
	lines.Buffer(make([]byte, 64<<10), mostMessage)
	var m message
	for lines.Scan() {
		idle.Reset(c.cfg.Idle)
		field, value, _ := strings.Cut(lines.Text(), ":")
		value = strings.TrimPrefix(value, " ")
		switch {
		case lines.Text() == "":
			if m == (message{}) {
				continue
			}
			if m.id != "" {
				*last = m.id
			}
			if m.event == end && end != "" {
				return true, true, nil
			}
			if m.data != "" && !yield(m, nil) {
				return true, true, nil
			}
			progress, m = true, message{}
		case field == "id":
			m.id = value
		case field == "event":
			m.event = value
		case field == "data":
			m.data += value
		}
	}
	if err = lines.Err(); err == nil {
		return progress, false, nil // the server ended it: it stops, or wants us to come again
	}
	if ctx.Err() != nil {
		return progress, false, context.Cause(ctx)
	}
	return progress, false, fmt.Errorf("%s: %w: the stream broke off: %w", c.base, ErrUnreachable, err)
}

// Happening is an event, or the news that the stream begins, anew perhaps: what was known before may be old,
// and what is asked now has missed nothing.
type Happening struct {
	Begins bool
	Event  api.Event
}

// Events yields what happens from now on, of one run or (0) of everything, each once and in order. It ends with an
// error, or when ctx does.
func (c *Client) Events(ctx context.Context, run int64) iter.Seq2[Happening, error] {
	return func(yield func(Happening, error) bool) {
		path := "/events"
		if run > 0 {
			path += "?run=" + strconv.FormatInt(run, 10)
		}
		for m, err := range c.stream(ctx, path, "", "") {
			h := Happening{Begins: m.begins}
			if err == nil && !m.begins {
				if err = json.Unmarshal([]byte(m.data), &h.Event); err != nil {
					err = fmt.Errorf("%s: %w as a ReqPM server does: an event: %w", c.base, ErrUnreachable, err)
				}
			}
			if !yield(h, err) || err != nil {
				return
			}
		}
	}
}

func logAddress(step, attempt int64) string {
	path := fmt.Sprintf("/steps/%d/log", step)
	if attempt > 0 {
		path += fmt.Sprintf("?attempt=%d", attempt)
	}
	return path
}

// FollowLog yields the text of the log of an attempt (0: the last) from a byte on, as it grows, until the attempt
// has ended. A connection that breaks is taken up at the byte where it broke.
func (c *Client) FollowLog(ctx context.Context, step, attempt, offset int64) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		path := logAddress(step, attempt)
		if attempt > 0 {
			path += "&follow=1"
		} else {
			path += "?follow=1"
		}
		last := ""
		if offset > 0 {
			last = strconv.FormatInt(offset, 10)
		}
		for m, err := range c.stream(ctx, path, last, "end") {
			var part struct{ Text string }
			if err == nil && !m.begins {
				if err = json.Unmarshal([]byte(m.data), &part); err != nil {
					err = fmt.Errorf("%s: %w as a ReqPM server does: a part of a log: %w", c.base, ErrUnreachable, err)
				}
			}
			if !m.begins && !yield(part.Text, err) || err != nil {
				return
			}
		}
	}
}

// Log writes the log of an attempt (0: the last), as it is now, to w.
func (c *Client) Log(ctx context.Context, step, attempt int64, w io.Writer) error {
	return c.bytes(ctx, api.Prefix+logAddress(step, attempt), "", &appender{w: w})
}

// appender takes bytes that come one after the other.
type appender struct {
	w io.Writer
	n int64
}

func (a *appender) Write(p []byte) (int, error) {
	n, err := a.w.Write(p)
	a.n += int64(n)
	return n, err
}

func (a *appender) at() int64 { return a.n }

// restart is possible only where nothing was written.
func (a *appender) restart() error {
	if a.n > 0 {
		return errors.New("it cannot be begun anew")
	}
	return nil
}

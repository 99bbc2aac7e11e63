package api

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"reqpm/internal/auth"
	"reqpm/internal/store"
)

const (
	keyHeader = "Idempotency-Key"
	// replayed says that an answer is an earlier one's.
	replayed = "Idempotency-Replayed"
	// keyLife is how long a key is remembered.
	keyLife = 24 * time.Hour
	// longestAnswer is longer than any operation takes: a request without an answer after it will get none.
	longestAnswer = 2 * time.Minute
)

// kept is an answer as it is kept for who asks again.
type kept struct {
	Header http.Header `json:"header"`
	Body   string      `json:"body"`
}

// idempotent has a POST with an Idempotency-Key done once, however often it is sent: the first answer is kept for
// who sends it again. Only what was done is kept: after an error the same key may be tried again. secret says that
// the answer must not lie in the database.
func (a *API) idempotent(secret bool) func(ctx huma.Context, next func(huma.Context)) {
	return func(ctx huma.Context, next func(huma.Context)) {
		r, w := humago.Unwrap(ctx)
		keys := r.Header.Values(keyHeader)
		if len(keys) == 0 {
			next(ctx)
			return
		}
		note, err := newNote(ctx.Context(), r, keys)
		if err != nil {
			a.refuse(ctx, err)
			return
		}
		was, first, err := a.begin(ctx.Context(), note)
		if err == nil && !first {
			err = replay(w, note, was)
			if err == nil {
				return
			}
		}
		if err != nil {
			a.refuse(ctx, err)
			return
		}
		rec := record(ctx, next)
		note.Status = rec.status
		if rec.status < 200 || rec.status > 299 {
			note.Status = 0
		}
		if !secret {
			header := http.Header{}
			for _, name := range []string{"Content-Type", "ETag"} {
				if value := rec.header.Get(name); value != "" {
					header.Set(name, value)
				}
			}
			text, _ := json.Marshal(kept{header, rec.body.String()})
			note.Answer = string(text)
		}
		// Even when who asked has gone: that is why they will ask again.
		if err := a.cfg.Store.EndAnswer(context.WithoutCancel(ctx.Context()), note); err != nil {
			a.cfg.Log.Error("an answer was not kept", "error", err)
		}
		rec.send(w)
	}
}

// newNote is what is noted of a request: whose it is, and a digest of all that says what it wants.
func newNote(ctx context.Context, r *http.Request, keys []string) (store.Answer, error) {
	key := keys[0]
	if len(keys) > 1 || key == "" || len(key) > 200 || strings.ContainsFunc(key, func(c rune) bool { return c < '!' || c > '~' }) {
		return store.Answer{}, huma.Error422UnprocessableEntity("a key has 1 to 200 visible ASCII characters, and there is one",
			&huma.ErrorDetail{Location: "header." + keyHeader, Message: "expected 1 to 200 visible ASCII characters"})
	}
	body, err := io.ReadAll(r.Body) // readBody has it in memory
	if err != nil {
		return store.Answer{}, err
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	sum := sha256.New()
	fmt.Fprintf(sum, "%s %s\n", r.Method, r.URL.RequestURI())
	sum.Write(body)
	who := auth.FromContext(ctx)
	owner := fmt.Sprintf("user %d", who.User)
	switch {
	case who.Anonymous():
		owner = "anonymous"
	case who.User == 0:
		owner = fmt.Sprintf("token %d", who.Token)
	}
	return store.Answer{Owner: owner, Name: key, Request: hex.EncodeToString(sum.Sum(nil))}, nil
}

// begin notes a request, and forgets what is too old to count.
func (a *API) begin(ctx context.Context, note store.Answer) (was store.Answer, first bool, err error) {
	was, first, err = a.cfg.Store.BeginAnswer(ctx, note)
	if err != nil || first || time.Since(was.At) < keyLife {
		return was, first, err
	}
	if err := a.cfg.Store.EndAnswer(ctx, store.Answer{Owner: was.Owner, Name: was.Name}); err != nil {
		return was, false, err
	}
	return a.cfg.Store.BeginAnswer(ctx, note)
}

// replay sends the answer that was kept, or says why it cannot.
func replay(w http.ResponseWriter, note, was store.Answer) error {
	switch {
	case was.Request != note.Request:
		return huma.Error422UnprocessableEntity("this key was used for another request: take a new one for each", &huma.ErrorDetail{Location: "header." + keyHeader, Message: "it belongs to another request"})
	case was.Status == 0 && time.Since(was.At) < longestAnswer:
		return huma.ErrorWithHeaders(huma.Error409Conflict("the request with this key is being answered: ask again"), http.Header{"Retry-After": {"1"}})
	case was.Status == 0:
		return conflict("the request with this key was never answered: the server ended in the middle of it. Look whether it was done, and use another key")
	case was.Answer == "":
		return conflict("the request with this key was answered with something that is shown once, and is not kept")
	}
	var answer kept
	if err := json.Unmarshal([]byte(was.Answer), &answer); err != nil {
		return fmt.Errorf("read a kept answer: %w", err)
	}
	rec := &recorder{header: answer.Header, status: was.Status}
	rec.body.WriteString(answer.Body)
	rec.header.Set(replayed, "true")
	rec.send(w)
	return nil
}

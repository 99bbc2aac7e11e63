package api

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"reqpm/internal/auth"
	"reqpm/internal/blob"
	"reqpm/internal/store"
)

// What one search of a log may take. A search that needs more goes on with its cursor.
const (
	searchBytes    = 128 << 20
	searchTime     = 900 * time.Millisecond
	searchesAtOnce = 2 // the rest waits: a search is all work for the processor
)

// LogHit is a line of a log that was looked for.
type LogHit struct {
	Line   int64    `json:"line" doc:"counted from 1"`
	Offset int64    `json:"offset" doc:"byte of the log at which the line begins: offset of the log's own address"`
	Text   string   `json:"text" doc:"the line; of a long one 1,000 bytes around the match"`
	Match  int64    `json:"match" doc:"byte of the log at which the first match begins"`
	Length int64    `json:"length" doc:"of the match, in bytes"`
	Before []string `json:"before,omitempty"`
	After  []string `json:"after,omitempty"`
}

func (a *API) searchOperations() {
	register(a, operation{method: http.MethodGet, about: aboutStep, path: "/builds/{id}/log/search", id: "search-build-log", summary: "Lines of a log, finished or running, that have a text or match an expression", role: auth.Viewer, tag: "builds", errors: []int{http.StatusGone}}, a.searchLog)
	register(a, operation{method: http.MethodGet, about: aboutStep, path: "/steps/{id}/log/search", id: "search-step-log", summary: "As search-build-log, for any step", role: auth.Viewer, tag: "runs", errors: []int{http.StatusGone}}, a.searchLog)
}

type searchInput struct {
	StepPath
	Text       string `query:"q" required:"true" minLength:"1" maxLength:"500" doc:"what to look for"`
	Regex      bool   `query:"regex" doc:"q is a regular expression in RE2's syntax; it sees each line by itself"`
	IgnoreCase bool   `query:"ignore_case"`
	Context    int    `query:"context" minimum:"0" maximum:"10" default:"0" doc:"lines shown before and after each"`
	Attempt    int64  `query:"attempt" minimum:"0" doc:"absent: the last"`
	Limit      int    `query:"limit" minimum:"1" maximum:"500" default:"50" doc:"lines at most"`
	Cursor     string `query:"cursor" maxLength:"500" pattern:"^[A-Za-z0-9_-]*$" doc:"next of the answer before, with the same attempt"`
}

type searchOutput struct {
	Body struct {
		Items   []LogHit `json:"items"`
		Next    string   `json:"next,omitempty" doc:"where to go on: when there are limit items, when the search has taken its time, or when the log still grows; absent: the log has ended, and was searched to its end"`
		Attempt int64    `json:"attempt"`
		Size    int64    `json:"size" doc:"bytes of the log"`
		Seen    int64    `json:"seen" doc:"bytes of it that were searched, those before the cursor included"`
		Running bool     `json:"running" doc:"more lines may come"`
	}
}

// searchCursor is where a search goes on.
type searchCursor struct {
	Attempt int64 `json:"a"`
	Offset  int64 `json:"o"`
	Line    int64 `json:"l"`
}

func (c searchCursor) encode() string {
	text, _ := json.Marshal(c)
	return base64.RawURLEncoding.EncodeToString(text)
}

func (c *searchCursor) decode(text string) error {
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err == nil {
		err = json.Unmarshal(raw, c)
	}
	if err != nil {
		return fmt.Errorf("search a log: %w: %.60q", store.ErrCursor, text)
	}
	return nil
}

func (a *API) searchLog(ctx context.Context, in *searchInput) (*searchOutput, error) {
	pattern, err := blob.NewPattern(in.Text, in.Regex, in.IgnoreCase)
	if err != nil {
		return nil, wrongField("query.q", err.Error())
	}
	step, err := a.cfg.Store.Step(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	from := searchCursor{Attempt: in.Attempt}
	if from.Attempt == 0 {
		from.Attempt = step.Attempt
	}
	if in.Cursor != "" {
		was := from
		if err := was.decode(in.Cursor); err != nil {
			return nil, err
		}
		if in.Attempt != 0 && was.Attempt != in.Attempt {
			return nil, fmt.Errorf("search a log: %w: it is of attempt %d", store.ErrCursor, was.Attempt)
		}
		from = was
	}
	log, err := a.openLog(ctx, step, from.Attempt)
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }()
	select {
	case a.searches <- struct{}{}:
		defer func() { <-a.searches }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	found, err := log.Search(ctx, blob.Search{Pattern: pattern, From: blob.Place{Offset: from.Offset, Line: from.Line}, Hits: in.Limit, Near: in.Context, Bytes: searchBytes, Time: searchTime})
	if errors.Is(err, blob.ErrPlace) {
		return nil, fmt.Errorf("search a log: %w: %w", store.ErrCursor, err)
	}
	if err != nil {
		return nil, err
	}
	out := &searchOutput{}
	out.Body.Items = make([]LogHit, 0, len(found.Hits))
	for _, h := range found.Hits {
		out.Body.Items = append(out.Body.Items, LogHit{Line: h.Line, Offset: h.Offset, Text: h.Text, Match: h.Match, Length: h.Length, Before: h.Before, After: h.After})
	}
	out.Body.Attempt, out.Body.Size, out.Body.Seen, out.Body.Running = from.Attempt, found.Size, found.Next.Offset, found.Running
	if !found.End {
		out.Body.Next = searchCursor{Attempt: from.Attempt, Offset: found.Next.Offset, Line: found.Next.Line}.encode()
	}
	return out, nil
}

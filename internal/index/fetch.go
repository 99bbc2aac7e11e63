package index

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"sync/atomic"
	"time"
)

// fetcher asks remote servers: bounded in time, size and number, with another try where
// one may help.
type fetcher struct {
	client  *http.Client
	slots   chan struct{}
	timeout time.Duration
	retries int
	backoff time.Duration
	trusted func(*url.URL) bool
	stats   *counters
}

// counters of a client, see Stats.
type counters struct {
	requests, retries, pageHits, metadataHits, fileHits, notModified, bytes atomic.Int64
}

// question is one thing to be asked.
type question struct {
	url    *url.URL
	header http.Header
	grant  grant
	what   string // "project page of foo", for errors
	limit  int64  // bytes of the body
}

const (
	maxWait     = time.Minute      // longest pause before another try, whatever Retry-After says
	maxTrying   = 10 * time.Minute // no other try starts later than this after the first
	maxRedirect = 10
	// aliveBytes must come within every Timeout, or the answer counts as stalled: a server
	// that drips a byte a second would otherwise hold a slot for days.
	aliveBytes = 1 << 10
)

// statusError is an answer other than the hoped-for ones.
type statusError struct {
	status     int
	retryAfter time.Duration
}

func (e *statusError) Error() string {
	text := http.StatusText(e.status)
	if text != "" {
		text = " " + text
	}
	switch e.status {
	case http.StatusUnauthorized, http.StatusProxyAuthRequired:
		text += " (credentials missing or refused: see netrc or the index's settings)"
	case http.StatusForbidden:
		text += " (access refused)"
	}
	return "HTTP " + strconv.Itoa(e.status) + text
}

// finalError is one that another try would not mend.
type finalError struct{ error }

func (e finalError) Unwrap() error { return e.error }

// tooBigError says a bound was passed.
type tooBigError struct{ limit int64 }

func (e tooBigError) Error() string {
	return fmt.Sprintf("the answer is larger than the %d bytes allowed", e.limit)
}

// use is given an answer with status 200, 206 or 304 and may be called once per try. The
// errors it returns lead to another try unless they are final or local.
type use func(*http.Response, io.Reader) error

// get asks until it has a usable answer or has to give up. Its errors are of kind ErrNotFound,
// ErrHash, ErrUnavailable, the context's, or trouble with the local disk.
func (f *fetcher) get(ctx context.Context, q question, use use) error {
	begin := time.Now()
	for try := 0; ; try++ {
		err := f.once(ctx, q, use)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("%s: %w", q.what, context.Cause(ctx))
		}
		wait := f.wait(try, err)
		if !again(err) || try >= min(f.retries, mostRetries(err)) || time.Since(begin)+wait > maxTrying {
			return f.explain(q, err, try+1)
		}
		f.stats.retries.Add(1)
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return fmt.Errorf("%s: %w", q.what, context.Cause(ctx))
		}
	}
}

// again tells whether another try may help.
func again(err error) bool {
	var final finalError
	var local localError
	var big tooBigError
	var certificate *tls.CertificateVerificationError
	if errors.As(err, &final) || errors.As(err, &local) || errors.As(err, &big) || errors.As(err, &certificate) {
		return false
	}
	var status *statusError
	if errors.As(err, &status) {
		return status.status == http.StatusTooManyRequests || status.status == http.StatusRequestTimeout ||
			status.status >= 500 && status.status != http.StatusNotImplemented
	}
	return true
}

// mostRetries is how many more tries an error is worth: an answer that came whole and makes
// no sense is rarely better the next time.
func mostRetries(err error) int {
	var nonsense nonsenseError
	switch {
	case errors.As(err, &nonsense):
		return 1
	case errors.Is(err, ErrHash):
		return 2
	}
	return math.MaxInt
}

// wait is how long to pause after the given try: doubled each time, with jitter so that many
// clients do not come back together, and never shorter than the server asked for.
func (f *fetcher) wait(try int, err error) time.Duration {
	d := min(f.backoff<<min(try, 16), maxWait/2)
	d += time.Duration(rand.Int64N(int64(d)/2 + 1))
	var status *statusError
	if errors.As(err, &status) && status.retryAfter > d {
		d = status.retryAfter
	}
	return min(d, maxWait)
}

func (f *fetcher) explain(q question, err error, tries int) error {
	var local localError
	var status *statusError
	switch {
	case errors.As(err, &local), errors.Is(err, ErrHash):
		return fmt.Errorf("%s from %s: %w", q.what, redact(q.url.String()), err)
	case errors.As(err, &status) && (status.status == http.StatusNotFound || status.status == http.StatusGone):
		return fmt.Errorf("%s: %w (%s)", q.what, ErrNotFound, redact(q.url.String()))
	}
	times := ""
	if tries > 1 {
		times = fmt.Sprintf(" (tried %d times)", tries)
	}
	return &unavailableError{fmt.Sprintf("%s: %s: %s: %s%s", q.what, ErrUnavailable, redact(q.url.String()), plain(err), times), err}
}

// unavailableError is an ErrUnavailable whose text leaves out what its cause says too much.
type unavailableError struct {
	text  string
	cause error
}

func (e *unavailableError) Error() string   { return e.text }
func (e *unavailableError) Unwrap() []error { return []error{ErrUnavailable, e.cause} }

// plain takes the address off http.Client's errors: it may carry a signature in its query,
// and the message names the address already.
func plain(err error) string {
	var u *url.Error
	text := err.Error()
	if errors.As(err, &u) {
		text = u.Err.Error()
	}
	var certificate *tls.CertificateVerificationError
	if errors.As(err, &certificate) {
		text += "; give the authority's file as pip's cert setting, or name the host in trusted-host"
	}
	return text
}

// once asks one time.
func (f *fetcher) once(ctx context.Context, q question, use use) error {
	select {
	case f.slots <- struct{}{}:
		defer func() { <-f.slots }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	quiet := time.AfterFunc(f.timeout, func() { cancel(fmt.Errorf("no answer within %s", f.timeout)) })
	defer quiet.Stop()

	r, err := http.NewRequestWithContext(withGrant(ctx, q.grant), http.MethodGet, q.url.String(), nil)
	if err != nil {
		return finalError{errors.New("the address is not a usable URL")}
	}
	r.Header = q.header.Clone()
	if r.Header == nil {
		r.Header = http.Header{}
	}
	r.Header.Set("User-Agent", "reqpm")
	f.stats.requests.Add(1)
	resp, err := f.client.Do(r)
	if err != nil {
		return causeOf(ctx, err)
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusOK, http.StatusPartialContent, http.StatusNotModified:
	default:
		return &statusError{resp.StatusCode, retryAfter(resp.Header.Get("Retry-After"), time.Now())}
	}
	if resp.ContentLength > q.limit {
		return tooBigError{q.limit}
	}
	quiet.Reset(f.timeout)
	body := &boundedBody{r: resp.Body, left: q.limit, limit: q.limit, alive: func() { quiet.Reset(f.timeout) }, count: &f.stats.bytes}
	return causeOf(ctx, use(resp, body))
}

// causeOf replaces the bare "context canceled" that a time-out of ours leads to by its reason.
func causeOf(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil && errors.Is(err, context.Canceled) {
		if cause := context.Cause(ctx); cause != nil {
			return cause
		}
	}
	return err
}

// boundedBody ends with an error, not with EOF, when there is more than allowed, so that a
// cut-off answer is never taken for a whole one.
type boundedBody struct {
	r           io.Reader
	left, limit int64
	alive       func()
	fresh       int64 // bytes since alive was called
	count       *atomic.Int64
}

func (b *boundedBody) Read(p []byte) (int, error) {
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1]
	}
	n, err := b.r.Read(p)
	b.count.Add(int64(n))
	if int64(n) > b.left {
		return 0, tooBigError{b.limit}
	}
	b.left -= int64(n)
	if b.fresh += int64(n); b.fresh >= aliveBytes {
		b.fresh = 0
		b.alive()
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = fmt.Errorf("the answer was cut off: %w", err)
	}
	return n, err
}

// retryAfter reads the header's two forms, seconds and a date; 0 for none.
func retryAfter(value string, now time.Time) time.Duration {
	if n, err := strconv.Atoi(value); err == nil && n > 0 {
		return time.Duration(min(n, int(maxWait/time.Second))) * time.Second
	}
	if t, err := http.ParseTime(value); err == nil && t.After(now) {
		return min(t.Sub(now), maxWait)
	}
	return 0
}

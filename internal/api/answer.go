package api

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
)

// recorder keeps an answer until it is known whether and how it is sent.
type recorder struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (r *recorder) Header() http.Header { return r.header }

func (r *recorder) Write(p []byte) (int, error) {
	r.WriteHeader(http.StatusOK)
	return r.body.Write(p)
}

func (r *recorder) WriteHeader(status int) {
	if r.status == 0 {
		r.status = status
	}
}

// record has an operation answer into a recorder.
func record(ctx huma.Context, next func(huma.Context)) *recorder {
	r, _ := humago.Unwrap(ctx)
	rec := &recorder{header: http.Header{}}
	next(humago.NewContext(ctx.Operation(), r.WithContext(ctx.Context()), rec))
	rec.WriteHeader(http.StatusOK)
	rec.tag(r.Method == http.MethodGet || r.Method == http.MethodHead)
	return rec
}

// tag gives an answer its ETag, made of its bytes. What an operation set itself is the version of the thing, which
// stays in front: changes compare it alone (ifMatch), so that what else is in the answer may change meanwhile.
func (r *recorder) tag(read bool) {
	version := strings.Trim(r.header.Get("ETag"), `"`)
	if r.status != http.StatusOK && version == "" || r.status != http.StatusOK && r.status != http.StatusCreated || !read && version == "" {
		return
	}
	if version != "" {
		version += "-"
	}
	sum := sha256.Sum256(r.body.Bytes())
	r.header.Set("ETag", `"`+version+hex.EncodeToString(sum[:8])+`"`)
	if read {
		r.header.Set("Cache-Control", "private, no-cache") // kept, but asked for each time
		r.header.Set("Vary", "Authorization, Cookie")
	}
}

func (r *recorder) send(w http.ResponseWriter) {
	for name, values := range r.header {
		w.Header()[name] = slices.Clone(values)
	}
	w.WriteHeader(r.status)
	_, _ = w.Write(r.body.Bytes())
}

// conditional answers 304 to who has the answer already.
func conditional(ctx huma.Context, next func(huma.Context)) {
	r, w := humago.Unwrap(ctx)
	rec := record(ctx, next)
	if tag := rec.header.Get("ETag"); tag != "" && (r.Method == http.MethodGet || r.Method == http.MethodHead) {
		for known := range tags(r.Header.Values("If-None-Match")) {
			if known == "*" || strings.TrimPrefix(known, "W/") == tag {
				rec.status = http.StatusNotModified
				rec.header.Del("Content-Type")
				rec.body.Reset()
				break
			}
		}
	}
	rec.send(w)
}

// tags are those of a header; they have no commas in them, as they are ours.
func tags(headers []string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for _, header := range headers {
			for tag := range strings.SplitSeq(header, ",") {
				if !yield(strings.TrimSpace(tag)) {
					return
				}
			}
		}
	}
}

// IfMatch is the condition of a change: that nobody changed the thing since its ETag was read.
type IfMatch struct {
	IfMatch string `header:"If-Match" maxLength:"1000" doc:"the ETag of what is to be changed; 412 when somebody else has changed it meanwhile"`
}

func (c IfMatch) check(version string) error {
	if c.IfMatch == "" {
		return nil
	}
	for tag := range tags([]string{c.IfMatch}) {
		was, _, _ := strings.Cut(strings.Trim(tag, `"`), "-")
		if tag == "*" || was == version {
			return nil
		}
	}
	return huma.Error412PreconditionFailed("somebody has changed it meanwhile: read it again")
}

// versionOf is a short name of the state of a thing.
func versionOf(thing any) string {
	text, _ := json.Marshal(thing)
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:8])
}

package pages

import (
	"compress/gzip"
	"net/http"
	"strings"
	"sync"
)

// Texts go out compressed to whoever takes them so: a page of 1,000 packages is 1.2 MB, which is 24 s on a line of 50 KB/s. Streams do not:
// each open page would keep a window of its own, and what they send is little. Nor do logs, of which a browser shows how much is there.

var packable = map[string]bool{"text/html": true, "text/css": true, "text/javascript": true, "application/json": true, typeParts: true}

// packers are gzip.Writers that nobody uses: one is 800 KB. The fastest level makes a tenth of a page already.
var packers = sync.Pool{New: func() any {
	z, err := gzip.NewWriterLevel(nil, gzip.BestSpeed)
	if err != nil {
		panic(err) // the level is one of gzip's own
	}
	return z
}}

// packing is an answer that is compressed if it turns out to be a text. After the last byte it must be closed.
type packing struct {
	http.ResponseWriter
	begun bool
	z     *gzip.Writer // nil: sent as it is
}

// takesGzip tells whether who asks takes answers so (RFC 9110, 12.5.3); a weight of 0 refuses.
func takesGzip(r *http.Request) bool {
	for coding := range strings.SplitSeq(r.Header.Get("Accept-Encoding"), ",") {
		name, weight, _ := strings.Cut(strings.ReplaceAll(coding, " ", ""), ";")
		if strings.EqualFold(name, "gzip") {
			return strings.Trim(strings.TrimPrefix(strings.ToLower(weight), "q="), "0.") != "" || weight == ""
		}
	}
	return false
}

func (p *packing) begin(status int) {
	if p.begun {
		return
	}
	p.begun = true
	h := p.Header()
	media, _, _ := strings.Cut(h.Get("Content-Type"), ";")
	if !packable[media] || h.Get("Content-Encoding") != "" || status == http.StatusNoContent || status == http.StatusNotModified {
		return
	}
	h.Set("Content-Encoding", "gzip")
	h.Del("Content-Length")
	if z, ok := packers.Get().(*gzip.Writer); ok {
		z.Reset(p.ResponseWriter)
		p.z = z
	}
}

// WriteHeader implements http.ResponseWriter.
func (p *packing) WriteHeader(status int) {
	p.begin(status)
	p.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (p *packing) Write(text []byte) (int, error) {
	p.begin(http.StatusOK)
	if p.z != nil {
		return p.z.Write(text)
	}
	return p.ResponseWriter.Write(text)
}

// Unwrap is for http.ResponseController: what is flushed, or stays open, is not compressed.
func (p *packing) Unwrap() http.ResponseWriter { return p.ResponseWriter }

// close sends what is left. An answer that broke off must not be closed: it would look whole.
func (p *packing) close() {
	if p.z == nil {
		return
	}
	_ = p.z.Close() // to somebody who may have gone
	p.z.Reset(nil)
	packers.Put(p.z)
	p.z = nil
}

package auth

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"maps"
	"net/url"
	"slices"
	"strings"
)

// hidden stands where a secret was.
const hidden = "***"

// Redactor cuts known secrets out of logs: as they are, escaped as in addresses and JSON, and in base64, also
// together with what stands before and after them (as in an Authorization header). It is not changed after it was
// made, and may be used from any goroutine.
//
// It knows patterns as an Aho-Corasick automaton: each byte of a log is looked at once, however many secrets there are.
type Redactor struct {
	nodes []redactNode // the first is the root
	first [256]bool    // bytes that a secret begins with
}

// redactNode is small: an SSH key in all its forms has a hundred thousand of them.
type redactNode struct {
	child, sibling int32 // 0: none
	fail           int32 // the longest proper suffix that a secret begins with
	depth          int32 // bytes matched
	found          int32 // length of the longest secret that ends here; 0: none
	b              byte  // that leads here
}

// NewRedactor knows the secrets given. Those shorter than MinSecret are not looked for: they would take words with
// them. Of one with several lines (an SSH key), each line counts.
func NewRedactor(secrets ...[]byte) *Redactor {
	r := &Redactor{nodes: []redactNode{{}}}
	forms := map[string]bool{}
	for _, secret := range secrets {
		addForms(forms, bytes.TrimSpace(secret))
		for line := range bytes.Lines(secret) {
			if !bytes.HasPrefix(line, []byte("-----")) { // of a key, what everybody's begins with
				addForms(forms, bytes.TrimSpace(line))
			}
		}
	}
	for _, form := range slices.Sorted(maps.Keys(forms)) {
		r.add(form)
	}
	r.link()
	return r
}

// addForms adds how a secret may look in a log.
func addForms(forms map[string]bool, secret []byte) {
	if len(secret) < MinSecret {
		return
	}
	text := string(secret)
	forms[text] = true
	for _, html := range []bool{true, false} {
		var quoted strings.Builder
		encoder := json.NewEncoder(&quoted)
		encoder.SetEscapeHTML(html)
		_ = encoder.Encode(text)                        // texts always can be
		forms[quoted.String()[1:quoted.Len()-2]] = true // without quotes and newline
	}
	query := url.QueryEscape(text)
	for _, escaped := range []string{query, strings.ReplaceAll(query, "+", "%20"), url.PathEscape(text), url.User(text).String()} {
		forms[escaped] = true
		forms[lowerEscapes(escaped)] = true
	}
	// Three bytes are four digits of base64: what comes before shifts the digits in three ways, and those at both ends
	// depend on the neighbours.
	forms[base64.RawStdEncoding.EncodeToString(secret)] = true
	forms[base64.RawURLEncoding.EncodeToString(secret)] = true
	for shift := range 3 {
		shifted := append(make([]byte, shift), secret...)
		from, to := (shift*8+5)/6, len(shifted)*8/6
		for _, encoding := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			if digits := encoding.EncodeToString(shifted)[from:to]; len(digits) >= MinSecret {
				forms[digits] = true
			}
		}
	}
}

// lowerEscapes makes %2F of %2f: both are written.
func lowerEscapes(escaped string) string {
	out := []byte(escaped)
	for i := 0; i+2 < len(out); i++ {
		if out[i] == '%' {
			copy(out[i+1:i+3], bytes.ToLower(out[i+1:i+3]))
		}
	}
	return string(out)
}

func (r *Redactor) add(text string) {
	at := int32(0)
	for i := range len(text) {
		next := r.child(at, text[i])
		if next == 0 {
			next = int32(len(r.nodes))
			r.nodes = append(r.nodes, redactNode{b: text[i], depth: int32(i) + 1, sibling: r.nodes[at].child})
			r.nodes[at].child = next
		}
		at = next
	}
	r.nodes[at].found = int32(len(text))
	r.first[text[0]] = true
}

// child is 0 where there is none.
func (r *Redactor) child(at int32, b byte) int32 {
	next := r.nodes[at].child
	for next != 0 && r.nodes[next].b != b {
		next = r.nodes[next].sibling
	}
	return next
}

// link finds where to go on when a match goes no further, level by level.
func (r *Redactor) link() {
	for queue := []int32{0}; len(queue) > 0; queue = queue[1:] {
		at := queue[0]
		for next := r.nodes[at].child; next != 0; next = r.nodes[next].sibling {
			if at != 0 {
				fail := r.step(r.nodes[at].fail, r.nodes[next].b)
				r.nodes[next].fail = fail
				r.nodes[next].found = max(r.nodes[next].found, r.nodes[fail].found)
			}
			queue = append(queue, next)
		}
	}
}

// step is the state after one more byte.
func (r *Redactor) step(at int32, b byte) int32 {
	for {
		if next := r.child(at, b); next != 0 || at == 0 {
			return next
		}
		at = r.nodes[at].fail
	}
}

// String is a text without secrets.
func (r *Redactor) String(text string) string {
	var out strings.Builder
	w := r.Writer(&out)
	_, _ = io.WriteString(w, text) // a Builder takes everything
	_ = w.Close()
	return out.String()
}

// Writer cuts secrets out of what goes to w, also those that come in pieces. It holds back only what may be the
// beginning of one; Close writes that, and does not close w. Write says that all was written once w has
// taken what was not held back. For one goroutine.
func (r *Redactor) Writer(w io.Writer) io.WriteCloser {
	return &redactWriter{r: r, w: w}
}

type redactWriter struct {
	r    *Redactor
	w    io.Writer
	at   int32
	held []byte // not written yet: as long as the match so far
	hide []bool // which of held are part of a secret
	cut  bool   // the last byte that was written or left out was part of one
	out  []byte
}

func (w *redactWriter) Write(p []byte) (int, error) {
	for i := 0; i < len(p); {
		if w.at == 0 { // most of a log
			n := 0
			for i+n < len(p) && !w.r.first[p[i+n]] {
				n++
			}
			if n > 0 {
				w.out, w.cut = append(w.out, p[i:i+n]...), false
				i += n
				continue
			}
		}
		w.at = w.r.step(w.at, p[i])
		w.held, w.hide = append(w.held, p[i]), append(w.hide, false)
		node := &w.r.nodes[w.at]
		for k := len(w.hide) - int(node.found); k < len(w.hide); k++ {
			w.hide[k] = true
		}
		w.release(len(w.held) - int(node.depth))
		i++
	}
	return len(p), w.flush()
}

// release lets the first n held bytes go: no secret that begins among them can end any more.
func (w *redactWriter) release(n int) {
	for k := range n {
		if !w.hide[k] {
			w.out = append(w.out, w.held[k])
		} else if !w.cut {
			w.out = append(w.out, hidden...)
		}
		w.cut = w.hide[k]
	}
	w.held, w.hide = slices.Delete(w.held, 0, n), slices.Delete(w.hide, 0, n)
}

func (w *redactWriter) flush() error {
	out := w.out
	w.out = w.out[:0]
	if len(out) == 0 {
		return nil
	}
	_, err := w.w.Write(out)
	return err
}

func (w *redactWriter) Close() error {
	w.release(len(w.held))
	w.at = 0
	return w.flush()
}

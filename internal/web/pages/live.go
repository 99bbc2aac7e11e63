package pages

import (
	"bytes"
	"context"
	"encoding/json"
	"hash/maphash"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/a-h/templ"

	"reqpm/internal/store"
)

// How a page stays what it shows.
//
// A component says with @live(id) that what it encloses, one element that has this id, may change while the page is
// open. The page's script opens the page's own address as an event stream. For it the loader is asked again whenever
// something happened that the page is about, and the fragments that differ from what was sent before are sent. They
// may enclose each other: of one that changed only inside, only the inner one is sent.

const (
	typeStream = "text/event-stream"
	typeParts  = "application/vnd.reqpm.parts+json"
)

// Between two renderings for the same page, and after the first sign that there is something to render. A page renders no more than a third of
// the time: where many look at a large run on a small machine they get its changes later, and builds have the processor.
const (
	liveEvery  = 300 * time.Millisecond
	liveRest   = 3 // of what a rendering took
	liveGather = 30 * time.Millisecond
	keepAlive  = 15 * time.Second // proxies close what is silent, and a page begins again where it is (app.js)
)

// A fragment that changes with everything and is large (slowly) is sent less often than the rest.
const (
	slowEvery = 5 * time.Second
	slowSize  = 16 << 10 // bytes; what is smaller, and has fewer parts that live by themselves, is sent as all others are
	slowParts = 40
)

// wants says whether the request asks for an answer of a media type by its name.
func (q *request) wants(media string) bool {
	return strings.Contains(q.Header.Get("Accept"), media)
}

// answer is what the page's script gets for a form or an action.
type answer struct {
	Fragments map[string]string `json:"fragments,omitempty"` // HTML by id
	Toast     string            `json:"toast,omitempty"`
	To        string            `json:"to,omitempty"` // where to go
	At        string            `json:"at,omitempty"` // where the page is from now on: its parts are asked for there
	Error     string            `json:"error,omitempty"`
	Field     string            `json:"field,omitempty"`
}

func writeAnswer(w http.ResponseWriter, status int, a answer) {
	a.Toast, a.Error = visibleText(a.Toast), visibleText(a.Error) // they may quote what somebody else wrote
	w.Header().Set("Content-Type", typeParts)
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(a) // to somebody who may have gone
}

// fragments are what one rendering of a page has between @live.
type fragments struct {
	html map[string]string // each with marks where others are inside it
	ids  []string
	slow map[string]bool
}

type fragmentsKey struct{}

func mark(id string) string { return "<!--live " + id + "-->" }

// live encloses one element whose id is id, and which changes while the page is open.
func live(id string) templ.Component { return enclose(id, false) }

// slowly is live for what is large and changes whenever anything does: a picture of the whole. An open page gets it every few seconds.
func slowly(id string) templ.Component { return enclose(id, true) }

func enclose(id string, slow bool) templ.Component {
	return templ.ComponentFunc(func(ctx context.Context, w io.Writer) error {
		children := templ.GetChildren(ctx)
		ctx = templ.ClearChildren(ctx)
		all, collecting := ctx.Value(fragmentsKey{}).(*fragments)
		if !collecting {
			return children.Render(ctx, w)
		}
		var part bytes.Buffer
		if err := children.Render(ctx, &part); err != nil {
			return err
		}
		all.html[id] = visibleText(part.String())
		all.ids = append(all.ids, id)
		all.slow[id] = slow
		_, err := io.WriteString(w, mark(id))
		return err
	})
}

// collect renders a page for its fragments.
func collect(ctx context.Context, whole templ.Component) (*fragments, error) {
	all := &fragments{html: map[string]string{}, slow: map[string]bool{}}
	return all, whole.Render(context.WithValue(ctx, fragmentsKey{}, all), io.Discard)
}

// full is a fragment with those inside it.
func (f *fragments) full(id string) string {
	var all strings.Builder
	f.write(&all, id)
	return all.String()
}

func (f *fragments) write(into *strings.Builder, id string) {
	html := f.html[id]
	for {
		before, rest, more := strings.Cut(html, "<!--live ")
		into.WriteString(before)
		if !more {
			return
		}
		var inner string
		inner, html, _ = strings.Cut(rest, "-->")
		f.write(into, inner)
	}
}

// inside notes the ids within a fragment.
func (f *fragments) inside(id string, into map[string]bool) {
	html := f.html[id]
	for {
		_, rest, found := strings.Cut(html, "<!--live ")
		if !found {
			return
		}
		inner, after, _ := strings.Cut(rest, "-->")
		into[inner] = true
		f.inside(inner, into)
		html = after
	}
}

// sums are what an open page has, by fragment.
type sums map[string]uint64

var seed = maphash.MakeSeed()

// changed are the fragments that a page with the sums given does not have yet, and brings the sums forward. What hold is true for
// stays as the page has it; nil holds nothing.
func (f *fragments) changed(have sums, hold func(id string) bool) map[string]string {
	out, covered := map[string]string{}, map[string]bool{}
	for i := len(f.ids) - 1; i >= 0; i-- { // the outer ones end after the inner ones
		id := f.ids[i]
		sum := maphash.String(seed, f.html[id])
		if before, ok := have[id]; !covered[id] && (!ok || before != sum) {
			if ok && hold != nil && hold(id) {
				continue
			}
			out[id] = f.full(id)
			f.inside(id, covered)
		}
		have[id] = sum
	}
	return out
}

// show answers with a page, in whichever way it is asked for. allowed asks again whether who looks may.
func (p *Pages) show(q *request, page load, allowed func() error) error {
	switch {
	case q.wants(typeStream):
		return p.stream(q, page, allowed)
	case q.wants(typeParts):
		v, err := page(q)
		if err != nil {
			return err
		}
		all, err := collect(q.ctx(), v.page(q, 0))
		if err != nil {
			return err
		}
		out := answer{Fragments: map[string]string{}}
		for id, html := range all.changed(sums{}, nil) {
			out.Fragments[id] = html
		}
		writeAnswer(q.w, http.StatusOK, out)
		return nil
	}
	after, err := p.cfg.Store.LastEvent(q.ctx()) // before anything is read: what happens from here on is told
	if err != nil {
		return err
	}
	v, err := page(q)
	if err != nil {
		return err
	}
	v.After = after
	q.whole(http.StatusOK, v)
	return nil
}

// whole sends a page.
func (q *request) whole(status int, v view) {
	var out bytes.Buffer
	if err := v.page(q, v.After).Render(q.ctx(), &out); err != nil {
		q.p.cfg.Log.Error("a page was not rendered", "path", q.URL.Path, "error", err)
		http.Error(q.w, "Something went wrong here. The server's log says what.", http.StatusInternalServerError)
		return
	}
	h := q.w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	q.w.WriteHeader(status)
	_, _ = io.WriteString(q.w, visibleText(out.String())) // to somebody who may have gone
}

// feed sends what changes to one open page.
type feed struct {
	q       *request
	page    load
	allowed func() error
	have    sums
	wake    <-chan struct{} // of the view: something that is no event of the store
	filter  store.EventFilter
	beside  bool
	sent    map[string]time.Time // when slow fragments were
	held    bool                 // by the last rendering: another must follow
}

// render loads the page again and gives the fragments that it does not have yet.
func (f *feed) render() (map[string]string, error) {
	if err := f.allowed(); err != nil {
		return nil, err
	}
	v, err := f.page(f.q)
	if err != nil {
		return nil, err
	}
	f.wake, f.filter, f.beside = v.Wake, v.Watch, v.Beside
	all, err := collect(f.q.ctx(), v.page(f.q, 0))
	if err != nil {
		return nil, err
	}
	f.held = false
	return all.changed(f.have, func(id string) bool { return f.hold(all, id) }), nil
}

// hold keeps back a slow fragment that was sent a moment ago.
func (f *feed) hold(all *fragments, id string) bool {
	switch {
	case !all.slow[id] || len(all.html[id]) < slowSize && strings.Count(all.html[id], "<!--live ") < slowParts:
		return false
	case time.Since(f.sent[id]) < slowEvery:
		f.held = true
		return true
	}
	f.sent[id] = time.Now()
	return false
}

func (f *feed) send(id int64, changed map[string]string) error {
	text, err := json.Marshal(answer{Fragments: changed})
	if err != nil {
		return err
	}
	_, err = io.WriteString(f.q.w, "id: "+strconv.FormatInt(id, 10)+"\ndata: "+string(text)+"\n\n")
	if err != nil {
		return err
	}
	return http.NewResponseController(f.q.w).Flush()
}

// stream sends the fragments of a page as they change, until the browser goes away. Where the page stands is the
// number of the last event: a page that comes back goes on from there.
func (p *Pages) stream(q *request, page load, allowed func() error) error {
	ctx, cancel := context.WithCancel(q.ctx())
	defer cancel()
	q.Request = q.WithContext(ctx)
	after := q.number("after")
	if n, err := strconv.ParseInt(q.Header.Get("Last-Event-ID"), 10, 64); err == nil && n > 0 {
		after = n
	}
	f := &feed{q: q, page: page, allowed: allowed, have: sums{}, sent: map[string]time.Time{}}
	before, err := p.cfg.Store.LastEvent(ctx)
	if err != nil {
		return err
	}
	changed, err := f.render()
	if err != nil {
		return err
	}
	if last, err := p.cfg.Store.LastEvent(ctx); err == nil && last == after && before == after && !f.beside {
		changed = nil // nothing has happened since: the page has all that
	}
	h := q.w.Header()
	h.Set("Content-Type", typeStream)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no")
	_ = http.NewResponseController(q.w).SetWriteDeadline(time.Time{}) // it stays open
	if err := f.send(before, changed); err != nil {
		return nil
	}
	f.follow(before)
	return nil
}

// follow renders again after what happens, not more often than every liveEvery.
func (f *feed) follow(after int64) {
	ctx := f.q.ctx()
	events, filter := make(chan int64), f.filter
	go func() {
		defer close(events)
		for e, err := range f.q.p.cfg.Events(ctx, after, filter) {
			if err != nil {
				return // the browser comes again
			}
			select {
			case events <- e.ID:
			case <-ctx.Done():
				return
			}
		}
	}()
	alive := time.NewTicker(keepAlive)
	defer alive.Stop()
	var due <-chan time.Time  // when to render; nil: nothing is to be
	var late <-chan time.Time // when what was held is sent
	var rendered time.Time
	pause := liveEvery
	soon := func() {
		if due == nil {
			due = time.After(max(liveGather, pause-time.Since(rendered)))
		}
	}
	for {
		select {
		case id, more := <-events:
			if !more {
				return
			}
			after = id
			soon()
		case <-f.wake:
			f.wake = nil // until the next rendering brings another
			soon()
		case <-late:
			late = nil
			soon()
		case <-due:
			due, rendered = nil, time.Now()
			changed, err := f.render()
			pause = max(liveEvery, liveRest*time.Since(rendered))
			if err != nil || len(changed) > 0 && f.send(after, changed) != nil {
				return
			}
			if f.held && late == nil {
				late = time.After(slowEvery)
			}
		case <-alive.C:
			who, err := f.q.p.cfg.Auth.Refresh(ctx, f.q.who)
			if err != nil {
				return // logged out, or the token was revoked
			}
			f.q.who = who
			if f.q.who.Anonymous() {
				soon() // what everybody may can change too
			}
			if _, err := io.WriteString(f.q.w, "event: alive\ndata: -\n\n"); err != nil || http.NewResponseController(f.q.w).Flush() != nil {
				return
			}
		}
	}
}

package pages

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"time"

	"github.com/a-h/templ"
)

// What the pages of the queue, of workers, people, schedules and messages share.

// wakeAfter has an open page rendered again after a while though nothing has happened: what only goes on with time.
func wakeAfter(ctx context.Context, d time.Duration) <-chan struct{} {
	woken := make(chan struct{})
	timer := time.AfterFunc(d, func() { close(woken) })
	context.AfterFunc(ctx, func() { timer.Stop() })
	return woken
}

// backOn is the query of the page that a form was on, so that it is shown again as it was.
func (q *request) backOn(page string) {
	q.URL.Path, q.URL.RawQuery = page, ""
	if back, err := url.Parse(q.Referer()); err == nil && back.Host == q.Host && back.Path == page {
		q.URL.RawQuery = back.RawQuery
	}
}

// again answers an action with what happened, and with the page as it is now: for what no event tells open pages.
func (q *request) again(toast, path string, page load) error {
	return q.againWith(toast, path, page, nil)
}

// againWith also shows something that is in no page: a secret that is shown once, what a dry run found. It is the element
// with the id "once".
func (q *request) againWith(toast, path string, page load, once templ.Component) error {
	if once == nil && !q.wants(typeParts) {
		return q.done(toast, path)
	}
	q.backOn(path)
	v, err := page(q)
	if err != nil {
		return err
	}
	if !q.wants(typeParts) {
		q.whole(http.StatusOK, view{Title: v.Title, Nav: v.Nav, Crumbs: v.Crumbs, Body: onceAlone(path, once)})
		return nil
	}
	all, err := collect(q.ctx(), v.page(q, 0))
	if err != nil {
		return err
	}
	out := answer{Fragments: all.changed(sums{}, nil), Toast: toast}
	if once != nil {
		var html bytes.Buffer
		if err := onceBox(once).Render(q.ctx(), &html); err != nil {
			return err
		}
		out.Fragments["once"] = visibleText(html.String())
	}
	writeAnswer(q.w, http.StatusOK, out)
	return nil
}

// untilText is how far ahead a moment is.
func untilText(t, now time.Time) string {
	switch s := t.Sub(now).Seconds(); {
	case s < 1:
		return "now"
	case s < 90:
		return fmt.Sprintf("in %.0f s", s)
	case s < 90*60:
		return fmt.Sprintf("in %.0f min", math.Round(s/60))
	case s < 36*3600:
		return fmt.Sprintf("in %.0f h", s/3600)
	}
	return fmt.Sprintf("in %.0f d", t.Sub(now).Hours()/24)
}

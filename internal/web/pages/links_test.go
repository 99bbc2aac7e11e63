package pages

import (
	"context"
	"errors"
	"html"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"reqpm/internal/auth"
	"reqpm/internal/service"
	"reqpm/internal/source"
	"reqpm/internal/store"
)

// linkTo is an address in a page: of a link, of a form that asks, or of the page's own stream.
var (
	linkTo     = regexp.MustCompile(`<(?:a|link|script|main)\s[^>]*?(?:href|src|data-live)="([^"]*)"`)
	formTo     = regexp.MustCompile(`<form\s[^>]*>`)
	attribute  = regexp.MustCompile(`([a-z-]+)="([^"]*)"`)
	buttonTo   = regexp.MustCompile(`<button\s[^>]*?formaction="([^"]*)"`)
	identifier = regexp.MustCompile(`\sid="([^"]*)"`)
)

// elsewhere is an address that these pages do not answer: the API, repositories, another server.
func elsewhere(u *url.URL) bool {
	return u.Host != "" || strings.HasPrefix(u.Path, "/api/") || strings.HasPrefix(u.Path, "/repos/")
}

// TestLinks goes from the dashboard to every page that a link leads to, as somebody who may do everything and as
// somebody who may only read: none leads to nothing, to a refusal or to a place that is not in the page, and no form is sent to
// where nobody listens or to what this reader may not do.
func TestLinks(t *testing.T) {
	b, _ := newPast(t)
	b.pages.cfg.Projects = noForge{}
	var builds []int64 // one in each state
	for _, state := range []store.StepState{store.Waiting, store.Ready, store.Running, store.Succeeded, store.Failed, store.Blocked, store.Cancelled} {
		part, err := b.store.Steps(t.Context(), store.StepFilter{Kinds: []store.Kind{store.Build}, States: []store.StepState{state}}, store.Page{Limit: 1})
		if err != nil || len(part.Items) != 1 {
			t.Fatalf("%d builds are %s: %v", len(part.Items), state, err)
		}
		builds = append(builds, part.Items[0].ID)
	}
	for _, role := range []auth.Role{auth.Admin, auth.Viewer} {
		t.Run(role.String(), func(t *testing.T) {
			c := crawl{t: t, bed: b, role: role, token: b.token(role, 0), from: map[string]string{}, kinds: map[string]int{}}
			c.add("/", "the start")
			for _, id := range builds {
				c.add(buildPath(id), "the start")
			}
			for len(c.queue) > 0 {
				at := c.queue[0]
				c.queue = c.queue[1:]
				c.visit(at)
			}
			if c.pages < 30 {
				t.Errorf("only %d pages are found: links are not", c.pages)
			}
			t.Logf("%d addresses, of them %d pages", len(c.from), c.pages)
		})
	}
}

// crawl is one reader's way through the pages.
type crawl struct {
	t     *testing.T
	bed   *bed
	role  auth.Role
	token string
	from  map[string]string // each address, and the page where it was first seen
	queue []string
	kinds map[string]int // addresses of each page and its parameters
	pages int
}

func (c *crawl) visit(at string) {
	w := c.bed.ask(c.token, http.MethodGet, at, nil)
	if w.Code != http.StatusOK && w.Code != http.StatusFound && w.Code != http.StatusSeeOther {
		c.t.Errorf("%s, a link of %s, answers %d to a %s", at, c.from[at], w.Code, c.role)
		return
	}
	if !strings.HasPrefix(w.Header().Get("Content-Type"), "text/html") {
		return
	}
	c.pages++
	body := w.Body.String()
	ids := map[string]bool{"": true}
	for _, m := range identifier.FindAllStringSubmatch(body, -1) {
		ids[html.UnescapeString(m[1])] = true
	}
	base, err := url.Parse(at)
	if err != nil {
		c.t.Fatal(err)
	}
	for _, m := range linkTo.FindAllStringSubmatch(body, -1) {
		u, err := base.Parse(html.UnescapeString(m[1]))
		if err != nil {
			c.t.Errorf("%s leads to %q: %v", at, m[1], err)
			continue
		}
		if strings.HasPrefix(m[1], "#") && !ids[u.Fragment] && !lineOfLog.MatchString(u.Fragment) {
			c.t.Errorf("%s leads to #%s, which it has not", at, u.Fragment)
		}
		if !elsewhere(u) {
			u.Fragment = ""
			c.add(u.String(), at)
		}
	}
	c.forms(at, base, body)
}

// lineOfLog is a place that the log's script knows.
var lineOfLog = regexp.MustCompile(`^L[0-9]+$|^first-error$`)

// forms looks whether somebody listens to each form, and lets this reader.
func (c *crawl) forms(at string, base *url.URL, body string) {
	check := func(method, action string) {
		u, err := base.Parse(action)
		if err != nil {
			c.t.Errorf("%s sends a form to %q: %v", at, action, err)
			return
		}
		if elsewhere(u) {
			return
		}
		if method == http.MethodGet {
			c.add(u.Path, at)
			return
		}
		_, pattern := c.bed.pages.mux.Handler(c.bed.request("", method, u.Path, nil))
		if pattern == "" || pattern == "/" {
			c.t.Errorf("%s sends a form to %s, where nobody listens", at, u.Path)
		}
		if needs, ok := c.bed.pages.roles[pattern]; ok && needs > c.role {
			c.t.Errorf("%s shows a %s the form of %s, which needs a %s", at, c.role, pattern, needs)
		}
	}
	for _, tag := range formTo.FindAllString(body, -1) {
		values := map[string]string{}
		for _, m := range attribute.FindAllStringSubmatch(tag, -1) {
			values[m[1]] = html.UnescapeString(m[2])
		}
		if values["method"] != "dialog" {
			check(strings.ToUpper(orText(values["method"], "get")), values["action"])
		}
		if to := values["data-refresh"]; to != "" {
			check(http.MethodGet, to)
		}
	}
	for _, m := range buttonTo.FindAllStringSubmatch(body, -1) {
		check(http.MethodPost, html.UnescapeString(m[1]))
	}
}

// perKind is how many addresses of one page that differ only in a number, a name or what a filter is set to are asked for.
const perKind = 8

// add puts an address into the queue, once, unless enough like it were.
func (c *crawl) add(to, from string) {
	if _, ok := c.from[to]; ok {
		return
	}
	c.from[to] = from
	r := c.bed.request("", http.MethodGet, to, nil)
	_, kind := c.bed.pages.mux.Handler(r)
	kind += " " + strings.Join(slices.Sorted(maps.Keys(r.URL.Query())), " ")
	if c.kinds[kind]++; c.kinds[kind] <= perKind {
		c.queue = append(c.queue, to)
	}
}

// noForge is a Git server that cannot be reached: the past has no repositories.
type noForge struct{ service.Projects }

func (noForge) Refs(context.Context, service.Subject) ([]source.Ref, error) {
	return nil, errors.New("the server is not there")
}

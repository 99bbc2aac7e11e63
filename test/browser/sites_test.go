package browser

import (
	"html"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"reqpm/internal/store"
	"reqpm/internal/web/pagetest"
)

// site is one page of the past, and what it is called.
type site struct{ kind, path string }

var linkOut = regexp.MustCompile(`<a\s[^>]*?href="([^"]*)"`)

// Numbers and names in addresses: pages that differ in nothing else are of one kind.
var (
	pathNumber = regexp.MustCompile(`/\d+`)
	pathName   = regexp.MustCompile(`^/(projects|packages|users|workers)/([^/]+)`)
)

// kindOf is the kind of page at an address.
func kindOf(u *url.URL) string {
	kind := pathNumber.ReplaceAllString(u.Path, "/N")
	if m := pathName.FindStringSubmatch(kind); m != nil && m[2] != "new" {
		kind = "/" + m[1] + "/NAME" + kind[len(m[0]):]
	}
	if strings.Contains(kind, "/NAME/packages/") {
		kind = kind[:strings.Index(kind, "/packages/")] + "/packages/NAME" // of any package
	}
	if tab := u.Query().Get("tab"); tab != "" {
		kind += " " + tab
	}
	return kind
}

var found struct {
	once  sync.Once
	sites []site
}

// sites are the pages of the past, one of each kind: all that links lead to from the dashboard, the page of a build in every state,
// and what is shown to people who have not logged in or are lost. Whoever adds a page need not add it here.
func sites(t testing.TB) []site {
	t.Helper()
	s := past.get(t)
	found.once.Do(func() {
		builds := buildsOf(t)
		var starts []string
		for _, state := range slices.Sorted(maps.Keys(builds)) {
			starts = append(starts, buildPath(builds[state]))
			found.sites = append(found.sites, site{"build " + string(state), buildPath(builds[state])})
		}
		found.sites = append(append(found.sites, site{"lost", "/nothing/here"}), crawl(t, s, starts...)...)
		slices.SortStableFunc(found.sites, func(a, b site) int { return strings.Compare(a.kind, b.kind) })
	})
	if len(found.sites) < 15 {
		t.Fatalf("only %d kinds of pages are found: %v", len(found.sites), found.sites)
	}
	return found.sites
}

// buildsOf is a build of the past in each state.
func buildsOf(t testing.TB) map[store.StepState]int64 {
	t.Helper()
	b, err := pagetest.Open(t.Context(), past.get(t).dir+"/state")
	must(t, err)
	defer b.Close()
	ids := map[store.StepState]int64{}
	for _, state := range []store.StepState{store.Waiting, store.Ready, store.Running, store.Succeeded, store.Failed, store.Blocked, store.Cancelled} {
		part, err := b.Store.Steps(t.Context(), store.StepFilter{Kinds: []store.Kind{store.Build}, States: []store.StepState{state}}, store.Page{Limit: 1})
		must(t, err)
		if len(part.Items) != 1 {
			t.Fatalf("no build of the past is %s", state)
		}
		ids[state] = part.Items[0].ID
	}
	return ids
}

// seen is how many pages of a kind are asked for links: not all packages of all runs.
const seen = 3

// crawl finds a page of each kind from the dashboard and the other pages it begins with.
func crawl(t testing.TB, s *server, starts ...string) []site {
	t.Helper()
	first, asked, count := map[string]string{}, map[string]bool{}, map[string]int{}
	queue := append([]string{"/", "/search?q=e"}, starts...) // the search is a form, no link leads there
	for len(queue) > 0 {
		at := queue[0]
		queue = queue[1:]
		answer, body := s.get(t, at)
		if answer.StatusCode != 200 || !strings.HasPrefix(answer.Header.Get("Content-Type"), "text/html") {
			continue
		}
		base, err := url.Parse(at)
		must(t, err)
		if kind := kindOf(base); first[kind] == "" {
			first[kind] = at
		}
		for _, m := range linkOut.FindAllStringSubmatch(body, -1) {
			u, err := base.Parse(html.UnescapeString(m[1]))
			if err != nil || u.Host != "" || strings.HasPrefix(u.Path, "/api/") || strings.HasPrefix(u.Path, "/repos/") {
				continue
			}
			u.Fragment = ""
			kind := kindOf(u)
			if asked[u.String()] || count[kind] >= seen {
				continue
			}
			asked[u.String()] = true
			count[kind]++
			queue = append(queue, u.String())
		}
	}
	var list []site
	for _, kind := range slices.Sorted(maps.Keys(first)) {
		list = append(list, site{kind, first[kind]})
	}
	return list
}

func buildPath(id int64) string { return "/builds/" + strconv.FormatInt(id, 10) }

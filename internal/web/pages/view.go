package pages

import (
	"context"
	"io"
	"net/http"

	"github.com/a-h/templ"

	"reqpm/internal/auth"
	"reqpm/internal/store"
)

// view is what a page shows.
type view struct {
	Title  string // before "· ReqPM"
	State  string // of what the page is about, for title and icon of the browser's tab; "": none
	Nav    string // the entry of the navigation that the page belongs to: see navigation
	Crumbs []crumb
	Still  bool // nothing more is heard of it: what is not there does not change
	Bare   bool // without navigation: for those who are not let in yet
	Body   templ.Component
	// Watch chooses the events after which the page is rendered again where it is open; the zero one is all.
	Watch store.EventFilter
	// Wake is one more reason to render it again, once; nil: none.
	Wake <-chan struct{}
	// Beside: it shows what no event tells, so that its stream begins with all of it.
	Beside bool
	// After is the last event that the page may have.
	After int64
}

// crumb is a step of the way to the page. The last has no address.
type crumb struct{ Text, Path string }

// frame is what is around a view.
type frame struct {
	view
	Theme   string
	Version string
	Path    string // of the page with its query, where its stream is
	Who     auth.Identity
	Project store.Project // zero: the page is of none
	Groups  []navGroup
}

// navGroup is a part of the side navigation.
type navGroup struct {
	Title string
	Links []navLink
}

type navLink struct {
	Key, Text, Path, Icon string
	Keys                  string    // of the keyboard
	Count                 int64     // beside it; 0: none
	State                 string    // its colour, or with no count its icon
	Role                  auth.Role // that it needs on the server as a whole
}

// page is the view in its frame, for whoever asks for it.
func (v view) page(q *request, after int64) templ.Component {
	v.After = after
	return templ.ComponentFunc(func(ctx context.Context, w io.Writer) error {
		f := frame{view: v, Theme: theme(q.Request), Version: q.p.cfg.Version, Path: q.URL.RequestURI(), Who: q.who, Project: q.project}
		if !v.Bare {
			var err error
			if f.Groups, err = q.navigation(); err != nil {
				return err
			}
		}
		return layout(f).Render(ctx, w)
	})
}

// theme is what somebody has chosen, in this browser.
func theme(r *http.Request) string {
	if c, err := r.Cookie("theme"); err == nil && (c.Value == "light" || c.Value == "auto") {
		return c.Value
	}
	return "dark"
}

// navigation are the links at the side, with what is to be known at a glance.
func (q *request) navigation() ([]navGroup, error) {
	projects, err := q.store().CountProjects(q.ctx(), q.visible())
	if err != nil {
		return nil, err
	}
	groups := []navGroup{{Links: []navLink{
		{Key: "dashboard", Text: "Dashboard", Path: "/", Icon: "home", Keys: "g d"},
		{Key: "projects", Text: "Projects", Path: "/projects", Icon: "folder", Keys: "g p", Count: projects},
		{Key: "queue", Text: "Queue", Path: "/queue", Icon: "list", Keys: "g q"},
		{Key: "workers", Text: "Workers", Path: "/workers", Icon: "server", Keys: "g w", Role: auth.Viewer},
		{Key: "repositories", Text: "Repositories", Path: "/repositories", Icon: "repo", Keys: "g o"},
		{Key: "schedules", Text: "Schedules", Path: "/schedules", Icon: "clock", Keys: "g s", Role: auth.Viewer},
	}}}
	own, err := q.projectNavigation()
	if err != nil {
		return nil, err
	}
	groups = append(groups, own, navGroup{Title: "Administration", Links: []navLink{
		{Key: "users", Text: "Users and tokens", Path: "/users", Icon: "user", Role: auth.Admin},
		{Key: "channels", Text: "Notifications", Path: "/channels", Icon: "bell", Role: auth.Admin},
		{Key: "audit", Text: "Audit log", Path: "/audit", Icon: "shield", Role: auth.Admin},
		{Key: "settings-server", Text: "Settings", Path: "/settings", Icon: "gear", Role: auth.Admin},
	}})
	var there []navGroup
	for _, g := range groups {
		var links []navLink
		for _, l := range g.Links {
			if q.who.In(0) >= l.Role && q.p.has(l.Path) {
				links = append(links, l)
			}
		}
		if len(links) > 0 {
			there = append(there, navGroup{g.Title, links})
		}
	}
	return there, nil
}

// has says whether there is a page at an address.
func (p *Pages) has(path string) bool {
	r, err := http.NewRequest(http.MethodGet, path, nil)
	if err != nil {
		return false
	}
	_, pattern := p.mux.Handler(r)
	return pattern != ""
}

// projectNavigation are the pages of the project that the page is of; else the projects that ran last.
func (q *request) projectNavigation() (navGroup, error) {
	if q.project.ID != 0 {
		base := projectPath(q.project.Name)
		links := []navLink{
			{Key: "project", Text: "Overview", Path: base, Icon: "eye"},
			{Key: "runs", Text: "Runs", Path: base + "/runs", Icon: "play"},
			{Key: "packages", Text: "Packages", Path: base + "/packages", Icon: "box"},
			{Key: "repository", Text: "Repository", Path: base + "/repository", Icon: "repo"},
		}
		if q.may(auth.Maintainer) {
			links = append(links,
				navLink{Key: "members", Text: "Members", Path: base + "/members", Icon: "user"},
				navLink{Key: "hook", Text: "Push hook", Path: base + "/hook", Icon: "branch"},
				navLink{Key: "secrets", Text: "Secrets", Path: base + "/secrets", Icon: "key"},
				navLink{Key: "project-channels", Text: "Notifications", Path: base + "/channels", Icon: "bell"},
				navLink{Key: "settings", Text: "Settings", Path: base + "/settings", Icon: "gear"})
		}
		return navGroup{q.project.Name, links}, nil
	}
	runs, err := q.store().Runs(q.ctx(), store.RunFilter{Projects: q.visible()}, store.Page{Limit: 40})
	if err != nil {
		return navGroup{}, err
	}
	group := navGroup{Title: "Recent projects"}
	seen := map[int64]bool{}
	for _, r := range runs.Items {
		if seen[r.Project] || len(group.Links) == 5 {
			continue
		}
		seen[r.Project] = true
		p, err := q.store().Project(q.ctx(), r.Project)
		if err != nil {
			continue // deleted meanwhile
		}
		group.Links = append(group.Links, navLink{Text: p.Name, Path: projectPath(p.Name), Icon: "folder", State: string(r.State)})
	}
	return group, nil
}

// Where things are.
func projectPath(name string) string { return "/projects/" + pathPart(name) }
func runPath(id int64) string        { return "/runs/" + itoa(id) }
func buildPath(id int64) string      { return "/builds/" + itoa(id) }

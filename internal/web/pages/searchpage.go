package pages

import (
	"encoding/json"
	"net/http"

	"reqpm/internal/auth"
	"reqpm/internal/store"
)

// The search over everything: a page, and what the field in the top bar shows while somebody types. Both find only what who asks
// may see.

func (p *Pages) searchPages() {
	p.get("/search", auth.Viewer, aboutMany, p.search)
	p.handle("GET /search/hits", auth.Viewer, aboutMany, p.searchHits)
}

// Of each kind so many are shown: on the page, and below the field.
const (
	searchShown   = 20
	searchBelow   = 5
	searchLongest = 200 // characters; what is longer is cut
)

type searchData struct {
	Text   string
	Groups []searchGroup
	Found  int
}

// searchGroup are the hits of a kind.
type searchGroup struct {
	Title string
	More  bool // than are shown there may be
	Hits  []searchHit
}

type searchHit struct {
	Path, Icon, State, Name, Beside string
}

func (q *request) find(limit int) (searchData, error) {
	text := []rune(q.URL.Query().Get("q"))
	d := searchData{Text: string(text[:min(len(text), searchLongest)])}
	hits, err := q.store().Search(q.ctx(), q.who.Search(d.Text, limit))
	if err != nil {
		return d, err
	}
	d.Found = len(hits)
	for _, h := range hits {
		if title := searchTitles[h.Kind]; len(d.Groups) == 0 || d.Groups[len(d.Groups)-1].Title != title {
			d.Groups = append(d.Groups, searchGroup{Title: title})
		}
		g := &d.Groups[len(d.Groups)-1]
		g.Hits = append(g.Hits, hitOf(h))
		g.More = len(g.Hits) == limit
	}
	return d, nil
}

func (p *Pages) search(q *request) (view, error) {
	d, err := q.find(searchShown)
	if err != nil {
		return view{}, err
	}
	title := "Search"
	if d.Text != "" {
		title = plain(d.Text) + " · Search"
	}
	return view{Title: title, Nav: "search", Body: searchPage(d), Watch: store.EventFilter{Project: -1}}, nil
}

// searchHits answers the script of the field with what it shows.
func (p *Pages) searchHits(q *request) error {
	d, err := q.find(searchBelow)
	if err != nil {
		return err
	}
	type hit struct {
		Group  string `json:"group"`
		Path   string `json:"path"`
		Icon   string `json:"icon"`
		State  string `json:"state,omitempty"`
		Name   string `json:"name"`
		Beside string `json:"beside,omitempty"`
	}
	hits := []hit{}
	for _, g := range d.Groups {
		for _, h := range g.Hits {
			hits = append(hits, hit{g.Title, h.Path, h.Icon, h.State, h.Name, h.Beside})
		}
	}
	q.w.Header().Set("Content-Type", "application/json")
	q.w.Header().Set("Cache-Control", "no-store")
	q.w.WriteHeader(http.StatusOK)
	_ = json.NewEncoder(q.w).Encode(map[string]any{"hits": hits}) // to somebody who may have gone
	return nil
}

var searchTitles = map[store.HitKind]string{
	store.HitProject: "Projects", store.HitPackage: "Packages", store.HitRun: "Runs", store.HitBuild: "Builds", store.HitRPM: "RPMs",
	store.HitRepository: "Repositories", store.HitWorker: "Workers", store.HitUser: "Users",
}

// hitOf is where a hit leads and how it is written.
func hitOf(h store.Hit) searchHit {
	out := searchHit{Name: plain(h.Name), State: h.State}
	if h.State == string(store.Ready) {
		out.State = "queued"
	}
	project := plain(h.ProjectName)
	switch h.Kind {
	case store.HitProject:
		out.Path, out.Icon, out.Beside = projectPath(h.Name), "folder", plain(h.Detail)
	case store.HitPackage:
		out.Path, out.Icon, out.Beside = packagePath(h.ProjectName, h.Name), "box", plain(h.Detail)+" in "+project
	case store.HitRun:
		out.Path, out.Icon, out.Name, out.Beside = runPath(h.ID), "play", project+" "+itoa(h.Number), short(h.Commit)
	case store.HitBuild:
		name, version := splitPackage(h.Name)
		out.Path, out.Icon, out.Name, out.Beside = buildPath(h.ID), "box", plain(name)+" "+plain(version), project+", "+targetText(store.Step{Target: h.Target})
	case store.HitRPM:
		out.Path, out.Icon, out.Beside = buildPath(h.ID), "box", project+", "+targetText(store.Step{Target: h.Target})
	case store.HitRepository:
		out.Path, out.Icon, out.Name, out.Beside = projectPath(h.ProjectName)+"/repository", "repo", project, plain(h.Name)+", "+h.Target
	case store.HitWorker:
		out.Path, out.Icon, out.State, out.Beside = "/workers", "server", "", plain(h.Detail)
	case store.HitUser:
		out.Path, out.Icon, out.Beside = "/users/"+itoa(h.ID), "user", h.Detail
	}
	return out
}

func searchSub(d searchData) string {
	if d.Text == "" {
		return ""
	}
	return plural(d.Found, "hit") + " for " + plain(d.Text)
}

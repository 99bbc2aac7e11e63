package pages

import (
	"cmp"
	"errors"

	"reqpm/internal/auth"
	"reqpm/internal/store"
)

// Where a phone finds what does not fit at its foot: all places, of a project too.

func (p *Pages) morePages() {
	p.get("/more", auth.Viewer, aboutMaybe, p.more)
}

// aboutMaybe is the project that the query names, or none.
var aboutMaybe about = func(q *request) (store.Project, error) {
	name := q.URL.Query().Get("project")
	if name == "" {
		return store.Project{}, nil
	}
	p, err := q.store().ProjectNamed(q.ctx(), name)
	if errors.Is(err, store.ErrNotFound) {
		err = nil // deleted meanwhile: the server's places are there
	}
	return p, err
}

func (p *Pages) more(q *request) (view, error) {
	groups, err := q.navigation()
	if err != nil {
		return view{}, err
	}
	for i := range groups {
		groups[i].Title = cmp.Or(groups[i].Title, "Server")
	}
	return view{Title: "All places", Nav: "more", Body: morePage(groups), Watch: store.EventFilter{Project: -1}}, nil
}

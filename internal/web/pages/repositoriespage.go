package pages

import (
	"fmt"
	"slices"
	"strings"

	"reqpm/internal/auth"
	"reqpm/internal/store"
)

// Every published repository, of all projects.

func (p *Pages) repositoryPages() {
	p.get("/repositories", auth.Viewer, aboutMany, p.serverRepositories)
}

// shownSnapshots are the earlier states of a repository that are listed.
const shownSnapshots = 8

type serverRepository struct {
	repositoryRow
	Project   string
	Key       string // fingerprint; "": not known
	Snapshots []store.Snapshot
	Numbers   map[int64]int64
}

type serverRepositoriesData struct {
	Rows     []serverRepository
	Packages int64
	Size     int64
	Bad      int
	Text     string
}

func (p *Pages) serverRepositories(q *request) (view, error) {
	d := serverRepositoriesData{Text: strings.ToLower(strings.TrimSpace(q.URL.Query().Get("q")))}
	all, err := q.store().Repositories(q.ctx(), 0)
	if err != nil {
		return view{}, err
	}
	names := projectNames{q: q}
	for _, r := range all {
		if q.who.In(r.Project) < auth.Viewer {
			continue
		}
		row := serverRepository{Project: names.of(r.Project)}
		if !strings.Contains(row.Project+" "+r.Target+" "+r.Channel, d.Text) {
			continue
		}
		s, err := q.store().Snapshot(q.ctx(), r.Snapshot)
		if err != nil {
			continue // replaced meanwhile
		}
		row.Repository, row.Snapshot = r, s
		row.Address = Address(q.Request) + "/repos/" + row.Project + "/" + r.Channel + "/" + r.Target + ".repo"
		if row.Install, err = q.installText(s, row.Address, row.Project); err != nil {
			return view{}, err
		}
		if q.p.cfg.SignedWith != nil {
			row.Key = q.p.cfg.SignedWith(row.Project, r.Channel, r.Target)
		}
		earlier, err := q.store().Snapshots(q.ctx(), r.Project, r.Target, store.Page{Limit: shownSnapshots})
		if err != nil {
			return view{}, err
		}
		row.Snapshots = earlier.Items
		runs := []int64{s.Run}
		for _, e := range earlier.Items {
			runs = append(runs, e.Run)
		}
		if row.Numbers, err = q.runNumbers(runs); err != nil {
			return view{}, err
		}
		d.Packages, d.Size, d.Bad = d.Packages+s.Packages, d.Size+s.Size, d.Bad+boolInt(r.Problem != "")
		d.Rows = append(d.Rows, row)
	}
	slices.SortStableFunc(d.Rows, func(a, b serverRepository) int {
		return strings.Compare(a.Project+" "+a.Repository.Target, b.Project+" "+b.Repository.Target)
	})
	v := view{Title: "Repositories", Nav: "repositories", Body: serverRepositoriesPage(d)}
	if d.Bad > 0 {
		v.State = "failed"
	}
	return v, nil
}

// What repositoriespage.templ says.

func repositoriesSub(d serverRepositoriesData) string {
	if len(d.Rows) == 0 {
		return ""
	}
	return fmt.Sprintf("%s, %s", plural(int(d.Packages), "package"), bytesText(d.Size))
}

// checkState and checkWord are what the last look at a repository's metadata found.
func checkState(r store.Repository) string {
	switch {
	case r.Problem != "":
		return "failed"
	case r.Checked.IsZero():
		return "waiting"
	}
	return "succeeded"
}

func checkWord(r store.Repository) string {
	switch {
	case r.Problem != "":
		return "Cannot be used"
	case r.Checked.IsZero():
		return "Not checked yet"
	}
	return "Good"
}

// grouped is a fingerprint in fours, as gpg prints it.
func grouped(fingerprint string) string {
	var parts []string
	for part := range slices.Chunk([]byte(fingerprint), 4) {
		parts = append(parts, string(part))
	}
	return strings.Join(parts, " ")
}

package store

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// HitKind is what a search found.
type HitKind string

// The kinds, in the order in which Search gives them.
const (
	HitProject    HitKind = "project"
	HitPackage    HitKind = "package" // of a project; its ID is that of its newest build
	HitRun        HitKind = "run"
	HitBuild      HitKind = "build"      // the newest of its version
	HitRPM        HitKind = "rpm"        // its ID is that of the build that made it
	HitRepository HitKind = "repository" // of a project
	HitWorker     HitKind = "worker"
	HitUser       HitKind = "user"
)

// Hit is something that was looked for. What its kind has not is zero.
type Hit struct {
	Kind        HitKind
	ID          int64
	Name        string // of a build NAME==VERSION, of a package NAME, of a file its name, of a repository its channel
	Project     int64
	ProjectName string
	Number      int64 // of a run, within its project
	Target      string
	State       string
	Commit      string // of a run
	Detail      string // of a project its Git address, of a package its newest version, of a worker its host, of a user the role
}

// SearchFilter is who looks for what.
type SearchFilter struct {
	Text     string
	Projects []int64 // whose things may be found; nil: of all
	Workers  bool    // may be found
	Users    bool    // may be found
	Limit    int     // of each kind; 0: 10, at most 50

	written string // Text with its case
}

// Search finds whatever has the text: projects by name or address, packages and builds by name and version ("flask", "flask 3.0"), RPMs by the
// beginning of their names, runs by number, project and number ("shop 12") or the beginning of the commit, builds by number, repositories
// by project, channel and target, workers by name or host, users by name. Case counts for RPMs alone. What begins with the text is before what has it somewhere.
func (q Queries) Search(ctx context.Context, f SearchFilter) ([]Hit, error) {
	if f.Limit <= 0 {
		f.Limit = 10
	}
	f.Limit = min(f.Limit, 50)
	f.written = strings.TrimSpace(f.Text)
	f.Text = strings.Join(strings.Fields(strings.ToLower(strings.TrimLeft(f.Text, "#"))), " ")
	if f.Text == "" {
		return nil, nil
	}
	var all []Hit
	ways := []func(context.Context, SearchFilter) ([]Hit, error){q.findWorkers, q.findUsers}
	if f.Projects == nil || len(f.Projects) > 0 {
		ways = slices.Concat([]func(context.Context, SearchFilter) ([]Hit, error){q.findProjects, q.findPackages, q.findRuns, q.findRPMs, q.findRepositories}, ways)
	}
	for _, find := range ways {
		hits, err := find(ctx, f)
		if err != nil {
			return nil, err
		}
		all = append(all, hits...)
	}
	names := map[int64]string{}
	for _, h := range all {
		names[h.Project] = ""
	}
	delete(names, 0)
	ids := slices.Collect(maps.Keys(names))
	for part := range slices.Chunk(ids, most) {
		set, args := inList(nil, part)
		projects, err := many(ctx, q, "name what was found", scanProject, "SELECT "+projectColumns+" FROM projects WHERE id IN "+set, args...)
		if err != nil {
			return nil, err
		}
		for _, p := range projects {
			names[p.ID] = p.Name
		}
	}
	for i := range all {
		all[i].ProjectName = names[all[i].Project]
	}
	return all, nil
}

// contains is a text as LIKE's pattern for what has it somewhere.
func contains(text string) string { return "%" + likeText(text) + "%" }

func (q Queries) findProjects(ctx context.Context, f SearchFilter) ([]Hit, error) {
	var w where
	w.add(`(lower(name) LIKE ? ESCAPE '\' OR lower(git_url) LIKE ? ESCAPE '\')`, contains(f.Text), contains(f.Text))
	in(&w, "id", f.Projects)
	w.args = append(w.args, likeText(f.Text)+"%", contains(f.Text))
	n := len(w.args)
	order := fmt.Sprintf(` ORDER BY CASE WHEN lower(name) LIKE $%d ESCAPE '\' THEN 0 WHEN lower(name) LIKE $%d ESCAPE '\' THEN 1 ELSE 2 END, name LIMIT %d`, n-1, n, f.Limit)
	return many(ctx, q, "search the projects", func(row scanner) (h Hit, err error) {
		h.Kind = HitProject
		err = row.Scan(&h.ID, &h.Name, &h.Detail)
		h.Project = h.ID
		return h, err
	}, "SELECT id, name, git_url FROM projects"+w.String()+order, w.args...)
}

// The names of packages are kept as PEP 503 normalises them.
var nameSeparators = regexp.MustCompile(`[-_.]+`)

// packageWords are a name as packages are kept by, and the beginning of a version ("": any).
func packageWords(text string) (name, version string) {
	name, version, found := strings.Cut(text, "==")
	if !found {
		name, version, _ = strings.Cut(text, " ")
	}
	return nameSeparators.ReplaceAllString(strings.TrimSpace(name), "-"), strings.TrimSpace(version)
}

// findPackages finds packages and the newest builds of their versions: the package of that name, then those that begin with it, then
// those that have it somewhere.
func (q Queries) findPackages(ctx context.Context, f SearchFilter) ([]Hit, error) {
	name, version := packageWords(f.Text)
	if name == "" || name == "-" {
		return nil, nil
	}
	var ids []int64
	seen := map[int64]bool{}
	look := func(conditions func(w *where)) error {
		if len(ids) >= 2*f.Limit {
			return nil
		}
		var w where
		w.add("kind = 'build'")
		conditions(&w)
		in(&w, "project", f.Projects)
		found, err := many(ctx, q, "search the packages", value[int64], fmt.Sprintf("SELECT MAX(id) FROM steps%s GROUP BY package, project ORDER BY package, project LIMIT %d", w.String(), 2*f.Limit), w.args...)
		for _, id := range found {
			if !seen[id] && len(ids) < 2*f.Limit {
				seen[id], ids = true, append(ids, id)
			}
		}
		return err
	}
	span := func(from, to string) func(w *where) {
		return func(w *where) {
			w.add("package >= ?", from)
			w.add("package < ?", to)
		}
	}
	exact, some := name+"=="+version, contains(name)
	if version != "" {
		some = "%" + likeText(name) + "%==" + likeText(version) + "%"
	}
	ways := []func(w *where){span(exact, exact+"\U0010FFFF")}
	if version == "" {
		ways = append(ways, span(name, name+"\U0010FFFF"))
	}
	ways = append(ways, func(w *where) { w.add(`package LIKE ? ESCAPE '\'`, some) })
	for _, way := range ways {
		if err := look(way); err != nil {
			return nil, err
		}
	}
	if id, err := strconv.ParseInt(f.Text, 10, 64); err == nil {
		ids = append([]int64{id}, ids...) // a build's own number
	}
	return q.packageHits(ctx, f, ids)
}

// packageHits makes hits of builds: of each package one, and of each version of it.
func (q Queries) packageHits(ctx context.Context, f SearchFilter, ids []int64) ([]Hit, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	var w where
	in(&w, "id", ids)
	in(&w, "project", f.Projects)
	w.add("kind = 'build'")
	steps, err := many(ctx, q, "read what was found", scanQueued, "SELECT "+queueColumns+" FROM steps"+w.String(), w.args...)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(steps, func(a, b Step) int { return cmp.Compare(slices.Index(ids, a.ID), slices.Index(ids, b.ID)) })
	type key struct {
		project int64
		name    string
	}
	at := map[key]int{}
	var packages, builds []Hit
	for _, s := range steps {
		name, version, _ := strings.Cut(s.Package, "==")
		builds = append(builds, Hit{Kind: HitBuild, ID: s.ID, Name: s.Package, Project: s.Project, Target: s.Target, State: string(s.State)})
		if i, ok := at[key{s.Project, name}]; !ok {
			at[key{s.Project, name}] = len(packages)
			packages = append(packages, Hit{Kind: HitPackage, ID: s.ID, Name: name, Project: s.Project, State: string(s.State), Detail: version})
		} else if p := &packages[i]; s.ID > p.ID {
			p.ID, p.State, p.Detail = s.ID, string(s.State), version
		}
	}
	return append(packages[:min(len(packages), f.Limit)], builds[:min(len(builds), f.Limit)]...), nil
}

// hexDigits are the beginning of a commit: of fewer than four there are too many.
var hexDigits = regexp.MustCompile(`^[0-9a-f]{4,40}$`)

// findRuns finds runs by their number, by a project and a number, and by the beginning of their commits.
func (q Queries) findRuns(ctx context.Context, f SearchFilter) (hits []Hit, err error) {
	look := func(order string, conditions ...func(w *where)) error {
		var w where
		for _, c := range conditions {
			c(&w)
		}
		in(&w, "project", f.Projects)
		found, err := many(ctx, q, "search the runs", func(row scanner) (h Hit, err error) {
			h.Kind = HitRun
			err = row.Scan(&h.ID, &h.Project, &h.Number, &h.Commit, &h.State)
			return h, err
		}, fmt.Sprintf("SELECT id, project, number, commit_id, state FROM runs%s ORDER BY %s LIMIT %d", w.String(), order, f.Limit), w.args...)
		for _, h := range found {
			if len(hits) < f.Limit && !slices.ContainsFunc(hits, func(have Hit) bool { return have.ID == h.ID }) {
				hits = append(hits, h)
			}
		}
		return err
	}
	words := strings.Fields(f.Text)
	if n, err := strconv.ParseInt(strings.TrimLeft(words[len(words)-1], "#"), 10, 64); err == nil {
		if len(words) == 1 {
			if err := look("id", func(w *where) { w.add("id = ?", n) }); err != nil {
				return nil, err
			}
		} else if err := look("id DESC", func(w *where) {
			w.add(`number = ? AND project IN (SELECT id FROM projects WHERE lower(name) LIKE ? ESCAPE '\')`, n, contains(strings.Join(words[:len(words)-1], " ")))
		}); err != nil {
			return nil, err
		}
	}
	if hexDigits.MatchString(f.Text) {
		err = look("commit_id, id DESC", func(w *where) { w.add("commit_id >= ? AND commit_id < ?", f.Text, f.Text+"g") })
	}
	return hits, err
}

// rpmsLooked is how many files that begin with a text are looked at: a server has some for each build, and who may see few projects
// must not have all of them gone through.
const rpmsLooked = 1000

// findRPMs finds RPMs by the beginning of NAME-VERSION-RELEASE.ARCH.
func (q Queries) findRPMs(ctx context.Context, f SearchFilter) ([]Hit, error) {
	if strings.Contains(f.Text, " ") {
		return nil, nil
	}
	var w where
	in(&w, "r.project", f.Projects)
	w.args = append(w.args, f.written, f.written+"\U0010FFFF")
	n := len(w.args)
	return many(ctx, q, "search the RPMs", func(row scanner) (h Hit, err error) {
		h.Kind = HitRPM
		err = row.Scan(&h.Name, &h.ID, &h.Project, &h.Target)
		return h, err
	}, fmt.Sprintf(`SELECT a.name, MAX(s.id), r.project, s.target
		FROM (SELECT name, run, step FROM artifacts WHERE kind = 'rpm' AND name >= $%d AND name < $%d ORDER BY name, id LIMIT %d) a
		JOIN steps s ON s.id = a.step JOIN runs r ON r.id = a.run%s GROUP BY a.name, r.project, s.target ORDER BY a.name, r.project, s.target LIMIT %d`, n-1, n, rpmsLooked, w.String(), f.Limit), w.args...)
}

func (q Queries) findRepositories(ctx context.Context, f SearchFilter) ([]Hit, error) {
	var w where
	for word := range strings.FieldsSeq(strings.ReplaceAll(f.Text, "/", " ")) {
		w.add(`(lower(p.name) LIKE ? ESCAPE '\' OR lower(r.channel) LIKE ? ESCAPE '\' OR lower(r.target) LIKE ? ESCAPE '\')`, contains(word), contains(word), contains(word))
	}
	in(&w, "r.project", f.Projects)
	return many(ctx, q, "search the repositories", func(row scanner) (h Hit, err error) {
		h.Kind = HitRepository
		err = row.Scan(&h.ID, &h.Name, &h.Project, &h.Target)
		return h, err
	}, fmt.Sprintf("SELECT r.id, r.channel, r.project, r.target FROM repositories r JOIN projects p ON p.id = r.project%s ORDER BY p.name, r.target, r.channel LIMIT %d", w.String(), f.Limit), w.args...)
}

func (q Queries) findWorkers(ctx context.Context, f SearchFilter) ([]Hit, error) {
	if !f.Workers {
		return nil, nil
	}
	all, err := q.LivingWorkers(ctx)
	var hits []Hit
	for _, w := range all {
		if len(hits) < f.Limit && (strings.Contains(strings.ToLower(w.Name), f.Text) || strings.Contains(strings.ToLower(w.Host), f.Text)) {
			hits = append(hits, Hit{Kind: HitWorker, ID: w.ID, Name: w.Name, Detail: w.Host, State: string(w.State)})
		}
	}
	return hits, err
}

func (q Queries) findUsers(ctx context.Context, f SearchFilter) ([]Hit, error) {
	if !f.Users {
		return nil, nil
	}
	return many(ctx, q, "search the users", func(row scanner) (h Hit, err error) {
		h.Kind = HitUser
		err = row.Scan(&h.ID, &h.Name, &h.Detail)
		return h, err
	}, fmt.Sprintf(`SELECT id, name, role FROM users WHERE lower(name) LIKE $1 ESCAPE '\' ORDER BY name LIMIT %d`, f.Limit), contains(f.Text))
}

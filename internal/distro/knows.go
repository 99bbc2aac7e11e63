package distro

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"reqpm/internal/target"
)

// Knows says which RPM of t's repositories each of deps would bring: names, pkgconfig(…) and
// other capabilities, paths. A dependency that no RPM provides is not in the answer. Answers are
// kept for as long as the repositories stay as they are. Errors are those of Provides.
func (r *Repositories) Knows(ctx context.Context, t target.Target, deps []string) (map[string]RPM, error) {
	set, err := r.Provides(ctx, t)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	key := questionKey(t)
	dir := filepath.Join(r.cfg.Dir, t.Name+"-"+t.Python.Minor()+"-"+key[:16])
	path := dir + ".deps.json"
	kept := depAnswer{Revision: set.Revision, Deps: map[string]*RPM{}}
	if text, err := os.ReadFile(path); err == nil {
		var old depAnswer
		// Damaged, or of another state: asked again.
		if json.Unmarshal(text, &old) == nil && old.Revision == set.Revision && old.Deps != nil {
			kept = old
		}
	}
	var ask []string
	for _, d := range deps {
		if _, ok := kept.Deps[d]; !ok && !slices.Contains(ask, d) {
			ask = append(ask, d)
		}
	}
	if len(ask) > 0 {
		if r.cfg.Offline || set.Origin != FromRepositories {
			return nil, &UnknownError{t.Name, errors.New("its repositories were not asked for " + strings.Join(ask, ", "))}
		}
		if err := askDeps(ctx, t, dir, ask, kept.Deps); err != nil {
			return nil, err
		}
		text, err := json.Marshal(kept)
		if err != nil {
			return nil, err
		}
		if err := replaceFile(path, text); err != nil {
			return nil, err
		}
	}
	found := map[string]RPM{}
	for _, d := range deps {
		if rpm := kept.Deps[d]; rpm != nil {
			found[d] = *rpm
		}
	}
	return found, nil
}

// Knows asks the first of the list that can be asked for any dependency.
func (list FirstOf) Knows(ctx context.Context, t target.Target, deps []string) (map[string]RPM, error) {
	for _, p := range list {
		if r, ok := p.(*Repositories); ok {
			return r.Knows(ctx, t, deps)
		}
	}
	return nil, &UnknownError{t.Name, errors.New("nobody knows its repositories")}
}

// depAnswer is what is known of dependencies in one state of the repositories; nil: nobody
// provides it.
type depAnswer struct {
	Revision string          `json:"revision"`
	Deps     map[string]*RPM `json:"deps"`
}

// askDeps asks dnf for all of deps at once; paths each on its own, for an RPM's record does not
// list its files.
func askDeps(ctx context.Context, t target.Target, dir string, deps []string, into map[string]*RPM) error {
	var names []string
	for _, d := range deps {
		into[d] = nil
		if !strings.HasPrefix(d, "/") {
			names = append(names, d)
			continue
		}
		rpms, err := query(ctx, t, dir, d)
		if err != nil {
			return err
		}
		if len(rpms) > 0 {
			into[d] = &RPM{Name: rpms[0].Name, Version: rpms[0].Version}
		}
	}
	if len(names) == 0 {
		return nil
	}
	rpms, err := query(ctx, t, dir, names...)
	if err != nil {
		return err
	}
	for _, rpm := range rpms {
		for _, p := range append([]string{rpm.Name}, rpm.Provides...) {
			p, _, _ = strings.Cut(p, " ")
			if old, asked := into[p]; asked && old == nil && slices.Contains(names, p) {
				into[p] = &RPM{Name: rpm.Name, Version: rpm.Version}
			}
		}
	}
	return nil
}

// replaceFile writes path as a whole: others may read it meanwhile.
func replaceFile(path string, text []byte) error {
	fail := func(err error) error { return fmt.Errorf("keep what the distribution provides: %w", err) }
	f, err := os.CreateTemp(filepath.Dir(path), ".answer-")
	if err != nil {
		return fail(err)
	}
	defer os.Remove(f.Name())
	_, err = f.Write(text)
	if err := errors.Join(err, f.Chmod(0o644), f.Close()); err != nil {
		return fail(err)
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return fail(err)
	}
	return nil
}

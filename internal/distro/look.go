package distro

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"reqpm/internal/dnf"
	"reqpm/internal/target"
)

// Answers asks each repository of t whether it answers from here, one after the other. The result has
// nil for those that do, by repository ID. It needs no dnf and writes nothing.
func Answers(ctx context.Context, t target.Target) map[string]error {
	answers := make(map[string]error, len(t.Repos))
	for _, repo := range t.Repos {
		ctx, cancel := context.WithTimeout(ctx, stateTime)
		_, err := dnf.State(ctx, repo, t)
		cancel()
		answers[repo.ID] = err
	}
	return answers
}

// Look asks which RPM of t's repositories each of the package names or other capabilities is
// provided by; what is missing in the result is nowhere. Errors are those of Provides.
func (r *Repositories) Look(ctx context.Context, t target.Target, wanted []string) (map[string]RPM, error) {
	if t.Kind != target.DNF {
		return nil, &UnknownError{t.Name, errors.New("it has no dnf repositories")}
	}
	if r.cfg.Offline {
		return nil, &UnknownError{t.Name, errors.New("--offline asks nobody")}
	}
	rpms, err := query(ctx, t, filepath.Join(r.cfg.Dir, fmt.Sprintf("%s-%s-%.16s", t.Name, t.Python.Minor(), questionKey(t))), wanted...)
	if err != nil {
		return nil, err
	}
	found := map[string]RPM{}
	for _, rpm := range rpms {
		for _, want := range wanted {
			if _, seen := found[want]; (!seen || rpm.Name == want) && provides(rpm, want) {
				found[want] = rpm
			}
		}
	}
	return found, nil
}

// provides tells whether rpm has the capability want, in whatever version.
func provides(rpm RPM, want string) bool {
	if rpm.Name == want {
		return true
	}
	for _, p := range rpm.Provides {
		if name, _, _ := strings.Cut(p, " "); name == want {
			return true
		}
	}
	return false
}

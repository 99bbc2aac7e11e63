package repo

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Change is a package that two snapshots do not have alike.
type Change struct {
	Name string `json:"name"`
	From string `json:"from,omitempty" doc:"[EPOCH:]VERSION-RELEASE; absent: it is not there"`
	To   string `json:"to,omitempty" doc:"[EPOCH:]VERSION-RELEASE; absent: it is gone"`
}

// Changes are the packages that clients get otherwise, or no more, or only then, when a snapshot takes the place of the
// current one, by name; source packages are left out. ErrNoSnapshot where one of the two is not there.
func Changes(root, id string) ([]Change, error) {
	before := map[string]string{}
	if current := currentID(root); current != "" {
		var err error
		if before, err = versionsOf(root, current); err != nil {
			return nil, err
		}
	}
	after, err := versionsOf(root, id)
	if err != nil {
		return nil, err
	}
	all := []Change{}
	for name, was := range before {
		if is := after[name]; is != was {
			all = append(all, Change{name, was, is})
		}
	}
	for name, is := range after {
		if _, ok := before[name]; !ok {
			all = append(all, Change{name, "", is})
		}
	}
	slices.SortFunc(all, func(x, y Change) int { return strings.Compare(x.Name, y.Name) })
	return all, nil
}

// versionsOf are the packages of a snapshot by name: a published set holds each name once, but for those that there are for
// several architectures.
func versionsOf(root, id string) (map[string]string, error) {
	packages, err := SnapshotPackages(root, id)
	if err != nil {
		return nil, err
	}
	versions := map[string][]string{}
	for _, p := range packages {
		versions[p.Name] = append(versions[p.Name], p.EVR())
	}
	text := map[string]string{}
	for name, all := range versions {
		slices.Sort(all)
		text[name] = strings.Join(slices.Compact(all), ", ")
	}
	return text, nil
}

// SnapshotPackages are those of a snapshot, without source packages, as its publication noted them: ErrNoSnapshot, ErrDamaged.
func SnapshotPackages(root, id string) ([]Package, error) {
	if !snapshotIDs.MatchString(id) {
		return nil, fmt.Errorf("%w: %.40q", ErrNoSnapshot, id)
	}
	text, err := os.ReadFile(filepath.Join(root, snapshotsDir, id, manifestFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %s", ErrNoSnapshot, id)
	}
	if err != nil {
		return nil, fmt.Errorf("read the snapshot %s of %s: %w", id, root, err)
	}
	var written Snapshot
	if err := json.Unmarshal(text, &written); err != nil {
		return nil, fmt.Errorf("%w: %s of %s: %w", ErrDamaged, id, root, err)
	}
	return slices.DeleteFunc(written.Packages, Package.Source), nil
}

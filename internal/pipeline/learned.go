package pipeline

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"reqpm/internal/filelock"
	"reqpm/internal/override"
)

// What repairs taught is kept as override files: in the run's folder, for the user to take over, and under the
// state directory, for later runs. What people write goes before what was learned.

// learnedLayers are changes that repairs made in this run and in earlier ones.
type learnedLayers struct {
	mu     sync.RWMutex
	serial int
	layers []learnedLayer
}

type learnedLayer struct {
	serial int
	override.Layer
}

func (p *Pipeline) learnedDir() string { return filepath.Join(p.paths.state, "learned") }

// recall reads what earlier runs learned. It is ReqPM's own, so a damaged file costs what it says and a warning.
func (p *Pipeline) recall() {
	if p.cfg.NoRepair {
		return
	}
	folder, err := os.OpenRoot(p.learnedDir())
	if err != nil {
		return // nothing was learned yet
	}
	defer folder.Close()
	result, err := override.Read(override.Source{FS: folder.FS(), Shown: p.learnedDir() + "/"})
	if err != nil {
		p.warn("plan", fmt.Sprintf("what was learned in earlier runs is not read: %s; remove the file or mend it", firstLineOf(err.Error())))
	}
	for _, l := range result.Set.Layers() {
		l.Place = override.Global
		p.learn(l)
	}
}

func firstLineOf(s string) string {
	s, _, _ = strings.Cut(s, "\n")
	return s
}

// keepLearned writes down what made the build of b succeed. shown is the file in the run's folder.
func (p *Pipeline) keepLearned(b *pkgBuild, logs string) (shown string, err error) {
	comment := "Learned by ReqPM: with this " + b.name + " " + b.version + " was built for " + p.cfg.Target.Name + "."
	var own []override.Layer
	for _, r := range b.repairs {
		comment += "\n" + r.String()
		own = append(own, r.layer)
	}
	if err := writeLearned(filepath.Join(logs, override.FolderName), b.name, comment, own); err != nil {
		return "", err
	}
	shown = filepath.Join(logs, override.FolderName, b.name+".toml")
	if err := os.MkdirAll(p.learnedDir(), 0o755); err != nil {
		return shown, err
	}
	lock, err := filelock.Exclusive(filepath.Join(p.learnedDir(), "lock"))
	if err != nil {
		return shown, err
	}
	defer lock.Close()
	return shown, writeLearned(filepath.Join(p.learnedDir(), override.FolderName), b.name, comment, append(p.earlier(b.name), own...))
}

// earlier are the layers that are written down of a package, those of other targets included.
func (p *Pipeline) earlier(name string) []override.Layer {
	folder, err := os.OpenRoot(p.learnedDir())
	if err != nil {
		return nil
	}
	defer folder.Close()
	result, _ := override.Read(override.Source{FS: folder.FS()}) // one that is damaged is written again
	return slices.DeleteFunc(result.Set.Layers(), func(l override.Layer) bool { return l.Package != name })
}

// writeLearned writes NAME.toml and the patches that it names.
func writeLearned(dir, name, comment string, layers []override.Layer) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, l := range layers {
		for _, patch := range l.Patches {
			if err := writeFile(filepath.Join(dir, patch.Name), patch.Text); err != nil {
				return err
			}
		}
	}
	return writeFile(filepath.Join(dir, name+".toml"), override.Write(comment, layers...))
}

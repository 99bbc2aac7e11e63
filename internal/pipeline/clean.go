package pipeline

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// Removable lists folders of a state directory that may go: runs older than age, and with
// all every cache that can be made again. Repositories, keys and the history are never
// among them. Nothing may run on the state directory meanwhile when all is set.
func Removable(state string, age time.Duration, all bool) ([]string, error) {
	p := paths{state: state, scratch: filepath.Join(state, "tmp")}
	var list []string
	runs, err := os.ReadDir(p.runs())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, run := range runs {
		info, err := run.Info()
		if err == nil && (all || time.Since(info.ModTime()) > age) {
			list = append(list, filepath.Join(p.runs(), run.Name()))
		}
	}
	if !all {
		return list, nil
	}
	for _, dir := range []string{p.builds(), p.facts(), p.hookEnvs(), p.sources(), p.crates(), p.tmp(),
		filepath.Join(state, "roots"), filepath.Join(state, "index"), filepath.Join(state, "distro"), filepath.Join(state, "checkouts")} {
		if _, err := os.Stat(dir); err == nil {
			list = append(list, dir)
		}
	}
	return list, nil
}

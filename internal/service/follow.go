package service

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"reqpm/internal/builder"
)

// followEvery is how often the logs of a running build are looked at: builders write files, and nothing
// signals that one has grown.
const followEvery = 100 * time.Millisecond

// follow copies the logs that a build leaves below dir into log as they grow, one file after the other. The
// returned function ends it, once everything is copied.
func follow(dir string, log io.Writer) (stop func()) {
	f := &follower{dir: dir, log: log, read: map[string]int64{}}
	end := make(chan struct{})
	var done sync.WaitGroup
	done.Go(func() {
		tick := time.NewTicker(followEvery)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				f.look()
			case <-end:
				f.look()
				return
			}
		}
	})
	return func() {
		close(end)
		done.Wait()
	}
}

type follower struct {
	dir  string
	log  io.Writer
	read map[string]int64 // bytes copied, by file as it is called in the end
	last string
}

// look copies what is new. A folder ends in ".partial" while its attempt runs.
func (f *follower) look() {
	var files []string
	for _, name := range []string{"root.log", "build.log", "verify.log"} {
		for _, pattern := range []string{filepath.Join(f.dir, "*", "*", name), filepath.Join(f.dir, name)} {
			found, _ := filepath.Glob(pattern) // of our own names
			files = append(files, found...)
		}
	}
	slices.SortStableFunc(files, func(a, b string) int { return strings.Compare(filepath.Dir(final(a)), filepath.Dir(final(b))) })
	for _, file := range files {
		f.copy(file)
	}
}

// final is what a file is called when its attempt has ended.
func final(file string) string {
	dir := filepath.Dir(file)
	if trimmed := strings.TrimSuffix(dir, builder.Partial("")); trimmed != dir {
		dir = trimmed
	}
	return filepath.Join(dir, filepath.Base(file))
}

func (f *follower) copy(file string) {
	name := final(file)
	from, err := os.Open(file)
	if err != nil {
		return // it has just got its final name: the next look finds it
	}
	defer from.Close()
	at := f.read[name]
	info, err := from.Stat()
	if err != nil || info.Size() <= at {
		return
	}
	if f.last != name {
		f.last = name
		title, err := filepath.Rel(f.dir, name)
		if err == nil {
			fmt.Fprintf(f.log, "==> %s\n", title)
		}
	}
	n, _ := io.Copy(f.log, io.NewSectionReader(from, at, info.Size()-at))
	f.read[name] = at + n
}

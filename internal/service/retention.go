package service

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"reqpm/internal/blob"
	"reqpm/internal/store"
)

// What retention removes: runs with their logs, logs alone, and results of builds that no run refers to. Rows go first, in one
// transaction which looks once more whether they may; then what they named. Whoever dies in between leaves files of no
// run, which the next time finds.
//
// Results of builds are shared by content key, and a build may take one at the very moment when the last run that
// named it goes. So a result that nobody names is marked, stays blobGrace, and is deleted only if its mark is still
// there: whoever uses it takes the mark off (useBuilds).

const (
	blobGrace = 12 * time.Hour
	// eventDays is how long the stream of events can go on behind one that somebody has seen.
	eventDays = 30
	// endlessDays is how long sessions, answers and the like stay where runs stay for ever.
	endlessDays = 366
)

// cleaned is what went, or would.
type cleaned struct {
	runs, logs, results, marked, lost int // lost: files of no run
	cached, specs, orphans            int // of the caches of this machine, of projects and of secrets that are not there
	bytes                             int64
}

func (c cleaned) String() string {
	text := fmt.Sprintf("removed %s, the logs of %s more, %s of builds that no run needs; %.1f MB", count(c.runs, "run"), count(c.logs, "run"), count(c.results, "result"), float64(c.bytes)/1e6)
	if c.marked > 0 {
		text += fmt.Sprintf("; %s more that no run needs go in %d hours at the earliest", count(c.marked, "result"), int(blobGrace.Hours()))
	}
	if c.lost > 0 {
		text += fmt.Sprintf("; what was left of %s that there are not", count(c.lost, "run"))
	}
	if c.cached > 0 {
		text += fmt.Sprintf("; %s of this machine's cache that nothing used", count(c.cached, "build"))
	}
	if c.specs > 0 {
		text += fmt.Sprintf("; %s of deleted projects", count(c.specs, "spec file"))
	}
	if c.orphans > 0 {
		text += fmt.Sprintf("; %s of the index that no secret opens any more", count(c.orphans, "cache"))
	}
	return text
}

// retention is what the settings say now.
func (s *Service) retention(ctx context.Context) (r store.Retention, logs time.Time, err error) {
	now, err := s.cfg.Settings.Read(ctx, s.cfg.Store.Queries)
	if now.RetentionDays > 0 {
		r.Before = s.cfg.Now().AddDate(0, 0, -now.RetentionDays)
	}
	if now.LogDays > 0 {
		logs = s.cfg.Now().AddDate(0, 0, -now.LogDays)
	}
	r.Keep = now.RetentionRuns
	return r, logs, err
}

// cleanBuilds removes what the settings do not keep.
func (s *Service) cleanBuilds(ctx context.Context) (string, error) {
	r, logs, err := s.retention(ctx)
	if err != nil {
		return "", err
	}
	var c cleaned
	for _, do := range []func() error{
		func() error { return s.cleanRuns(ctx, r, &c) },
		func() error { return s.cleanLogs(ctx, logs, &c) },
		func() error { return s.cleanLost(ctx, &c) },
		func() error { return s.cleanResults(ctx, &c) },
		func() error { return s.cleanCache(ctx, r, &c) },
		func() error { return s.cleanSpecs(ctx, &c) },
		func() error { return s.cleanOrphans(ctx, &c) },
		func() error { return s.cleanRows(ctx, r) },
	} {
		if err = do(); err != nil {
			break
		}
	}
	return c.String(), err
}

// eachOf calls do for the runs that next gives, page by page.
func eachOf(next func(after int64) ([]store.Run, error), do func(r store.Run) error) error {
	after := int64(0)
	for {
		part, err := next(after)
		if err != nil || len(part) == 0 {
			return err
		}
		for _, r := range part {
			after = r.ID
			if err := do(r); err != nil {
				return err
			}
		}
	}
}

const cleanPortion = 200

func (s *Service) cleanRuns(ctx context.Context, r store.Retention, c *cleaned) error {
	return eachOf(func(after int64) ([]store.Run, error) { return s.cfg.Store.ExpiredRuns(ctx, r, after, cleanPortion) }, func(run store.Run) error {
		err := s.cfg.Store.Write(ctx, func(tx *store.Tx) error { return tx.DeleteExpiredRun(ctx, r, run) })
		if errors.Is(err, store.ErrNotFound) {
			return nil // it is wanted again, or gone
		}
		if err != nil {
			return err
		}
		c.runs++
		s.Forget(run.ID)
		bytes, err := s.removeFiles(ctx, run.ID)
		c.bytes += bytes
		return err
	})
}

// removeFiles removes the blobs, logs and working files of a run that is no more; specs that a revision names stay.
func (s *Service) removeFiles(ctx context.Context, run int64) (bytes int64, err error) {
	prefix := fmt.Sprintf("runs/%d/", run)
	sizes, err := sizesOf(s.cfg.Blobs.List(ctx, prefix))
	if err != nil {
		return 0, err
	}
	revisions, err := s.cfg.Store.RevisionUses(ctx, slices.Collect(maps.Keys(sizes)))
	if err != nil {
		return 0, err
	}
	for name, size := range sizes {
		if revisions[name] > 0 {
			continue
		}
		if err := s.cfg.Blobs.Delete(ctx, name); err != nil {
			return bytes, err
		}
		bytes += size
	}
	logs, err := sizesOf(s.cfg.Logs.List(ctx, prefix))
	if err != nil {
		return bytes, err
	}
	n, err := s.removeLogs(run, logs)
	return bytes + n, err
}

// removeLogs removes some logs of a run, and what its builds left on this machine.
func (s *Service) removeLogs(run int64, logs map[string]int64) (bytes int64, err error) {
	for name, size := range logs {
		if err := s.cfg.Logs.Delete(name); err != nil {
			return bytes, err
		}
		bytes += size
	}
	dir := filepath.Join(s.cfg.StateDir, "runs", strconv.FormatInt(run, 10))
	bytes += treeSize(dir)
	return bytes, os.RemoveAll(dir)
}

// sizesOf are the names and sizes of what a store lists.
func sizesOf(list func(func(blob.Info, error) bool)) (map[string]int64, error) {
	sizes := map[string]int64{}
	for info, err := range list {
		if err != nil {
			return nil, err
		}
		sizes[info.Name] += info.Size
	}
	return sizes, nil
}

func (s *Service) cleanLogs(ctx context.Context, before time.Time, c *cleaned) error {
	if before.IsZero() {
		return nil
	}
	return eachOf(func(after int64) ([]store.Run, error) {
		return s.cfg.Store.ExpiredLogs(ctx, before, after, cleanPortion)
	}, func(run store.Run) error {
		var names []string
		err := s.cfg.Store.Write(ctx, func(tx *store.Tx) (err error) {
			names, err = tx.ForgetLogs(ctx, before, run.ID)
			return err
		})
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		sizes, err := sizesOf(s.cfg.Logs.List(ctx, fmt.Sprintf("runs/%d/", run.ID)))
		if err != nil {
			return err
		}
		maps.DeleteFunc(sizes, func(name string, _ int64) bool { return !slices.Contains(names, name) })
		bytes, err := s.removeLogs(run.ID, sizes)
		c.logs++
		c.bytes += bytes
		return err
	})
}

// cleanLost removes files of runs that there are not: of deleted projects, or because whoever removed a run died.
func (s *Service) cleanLost(ctx context.Context, c *cleaned) error {
	lost := map[int64]bool{}
	for _, list := range []func(func(blob.Info, error) bool){s.cfg.Blobs.List(ctx, "runs/"), s.cfg.Logs.List(ctx, "runs/")} {
		for info, err := range list {
			if err != nil {
				return err
			}
			if id, ok := runOf(info.Name); ok && s.cfg.Now().Sub(info.Modified) > blobGrace {
				lost[id] = true
			}
		}
	}
	ids := slices.Sorted(maps.Keys(lost))
	there, err := s.cfg.Store.RunNumbers(ctx, ids)
	if err != nil {
		return err
	}
	for _, id := range ids {
		if _, ok := there[id]; ok {
			continue
		}
		bytes, err := s.removeFiles(ctx, id)
		if err != nil {
			return err
		}
		if bytes > 0 { // else it is specs that revisions name
			c.lost++
			c.bytes += bytes
		}
	}
	return nil
}

// runOf is the run that a name is of.
func runOf(name string) (int64, bool) {
	parts := strings.SplitN(name, "/", 3)
	if len(parts) < 3 {
		return 0, false
	}
	id, err := strconv.ParseInt(parts[1], 10, 64)
	return id, err == nil
}

// results are the blobs of builds, by content key, with their sizes.
func (s *Service) results(ctx context.Context) (map[string]map[string]int64, error) {
	sizes, err := sizesOf(s.cfg.Blobs.List(ctx, "builds/"))
	if err != nil {
		return nil, err
	}
	results := map[string]map[string]int64{}
	for name, size := range sizes {
		key := path.Base(path.Dir(name))
		if results[key] == nil {
			results[key] = map[string]int64{}
		}
		results[key][name] = size
	}
	return results, nil
}

// cleanResults deletes results that were marked long enough ago and are still nobody's, and marks those that are nobody's now.
func (s *Service) cleanResults(ctx context.Context, c *cleaned) error {
	results, err := s.results(ctx)
	if err != nil {
		return err
	}
	marks, err := s.cfg.Store.BlobMarks(ctx)
	if err != nil {
		return err
	}
	marked := map[string]bool{}
	for _, m := range marks {
		marked[m.Name] = true
		if err := s.deleteResult(ctx, m.Name, results[m.Name], c); err != nil {
			return err
		}
	}
	var blobs []string
	for _, files := range results {
		blobs = slices.AppendSeq(blobs, maps.Keys(files))
	}
	uses, err := s.cfg.Store.BlobUses(ctx, blobs)
	if err != nil {
		return err
	}
	var nobodys []string
	for key, files := range results {
		used := marked[key]
		for name := range files {
			used = used || uses[name] > 0
		}
		if !used {
			nobodys = append(nobodys, key)
		}
	}
	c.marked = len(nobodys)
	return s.cfg.Store.MarkBlobs(ctx, nobodys, s.cfg.Now())
}

// deleteResult deletes the blobs of a marked result, if its time has come.
func (s *Service) deleteResult(ctx context.Context, key string, files map[string]int64, c *cleaned) error {
	var mine bool
	err := s.cfg.Store.Write(ctx, func(tx *store.Tx) (err error) {
		mine, err = tx.ClaimBlobs(ctx, key, slices.Collect(maps.Keys(files)), s.cfg.Now().Add(-blobGrace))
		return err
	})
	if err != nil || !mine {
		return err
	}
	// Without this one the result is none: whoever dies here leaves nothing that seems whole.
	if err := s.cfg.Blobs.Delete(ctx, buildBlob(key, resultFile)); err != nil {
		return err
	}
	for name, size := range files {
		if err := s.cfg.Blobs.Delete(ctx, name); err != nil {
			return err
		}
		c.bytes += size
	}
	if len(files) > 0 {
		c.results++
	}
	return s.cfg.Store.UnmarkBlobs(ctx, key)
}

// useBuilds says that results are about to be used: they stay. What it gives is being deleted at this moment.
func (s *Service) useBuilds(ctx context.Context, keys ...string) (map[string]bool, error) {
	// A mark that is made after this look lets the result live for blobGrace.
	marks, err := s.cfg.Store.BlobMarks(ctx, keys...)
	if err != nil || len(marks) == 0 {
		return nil, err
	}
	going := map[string]bool{}
	return going, s.cfg.Store.Write(ctx, func(tx *store.Tx) error {
		deleting, err := tx.UseBlobs(ctx, keys)
		for _, key := range deleting {
			going[key] = true
		}
		return err
	})
}

// waitForDeletion waits until a result can be put: it takes as long as deleting a few blobs does. Where whoever
// deletes has died, it is an error of the infrastructure, and the step is tried again.
func (s *Service) waitForDeletion(ctx context.Context, key string) error {
	const every, most = 200 * time.Millisecond, 30 * time.Second
	tick := time.NewTicker(every)
	defer tick.Stop()
	for range most / every {
		going, err := s.useBuilds(ctx, key)
		if err != nil || !going[key] {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
	}
	return fmt.Errorf("%w: an older result of this build is being deleted", errBlobs)
}

// cleanRows removes rows that nobody asks for by themselves.
func (s *Service) cleanRows(ctx context.Context, r store.Retention) error {
	before := r.Before
	if before.IsZero() {
		before = s.cfg.Now().AddDate(0, 0, -endlessDays)
	}
	for _, do := range []func() (int64, error){
		func() (int64, error) { return s.cfg.Store.Prune(ctx, before) },
		func() (int64, error) {
			return s.cfg.Store.DeleteEventsBefore(ctx, s.cfg.Now().AddDate(0, 0, -eventDays))
		},
		func() (int64, error) { return s.cfg.Store.DeleteWorkersBefore(ctx, before) },
	} {
		if _, err := do(); err != nil {
			return err
		}
	}
	return nil
}

// previewBuilds says what cleanBuilds would remove, in the end: results of builds take one night more.
func (s *Service) previewBuilds(ctx context.Context) (Preview, error) {
	p := Preview{Items: []Removal{}}
	r, logs, err := s.retention(ctx)
	if err != nil {
		return p, err
	}
	add := func(x Removal) {
		p.Count, p.Bytes = p.Count+1, p.Bytes+x.Bytes
		if len(p.Items) < maxPreview {
			p.Items = append(p.Items, x)
		}
	}
	names := projectNames{}
	gone, lost := map[int64]bool{}, map[string]int{} // runs, and how many artifacts of them name a blob
	err = eachOf(func(after int64) ([]store.Run, error) { return s.cfg.Store.ExpiredRuns(ctx, r, after, cleanPortion) }, func(run store.Run) error {
		gone[run.ID] = true
		bytes, err := s.runSize(ctx, run.ID, lost)
		if err != nil {
			return err
		}
		add(Removal{Kind: "run", Name: fmt.Sprintf("%s/%d", names.of(ctx, s.cfg.Store, run.Project), run.Number), Bytes: bytes, Why: "it ended " + run.Finished.Format(time.DateOnly)})
		return nil
	})
	if err != nil {
		return p, err
	}
	if !logs.IsZero() {
		err = eachOf(func(after int64) ([]store.Run, error) { return s.cfg.Store.ExpiredLogs(ctx, logs, after, cleanPortion) }, func(run store.Run) error {
			if gone[run.ID] {
				return nil
			}
			sizes, err := sizesOf(s.cfg.Logs.List(ctx, fmt.Sprintf("runs/%d/", run.ID)))
			add(Removal{Kind: "logs", Name: fmt.Sprintf("%s/%d", names.of(ctx, s.cfg.Store, run.Project), run.Number), Bytes: sum(sizes), Why: "it ended " + run.Finished.Format(time.DateOnly)})
			return err
		})
		if err != nil {
			return p, err
		}
	}
	if err := s.previewResults(ctx, lost, add); err != nil {
		return p, err
	}
	return p, s.previewSweep(ctx, r, add)
}

// runSize is what the files of a run take; lost counts the blobs of results that its artifacts name.
func (s *Service) runSize(ctx context.Context, run int64, lost map[string]int) (int64, error) {
	prefix := fmt.Sprintf("runs/%d/", run)
	blobs, err := sizesOf(s.cfg.Blobs.List(ctx, prefix))
	if err != nil {
		return 0, err
	}
	logs, err := sizesOf(s.cfg.Logs.List(ctx, prefix))
	if err != nil {
		return 0, err
	}
	revisions, err := s.cfg.Store.RevisionUses(ctx, slices.Collect(maps.Keys(blobs)))
	if err != nil {
		return 0, err
	}
	maps.DeleteFunc(blobs, func(name string, _ int64) bool { return revisions[name] > 0 })
	page := store.Page{Limit: 500, Sort: "id"}
	for {
		part, err := s.cfg.Store.Artifacts(ctx, store.ArtifactFilter{Run: run}, page)
		if err != nil {
			return 0, err
		}
		for _, a := range part.Items {
			lost[a.Blob]++
		}
		if page.Cursor = part.Next; page.Cursor == "" {
			return sum(blobs) + sum(logs), nil
		}
	}
}

// previewResults adds the results that nobody but runs that go names.
func (s *Service) previewResults(ctx context.Context, lost map[string]int, add func(Removal)) error {
	results, err := s.results(ctx)
	if err != nil {
		return err
	}
	var blobs []string
	for _, files := range results {
		blobs = slices.AppendSeq(blobs, maps.Keys(files))
	}
	uses, err := s.cfg.Store.BlobUses(ctx, blobs)
	if err != nil {
		return err
	}
	for _, key := range slices.Sorted(maps.Keys(results)) {
		used := false
		for name := range results[key] {
			used = used || uses[name] > lost[name]
		}
		if !used {
			add(Removal{Kind: "result", Name: key, Bytes: sum(results[key]), Why: "no other run needs it"})
		}
	}
	return nil
}

func sum(sizes map[string]int64) (n int64) {
	for _, size := range sizes {
		n += size
	}
	return n
}

// projectNames remembers names of projects.
type projectNames map[int64]string

func (n projectNames) of(ctx context.Context, s *store.Store, id int64) string {
	if _, ok := n[id]; !ok {
		n[id] = strconv.FormatInt(id, 10)
		if p, err := s.Project(ctx, id); err == nil {
			n[id] = p.Name
		}
	}
	return n[id]
}

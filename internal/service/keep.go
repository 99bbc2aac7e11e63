package service

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"reqpm/internal/blob"
	"reqpm/internal/pipeline"
	"reqpm/internal/plan"
	"reqpm/internal/store"
)

// What steps leave behind: specs and plans of a run, and the results of builds, which all runs share
// under their content keys and every worker can have.

func planBlob(s Subject) string { return fmt.Sprintf("runs/%d/%s/plan.json", s.Run, s.Target) }

// buildBlob names a file of a build's result.
func buildBlob(key, file string) string { return "builds/" + key + "/" + file }

func (s *Service) keepPlan(ctx context.Context, sub Subject, p *plan.Plan) error {
	text, err := json.Marshal(p)
	if err != nil {
		return err
	}
	if _, err := s.cfg.Blobs.Put(ctx, planBlob(sub), bytes.NewReader(text)); err != nil {
		return fmt.Errorf("keep the plan: %w", err)
	}
	return nil
}

// keepSpecs keeps every spec file, and a revision of each whose text by ReqPM is not what was written last: also where builds take
// somebody's own, who is told by it that his is older.
func (s *Service) keepSpecs(ctx context.Context, step store.Step, specs []Spec) error {
	for _, spec := range specs {
		name := fmt.Sprintf("runs/%d/%s/specs/%s/%s", step.Run, step.Target, safe(spec.Package), safe(spec.File))
		info, err := s.cfg.Blobs.Put(ctx, name, strings.NewReader(spec.Text))
		if err != nil {
			return fmt.Errorf("keep %s: %w", spec.File, err)
		}
		artifact := store.Artifact{Run: step.Run, Step: step.ID, Kind: "spec", Name: spec.File, Blob: name, Size: info.Size, SHA256: info.SHA256}
		if _, err := s.cfg.Store.PutArtifact(ctx, artifact); err != nil {
			return err
		}
		if spec.Generated == "" {
			continue
		}
		if err := s.keepRevision(ctx, step, spec); err != nil {
			return err
		}
	}
	return nil
}

// safe makes a part of a blob's name of a package or a file name.
func safe(name string) string {
	return strings.Map(func(c rune) rune {
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune("._+-~^=@!,", c) {
			return c
		}
		return '_'
	}, name)
}

// keepBuilt puts the result of a build into the blobs, unless it is there, and notes its files, however long the database
// is away: what was built is not built again because nobody could be told.
func (s *Service) keepBuilt(ctx context.Context, step store.Step, built *pipeline.Built) error {
	var files []store.Artifact
	err := s.putBuilt(ctx, built, func(file, name string, size int64) {
		kind := "rpm"
		switch {
		case strings.HasSuffix(file, ".src.rpm"):
			kind = "srpm"
		case file == resultFile:
			kind = "manifest"
		}
		files = append(files, store.Artifact{Run: step.Run, Step: step.ID, Kind: kind, Name: file, Blob: name, Size: size, SHA256: built.Sums[file]})
	})
	for _, f := range files {
		if err != nil {
			break
		}
		err = s.patiently(ctx, func() error {
			_, err := s.cfg.Store.PutArtifact(ctx, f)
			return err
		})
	}
	return err
}

// bucketPatience is how long a finished build waits for a bucket. After that its step fails for the infrastructure's sake: the
// bucket may be one that will never take it.
const bucketPatience = 15 * time.Minute

// patiently does something with the database, or a bucket, until it answers, or ctx ends: which it does when the step is
// another's.
func (s *Service) patiently(ctx context.Context, do func() error) error {
	wait, begun := 100*time.Millisecond, time.Now()
	for {
		err := do()
		if !errors.Is(err, store.ErrUnavailable) && (!errors.Is(err, blob.ErrUnavailable) || time.Since(begun) > bucketPatience) {
			return err
		}
		s.cfg.Log.Warn("what was made cannot be kept yet; trying again", "error", err)
		select {
		case <-ctx.Done():
			return errors.Join(context.Cause(ctx), err)
		case <-time.After(wait):
		}
		wait = min(2*wait, 2*time.Second)
	}
}

// putBuilt puts the files of a build that the blobs do not have into them, and tells of each that is there.
func (s *Service) putBuilt(ctx context.Context, built *pipeline.Built, note func(file, blob string, size int64)) error {
	if err := s.patiently(ctx, func() error { return s.waitForDeletion(ctx, built.Key) }); err != nil {
		return err
	}
	files := append(built.Files(), filepath.Join(built.Folder(), resultFile)) // last: with it the result is whole
	for _, file := range files {
		base := filepath.Base(file)
		name := buildBlob(built.Key, base)
		var info blob.Info
		err := s.patiently(ctx, func() (err error) {
			info, err = s.cfg.Blobs.Stat(ctx, name)
			if errors.Is(err, blob.ErrNotFound) {
				info, err = s.putFile(ctx, name, file)
			}
			return err
		})
		if err != nil {
			return fmt.Errorf("keep %s: %w", base, err)
		}
		if note != nil {
			note(base, name, info.Size)
		}
	}
	return nil
}

const resultFile = "result.json"

func (s *Service) putFile(ctx context.Context, name, file string) (blob.Info, error) {
	f, err := os.Open(file)
	if err != nil {
		return blob.Info{}, err
	}
	defer f.Close()
	return s.cfg.Blobs.Put(ctx, name, f)
}

// bring has the results of builds in this machine's cache: those that another one made come from the blobs.
// What is in neither is left to be built again.
func (s *Service) bring(ctx context.Context, p *pipeline.Pipeline, keys map[plan.ID]string) error {
	var missing []string
	for _, key := range keys {
		if key != "" && !p.HasBuild(key) {
			missing = append(missing, key)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	going, err := s.useBuilds(ctx, missing...)
	if err != nil {
		return err
	}
	for _, key := range missing {
		if going[key] {
			continue
		}
		switch _, err := s.cfg.Blobs.Stat(ctx, buildBlob(key, resultFile)); {
		case errors.Is(err, blob.ErrNotFound):
			continue
		case err != nil:
			return err
		}
		if err := p.ImportBuild(ctx, key, func(dir string) error { return s.fill(ctx, key, dir) }); err != nil {
			return err
		}
	}
	return nil
}

func (s *Service) fill(ctx context.Context, key, dir string) error {
	for info, err := range s.cfg.Blobs.List(ctx, buildBlob(key, "")) {
		if err != nil {
			return err
		}
		if err := s.get(ctx, info.Name, filepath.Join(dir, filepath.Base(info.Name))); err != nil {
			return err
		}
	}
	return nil
}

func (s *Service) get(ctx context.Context, name, file string) error {
	from, err := s.cfg.Blobs.Open(ctx, name)
	if err != nil {
		return err
	}
	defer from.Close()
	to, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = io.Copy(to, from)
	return errors.Join(err, to.Close())
}

// notePublished notes the snapshot, and that the channel points at it.
func (s *Service) notePublished(ctx context.Context, sub Subject, step store.Step, p Published) error {
	note := func(tx *store.Tx) error {
		snapshot, err := tx.AddSnapshot(ctx, store.Snapshot{Project: step.Project, Run: step.Run, Target: sub.Target, Path: p.Snapshot, Packages: int64(p.Packages), Size: p.Size})
		if err != nil || p.Pinned != "" {
			return err // clients get another
		}
		_, err = tx.PointRepository(ctx, step.Project, channel(sub), sub.Target, snapshot.ID)
		return err
	}
	return s.patiently(ctx, func() error { return s.cfg.Store.Write(ctx, note) })
}

func (s *Service) noteProof(ctx context.Context, sub Subject, step store.Step, p Proven) error {
	return s.patiently(ctx, func() error {
		return s.cfg.Store.SetProof(ctx, step.Project, sub.Target, p.Snapshot, p.text())
	})
}

package replay

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"reqpm/internal/index"
)

// Recorder is an index.Reader that writes down what it reads. It is safe for concurrent use; a failure
// to write is an error of the call.
type Recorder struct {
	from index.Reader
	dir  string

	mu   sync.Mutex
	done map[string]bool // paths written or being written
}

var _ index.Reader = (*Recorder)(nil)

// NewRecorder records into a folder, which is made; what is in it already stays.
func NewRecorder(from index.Reader, dir string) (*Recorder, error) {
	for _, sub := range []string{"pages", "metadata", "files"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
			return nil, fmt.Errorf("recording: %w", err)
		}
	}
	return &Recorder{from: from, dir: dir, done: map[string]bool{}}, nil
}

// first tells whether a path is to be written by the caller.
func (r *Recorder) first(path string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	before := r.done[path]
	r.done[path] = true
	return !before
}

func (r *Recorder) write(path string, data []byte) error {
	if !r.first(path) {
		return nil
	}
	if err := os.WriteFile(filepath.Join(r.dir, path), data, 0o644); err != nil {
		return fmt.Errorf("recording: %w", err)
	}
	return nil
}

// Project implements index.Reader.
func (r *Recorder) Project(ctx context.Context, name string) (*index.Project, error) {
	p, err := r.from.Project(ctx, name)
	if err != nil {
		return nil, err
	}
	page, err := json.Marshal(pageOf(p.Name, p.Files()))
	if err != nil {
		return nil, fmt.Errorf("recording: %w", err)
	}
	return p, r.write(filepath.Join("pages", p.Name+".json"), page)
}

// Files implements index.Reader.
func (r *Recorder) Files(ctx context.Context, name string) ([]index.File, error) {
	p, err := r.Project(ctx, name)
	if err != nil {
		return nil, err
	}
	return p.Files(), nil
}

// Metadata implements index.Reader.
func (r *Recorder) Metadata(ctx context.Context, f index.File) ([]byte, error) {
	data, err := r.from.Metadata(ctx, f)
	if err != nil {
		return nil, err
	}
	return data, r.write(filepath.Join("metadata", metadataName(f.Name, f.Version.String())), data)
}

// Download implements index.Reader.
func (r *Recorder) Download(ctx context.Context, f index.File) (string, error) {
	path, err := r.from.Download(ctx, f)
	if err != nil || !r.first(filepath.Join("files", f.Filename)) {
		return path, err
	}
	if err := copyFile(filepath.Join(r.dir, "files", f.Filename), path); err != nil {
		return "", fmt.Errorf("recording: %w", err)
	}
	return path, nil
}

func copyFile(to, from string) error {
	src, err := os.Open(from)
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := os.Create(to)
	if err != nil {
		return err
	}
	_, err = io.Copy(dst, src)
	if cerr := dst.Close(); err == nil {
		err = cerr
	}
	return err
}

func metadataName(project, version string) string { return project + "-" + version }

// page is a PEP 691 page as far as a resolver reads it.
type page struct {
	Meta  map[string]string `json:"meta"`
	Name  string            `json:"name"`
	Files []pageFile        `json:"files"`
}

type pageFile struct {
	Filename       string            `json:"filename"`
	URL            string            `json:"url"`
	Hashes         map[string]string `json:"hashes"`
	RequiresPython string            `json:"requires-python,omitempty"`
	Size           int64             `json:"size,omitempty"`
	UploadTime     string            `json:"upload-time,omitempty"`
	Yanked         any               `json:"yanked"`
	CoreMetadata   any               `json:"core-metadata,omitempty"`
}

func pageOf(name string, files []index.File) page {
	p := page{Meta: map[string]string{"api-version": "1.1"}, Name: name, Files: []pageFile{}}
	for _, f := range files {
		e := pageFile{Filename: f.Filename, URL: "../../files/" + f.Filename, Hashes: f.Hashes, RequiresPython: f.RequiresPython, Size: f.Size, Yanked: f.Yanked}
		if e.Hashes == nil {
			e.Hashes = map[string]string{}
		}
		if f.Yanked && f.YankedReason != "" {
			e.Yanked = f.YankedReason
		}
		if !f.UploadTime.IsZero() {
			e.UploadTime = f.UploadTime.UTC().Format(time.RFC3339Nano)
		}
		p.Files = append(p.Files, e)
	}
	return p
}

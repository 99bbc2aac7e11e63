package pipeline

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"

	"reqpm/internal/index"
	"reqpm/internal/metadata"
	"reqpm/internal/sdist"
	"reqpm/internal/spec"
)

// localArchives are source distributions made here (the project itself), by SHA-256.
type localArchives struct {
	mu    sync.Mutex
	files map[string]localArchive
}

type localArchive struct {
	file index.File
	path string
}

func (l *localArchives) add(f index.File, path string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.files == nil {
		l.files = map[string]localArchive{}
	}
	l.files[f.SHA256] = localArchive{f, path}
}

func (l *localArchives) path(f index.File) (string, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	a, ok := l.files[f.SHA256]
	return a.path, ok && f.SHA256 != ""
}

// download returns the verified archive of f, wherever it comes from.
func (p *Pipeline) download(ctx context.Context, f index.File) (string, error) {
	if path, ok := p.local.path(f); ok {
		return path, nil
	}
	path, err := p.cfg.Index.Download(ctx, f)
	if errors.Is(err, index.ErrNotFound) { // its own page lists it
		err = fmt.Errorf("%w: %w", index.ErrUnavailable, err)
	}
	if err != nil {
		return "", fmt.Errorf("download %s: %w", f.Filename, err)
	}
	return path, nil
}

// sdistRecord is what was learned from one source archive by reading it. It
// depends on nothing but the archive's bytes and is kept for ever.
type sdistRecord struct {
	Format        int
	SHA256        string // of the archive, also where the index gives none
	Sdist         sdist.Facts
	License       string // SPDX expression
	LicenseSource string
}

// recordFormat changes when the readers learn something new: older records are read again.
const recordFormat = 9

// fileKey names a file in our caches: its hash, or that of its address where the index gives none. What only a secret
// shows is its owner's: another project, which knows a hash, must not have what was made of the file.
func fileKey(f index.File) string {
	if f.Owner != "" {
		sum := sha256.Sum256([]byte(f.Owner + "\n" + cmp.Or(f.SHA256, f.URL)))
		return "own-" + hex.EncodeToString(sum[:])
	}
	if f.SHA256 != "" {
		return f.SHA256
	}
	sum := sha256.Sum256([]byte(f.URL))
	return "url-" + hex.EncodeToString(sum[:])
}

// sdistFacts reads a source distribution, once per archive and machine.
func (p *Pipeline) sdistFacts(ctx context.Context, f index.File) (sdistRecord, error) {
	path := filepath.Join(p.paths.facts(), "sdist", fileKey(f)+".json")
	var record sdistRecord
	if ok, err := readJSON(path, &record); err != nil {
		return record, err
	} else if ok && record.Format == recordFormat {
		return record, nil
	}
	record = sdistRecord{Format: recordFormat}
	err := p.withSource(ctx, f, func(archive, dir string) error {
		var err error
		if record.Sdist, err = sdist.Read(dir, f.Filename); err != nil {
			return fmt.Errorf("read %s: %w", f.Filename, err)
		}
		record.License, record.LicenseSource = spec.License(record.Sdist.PkgInfo, licenceTexts(dir, record.Sdist.LicenseFiles))
		record.SHA256, err = fileSHA256(archive)
		return err
	})
	if err != nil {
		return record, err
	}
	if err := writeJSONBy(p.paths.tmp(), path, record); err != nil {
		return record, err
	}
	// As the next run reads it: the order in which somebody wrote ">=3,<5" is not kept, and a spec with another
	// order would be another build.
	kept := sdistRecord{}
	_, err = readJSON(path, &kept)
	return kept, err
}

// withSource unpacks an archive into a scratch folder for the time of use.
func (p *Pipeline) withSource(ctx context.Context, f index.File, use func(archive, dir string) error) error {
	archive, err := p.download(ctx, f)
	if err != nil {
		return err
	}
	scratch, err := os.MkdirTemp(p.paths.tmp(), "src-")
	if err != nil {
		return err
	}
	defer removeTree(scratch)
	top, err := sdist.Unpack(ctx, archive, scratch, sdist.Limits{})
	if err != nil {
		return fmt.Errorf("unpack %s: %w", f.Filename, err)
	}
	return use(archive, filepath.Join(scratch, top))
}

// removeTree deletes a scratch folder, also when an archive brought folders without write permission.
func removeTree(dir string) {
	if os.RemoveAll(dir) == nil {
		return
	}
	_ = filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			_ = os.Chmod(path, 0o700)
		}
		return nil
	})
	_ = os.RemoveAll(dir)
}

// licenceTexts reads the start of the licence files for the SPDX decision.
func licenceTexts(dir string, names []string) map[string]string {
	texts := map[string]string{}
	for _, name := range names {
		f, err := os.Open(filepath.Join(dir, filepath.Clean("/"+name)))
		if err != nil {
			continue
		}
		text, _ := io.ReadAll(io.LimitReader(f, 64<<10))
		f.Close()
		texts[name] = string(text)
	}
	return texts
}

func fileSHA256(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// hookMetadata learns an sdist's metadata by running its build backend in the
// sandbox; kept for ever by archive and Python.
func (p *Pipeline) hookMetadata(ctx context.Context, f index.File) (metadata.Metadata, error) {
	path := filepath.Join(p.paths.facts(), "metadata", fileKey(f)+"-"+p.cfg.Target.Python.Minor()+p.saidKey(f.Name)+".json")
	// With its digest: a text cut short would parse, and lack requirements.
	var kept struct {
		Text   []byte
		SHA256 string
	}
	if _, err := readJSON(path, &kept); err != nil {
		return metadata.Metadata{}, err
	}
	if len(kept.Text) == 0 || kept.SHA256 != textSHA256(kept.Text) {
		raw, err := p.askMetadata(ctx, f)
		if err == nil {
			_, err = metadata.Parse(raw) // nothing is kept that cannot be read
		}
		if err != nil {
			return metadata.Metadata{}, fmt.Errorf("metadata of %s by its build backend: %w", f.Filename, p.explainHook(err))
		}
		kept.Text, kept.SHA256 = raw, textSHA256(raw)
		if err := writeJSONBy(p.paths.tmp(), path, kept); err != nil {
			return metadata.Metadata{}, err
		}
	}
	return metadata.Parse(kept.Text)
}

func textSHA256(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// digest is a short stable digest of anything JSON can hold.
func digest(v any) string {
	data, _ := json.Marshal(v) // our own types only: it cannot fail
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:16])
}

package service

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"reqpm/internal/blob"
	"reqpm/internal/override"
	"reqpm/internal/store"
)

// Revisions of spec files: ReqPM writes one whenever a run's text is another than the last, and people save their own,
// which are built from. A spec file of somebody's own is for one version of a package on one target: the next version
// has another archive, and is written anew. Nobody parses one outside of a build root.

// ErrSpec: a text that is no spec file, or a message that is none.
var ErrSpec = errors.New("not a spec file")

// SpecChangedError: somebody else, or a run, has saved a revision since the one that was edited.
type SpecChangedError struct{ Newest store.SpecRevision }

func (e *SpecChangedError) Error() string {
	return fmt.Sprintf("%s saved another revision of it meanwhile: %q", e.Newest.Author, firstLine(e.Newest.Message))
}

const (
	maxSpec    = 256 << 10
	maxMessage = 500
)

// OwnSpec is a spec file of somebody's own that builds take.
type OwnSpec struct {
	Revision int64
	Package  string // NAME==VERSION
	File     string
	Text     string
}

// revisionBlob names the text of a revision. Equal ones are one, and stay when retention takes the run.
func revisionBlob(project int64, sum, file string) string {
	return fmt.Sprintf("specs/%d/%s/%s", project, sum, safe(file))
}

// RevisionFile is what the spec file of a revision is called.
func RevisionFile(r store.SpecRevision) string {
	if i := strings.LastIndexByte(r.Blob, '/'); i >= 0 && strings.HasSuffix(r.Blob, ".spec") {
		return r.Blob[i+1:]
	}
	return safe(Name(r.Package)) + ".spec"
}

// ReadRevision is the text of a revision; "" of one that has none. blob.ErrNotFound where retention took it with its run.
func ReadRevision(ctx context.Context, blobs blob.Store, r store.SpecRevision) (string, error) {
	if r.Kind == store.SpecBack {
		return "", nil
	}
	text, err := readBlob(ctx, blobs, r.Blob)
	if err != nil {
		return "", fmt.Errorf("revision %d of the spec of %s: %w", r.ID, r.Package, err)
	}
	return string(text), nil
}

// ownSpecs are those that builds of a project take on a target.
func (s *Service) ownSpecs(ctx context.Context, project int64, target string) ([]OwnSpec, error) {
	revisions, err := s.cfg.Store.OwnSpecs(ctx, project, target)
	if err != nil {
		return nil, err
	}
	var all []OwnSpec
	for _, r := range revisions {
		text, err := ReadRevision(ctx, s.cfg.Blobs, r)
		if err != nil {
			return nil, err
		}
		all = append(all, OwnSpec{Revision: r.ID, Package: r.Package, File: RevisionFile(r), Text: text})
	}
	return all, nil
}

// OwnOverrides are what a subject's own spec files say of their packages.
func (s Subject) OwnOverrides() override.Set {
	var layers []override.Layer
	for _, own := range s.Own {
		name, version, _ := strings.Cut(own.Package, "==")
		sum := sha256.Sum256([]byte(own.Text))
		at := override.Position{File: fmt.Sprintf("revision %d of its spec", own.Revision)}
		l := override.Layer{Package: name, Target: s.Target, Place: override.CommandLine, At: at}
		l.Spec = &override.File{Name: own.File, Path: own.File, Text: []byte(own.Text), SHA256: hex.EncodeToString(sum[:])}
		l.SpecVersion = version
		l.SetWhere("spec", at)
		layers = append(layers, l)
	}
	return override.NewSet(layers...)
}

// keepRevision keeps what was written for a run, unless that is what was written last.
func (s *Service) keepRevision(ctx context.Context, step store.Step, spec Spec) error {
	digest := sha256.Sum256([]byte(spec.Generated))
	sum := hex.EncodeToString(digest[:])
	last, err := s.cfg.Store.SpecRevisions(ctx, step.Project, step.Target, spec.Package, store.Page{Limit: 100})
	if err != nil {
		return err
	}
	for _, r := range last.Items {
		if r.Kind != store.SpecWritten {
			continue
		}
		if r.SHA256 == sum {
			return nil
		}
		break
	}
	name := revisionBlob(step.Project, sum, filepath.Base(spec.File))
	if _, err := s.cfg.Blobs.Put(ctx, name, strings.NewReader(spec.Generated)); err != nil {
		return fmt.Errorf("keep a revision of %s: %w", spec.File, err)
	}
	run, err := s.cfg.Store.Run(ctx, step.Run)
	if err != nil {
		return err
	}
	_, err = s.cfg.Store.AddSpecRevision(ctx, store.SpecRevision{Project: step.Project, Target: step.Target, Package: spec.Package, Blob: name, SHA256: sum,
		Message: fmt.Sprintf("written for run %d", run.Number), Author: "reqpm"})
	return err
}

// SpecEdit is what somebody wants the spec file of a package on a target to be.
type SpecEdit struct {
	Project         int64
	Target, Package string // Package is NAME==VERSION
	Text            string
	Message, Author string
	// Base is the newest revision that the author has seen; 0: there was none. -1: he does not mind what there is.
	Base int64
}

// CheckSpecText is ErrSpec for what no rpm could read. Whether one can read it, only a build root tells.
func CheckSpecText(text string) error {
	switch {
	case strings.TrimSpace(text) == "":
		return fmt.Errorf("%w: it is empty", ErrSpec)
	case len(text) > maxSpec:
		return fmt.Errorf("%w: it has more than %d bytes", ErrSpec, maxSpec)
	case !utf8.ValidString(text) || strings.ContainsRune(text, 0):
		return fmt.Errorf("%w: it is not UTF-8", ErrSpec)
	}
	for _, tag := range []string{"name:", "version:", "release:"} {
		if !strings.Contains("\n"+strings.ToLower(text), "\n"+tag) {
			return fmt.Errorf("%w: it has no line %q", ErrSpec, strings.ToUpper(tag[:1])+tag[1:])
		}
	}
	return nil
}

func (e SpecEdit) check() error {
	name, version, ok := strings.Cut(e.Package, "==")
	switch {
	case !ok || version == "" || !overrideName.MatchString(name):
		return fmt.Errorf("%w: %q is no package and version", ErrSpec, e.Package)
	case e.Target == "":
		return fmt.Errorf("%w: it needs a target", ErrSpec)
	case strings.TrimSpace(e.Message) == "":
		return fmt.Errorf("%w: say in a message what the change is for", ErrSpec)
	case len(e.Message) > maxMessage:
		return fmt.Errorf("%w: the message has more than %d bytes", ErrSpec, maxMessage)
	}
	return nil
}

// SaveSpec makes a text the one that the builds of a package take on a target, from the next run on, as a new revision;
// also is done in the same transaction. ErrSpec, *SpecChangedError; store.ErrConflict where it is the text already.
func SaveSpec(ctx context.Context, st *store.Store, blobs blob.Store, e SpecEdit, also func(tx *store.Tx, r store.SpecRevision) error) (store.SpecRevision, error) {
	e.Text = SpecText(e.Text)
	if err := CheckSpec(ctx, st.Queries, e); err != nil {
		return store.SpecRevision{}, err
	}
	_, file, err := newestSpec(ctx, st.Queries, e)
	if err != nil {
		return store.SpecRevision{}, err
	}
	sum := sha256.Sum256([]byte(e.Text))
	r := store.SpecRevision{Project: e.Project, Target: e.Target, Package: e.Package, Kind: store.SpecOwn, SHA256: hex.EncodeToString(sum[:]), Message: strings.TrimSpace(e.Message), Author: e.Author}
	r.Blob = revisionBlob(e.Project, r.SHA256, file)
	if _, err := blobs.Put(ctx, r.Blob, strings.NewReader(e.Text)); err != nil {
		return r, fmt.Errorf("keep the spec of %s: %w", e.Package, err)
	}
	return addRevision(ctx, st, e, r, also)
}

// CheckSpec is ErrSpec, or *SpecChangedError, for what SaveSpec would refuse as things are. Nothing in the text is carried out.
func CheckSpec(ctx context.Context, q store.Queries, e SpecEdit) error {
	if err := CheckSpecText(e.Text); err != nil {
		return err
	}
	if err := e.check(); err != nil {
		return err
	}
	newest, _, err := newestSpec(ctx, q, e)
	switch {
	case err != nil:
		return err
	case newest.ID == 0:
		return fmt.Errorf("%w: no run of the project has written one of %s on %s, so no build would take it", ErrSpec, e.Package, e.Target)
	case e.Base >= 0 && e.Base != newest.ID:
		return &SpecChangedError{newest}
	}
	return nil
}

// SpecText is a text as it is kept: forms send it with the line ends of another system.
func SpecText(text string) string {
	text = strings.ReplaceAll(text, "\r\n", "\n")
	if text != "" && !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	return text
}

// DropSpec has the builds of a package take what ReqPM writes again. store.ErrConflict where they do.
func DropSpec(ctx context.Context, st *store.Store, e SpecEdit, also func(tx *store.Tx, r store.SpecRevision) error) (store.SpecRevision, error) {
	if err := e.check(); err != nil {
		return store.SpecRevision{}, err
	}
	return addRevision(ctx, st, e, store.SpecRevision{Project: e.Project, Target: e.Target, Package: e.Package, Kind: store.SpecBack, Message: strings.TrimSpace(e.Message), Author: e.Author}, also)
}

// RestoreSpec is SaveSpec with the text of an earlier revision, which must be of the same project; it says what e is about. A
// message of its own is made where e has none. store.ErrNotFound, and blob.ErrNotFound where retention took the text.
func RestoreSpec(ctx context.Context, st *store.Store, blobs blob.Store, e SpecEdit, revision int64, also func(tx *store.Tx, r store.SpecRevision) error) (store.SpecRevision, error) {
	old, err := ProjectRevision(ctx, st.Queries, e.Project, revision)
	if err != nil {
		return old, err
	}
	if old.Kind == store.SpecBack {
		return old, fmt.Errorf("%w: revision %d has no text, it is where somebody went back to what ReqPM writes", ErrSpec, revision)
	}
	e.Target, e.Package = old.Target, old.Package
	if e.Text, err = ReadRevision(ctx, blobs, old); err != nil {
		return old, err
	}
	if strings.TrimSpace(e.Message) == "" {
		e.Message = "Restored: " + cut(firstLine(old.Message), 200)
	}
	return SaveSpec(ctx, st, blobs, e, also)
}

// cut is the beginning of a text, in whole characters.
func cut(text string, most int) string {
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most-1]) + "…"
	}
	return text
}

// ProjectRevision is a revision of a project: store.ErrNotFound where it is another one's.
func ProjectRevision(ctx context.Context, q store.Queries, project, id int64) (store.SpecRevision, error) {
	r, err := q.SpecRevision(ctx, id)
	if err == nil && r.Project != project {
		return store.SpecRevision{}, fmt.Errorf("revision %d of a spec: %w", id, store.ErrNotFound)
	}
	return r, err
}

// WrittenSpec is what ReqPM wrote last of the spec of a package (NAME==VERSION) on a target; known is false where nothing was, or
// retention has taken it.
func WrittenSpec(ctx context.Context, q store.Queries, blobs blob.Store, project int64, target, pkg string) (r store.SpecRevision, text string, known bool, err error) {
	for cursor := ""; ; {
		part, err := q.SpecRevisions(ctx, project, target, pkg, store.Page{Limit: 100, Cursor: cursor})
		if err != nil {
			return r, "", false, err
		}
		for _, r := range part.Items {
			if r.Kind != store.SpecWritten {
				continue
			}
			text, err := ReadRevision(ctx, blobs, r)
			if errors.Is(err, blob.ErrNotFound) {
				return r, "", false, nil
			}
			return r, text, err == nil, err
		}
		if cursor = part.Next; cursor == "" {
			return r, "", false, nil
		}
	}
}

func addRevision(ctx context.Context, st *store.Store, e SpecEdit, r store.SpecRevision, also func(tx *store.Tx, r store.SpecRevision) error) (store.SpecRevision, error) {
	err := st.Write(ctx, func(tx *store.Tx) error {
		newest, _, err := newestSpec(ctx, tx.Queries, e)
		if err != nil {
			return err
		}
		counts, err := countingSpec(ctx, tx.Queries, e)
		if err != nil {
			return err
		}
		switch own := counts.Kind == store.SpecOwn; {
		case e.Base >= 0 && e.Base != newest.ID:
			return &SpecChangedError{newest}
		case r.Kind == store.SpecOwn && own && counts.SHA256 == r.SHA256:
			return fmt.Errorf("builds of %s on %s take that text already: %w", e.Package, e.Target, store.ErrConflict)
		case r.Kind == store.SpecBack && !own:
			return fmt.Errorf("builds of %s on %s take what ReqPM writes already: %w", e.Package, e.Target, store.ErrConflict)
		}
		if r, err = tx.AddSpecRevision(ctx, r); err != nil || also == nil {
			return err
		}
		return also(tx, r)
	})
	return r, err
}

// newestSpec is the newest revision of what is edited, the zero one where there is none, and what the file is called.
func newestSpec(ctx context.Context, q store.Queries, e SpecEdit) (newest store.SpecRevision, file string, err error) {
	file = safe(Name(e.Package)) + ".spec"
	part, err := q.SpecRevisions(ctx, e.Project, e.Target, e.Package, store.Page{Limit: 20})
	if err != nil || len(part.Items) == 0 {
		return newest, file, err
	}
	for _, r := range part.Items {
		if r.Blob != "" {
			return part.Items[0], RevisionFile(r), nil
		}
	}
	return part.Items[0], file, nil
}

// countingSpec is the own revision that counts, or the zero one.
func countingSpec(ctx context.Context, q store.Queries, e SpecEdit) (store.SpecRevision, error) {
	own, err := q.OwnSpecs(ctx, e.Project, e.Target)
	for _, r := range own {
		if r.Package == e.Package {
			return r, err
		}
	}
	return store.SpecRevision{}, err
}

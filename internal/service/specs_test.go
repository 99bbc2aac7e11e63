package service_test

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"reqpm/internal/override"
	"reqpm/internal/pep440"
	"reqpm/internal/service"
	"reqpm/internal/store"
	"reqpm/internal/store/storetest"
)

const ownText = "Name: python-lxml\nVersion: 5.4.0\nRelease: 1\n"

// TestOwnSpecs goes through the life of somebody's own spec file on both databases.
func TestOwnSpecs(t *testing.T) {
	storetest.Each(t, func(t *testing.T, url string) {
		b := newBed(t, url)
		ctx := t.Context()
		p, err := b.store.CreateProject(ctx, store.Project{Name: "app", GitURL: "https://git.example.org/app", Targets: []string{"el9", "el10"}})
		if err != nil {
			t.Fatal(err)
		}
		written, err := b.store.AddSpecRevision(ctx, store.SpecRevision{Project: p.ID, Target: "el9", Package: "lxml==5.4.0", Blob: "runs/1/el9/specs/lxml==5.4.0/python-lxml.spec", SHA256: "1", Message: "written for run 1", Author: "reqpm"})
		if err != nil {
			t.Fatal(err)
		}
		edit := service.SpecEdit{Project: p.ID, Target: "el9", Package: "lxml==5.4.0", Text: strings.ReplaceAll(ownText, "\n", "\r\n"), Message: "Needs more", Author: "mira", Base: written.ID}
		audited := 0
		own, err := service.SaveSpec(ctx, b.store, b.blobs, edit, func(*store.Tx, store.SpecRevision) error { audited++; return nil })
		if err != nil || own.Kind != store.SpecOwn || audited != 1 {
			t.Fatalf("%+v, %d audits, %v", own, audited, err)
		}
		if text, err := service.ReadRevision(ctx, b.blobs, own); err != nil || text != ownText {
			t.Errorf("it is kept as %q, %v", text, err)
		}
		if service.RevisionFile(own) != "python-lxml.spec" {
			t.Errorf("the file is called %s", service.RevisionFile(own))
		}

		late := edit
		late.Text += "# of somebody else\n"
		_, err = service.SaveSpec(ctx, b.store, b.blobs, late, nil)
		if changed, ok := errors.AsType[*service.SpecChangedError](err); !ok || changed.Newest.ID != own.ID || !strings.Contains(err.Error(), "mira") {
			t.Errorf("who saves over a revision that he has not seen is told %v", err)
		}
		late.Base = own.ID
		if _, err := service.SaveSpec(ctx, b.store, b.blobs, late, nil); err != nil {
			t.Error(err)
		}
		again := late
		again.Base = -1
		if _, err := service.SaveSpec(ctx, b.store, b.blobs, again, nil); !errors.Is(err, store.ErrConflict) {
			t.Errorf("the same text again: %v", err)
		}

		counting, err := b.store.OwnSpecs(ctx, p.ID, "")
		if err != nil || len(counting) != 1 || counting[0].SHA256 == own.SHA256 {
			t.Errorf("what counts is %+v, %v", counting, err)
		}
		if other, err := b.store.OwnSpecs(ctx, p.ID, "el10"); err != nil || len(other) != 0 {
			t.Errorf("on another target %+v counts, %v", other, err)
		}
		if _, err := service.DropSpec(ctx, b.store, service.SpecEdit{Project: p.ID, Target: "el9", Package: "lxml==5.4.0", Message: "Back", Author: "mira", Base: counting[0].ID}, nil); err != nil {
			t.Fatal(err)
		}
		if counting, err = b.store.OwnSpecs(ctx, p.ID, "el9"); err != nil || len(counting) != 0 {
			t.Errorf("after going back %+v counts, %v", counting, err)
		}
		if _, err := service.DropSpec(ctx, b.store, service.SpecEdit{Project: p.ID, Target: "el9", Package: "lxml==5.4.0", Message: "Back", Base: -1}, nil); !errors.Is(err, store.ErrConflict) {
			t.Errorf("going back twice: %v", err)
		}
		all, err := b.store.SpecRevisions(ctx, p.ID, "el9", "lxml", store.Page{})
		if err != nil || len(all.Items) != 4 {
			t.Errorf("%d revisions are kept, %v", len(all.Items), err)
		}
	})
}

func TestWhatIsNoSpecIsRefused(t *testing.T) {
	b := newBed(t, filepath.Join(t.TempDir(), "reqpm.db"))
	good := service.SpecEdit{Target: "el9", Package: "lxml==5.4.0", Text: ownText, Message: "why"}
	for name, change := range map[string]func(*service.SpecEdit){
		"nothing":         func(e *service.SpecEdit) { e.Text = " \n" },
		"no tags":         func(e *service.SpecEdit) { e.Text = "%prep\n" },
		"a NUL":           func(e *service.SpecEdit) { e.Text += "\x00" },
		"too much":        func(e *service.SpecEdit) { e.Text += strings.Repeat("# more\n", 50_000) },
		"no message":      func(e *service.SpecEdit) { e.Message = " " },
		"a path for name": func(e *service.SpecEdit) { e.Package = "../lxml==1" },
		"no version":      func(e *service.SpecEdit) { e.Package = "lxml" },
	} {
		e := good
		change(&e)
		if _, err := service.SaveSpec(t.Context(), b.store, b.blobs, e, nil); !errors.Is(err, service.ErrSpec) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// An own spec file is what the builds of its version take, and of no other.
func TestOwnSpecIsForItsVersion(t *testing.T) {
	sub := service.Subject{Target: "el9", Own: []service.OwnSpec{{Revision: 7, Package: "lxml==5.4.0", File: "python-lxml.spec", Text: ownText}}}
	said := sub.OwnOverrides()
	version := func(text string) pep440.Version {
		v, err := pep440.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	e := said.For("lxml", version("5.4"), "el9")
	if e.Spec == nil || string(e.Spec.Text) != ownText || !strings.Contains(e.Where("spec").String(), "revision 7") {
		t.Errorf("builds of its version take %+v, said at %s", e.Spec, e.Where("spec"))
	}
	for _, other := range []override.Effective{said.For("lxml", version("5.4.1"), "el9"), said.For("lxml", version("5.4.0"), "el10"), said.For("zeep", version("5.4.0"), "el9")} {
		if other.Spec != nil {
			t.Errorf("another build takes it: %+v", other.Spec)
		}
	}
	if e := said.For("lxml", pep440.Version{}, "el9"); !e.ChangesBuild() {
		t.Error("the distribution's package may stand for it")
	}
}

package pagetest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	"reqpm/internal/store"
)

// specText is a spec file as one might be written; changed has what a later one has too.
func specText(k pkg, changed bool) string {
	licence, more := "BSD-3-Clause", ""
	if changed {
		licence, more = "BSD-3-Clause AND MIT", "BuildRequires:  pkgconfig(libxml-2.0)\nBuildRequires:  pkgconfig(libxslt)\n"
	}
	var needs strings.Builder
	for _, n := range k.needs {
		fmt.Fprintf(&needs, "BuildRequires:  python3.12dist(%s)\n", strings.ReplaceAll(n, "%", "%%"))
	}
	name := strings.ReplaceAll(k.name, "%", "%%")
	return fmt.Sprintf(`%%global python3_pkgversion 3.12
Name:           python3.12-%s
Version:        %s
Release:        1%%{?dist}
Summary:        What %s is for, in one line
License:        %s
URL:            https://example.org/%s
Source0:        %s-%%{version}.tar.gz
# setuptools cannot read the newer licence field
Patch0:         0001-license-table.patch

BuildRequires:  gcc
BuildRequires:  python3.12-devel
%s%s
%%description
%s, as its authors describe it.

%%prep
%%autosetup -p1 -n %s-%%{version}

%%generate_buildrequires
%%pyproject_buildrequires

%%build
export WITH_CYTHON=true
%%pyproject_wheel

%%install
%%pyproject_install
%%pyproject_save_files %s

%%check
%%pyproject_check_import

%%files -f %%{pyproject_files}
%%license LICENSE.txt
%%doc README.rst
`, name, k.version, name, licence, name, name, needs.String(), more, name, name, name)
}

// specs keeps what a specs step would, and for one package what somebody saved behind it.
func (s *seeder) specs(ctx context.Context, tx *store.Tx, p plan, step store.Step) error {
	for _, k := range append(append([]pkg{}, packages...), p.extra...) {
		if k.reused == "distribution" {
			continue
		}
		changed := k.name == "lxml" && p.ago.Hours() < 100 || k.name == "psycopg2" && p.stop > 0
		if err := s.revision(ctx, tx, step, k, specText(k, changed), store.SpecRevision{Message: fmt.Sprintf("written for run %d", step.Run), Author: "reqpm"}); err != nil {
			return err
		}
		if p.project == Odd && k.name == Turned {
			own := store.SpecRevision{Kind: store.SpecOwn, Message: Markup + Script + Hidden + Turned + Long, Author: Hidden + Markup}
			if err := s.revision(ctx, tx, step, k, specText(k, true)+Script+Hidden+Terminal+"\n# "+Long+"\n", own); err != nil {
				return err
			}
		}
		if k.name == "psycopg2" && p.project == "billing-api" && p.stop == 0 && p.ago.Hours() < 30 && step.Target == "el9-py312" {
			own := strings.Replace(specText(k, false), "export WITH_CYTHON=true", "export PG_CONFIG=/usr/pgsql-16/bin/pg_config", 1)
			if err := s.revision(ctx, tx, step, k, own, store.SpecRevision{Kind: store.SpecOwn, Message: "Build against the newer client library", Author: "mira"}); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *seeder) revision(ctx context.Context, tx *store.Tx, step store.Step, k pkg, text string, r store.SpecRevision) error {
	sum := sha256.Sum256([]byte(text))
	r.Project, r.Target, r.Package, r.SHA256 = step.Project, step.Target, k.name+"=="+k.version, hex.EncodeToString(sum[:])
	last, err := tx.SpecRevisions(ctx, r.Project, r.Target, r.Package, store.Page{Limit: 10})
	if err != nil {
		return err
	}
	for _, have := range last.Items {
		if have.Kind == r.Kind && have.SHA256 == r.SHA256 {
			return nil
		}
	}
	file := strings.Map(func(c rune) rune {
		if c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' {
			return c
		}
		return '_'
	}, k.name)
	r.Blob = fmt.Sprintf("specs/%d/%s/python-%s.spec", r.Project, r.SHA256, file[:min(len(file), 100)])
	if _, err := s.Blobs.Put(ctx, r.Blob, strings.NewReader(text)); err != nil {
		return err
	}
	_, err = tx.AddSpecRevision(ctx, r)
	return err
}

// rpms notes the files of a build that succeeded.
func (s *seeder) rpms(ctx context.Context, tx *store.Tx, step store.Step, name, version string) error {
	_, dist, _ := strings.Cut(step.Target, "el")
	dist, _, _ = strings.Cut(dist, "-")
	for kind, file := range map[string]string{"rpm": fmt.Sprintf("python3.12-%s-%s-1.el%s.x86_64.rpm", name, version, dist), "srpm": fmt.Sprintf("python3.12-%s-%s-1.el%s.src.rpm", name, version, dist)} {
		sum := sha256.Sum256([]byte(file))
		_, err := tx.PutArtifact(ctx, store.Artifact{Run: step.Run, Step: step.ID, Kind: kind, Name: file, Blob: "builds/none/" + hex.EncodeToString(sum[:8]), Size: int64(len(file)) * 48_271, SHA256: hex.EncodeToString(sum[:])})
		if err != nil {
			return err
		}
	}
	return nil
}

package chroot

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"reqpm/internal/builder"
	"reqpm/internal/dnf"
	"reqpm/internal/target"
)

// dnfFormat changes when this file's idea of a base changes.
const dnfFormat = 1

// openDNF makes or finds a base installed by dnf from the target's repositories.
func (b *Builder) openDNF(ctx context.Context, t target.Target, report func(string)) (*Base, error) {
	id, err := dnfID(ctx, t)
	if err != nil {
		if base := b.newestBase(t); base != nil {
			report(fmt.Sprintf("the repositories of %s do not answer (%v): using the base root made earlier", t.Name, err))
			return base, nil
		}
		return nil, &builder.BuildError{Name: "base root of " + t.Name, Phase: builder.PhaseRoot, Cause: builder.CauseInfra, Err: err}
	}
	return b.openBase(ctx, t, id, report, func(string) error { return nil })
}

// dnfID digests the target and the state of its repositories: what dnf installs follows from them.
func dnfID(ctx context.Context, t target.Target) (string, error) {
	h := sha256.New()
	text, err := json.Marshal(t)
	if err != nil {
		return "", err
	}
	fmt.Fprintf(h, "dnf %d %s\n", dnfFormat, text)
	if len(t.Repos) == 0 || len(t.BasePackages) == 0 {
		return "", fmt.Errorf("target %s has no repositories or no base packages", t.Name)
	}
	for _, repo := range t.Repos {
		md, err := dnf.State(ctx, repo, t)
		if err != nil {
			return "", fmt.Errorf("repository %s: %w", repo.ID, err)
		}
		h.Write(md)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// newestBase is the base of t made last, if there is one.
func (b *Builder) newestBase(t target.Target) *Base {
	want, err := json.Marshal(t.Repos)
	if err != nil {
		return nil
	}
	dirs, _ := filepath.Glob(filepath.Join(b.state.Roots(), t.Name+"-*", "base.json"))
	var best string
	var when time.Time
	for _, f := range dirs {
		st, err := os.Stat(f)
		if err != nil || st.ModTime().Before(when) {
			continue
		}
		info, err := readBase(filepath.Dir(f))
		if err != nil {
			continue
		}
		if have, err := json.Marshal(info.Target.Repos); err == nil && string(have) == string(want) {
			best, when = filepath.Dir(f), st.ModTime()
		}
	}
	if best == "" {
		return nil
	}
	base, err := b.hold(best)
	if err != nil {
		return nil
	}
	return base
}

// makeDNF installs the base packages and adds what builds need.
func (w *worker) makeDNF(ctx context.Context, log *boundedLog) error {
	root := filepath.Join(w.Base, "root")
	if err := unix.Mount(root, w.at, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("mount base root: %w", err)
	}
	if err := os.Chmod(root, 0o755); err != nil {
		return err
	}
	w.emit(event{Note: fmt.Sprintf("installing %d base packages and what they need", len(w.Target.BasePackages))})
	// Build backends are asked in the base root, so the stack's Python is part of it; a file name
	// finds it whatever the release calls the package.
	args := append([]string{"install", "--", w.Target.Python.Executable}, w.Target.BasePackages...)
	err := w.dnf(ctx, transaction{repos: w.Target.Repos, args: args, log: log})
	if err != nil {
		return err
	}
	if err := finishDNF(root); err != nil {
		return fmt.Errorf("finish base root: %w", err)
	}
	info, err := w.probe(ctx)
	if err != nil {
		return err
	}
	if info.Packages, err = w.installed(ctx); err != nil {
		return err
	}
	seen, err := w.output(ctx, sandboxed{args: []string{"rpm", "-qa"}})
	if err != nil {
		return fmt.Errorf("ask the base root's rpm for its packages: %w", err)
	}
	info.BlindRPM = strings.TrimSpace(seen) == ""
	return writeBase(w.Base, info)
}

// finishDNF adds the build user, its directory and the macros that make results reproducible.
func finishDNF(root string) error {
	r, err := os.OpenRoot(root) // links in packages may point anywhere
	if err != nil {
		return err
	}
	defer r.Close()
	for _, d := range []string{"build", "tmp", "var/tmp", "dev", "proc", "run", "etc/rpm"} {
		if err := r.MkdirAll(d, 0o755); err != nil {
			return err
		}
	}
	if err := errors.Join(r.Chown("build", buildUID, buildUID), r.Chmod("tmp", 0o777|os.ModeSticky), r.Chmod("var/tmp", 0o777|os.ModeSticky)); err != nil {
		return err
	}
	for name, line := range map[string]string{"etc/passwd": passwdLine, "etc/group": groupLine} {
		text, err := r.ReadFile(name)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		if len(text) == 0 {
			text = []byte("root:x:0:" + map[string]string{"etc/passwd": "0:root:/root:/bin/sh", "etc/group": ""}[name] + "\n")
		}
		if err := r.WriteFile(name, append(text, line...), 0o644); err != nil {
			return err
		}
	}
	return r.WriteFile("etc/rpm/macros.reqpm", []byte(commonMacros), 0o644)
}

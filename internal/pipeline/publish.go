package pipeline

import (
	"bytes"
	"cmp"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"reqpm/internal/apt"
	"reqpm/internal/builder"
	"reqpm/internal/distro"
	"reqpm/internal/pep440"
	"reqpm/internal/plan"
	"reqpm/internal/repo"
	"reqpm/internal/spec"
	"reqpm/internal/target"
)

// hostRPM is implemented by base roots whose host has no RPM database: the package that
// stands for the host in dnf's eyes, published beside ours.
type hostRPM interface{ HostRPM() string }

// Publishing says where a set goes.
type Publishing struct {
	Project string // folder name of the project
	Channel string
	KeyFile string    // armored private key; "": one of our own, made at first use
	Time    time.Time // of the commit
	Logs    string
}

// Published is a repository and the names that install everything in it.
type Published struct {
	Snapshot repo.Snapshot
	SetName  string // the package that requires the whole locked set
	// Apt names the packages of this machine's distribution that the set needs to run and that the
	// machine itself has not; whoever installs the set needs them first.
	Apt []string
	// Foreign: the machines that it is for have packages that are not rpm's.
	Foreign bool

	debs []apt.Package
}

// Publish signs the run-time set of a finished run into a new snapshot of the
// project's repository. outcomes must all be built or reused.
func (p *Pipeline) Publish(ctx context.Context, work *Work, outcomes map[plan.ID]*Outcome, to Publishing) (Published, error) {
	p.stage("publish", "sign and publish the repository")
	base, err := p.openBase(ctx)
	if err != nil {
		return Published{}, err
	}
	set, err := p.buildSet(ctx, base, work, outcomes, to)
	if err != nil {
		return Published{}, fmt.Errorf("build the package that requires the whole set: %w", err)
	}
	key, err := repo.OpenKey(p.paths.keys(), to.KeyFile)
	if err != nil {
		return Published{}, err
	}
	req := repo.PublishRequest{
		Root: filepath.Join(p.paths.repos(), to.Project, to.Channel, p.cfg.Target.Name),
		Key:  key, ID: "reqpm-" + to.Project, Name: "ReqPM " + to.Project + " for " + p.cfg.Target.Name,
		RepodataCompress: p.cfg.Target.RepodataCompress,
	}
	for _, b := range append(runtimeBuilds(work, outcomes), set) {
		for _, r := range b.RPMs {
			req.RPMs = append(req.RPMs, filepath.Join(b.dir, r.File))
		}
		if b.SRPM != "" {
			req.SRPMs = append(req.SRPMs, filepath.Join(b.dir, b.SRPM))
		}
	}
	if h, ok := base.(hostRPM); ok && h.HostRPM() != "" {
		req.RPMs = append(req.RPMs, h.HostRPM())
	}
	debs, standIns, err := p.runtimeDebs(ctx, work, outcomes)
	if err != nil {
		return Published{}, fmt.Errorf("packages of the distribution that the set needs to run: %w", err)
	}
	req.RPMs = append(req.RPMs, standIns...)
	snapshot, err := repo.Publish(ctx, req)
	if snapshot.Pinned != "" {
		p.warn("publish", fmt.Sprintf("the repository is pinned to the snapshot %s: clients go on getting that one, until somebody unpins it; what was published now is the snapshot %s", snapshot.Pinned, snapshot.ID))
	}
	published := Published{Snapshot: snapshot, SetName: set.RPMs[0].Name, Foreign: p.Target().Kind == target.Host, debs: debs}
	for _, file := range standIns {
		r, readErr := readRPM(file, p.Target().Python)
		err = errors.Join(err, readErr)
		published.Apt = append(published.Apt, strings.TrimPrefix(r.Name, standInPrefix))
	}
	return published, err
}

// buildSet makes the package that requires every published package in its exact version, so
// that one name installs the set as it was locked.
func (p *Pipeline) buildSet(ctx context.Context, base builder.Base, work *Work, outcomes map[plan.ID]*Outcome, to Publishing) (*Built, error) {
	in := spec.SetInput{Target: p.Target(), Project: to.Project, UploadTime: to.Time}
	var members []string
	for _, id := range work.Plan.Order() {
		o := outcomes[id]
		if o.Runtime && o.State == StateDistro {
			for _, r := range work.builds[id].reused {
				in.Packages = append(in.Packages, distributionMember(r))
				members = append(members, r.Provide+" = "+r.Text)
			}
			continue
		}
		if !o.Runtime || o.built == nil {
			continue
		}
		if uploaded := work.builds[id].file.UploadTime; uploaded.After(in.UploadTime) {
			in.UploadTime = uploaded
		}
		for _, r := range o.built.RPMs {
			in.Packages = append(in.Packages, spec.SetPackage{Name: r.Name, Epoch: r.Epoch, Version: r.Version, Release: r.Release})
			members = append(members, r.NEVRA)
		}
	}
	// The newest thing in it dates a set: a later set has the higher version, the same
	// set the same one.
	in.Version = in.UploadTime.UTC().Format("20060102.150405")
	out, err := spec.WriteSet(in)
	if err != nil {
		return nil, err
	}
	b := &pkgBuild{id: plan.NewID(out.Name, out.Version), name: out.Name, version: out.Version, set: true}
	b.spec = specFiles{fileName: out.FileName, text: out.Text, canonical: out.Text,
		sources: []sourceFile{{name: out.ListName, data: out.List, sha256: digest(members)}}}
	b.key = contentKey(base.ID(), b, nil)
	if cached := p.cachedBuild(b.key); cached != nil {
		return cached, nil
	}
	unlock, err := p.lockKey(ctx, b.key)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if cached := p.cachedBuild(b.key); cached != nil {
		return cached, nil // another process made it while we waited
	}
	r := &run{p: p, work: work, logs: to.Logs}
	return r.buildOnce(ctx, b, nil, 1)
}

// distributionMember requires a distribution's package by the version of what it provides, with
// any release: an update that mends it without a new version is welcome.
func distributionMember(r distro.Package) spec.SetPackage {
	epoch, version, ok := strings.Cut(r.Text, ":")
	if !ok {
		epoch, version = "", r.Text
	}
	return spec.SetPackage{Name: r.Provide, Epoch: epoch, Version: version}
}

// runtimeBuilds are the results that are published, in plan order.
func runtimeBuilds(work *Work, outcomes map[plan.ID]*Outcome) []*Built {
	var list []*Built
	for _, id := range work.Plan.Order() {
		if o := outcomes[id]; o.Runtime && o.built != nil {
			list = append(list, o.built)
		}
	}
	return list
}

// Proof is what happened when the published set was installed into a fresh root.
type Proof struct {
	OK        bool              `json:"ok"`
	Installed []string          `json:"installed"`
	Imported  []string          `json:"imported"`
	NotImport map[string]string `json:"not_imported,omitempty"` // package → error; reported, not fatal
	Unchecked []string          `json:"unchecked,omitempty"`    // an override says that they are not imported
	Command   *CommandResult    `json:"command,omitempty"`
	Log       string            `json:"log"`
}

// CommandResult is what the user's own proof command did.
type CommandResult struct {
	Status int    `json:"status"`
	Output string `json:"output"`
}

//go:embed proof.py
var proofScript string

// Verify is the proof of installability: dnf installs the set by its one name, checking every
// signature, into a fresh root that has only the base and the published repository; then
// everything is imported, and command is run in the root when there is one.
func (p *Pipeline) Verify(ctx context.Context, work *Work, outcomes map[plan.ID]*Outcome, published Published, logDir, command string) (Proof, error) {
	p.stage("verify", "install "+published.SetName+" into a fresh root and import it")
	base, err := p.openBase(ctx)
	if err != nil {
		return Proof{}, err
	}
	job := struct {
		Imports      map[string][]string `json:"imports"`
		Distribution []string            `json:"distribution"`
		Command      string              `json:"command"`
	}{map[string][]string{}, []string{}, command}
	reused := reusedVersions(work)
	for name := range reused {
		job.Distribution = append(job.Distribution, name)
	}
	slices.Sort(job.Distribution)
	var unchecked []string
	for _, b := range runtimeBuilds(work, outcomes) {
		var top []string
		for _, r := range b.RPMs {
			top = append(top, r.TopLevel...)
		}
		modules, ok := p.saidModules(b.Name, top)
		if !ok {
			unchecked = append(unchecked, b.Name)
		} else if len(modules) > 0 {
			job.Imports[b.Name] = modules
		}
	}
	script, err := json.Marshal(job)
	if err != nil {
		return Proof{}, err
	}
	proof := Proof{Installed: []string{}, Imported: []string{}, Unchecked: unchecked, Log: filepath.Join(logDir, "verify.log")}
	if err := os.MkdirAll(logDir, 0o755); err != nil { // a run that built nothing has made no log yet
		return proof, err
	}
	var out bytes.Buffer
	debs, err := p.fetchDebs(ctx, published.debs)
	if err != nil {
		return proof, err
	}
	result, err := base.Verify(ctx, builder.Verification{
		Debs:     debs,
		RepoFile: cmp.Or(published.Snapshot.OwnFile, published.Snapshot.RepoFile), Install: []string{published.SetName}, Log: proof.Log, Network: true, Stdout: &out,
		Script: []string{p.Target().Python.Executable, "-c", proofScript, string(script)},
	})
	if err != nil {
		return proof, fmt.Errorf("the published set does not install: %w", err)
	}
	var said struct {
		Imported []string          `json:"imported"`
		Failed   map[string]string `json:"failed"`
		Command  *CommandResult    `json:"command"`
		Versions map[string]string `json:"versions"`
	}
	if err := json.Unmarshal(out.Bytes(), &said); err != nil {
		return proof, fmt.Errorf("read what the proof printed: %w", err)
	}
	proof.Installed, proof.Imported, proof.NotImport, proof.Command = result.Installed, said.Imported, said.Failed, said.Command
	slices.Sort(proof.Installed)
	if err := checkVersions(reused, said.Versions); err != nil {
		return proof, err
	}
	proof.OK = proof.Command == nil || proof.Command.Status == 0
	return proof, nil
}

// reusedVersions are the packages of the set that the distribution has, and their versions.
func reusedVersions(work *Work) map[string]string {
	versions := map[string]string{}
	for _, b := range work.builds {
		if b.runtime && b.reused != nil {
			versions[b.name] = b.version
		}
	}
	return versions
}

// checkVersions holds what the proof root has of the distribution against what was planned. A
// Python that cannot tell (before 3.8) gave no answer: dnf was asked for the version anyway.
func checkVersions(planned, found map[string]string) error {
	for _, name := range slices.Sorted(maps.Keys(planned)) {
		have, ok := found[name]
		if !ok {
			continue
		}
		a, errA := pep440.Parse(planned[name])
		b, errB := pep440.Parse(have)
		if errA != nil || errB != nil || a.Compare(b) != 0 {
			return fmt.Errorf("the published set does not install: %s %s was to come from the distribution, %q came", name, planned[name], have)
		}
	}
	return nil
}
